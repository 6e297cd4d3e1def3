from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from hub.conf import config
from tests.support.receivers import BUSY_FOR_7_S, ROUTING_KEY, SLACK_PATH, PagerDuty, Slack


@pytest.fixture(autouse=True)
def _fresh_settings():
    config.cache_clear()
    yield
    config.cache_clear()


def test_a_real_message_is_sent_and_then_that_it_is_over(capsys):
    with PagerDuty() as server:
        given = {"type": "pagerduty", "routing_key": ROUTING_KEY, "url": f"{server.url}/v2/enqueue"}
        with override_settings(HUB={"RECEIVERS": {"pager": given}, "PAGE_URL": "https://hub.example.com/"}):
            call_command("hub_notify_test", "pager", "--severity", "critical")
    assert ["resolved"] == list(server.incidents.values())
    assert "This is a test: nothing is wrong" == server.got[0].json["payload"]["summary"]
    assert [] == server.flaws
    assert ["pager (pagerduty), fired: delivered", "pager (pagerduty), resolved: delivered"] == [
        line.partition(" in ")[0] for line in capsys.readouterr().out.splitlines()
    ]


@override_settings(HUB={})
def test_without_receivers_it_says_how_to_name_one():
    with pytest.raises(CommandError, match="SLACK_WEBHOOK_URL"):
        call_command("hub_notify_test", "slack")


def test_it_may_be_left_open():
    with Slack() as server, override_settings(HUB={"RECEIVERS": {"chat": {"type": "slack", "url": server.webhook}}}):
        call_command("hub_notify_test", "chat", "--leave-open")
        assert (1, []) == (len(server.messages), server.flaws)


def test_what_goes_wrong_is_said_without_secrets():
    with Slack() as server, override_settings(HUB={"RECEIVERS": {"chat": {"type": "slack", "url": server.webhook}}}):
        server.down = BUSY_FOR_7_S
        with pytest.raises(CommandError, match=r"chat .slack., fired: answered 429.*left alone for 7 s") as caught:
            call_command("hub_notify_test", "chat")
    assert SLACK_PATH not in str(caught.value)


@override_settings(HUB={"RECEIVERS": {"mail": {"type": "email", "to": ["ops@example.com"]}, "bad": {"type": "slack"}}})
def test_a_receiver_that_there_is_not(capsys):
    with pytest.raises(CommandError, match="no receiver 'bad' that can be used; known: mail\nHUB"):
        call_command("hub_notify_test", "bad")
