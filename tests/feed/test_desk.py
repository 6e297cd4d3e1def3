"""What operators ask and do about alerts: who may, what is answered, and that all that is refused says why."""

from __future__ import annotations

import json
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from django.db import connection

from hub.access import Operator, Rights
from hub.alerting.actions import silence
from hub.feed import wire
from hub.feed.desk import MAX_PREVIEW
from hub.models import AlertRecord, OperatorAction, SilenceRecord
from tests.feed.alerts import BEGIN, alert, at, in_database, told
from tests.feed.stage import ManualClock, stage

pytestmark = pytest.mark.django_db(transaction=True)

ACME = frozenset({"acme"})


ROLES = {
    "operator": Rights(view=True, operate=True),
    "watcher": Rights(view=True),
    "bound operator": Rights(view=True, operate=True, tenants=ACME),
    "bound watcher": Rights(view=True, tenants=ACME),
    "bound elsewhere": Rights(view=True, operate=True, tenants=frozenset({"initech"})),
    "nobody": Rights(),
    "may act, not watch": Rights(operate=True),
}
EVERYBODY, ALL_OPERATORS = (
    frozenset(ROLES) - {"nobody", "may act, not watch"},
    frozenset({"operator", "bound operator"}),
)


class World:
    """What there is to act on: alerts and silences of acme, globex and no tenant."""

    def __init__(self) -> None:
        clock, ann = ManualClock(), Operator("ann", ROLES["operator"])
        self.alerts = {tenant: alert("handler_errors", tenant) for tenant in ("acme", "globex", "")}
        self.taken = {tenant: alert("message_slow", tenant, acknowledged_by="bob") for tenant in ("acme", "globex")}
        self.silences = {
            matchers: silence(ann, matchers, "a test", seconds=3600, clock=clock).id
            for matchers in ("tenant=acme", "tenant=globex", "rule=x")
        }

    def written(self) -> tuple[Any, ...]:
        """Everything that an action may change."""
        return (
            OperatorAction.objects.count(), SilenceRecord.objects.filter(ends_at__gt=at()).count(),
            *AlertRecord.objects.order_by("pk").values_list("acknowledged_by", flat=True),
        )  # fmt: skip


#: Of each action: what is asked, who may, and whether it changes anything.
ACTIONS: dict[str, tuple[Any, frozenset[str], bool]] = {
    "acknowledge acme": (
        lambda world: {"type": "acknowledge", "key": world.alerts["acme"].key}, ALL_OPERATORS, True,
    ),
    "acknowledge globex": (
        lambda world: {"type": "acknowledge", "key": world.alerts["globex"].key}, frozenset({"operator"}), True,
    ),
    "acknowledge of no tenant": (
        lambda world: {"type": "acknowledge", "key": world.alerts[""].key}, frozenset({"operator"}), True,
    ),
    "unacknowledge acme": (
        lambda world: {"type": "unacknowledge", "key": world.taken["acme"].key}, ALL_OPERATORS, True,
    ),
    "unacknowledge globex": (
        lambda world: {"type": "unacknowledge", "key": world.taken["globex"].key}, frozenset({"operator"}), True,
    ),
    "silence acme": (
        lambda world: {"type": "silence", "matchers": "tenant=acme", "why": "a test", "seconds": 60},
        ALL_OPERATORS, True,
    ),
    "silence globex": (
        lambda world: {"type": "silence", "matchers": "tenant=globex", "why": "a test", "seconds": 60},
        frozenset({"operator"}), True,
    ),
    "silence everybody's": (
        lambda world: {"type": "silence", "matchers": "rule=x", "why": "a test", "ends_at": BEGIN + 60},
        frozenset({"operator"}), True,
    ),
    "silence like acme": (
        lambda world: {"type": "silence", "matchers": "tenant~acme*", "why": "a test", "seconds": 60},
        frozenset({"operator"}), True,
    ),
    "end acme's silence": (
        lambda world: {"type": "end_silence", "id": world.silences["tenant=acme"]}, ALL_OPERATORS, True,
    ),
    "end globex's silence": (
        lambda world: {"type": "end_silence", "id": world.silences["tenant=globex"]}, frozenset({"operator"}), True,
    ),
    "end everybody's silence": (
        lambda world: {"type": "end_silence", "id": world.silences["rule=x"]}, frozenset({"operator"}), True,
    ),
    "show acme": (
        lambda world: {"type": "show_alert", "id": world.alerts["acme"].pk}, EVERYBODY - {"bound elsewhere"}, False,
    ),
    "show globex": (
        lambda world: {"type": "show_alert", "id": world.alerts["globex"].pk},
        frozenset({"operator", "watcher"}), False,
    ),
    "list alerts": (lambda world: {"type": "list_alerts"}, EVERYBODY, False),
    "preview": (lambda world: {"type": "preview_silence", "matchers": "rule=handler_errors"}, EVERYBODY, False),
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", ACTIONS)
async def test_the_matrix_of_roles_and_actions(role, action):
    ask, allowed, changes = ACTIONS[action]
    world = await in_database(World)
    before = await in_database(world.written)
    async with stage() as on:
        [answer] = await on.operator(ROLES[role]).ask(ref="1", **ask(world))
    after = await in_database(world.written)
    if role in allowed:
        assert answer.get("ok", True), answer
        assert (before != after) is changes
        assert await in_database(who_acted) == (["ann"] if changes else [])
    else:
        assert (answer["type"], answer["ok"], answer["ref"]) == ("result", False, "1")
        assert answer["error"]["code"] in ("not_allowed", "invalid")
        assert before == after
        assert "globex of" not in json.dumps(answer)


def who_acted() -> list[str]:
    """Of the audit, without what was there before."""
    return [action.by for action in OperatorAction.objects.order_by("pk")[3:]]


@pytest.mark.parametrize("role", ["operator", "watcher", "bound operator", "bound watcher", "bound elsewhere"])
@pytest.mark.parametrize("ask", [{"type": "list_alerts"}, {"type": "preview_silence", "matchers": "severity=high"}])
async def test_everybody_is_answered_with_the_alerts_of_their_tenants(role, ask):
    await in_database(World)
    async with stage() as on:
        [answer] = await on.operator(ROLES[role]).ask(ref="1", **ask)
    rights = ROLES[role]
    expected = {tenant for tenant in ("acme", "globex", "") if rights.sees(tenant)}
    assert {one["tenant"] for one in answer["alerts"]} == expected


# --- answers --------------------------------------------------------------------------------------------------------


async def test_an_alert_is_shown_with_its_figures_its_story_and_who_was_told():
    record = await in_database(alert)
    await in_database(told, record, error="503 from the receiver", state="waiting", delivered_at=None)
    async with stage() as on:
        operator = on.operator()
        await operator.ask(type="acknowledge", ref="1", key=record.key)
        [shown] = await operator.ask(type="show_alert", ref="2", id=record.pk)
        [bound] = await on.operator(ROLES["bound operator"]).ask(type="show_alert", ref="3", id=record.pk)
    assert shown["alert"]["acknowledged_by"] == "ann"
    assert shown["curve"] == {"at": [BEGIN, BEGIN + 1], "values": [11.0, 12.0]}
    assert [(one["kind"], one["by"]) for one in shown["changes"]] == [("told", ""), ("acknowledged", "ann")]
    assert [(one["receiver"], one["state"], one["error"]) for one in shown["deliveries"]] == [
        ("ops", "waiting", "503 from the receiver")
    ]
    assert [one["error"] for one in bound["deliveries"]] == [""]


async def test_the_history_comes_in_pages_newest_first():
    for number in range(7):
        await in_database(alert, f"rule_{number}", state="resolved" if number % 2 else "firing")
    async with stage() as on:
        operator = on.operator()
        seen, before = [], None
        while True:
            [page] = await operator.ask(type="list_alerts", ref="1", limit=3, before=before)
            seen.append([one["rule"] for one in page["alerts"]])
            before = page["next"]
            if before is None:
                break
        [resolved] = await operator.ask(type="list_alerts", ref="1", state="resolved")
    assert seen == [["rule_6", "rule_5", "rule_4"], ["rule_3", "rule_2", "rule_1"], ["rule_0"]]
    assert [one["rule"] for one in resolved["alerts"]] == ["rule_5", "rule_3", "rule_1"]


async def test_a_preview_counts_what_it_does_not_show():
    for number in range(MAX_PREVIEW + 5):
        await in_database(alert, "handler_errors", f"tenant-{number}")
    async with stage() as on:
        [preview] = await on.operator().ask(type="preview_silence", ref="1", matchers="tenant~tenant-*")
        [nothing] = await on.operator().ask(type="preview_silence", ref="1", matchers="tenant=nobody")
    assert (len(preview["alerts"]), preview["total"]) == (MAX_PREVIEW, MAX_PREVIEW + 5)
    assert (nothing["alerts"], nothing["total"]) == ([], 0)


async def test_both_encodings_answer_the_same():
    record = await in_database(alert)
    async with stage() as on:
        answers = [
            await on.operator(subprotocol=name).ask(type="show_alert", ref="1", id=record.pk)
            for name in wire.SUBPROTOCOLS
        ]
    assert answers[0] == answers[1]


# --- bad input ------------------------------------------------------------------------------------------------------

NOTHING_THERE = {
    "no such alert": ({"type": "acknowledge", "key": "nothing"}, "does not fire any more"),
    "nothing to take back": ({"type": "unacknowledge", "key": "handler_errors/acme"}, "nothing to change"),
    "no such life": ({"type": "show_alert", "id": 2**63 - 1}, "there is no alert"),
    "no such silence": ({"type": "end_silence", "id": "none"}, "there is no silence"),
    "unreadable matchers": ({"type": "preview_silence", "matchers": "tenant="}, None),
    "matchers that are none": ({"type": "preview_silence", "matchers": "acme"}, "is no matcher; write"),
    "matchers of commas": ({"type": "preview_silence", "matchers": ", ,"}, "no matcher"),
    "matchers of nothing": ({"type": "preview_silence", "matchers": "  "}, "matches everything"),
    "too many matchers": ({"type": "preview_silence", "matchers": "a=b," * 100}, "too much to match"),
    "a matcher too long": ({"type": "preview_silence", "matchers": "a=" + "b" * 500}, "too much to match"),
    "no end": ({"type": "silence", "matchers": "a=b", "why": "x"}, "one of the two"),
    "two ends": ({"type": "silence", "matchers": "a=b", "why": "x", "seconds": 1, "ends_at": 2}, "one of the two"),
    "an end in the past": ({"type": "silence", "matchers": "a=b", "why": "x", "ends_at": 5}, "at most 366 days"),
    "for ever": ({"type": "silence", "matchers": "a=b", "why": "x", "seconds": 99_999_999_999}, "at most 366 days"),
    "the year 5138": (
        {"type": "silence", "matchers": "a=b", "why": "x", "starts_at": 99_999_999_999, "seconds": 60}, None,
    ),
    "no reason": ({"type": "silence", "matchers": "a=b", "why": " \n ", "seconds": 60}, "say why"),
}  # fmt: skip


@pytest.mark.parametrize(("message", "remedy"), NOTHING_THERE.values(), ids=list(NOTHING_THERE))
async def test_what_can_not_be_done_is_refused_with_a_reason_and_the_feed_goes_on(message, remedy):
    await in_database(alert)
    async with stage() as on:
        operator = on.operator()
        [answer] = await operator.ask(ref="1", **message)
        if remedy is None:
            assert answer["type"] in ("result", "preview")
        else:
            assert (answer["ok"], answer["error"]["code"]) == (False, "invalid")
            assert remedy in answer["error"]["message"]
        [page] = await operator.ask(type="list_alerts", ref="2")
        assert len(page["alerts"]) == 1


@pytest.mark.parametrize("field", ["seconds", "ends_at", "starts_at"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), -1.0])
async def test_numbers_that_are_none_are_refused(field, number):
    message = {"type": "silence", "ref": "1", "matchers": "a=b", "why": "x", "seconds": 60.0, field: number}
    async with stage() as on:
        operator = on.operator(subprotocol=wire.MSGPACK_SUBPROTOCOL)
        operator.say(msgpack.packb(message))
        await on.service.settle(operator.session)
        [answer] = await operator.read()
    assert (answer["ok"], answer["error"]["code"]) == (False, "invalid")
    assert not await in_database(SilenceRecord.objects.exists)


async def test_without_a_database_the_answer_says_so_and_shows_nothing_of_it():
    def drop() -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE hub_alertrecord RENAME TO elsewhere")

    def put_back() -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO hub_alertrecord")

    async with stage() as on:
        await in_database(drop)
        try:
            [answer] = await on.operator().ask(type="list_alerts", ref="1")
        finally:
            await in_database(put_back)
        [page] = await on.operator().ask(type="list_alerts", ref="1")
    assert answer["error"]["code"] == "unavailable"
    assert "hub_alertrecord" not in answer["error"]["message"]
    assert page["alerts"] == []


async def test_who_acts_without_end_is_limited_like_everybody():
    async with stage() as on:
        operator = on.operator()
        for _ in range(wire.CLIENT_BURST + 1):
            operator.say(json.dumps({"type": "acknowledge", "ref": "1", "key": "k"}))
        assert operator.session.close_code == wire.CLOSE_FLOOD
