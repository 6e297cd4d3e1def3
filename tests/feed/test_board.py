"""What every operator sees of alerts and silences: once read, for all of them, each what they may see."""

import asyncio
from dataclasses import fields
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hub.access import Operator, Rights
from hub.alerting import rows as alerting
from hub.alerting.actions import acknowledge, silence
from hub.feed import rows
from hub.feed.board import SHOWN, STALE, Board, fetch_board, read_board
from tests.feed.alerts import BEGIN, alert, at, evaluate, in_database
from tests.feed.stage import ALL_RIGHTS, ManualClock, of_type, stage

BOUND = Rights(view=True, operate=True, tenants=frozenset({"acme"}))
ANN = Operator("ann", ALL_RIGHTS)
database = pytest.mark.django_db(transaction=True)


def row(number: int = 1, **changes) -> rows.AlertRow:
    known = rows.AlertRow(
        id=number, key=f"k{number}", rule="handler_errors", severity="high", labels={"consumer": "shop.Chat"},
        tenant="acme", state="firing", since=1.0, fired_at=2.0, resolved_at=None, value=12.0, worst=14.0,
        threshold=10.0, unit="", summary="", action="", runbook="", muted="", acknowledged_by="", acknowledged_at=None,
    )  # fmt: skip
    return msgspec.structs.replace(known, **changes)


def board(*alerts: rows.AlertRow, **changes) -> Board:
    counts: dict[tuple[str, str], int] = {}
    for each in alerts:
        counts[each.tenant, each.state] = counts.get((each.tenant, each.state), 0) + 1
    return Board(alerts=alerts, counts=counts, **changes)


def silence_row(number: str, tenant: str) -> rows.SilenceRow:
    return rows.SilenceRow(
        id=number, matchers="rule=x", tenant=tenant, starts_at=1.0, ends_at=9.0, by="ann", why="a test", state="active"
    )


async def subscribed(on, rights=ALL_RIGHTS, topics=("alerts", "silences"), **more):
    """An operator who watches, and what it was shown first, by topic and tenant."""
    operator = on.operator(rights)
    answers = await operator.ask(type="subscribe", topics=list(topics), **more)
    return operator, {(one["topic"], one.get("tenant")): one for one in of_type(answers, "snapshot")}


async def told(on, operator):
    """What an operator is told at the next tick, by topic and tenant."""
    await on.tick()
    return {(one["topic"], one.get("tenant")): one for one in of_type(await operator.read(), "delta")}


# --- what is shown --------------------------------------------------------------------------------------------------


async def test_who_comes_is_shown_what_is_and_then_told_what_changes():
    async with stage() as on:
        on.board = board(row(1))
        await on.tick()
        operator, first = await subscribed(on)
        assert [one["id"] for one in first["alerts", None]["alerts"]["rows"]] == [1]
        assert first["silences", None]["silences"] == []
        await told(on, operator)
        assert await told(on, operator) == {}

        on.board = board(row(2), row(1))
        news = await told(on, operator)
        assert [one["id"] for one in news["alerts", None]["alerts"]["rows"]] == [2, 1]
        assert ("silences", None) not in news
        on.board = board()
        assert (await told(on, operator))["alerts", None]["alerts"] == {
            "rows": [], "firing": 0, "pending": 0, "evaluated": True,
        }  # fmt: skip
        assert await told(on, operator) == {}


async def test_a_slow_cadence_misses_nothing():
    async with stage() as on:
        operator, _ = await subscribed(on, topics=("alerts",), cadence=5)
        seen = []
        for number in range(1, 21):
            on.board = board(row(number))
            news = await told(on, operator)
            seen += [one["alerts"]["rows"][0]["id"] for place, one in news.items() if place == ("alerts", None)]
        assert seen[-1] == 20 - on.topics.version % 5
        assert len(seen) == 4


async def test_more_than_can_be_shown_is_counted_all_the_same():
    async with stage() as on:
        on.board = board(*(row(number) for number in range(SHOWN + 7)), row(9000, state="pending"))
        _, first = await subscribed(on)
        alerts = first["alerts", None]["alerts"]
        assert (len(alerts["rows"]), alerts["firing"], alerts["pending"]) == (SHOWN, SHOWN + 7, 1)


async def test_a_subscription_to_consumers_shows_and_counts_their_alerts():
    async with stage() as on:
        on.board = board(row(1), row(2, labels={"consumer": "shop.News"}), row(3, labels={}))
        _, first = await subscribed(on, consumers=["shop.News"])
        alerts = first["alerts", None]["alerts"]
        assert ([one["id"] for one in alerts["rows"]], alerts["firing"]) == ([2], 1)


# --- rights ---------------------------------------------------------------------------------------------------------

EVERYBODY = ("acme", "globex", "")


@pytest.mark.parametrize(
    ("rights", "tenants", "alerts", "silences"),
    [
        (ALL_RIGHTS, None, {None: [1, 2, 3]}, {None: ["acme", "globex", ""]}),
        (ALL_RIGHTS, ["globex"], {"globex": [2]}, {None: ["acme", "globex", ""]}),
        (BOUND, None, {"acme": [1]}, {"acme": ["acme"]}),
        (BOUND, ["acme"], {"acme": [1]}, {"acme": ["acme"]}),
        (Rights(view=True, tenants=frozenset({"initech"})), None, {"initech": []}, {"initech": []}),
    ],
)
async def test_everybody_sees_the_alerts_and_silences_of_their_tenants(rights, tenants, alerts, silences):
    async with stage() as on:
        on.board = board(
            *(row(number, tenant=tenant) for number, tenant in enumerate(EVERYBODY, 1)),
            silences=tuple(silence_row(tenant, tenant) for tenant in EVERYBODY),
        )
        _, first = await subscribed(on, rights, tenants=tenants)
        shown = {tenant: one["alerts"] for (topic, tenant), one in first.items() if topic == "alerts"}
        assert {tenant: [one["id"] for one in each["rows"]] for tenant, each in shown.items()} == alerts
        assert {tenant: each["firing"] for tenant, each in shown.items()} == {
            tenant: len(each) for tenant, each in alerts.items()
        }
        assert silences == {
            tenant: [each["id"] for each in one["silences"]]
            for (topic, tenant), one in first.items() if topic == "silences"
        }  # fmt: skip


async def test_a_tenant_one_may_not_see_is_refused():
    async with stage() as on:
        [refused] = await on.operator(BOUND).ask(type="subscribe", topics=["alerts"], tenants=["globex"])
        assert refused["error"]["code"] == "not_allowed"


# --- how often it is read -------------------------------------------------------------------------------------------


async def test_it_is_read_once_a_tick_however_many_watch_and_not_at_all_if_nobody_does():
    reads = []

    async def fetch(clock):
        reads.append(clock)
        return board(row(len(reads)))

    async with stage(fetch) as on:
        await on.tick()
        quiet, _ = await subscribed(on, topics=["totals"])
        await told(on, quiet)
        assert reads == []
        operators = [(await subscribed(on))[0] for _ in range(20)]
        before, encodings = len(reads), on.topics.encodings
        await on.tick()
        frames = [of_type(await operator.read(), "delta") for operator in operators]
        assert len(reads) == before + 1
        assert on.topics.encodings - encodings <= 2
        assert all(frame == frames[0] for frame in frames)
        for operator in operators:
            operator.leave()
        await on.tick()
        assert len(reads) == before + 1


async def test_a_database_that_is_slow_makes_nobody_wait_and_its_news_come_later():
    gate = asyncio.Event()
    gate.set()

    async def fetch(clock):
        await gate.wait()
        return on.board

    async with stage(fetch) as on:
        on.board = board(row(1))
        operator, _ = await subscribed(on, topics=["alerts", "totals"])
        await told(on, operator)
        gate.clear()
        on.board = board(row(2))
        on.receive_messages("shop.Chat", "acme")
        news = await told(on, operator)
        assert set(news) == {("totals", None)}
        gate.set()
        for _ in range(100):
            news = await told(on, operator)
            if ("alerts", None) in news:
                break
            await asyncio.sleep(0.01)
        assert news["alerts", None]["alerts"]["rows"][0]["id"] == 2


async def test_a_database_that_stays_away_makes_it_unknown_until_it_is_back():
    broken: list[Exception] = []

    async def fetch(clock):
        for error in broken:
            raise error
        return board(row(1))

    async with stage(fetch) as on:
        operator, first = await subscribed(on)
        assert first["alerts", None]["alerts"] is not None
        await told(on, operator)
        broken.append(OSError("no database"))
        assert await told(on, operator) == {}
        heard: dict[Any, Any] = {}
        for _ in range(int(STALE) + 1):
            heard |= await told(on, operator)
        assert heard["alerts", None]["alerts"] is None
        assert heard["silences", None]["silences"] is None
        _, first = await subscribed(on)
        assert first["alerts", None]["alerts"] is None
        broken.clear()
        assert (await told(on, operator))["alerts", None]["alerts"]["firing"] == 1


async def test_what_comes_within_a_tick_is_missed_by_nobody():
    async with stage() as on:
        on.board = board(row(1))
        operator, _ = await subscribed(on, topics=["alerts"])
        await told(on, operator)
        await on.tick()
        await operator.read()
        # Between two ticks: whoever comes now is shown what the others know, and told the rest with them.
        on.topics.show_board(board(row(2)))
        _, first = await subscribed(on, topics=["alerts"])
        assert [one["id"] for one in first["alerts", None]["alerts"]["rows"]] == [1]
        on.board = board(row(2))
        assert [one["id"] for one in (await told(on, operator))["alerts", None]["alerts"]["rows"]] == [2]


# --- from the database ----------------------------------------------------------------------------------------------


@database
def test_the_board_is_what_the_database_says():
    clock = ManualClock()
    evaluate()
    alert("latency_high", "globex", 5.0, severity="medium", state="pending", fired_at=None)
    high = alert("handler_errors", "acme", 1.0)
    newer = alert("frames_dropped", "acme", 2.0)
    critical = alert("loop_blocked", "", severity="critical", muted="silenced by 3")
    alert("message_slow", "acme", state="resolved", resolved_at=at(9))
    silence(ANN, "tenant=acme", "a test", seconds=60, clock=clock)
    silence(ANN, "rule=x", "a test", seconds=60, starts_at=BEGIN + 60, clock=clock)
    silence(ANN, "rule=over", "a test", seconds=1, clock=clock)
    acknowledge(ANN, high.key, clock)
    clock.now += 30

    read = read_board(clock)

    assert [one.rule for one in read.alerts] == ["loop_blocked", "frames_dropped", "handler_errors", "latency_high"]
    assert [one.id for one in read.alerts[:3]] == [critical.pk, newer.pk, high.pk]
    assert (read.alerts[0].muted, read.alerts[2].acknowledged_by) == ("silenced by 3", "ann")
    assert {("", "firing"): 1, ("acme", "firing"): 2, ("globex", "pending"): 1} == read.counts
    assert {("", "coming"), ("acme", "active")} == {(one.tenant, one.state) for one in read.silences}
    assert read.evaluated


@database
@pytest.mark.parametrize("ago", [None, 1.0])
def test_without_an_evaluator_the_board_says_so(ago):
    if ago is not None:
        evaluate(-ago)
    assert not read_board(ManualClock()).evaluated


@database
def test_a_storm_is_read_with_a_handful_of_queries():
    for number in range(40):
        alert("handler_errors", f"tenant-{number}")
    with CaptureQueriesContext(connection) as queries:
        assert len(read_board(ManualClock()).alerts) == 40
    assert len(queries) <= 5


@database
async def test_what_an_operator_does_is_seen_by_all_at_the_next_tick():
    record = await in_database(alert)
    async with stage(fetch_board) as on:
        other, first = await subscribed(on, BOUND)
        assert first["alerts", "acme"]["alerts"]["rows"][0]["acknowledged_by"] == ""
        await told(on, other)
        [done] = await on.operator().ask(type="acknowledge", ref="1", key=record.key)
        assert done == {"type": "result", "ref": "1", "ok": True, "error": None}
        news: dict[Any, Any] = {}
        for _ in range(20):
            news |= await told(on, other)
            await asyncio.sleep(0.02)
        assert news["alerts", "acme"]["alerts"]["rows"][0]["acknowledged_by"] == "ann"


def test_every_field_of_a_row_is_on_the_wire():
    for read, shown in ((alerting.AlertRow, rows.AlertRow), (alerting.SilenceRow, rows.SilenceRow)):
        assert {field.name for field in fields(read)} - {"values"} == set(shown.__struct_fields__)
