from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alerting.receivers.base import DeliveryError, RefusedError
from hub.alerting.receivers.slack import LOST, MAX_TEXT, PASSING, _fit, blocks_of
from hub.core.groups import ACKNOWLEDGED, CHANGED, OVER, REPEATED
from hub.core.rules import SEVERITIES
from tests.alerting.messages import AT, LIFE, PAGE, alert, evil, message, storm
from tests.alerting.receivers.made import made
from tests.support.formats import slack_flaws
from tests.support.receivers import Answer, answer_json


@pytest.fixture
def bot():
    with made("slack_bot") as pair:
        yield pair


def test_a_message_has_all_that_somebody_needs_to_act():
    text = json.dumps(blocks_of(message()), ensure_ascii=False)
    for part in (
        "🟠 Firing: chat, tenant acme: 120 errors within 5 min", "Severity: high", "Tenant: acme",
        "120 errors, threshold 10 errors", "▁▁▃█", f"<!date^{int(AT) - 60}^", "2026-11-18 11:05:40 UTC",
        "Look at the events handler.error.", f"{PAGE}#alert={LIFE}", "https://runbooks.example.com/errors",
    ):  # fmt: skip
        assert part in text


@pytest.mark.parametrize("severity", SEVERITIES)
def test_severities_can_be_told_by_their_colour(severity):
    marks = {one: blocks_of(message(severity=one))["text"][0] for one in SEVERITIES}
    assert len(SEVERITIES) == len(set(marks.values()))
    assert "✅" == blocks_of(message(OVER, severity=severity))["text"][0]


def test_what_a_tenant_is_called_is_markup_nowhere():
    payload = blocks_of(evil())
    assert [] == slack_flaws(payload)
    marked = [
        element["text"]
        for block in payload["blocks"]
        for element in block.get("elements", [])
        if element["type"] == "mrkdwn"
    ]
    assert marked
    assert not [text for text in marked if "evil" in text or "bold" in text]
    assert "&lt;!channel&gt;" in payload["text"]
    assert "\n" not in json.dumps(payload).replace("\\n", "\n")


@pytest.mark.parametrize("one", [storm(1000), message("fired", *(alert("&" * 5000, key=str(n)) for n in range(60)))])
def test_the_worst_message_keeps_to_the_limits(one):
    assert [] == slack_flaws(blocks_of(one))


@given(st.text(), st.integers(10, 200))
def test_no_escape_is_cut_in_two(text, most):
    fitted = _fit(text, most)
    assert 0 < len(fitted) <= most
    assert [] == slack_flaws({"text": fitted[:MAX_TEXT], "blocks": []})


# --- by a webhook -------------------------------------------------------------------------------------------------


def test_a_webhook_tells_the_end_in_a_second_message():
    with made("slack_webhook") as pair:
        memory = pair.receiver.deliver(message(), {})
        pair.receiver.deliver(message(OVER, number=2), memory)
        assert ({}, 2, []) == (memory, len(pair.server.messages), pair.server.flaws)


def test_a_webhook_that_answers_in_json_has_taken_it():
    with made("slack_webhook") as pair:
        pair.server.next = [answer_json({"ok": True})]
        assert {} == pair.receiver.deliver(message(), {})


# --- by a bot -----------------------------------------------------------------------------------------------------


def test_a_bot_changes_its_first_message_and_answers_it(bot):
    memory = bot.receiver.deliver(message(), {})
    assert {"channel": "C0ALERTS", "ts": "1700000000.000100"} == memory
    for number, kind in enumerate((CHANGED, REPEATED, ACKNOWLEDGED, OVER), 2):
        assert memory == bot.receiver.deliver(message(kind, number=number, by="ann"), memory)
    first, *answers = bot.server.messages.values()
    assert first["edited"]
    assert "Resolved" in first["text"]
    assert [(memory["ts"], True)] * 2 + [(memory["ts"], False)] * 2 == [
        (one["thread_ts"], one["reply_broadcast"]) for one in answers
    ]
    assert [] == bot.server.flaws


def test_a_first_message_that_was_deleted_is_posted_anew(bot):
    memory = bot.receiver.deliver(message(), {})
    bot.server.messages.clear()
    assert bot.receiver.deliver(message(OVER), memory)
    assert [False] == ["edited" in one for one in bot.server.messages.values()]


@pytest.mark.parametrize("code", sorted(PASSING))
def test_what_passes_is_tried_again(bot, code):
    bot.server.next = [answer_json({"ok": False, "error": code}, retry_after="30")]
    with pytest.raises(DeliveryError, match=code) as caught:
        bot.receiver.deliver(message(), {})
    assert (DeliveryError, 30.0) == (type(caught.value), caught.value.retry_after)


@pytest.mark.parametrize(
    "code", ["invalid_auth", "channel_not_found", "not_in_channel", "missing_scope", "is_archived"]
)
def test_what_never_will_arrive_is_refused(bot, code):
    bot.server.next = [answer_json({"ok": False, "error": code})]
    with pytest.raises(RefusedError, match=f"chat.postMessage: {code}"):
        bot.receiver.deliver(message(), {})


@pytest.mark.parametrize("code", sorted(LOST))
def test_a_thread_that_is_lost_keeps_nothing_from_being_told(bot, code):
    memory = bot.receiver.deliver(message(), {})
    bot.server.next = [answer_json({"ok": False, "error": code})]
    assert memory != bot.receiver.deliver(message(OVER), memory)


def test_an_error_that_is_no_name_is_not_shown(bot):
    bot.server.next = [answer_json({"ok": False, "error": "Bearer xoxb-12345678901234"})]
    with pytest.raises(DeliveryError) as caught:
        bot.receiver.deliver(message(), {})
    assert "xoxb" not in str(caught.value)


def test_an_answer_without_a_place_is_remembered_as_none(bot):
    bot.server.next = [answer_json({"ok": True})]
    assert {} == bot.receiver.deliver(message(), {})


def test_a_rate_limit_says_for_how_long(bot):
    bot.server.next = [Answer(429, b"", {"Retry-After": "12"})]
    with pytest.raises(DeliveryError) as caught:
        bot.receiver.deliver(message(), {})
    assert 12.0 == caught.value.retry_after


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_blocks_too_long"])
def test_if_blocks_are_refused_the_text_arrives_without_them(bot, code):
    bot.server.next = [answer_json({"ok": False, "error": code})]
    assert bot.receiver.deliver(message(), {})
    [posted] = bot.server.messages.values()
    assert ("blocks" in posted, "120 errors" in posted["text"]) == (False, True)
    with made("slack_webhook") as pair:
        pair.server.next = [Answer(400, code.encode())]
        pair.receiver.deliver(message(), {})
        assert ["blocks" in one for one in pair.server.messages.values()] == [False]


@pytest.mark.parametrize("code", sorted(LOST))
def test_a_first_message_that_can_t_be_posted_is_never_taken_for_told(bot, code):
    bot.server.next = [answer_json({"ok": False, "error": code})]
    with pytest.raises(RefusedError):
        bot.receiver.deliver(message(), {})
