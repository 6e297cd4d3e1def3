from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.access import Rights
from hub.core.history import History
from hub.core.ledger import Counts, increment
from hub.core.snapshot import DropRow, LayerRow, NodeSnapshot
from hub.feed.dropped import RECENT, ROWS, DroppedRows, LayerRows
from hub.feed.rows import Dropped
from hub.fleet.view import ALL, COLUMNS, REMOVED_KEPT, FleetView
from tests.feed.stage import of_type, stage

ACME = Rights(view=True, operate=False, tenants=frozenset({"acme"}))


@pytest.fixture
def view() -> FleetView:
    return FleetView(History(1 << 20, len(COLUMNS)))


@pytest.fixture
def rows(view) -> DroppedRows:
    return DroppedRows(view)


def lost(consumer: str = "chat", tenant: str = "acme", **reasons: int) -> list[Any]:
    counts = Counts(consumer, tenant)
    for reason, messages in reasons.items():
        increment(counts.lost, reason, messages)
    return counts.pack()


def drop(at: float = 1000.0, tenant: str = "acme", consumer: str = "chat", **changes: Any) -> list[Any]:
    row = DropRow("expired", consumer, tenant, "room", at - 5, at, 3, "", "", 2, "", 2)
    return list(row._replace(**changes))


def gap() -> list[Any]:
    return drop(reason="unknown", consumer="unknown", tenant="", group="", messages=None, layer="default", channels=0)


def layer(alias: str = "default", fullest: float | None = 0.2, gaps: int = 0, **changes: Any) -> list[Any]:
    row = LayerRow(alias, "InMemoryChannelLayer", 20, 1.5, 100, fullest, "specific.a!b", "chat", "acme", gaps)
    return list(row._replace(**changes))


def node(name: str, at: float, **parts: Any) -> NodeSnapshot:
    return NodeSnapshot(node=name, boot=name, host="h", pid=1, version="0", started_at=0.0, at=at, **parts)


def tick(view: FleetView, **nodes: dict[str, Any]) -> None:
    """The next tick, a second later: what the nodes say."""
    at = 1000.0 + view.version
    view.renew([node(name, at, **parts) for name, parts in nodes.items()], at)


def told(dropped: Dropped) -> list[tuple[str, str, str, int]]:
    return [(row.reason, row.consumer, row.tenant, row.messages) for row in dropped.rows]


def test_nothing_lost_is_nothing_told(view, rows):
    tick(view, a={"rows": [lost()]})
    assert Dropped() == rows.since(-1, ALL, None)
    assert None is rows.since(view.version - 1, ALL, None)


def test_losses_of_all_nodes_are_summed_by_reason_consumer_and_tenant(view, rows):
    tick(
        view, a={"rows": [lost(expired=2)]}, b={"rows": [lost(expired=3, teardown=1), lost(tenant="globex", expired=7)]}
    )
    dropped = rows.since(-1, ALL, None)
    assert [("expired", 12), ("teardown", 1)] == [(row.reason, row.messages) for row in dropped.reasons]
    assert [("expired", "chat", "globex", 7), ("expired", "chat", "acme", 5), ("teardown", "chat", "acme", 1)] == told(
        dropped
    )


def test_rates_are_over_the_last_tick_and_unknown_before_there_were_two(view, rows):
    tick(view, a={"rows": [lost(expired=2)]})
    [row] = rows.since(-1, ALL, None).rows
    assert (None, None) == (row.rate, row.last_at)
    tick(view, a={"rows": [lost(expired=9)]})
    [row], [reason] = rows.since(-1, ALL, None).rows, rows.since(-1, ALL, None).reasons
    assert (7.0, 1001.0) == (row.rate, row.last_at) == (reason.rate, reason.last_at)
    tick(view, a={"rows": [lost(expired=9)]})
    [row] = rows.since(-1, ALL, None).rows
    assert (0.0, 1001.0) == (row.rate, row.last_at)


def test_what_goes_on_comes_first_and_the_list_is_cut_but_not_its_sums(view, rows):
    before = [lost(f"consumer {number}", expired=1000 + number) for number in range(2 * ROWS)]
    tick(view, a={"rows": [*before, lost("now", expired=1)]})
    tick(view, a={"rows": [*before, lost("now", expired=2)]})
    dropped = rows.since(-1, ALL, None)
    assert ("expired", "now", "acme", 2) == told(dropped)[0]
    assert ROWS == len(dropped.rows)
    assert sum(1000 + number for number in range(2 * ROWS)) + 2 == dropped.reasons[0].messages


def test_recent_ones_of_all_nodes_come_newest_first_with_their_places(view, rows):
    tick(view, a={"drops": [drop(1000.0), drop(1002.0, channel="c", channels=1, connection="7", connections=1)]},
         b={"drops": [drop(1001.0)]})  # fmt: skip
    first, second, third = rows.since(-1, ALL, None).recent
    assert [("a", 1002.0), ("b", 1001.0), ("a", 1000.0)] == [(one.node, one.at) for one in (first, second, third)]
    assert ("expired", "chat", "acme", "room", 997.0, 3) == (
        first.reason, first.consumer, first.tenant, first.group, first.since, first.messages,
    )  # fmt: skip
    assert ("c", 1, "7", 1) == (first.channel, first.channels, first.connection, first.connections)
    tick(view, a={"drops": [drop(float(number)) for number in range(3 * RECENT)]})
    assert RECENT == len(rows.since(-1, ALL, None).recent)


def test_a_scope_shows_its_tenant_and_a_subscription_its_consumers(view, rows):
    tick(view, a={
        "rows": [
            lost(expired=1), lost("orders", expired=2),
            lost(tenant="globex", expired=4), lost("unknown", "", expired=8),
        ],
        "drops": [drop(), drop(consumer="orders", group="basket"), drop(tenant="globex", group="secret of globex")],
    })  # fmt: skip
    acme = rows.since(-1, "acme", None)
    assert {("expired", "chat", "acme", 1), ("expired", "orders", "acme", 2)} == set(told(acme))
    assert [3] == [row.messages for row in acme.reasons]
    assert {"room", "basket"} == {one.group for one in acme.recent}
    assert b"globex" not in msgspec.json.encode(acme)
    assert [("expired", "chat", "acme", 1)] == told(rows.since(-1, "acme", frozenset({"chat"})))
    assert [15] == [row.messages for row in rows.since(-1, ALL, None).reasons]


def test_a_gap_is_a_number_for_the_whole_and_unknown_for_any_part(view, rows):
    tick(view, a={"rows": [lost(expired=1)], "layers": [layer()]})
    assert [0, 0, 0] == [rows.since(-1, scope, names).gaps for scope, names in SCOPES]
    known = view.version
    tick(view, a={"rows": [lost(expired=1)], "layers": [layer(gaps=1)], "drops": [gap()]})
    assert [1, None, None] == [rows.since(known, scope, names).gaps for scope, names in SCOPES]
    assert [("unknown", None, "default")] == [
        (one.reason, one.messages, one.layer) for one in rows.since(-1, ALL, None).recent
    ]
    assert [] == rows.since(-1, "acme", None).recent


SCOPES = ((ALL, None), ("acme", None), (ALL, frozenset({"chat"})))


def test_of_a_gap_everybody_is_told_once_who_lost_nothing_too(view, rows):
    tick(view, a={"layers": [layer()]})
    rows.since(-1, "acme", None)
    known = view.version
    tick(view, a={"layers": [layer(gaps=1)]})
    assert Dropped(gaps=None) == rows.since(known, "acme", None)
    known = view.version
    tick(view, a={"layers": [layer(gaps=1)]})
    assert None is rows.since(known, "acme", None)


def test_nothing_is_kept_for_whoever_asks_for_any_name(view, rows):
    tick(view, a={"layers": [layer(gaps=1)], "rows": [lost(expired=1)]})
    for name in range(100):
        assert Dropped(gaps=None) == rows.since(-1, f"nobody {name}", None)
    assert 0 == len(rows._told)


def test_a_delta_is_everything_or_nothing_if_it_is_the_same(view, rows):
    tick(view, a={"rows": [lost(expired=1)], "drops": [drop()]})
    tick(view, a={"rows": [lost(expired=1)], "drops": [drop()]})
    rows.since(-1, ALL, None)
    known = view.version
    tick(view, a={"rows": [lost(expired=1)], "drops": [drop()]})
    assert None is rows.since(known, ALL, None)
    tick(view, a={"rows": [lost(expired=2)], "drops": [drop()]})
    assert [("expired", "chat", "acme", 2)] == told(rows.since(known, ALL, None))


# --- layers -------------------------------------------------------------------------------------------------------


def test_the_layers_of_all_nodes_are_one_list_the_fullest_first(view):
    tick(view, a={"layers": [layer(), layer("other", 0.9)]}, b={"layers": [layer(fullest=0.5, gaps=2)]})
    found = LayerRows(view).since(-1, ALL) or []
    assert [("a", "other"), ("b", "default"), ("a", "default")] == [(row.node, row.layer) for row in found]
    assert ("InMemoryChannelLayer", 20, 1.5, 100, 0.5, "specific.a!b", "chat", "acme", 2) == (
        found[1].backend, found[1].depth, found[1].oldest, found[1].capacity, found[1].fullest, found[1].channel,
        found[1].consumer, found[1].tenant, found[1].gaps,
    )  # fmt: skip


def test_a_layer_that_can_not_be_looked_at_is_unknown_and_not_empty(view):
    nothing: dict[str, Any] = {
        "depth": None,
        "oldest": None,
        "capacity": None,
        "channel": "",
        "consumer": "",
        "tenant": "",
    }
    tick(view, a={"layers": [layer(fullest=None, **nothing)]})
    [row] = LayerRows(view).since(-1, ALL) or []
    assert (None, None, None, None) == (row.depth, row.oldest, row.capacity, row.fullest)


def test_no_tenant_s_scope_shows_layers(view):
    tick(view, a={"layers": [layer()]})
    assert [] == LayerRows(view).since(-1, "acme")


def test_layers_that_are_the_same_are_not_told_again_and_that_there_are_none_is(view):
    rows = LayerRows(view)
    tick(view, a={"layers": [layer()]})
    rows.since(-1, ALL)
    known = view.version
    tick(view, a={"layers": [layer()]})
    assert None is rows.since(known, ALL)
    tick(view, a={})
    assert [] == rows.since(known, ALL)
    for _ in range(REMOVED_KEPT + 2):
        tick(view, a={})
    assert None is rows.since(known + 2, ALL)


# --- on the feed --------------------------------------------------------------------------------------------------


def lose(on: Any, tenant: str, reason: str = "expired", by: int = 1) -> None:
    increment(on.ledger.row("chat", tenant).lost, reason, by)


async def test_operators_are_told_of_losses_by_their_rights():
    async with stage() as on:
        on.node.list_layers = lambda: [layer(channel="specific.secret!globex", tenant="globex")]
        on.node.list_drops = lambda: [drop(tenant="globex", group="secret of globex"), drop()]
        lose(on, "acme", by=2)
        lose(on, "globex", by=5)
        for _ in range(2):  # until rates are known
            await on.tick()
        whole, bound = on.operator(), on.operator(ACME)
        topics = ["dropped", "layers"]
        seen = {one["topic"]: one for one in of_type(await whole.ask(type="subscribe", topics=topics), "snapshot")}
        assert [7] == [row["messages"] for row in seen["dropped"]["dropped"]["reasons"]]
        assert ["specific.secret!globex"] == [row["channel"] for row in seen["layers"]["layers"]]
        answers = await bound.ask(type="subscribe", topics=topics)
        seen = {one["topic"]: one for one in of_type(answers, "snapshot")}
        assert [2] == [row["messages"] for row in seen["dropped"]["dropped"]["reasons"]]
        assert [] == seen["layers"]["layers"]
        lose(on, "globex")
        await on.tick()
        assert ["dropped"] == [one["topic"] for one in await whole.read()]
        assert [] == of_type(await bound.read(), "delta")
        assert "globex" not in repr(bound.heard)


async def test_who_looks_at_one_tenant_still_sees_the_layers_if_he_may():
    async with stage() as on:
        on.node.list_layers = lambda: [layer()]
        await on.tick()
        answers = await on.operator().ask(type="subscribe", topics=["dropped", "layers"], tenants=["acme"])
        tenants = {one["topic"]: one.get("tenant") for one in of_type(answers, "snapshot")}
        assert {"dropped": "acme", "layers": None} == tenants
        assert 1 == sum(len(one.get("layers", [])) for one in answers)


async def test_the_sum_of_the_reasons_is_what_the_totals_say():
    async with stage() as on:
        for reason in ("expired", "teardown", "after_close"):
            lose(on, "acme", reason, 3)
        await on.tick()
        answers = of_type(await on.operator().ask(type="subscribe", topics=["totals", "dropped"]), "snapshot")
        seen = {one["topic"]: one for one in answers}
        reasons = seen["dropped"]["dropped"]["reasons"]
        assert seen["totals"]["totals"]["lost"] == sum(row["messages"] for row in reasons) == 9
