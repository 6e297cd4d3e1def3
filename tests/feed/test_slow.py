from __future__ import annotations

import pytest

from hub.core.history import History
from hub.core.snapshot import NodeSnapshot, SlowRow
from hub.feed.slow import SHOWN, SlowRows
from hub.fleet.view import ALL, COLUMNS, REMOVED_KEPT, FleetView


@pytest.fixture
def view() -> FleetView:
    return FleetView(History(1 << 20, len(COLUMNS)))


@pytest.fixture
def rows(view) -> SlowRows:
    return SlowRows(view)


def episode(seconds: float = 1.0, consumer: str = "chat", tenant: str = "acme", closed_at: float | None = None):
    lasted = None if closed_at is None else seconds
    return list(SlowRow("handler", consumer, tenant, "7", 1000.0, seconds, 0.5, lasted, closed_at, {"line": 3}))


def tick(view: FleetView, **nodes: list) -> None:
    """The next tick: what the nodes say is slow."""
    view.renew(
        [
            NodeSnapshot(node=name, boot=name, host="h", pid=1, version="0", started_at=0.0, at=float(view.version),
                         slow=slow)
            for name, slow in nodes.items()
        ],
        float(view.version),
    )  # fmt: skip


def test_the_lists_of_all_nodes_are_one_the_worst_first_and_open_before_closed(view, rows):
    tick(view, a=[episode(2.0), episode(9.0, closed_at=1005.0)], b=[episode(3.0)])
    found = rows.since(-1, ALL, None)
    assert [("b", 3.0), ("a", 2.0), ("a", 9.0)] == [(row.node, row.seconds) for row in found]
    assert ("handler", "chat", "acme", "7", 1000.0, 0.5, {"line": 3}) == (
        found[0].cause, found[0].consumer, found[0].tenant, found[0].connection, found[0].since, found[0].threshold,
        found[0].details,
    )  # fmt: skip
    assert (None, None, 9.0, 1005.0) == (found[0].lasted, found[0].closed_at, found[2].lasted, found[2].closed_at)


def test_a_scope_shows_its_tenant_and_a_subscription_its_consumers(view, rows):
    tick(view, a=[episode(1.0), episode(2.0, tenant="other"), episode(3.0, consumer="orders"), episode(4.0, tenant="")])
    assert [3.0, 1.0] == [row.seconds for row in rows.since(-1, "acme", None)]
    assert [1.0] == [row.seconds for row in rows.since(-1, "acme", frozenset({"chat"}))]
    assert [4.0, 3.0, 2.0, 1.0] == [row.seconds for row in rows.since(-1, ALL, None)]


def test_a_delta_is_the_whole_list_or_nothing_if_it_is_the_same(view, rows):
    tick(view, a=[episode(1.0)])
    rows.since(-1, ALL, None)
    told = view.version
    tick(view, a=[episode(1.0)])
    assert None is rows.since(told, ALL, None)
    tick(view, a=[episode(1.0), episode(2.0)])
    assert 2 == len(rows.since(told, ALL, None))
    assert 2 == len(rows.since(view.version - 1, ALL, None))
    assert None is rows.since(view.version, ALL, None)


def test_that_nothing_is_slow_any_more_is_told_once_and_then_forgotten(view, rows):
    tick(view, a=[episode(1.0)])
    rows.since(-1, ALL, None)
    told = view.version
    tick(view, a=[])
    assert [] == rows.since(told, ALL, None)
    assert None is rows.since(view.version, ALL, None)
    for _ in range(REMOVED_KEPT + 1):
        tick(view, a=[])
    assert None is rows.since(view.version, ALL, None)
    assert 0 == len(rows._told)


def test_nothing_is_kept_for_whoever_asks_for_any_name(view, rows):
    tick(view, a=[])
    for name in range(100):
        assert [] == rows.since(-1, f"nobody {name}", None)
    assert 0 == len(rows._told)


def test_the_list_is_cut(view, rows):
    tick(view, a=[episode(float(number)) for number in range(1, 3 * SHOWN)])
    assert SHOWN == len(rows.since(-1, ALL, None))


def test_who_is_connected_goes_on_as_the_node_tells_it_and_an_older_node_tells_nothing(view, rows):
    tick(view, a=[[*episode(2.0)[:10], "7", "Ann"], episode(1.0)[:10]])
    assert [("7", "Ann"), ("", "")] == [(row.member, row.name) for row in rows.since(-1, ALL, None)]
