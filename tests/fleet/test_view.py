from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.history import History
from hub.core.ledger import Counts, increment
from hub.core.rates import Rates
from hub.core.snapshot import NodeSnapshot
from hub.fleet.view import ALL, COLUMNS, DETAIL_STEP, REMOVED_KEPT, FleetView
from tests import strategies

UNKNOWN = Rates()
ROOM = 8 << 20


class Process:
    """One process whose counts a test sets, told to a view second by second."""

    def __init__(self, name: str = "one", boot: str = "boot one") -> None:
        self.name, self.boot = name, boot
        self.rows: dict[tuple[str, str], Counts] = {}

    def row(self, consumer: str = "chat", tenant: str = "north") -> Counts:
        return self.rows.setdefault((consumer, tenant), Counts(consumer, tenant))

    def snapshot(self, at: float) -> NodeSnapshot:
        return NodeSnapshot(
            node=self.name, boot=self.boot, host="host", pid=1, version="0", started_at=0.0, at=at,
            rows=[row.pack() for row in self.rows.values()],
        )  # fmt: skip


def make_view() -> FleetView:
    return FleetView(History(ROOM, len(COLUMNS)))


def tick(view: FleetView, at: float, *processes: Process) -> None:
    view.renew([process.snapshot(at) for process in processes], at)


# --- rows and totals ----------------------------------------------------------------------------------------------


def test_an_empty_fleet_has_a_total_of_zero():
    view = make_view()
    tick(view, 100.0)
    assert ({}, Counts().pack()) == (view.rows, view.totals[ALL].counts.pack())


def test_rows_are_summed_over_nodes_and_totals_over_rows():
    one, two = Process(), Process("two", "boot two")
    one.row("chat", "north").active = 3
    two.row("chat", "north").active = 4
    two.row("ticker", "south").active = 5
    view = make_view()
    tick(view, 100.0, one, two)
    assert {("chat", "north"): 7, ("ticker", "south"): 5} == {key: row.counts.active for key, row in view.rows.items()}
    assert {ALL: 12, "north": 7, "south": 5} == {scope: row.counts.active for scope, row in view.totals.items()}
    assert {"one", "two"} == set(view.nodes)


@given(st.lists(strategies.counts(), max_size=4))
def test_the_sums_of_the_tenants_make_the_total(rows):
    process = Process()
    process.rows = {(row.consumer, row.tenant): row for row in rows}
    view = FleetView(History(ROOM, len(COLUMNS)))
    view.renew([process.snapshot(1.0)], 1.0)
    total, tenants = Counts(), Counts()
    for counted in process.rows.values():
        total.add(counted)
    for scope, row in view.totals.items():
        if scope is not ALL:
            tenants.add(row.counts)
    assert total.pack() == tenants.pack() == view.totals[ALL].counts.pack()
    assert {ALL, *(tenant for _, tenant in process.rows)} == set(view.totals)


def test_a_tenant_without_a_name_is_not_the_whole_fleet():
    process = Process()
    process.row("chat", "").active = 1
    process.row("chat", "north").active = 2
    view = make_view()
    tick(view, 100.0, process)
    assert (3, 1) == (view.totals[ALL].counts.active, view.totals[""].counts.active)
    # Neither in the numbers nor in the past.
    assert ([3.0], [1.0]) == (view.past(ALL)[2][0], view.past("")[2][0])


# --- rates: known, or said to be unknown --------------------------------------------------------------------------


def test_rates_are_unknown_in_the_first_tick_and_known_in_the_second():
    process, view = Process(), make_view()
    process.row().accepted = 100
    tick(view, 100.0, process)
    assert UNKNOWN == view.rows["chat", "north"].rates == view.totals[ALL].rates
    process.row().accepted = 106
    tick(view, 102.0, process)
    assert (
        view.rows["chat", "north"].rates.connect
        == view.totals[ALL].rates.connect
        == view.totals["north"].rates.connect
        == 3
    )


def test_what_was_counted_since_the_tick_before_is_told_once():
    process, view, accepted = Process(), make_view(), [100, 106, *[106] * 20, 110]
    grown = []
    for second, number in enumerate(accepted):
        process.row().accepted = number
        tick(view, 100.0 + second, process)
        grown.append(view.rows["chat", "north"].grown)
    assert [None, 6, *[None] * 20, 4] == [None if one is None else one.accepted for one in grown]


def test_rates_are_over_the_time_between_two_samples_not_between_two_ticks():
    process, view = Process(), make_view()
    view.renew([process.snapshot(100.0)], 100.0)
    process.row().accepted = 8
    view.renew([process.snapshot(104.0)], 101.0)
    assert view.totals[ALL].rates.connect == 2


def test_a_new_row_of_a_known_node_began_at_zero():
    process, view = Process(), make_view()
    tick(view, 100.0, process)
    process.row().accepted = 5
    tick(view, 101.0, process)
    assert view.rows["chat", "north"].rates.connect == 5


def test_a_row_that_only_a_new_node_has_is_unknown_not_zero():
    known, joined, view = Process(), Process("two", "boot two"), make_view()
    tick(view, 100.0, known)
    joined.row("ticker", "south").accepted = 1_000_000
    tick(view, 101.0, known, joined)
    assert UNKNOWN == view.rows["ticker", "south"].rates
    joined.row("ticker", "south").accepted += 4
    tick(view, 102.0, known, joined)
    assert view.rows["ticker", "south"].rates.connect == 4


def test_a_restarted_node_begins_anew_and_its_past_is_no_burst():
    process, view = Process(), make_view()
    process.row().accepted = 1000
    tick(view, 100.0, process)
    tick(view, 101.0, process)
    restarted = Process(boot="another boot")
    restarted.row().accepted = 3
    tick(view, 102.0, restarted)
    assert UNKNOWN == view.rows["chat", "north"].rates
    restarted.row().accepted = 5
    tick(view, 103.0, restarted)
    assert view.rows["chat", "north"].rates.connect == 2


def test_the_same_sample_twice_gives_no_rates():
    process, view = Process(), make_view()
    for now in (100.0, 101.0):
        view.renew([process.snapshot(100.0)], now)
    assert UNKNOWN == view.totals[ALL].rates


# --- quantiles ----------------------------------------------------------------------------------------------------


def test_quantiles_come_from_what_happened_since_the_last_tick():
    process, view = Process(), make_view()
    for _ in range(1000):
        process.row().latency.observe(20.0)
    tick(view, 100.0, process)
    assert {None} == set(view.rows["chat", "north"].latency)
    process.row().latency.observe(0.004)
    tick(view, 101.0, process)
    assert [True] * 3 == [0.0025 <= (quantile or 0) <= 0.005 for quantile in view.rows["chat", "north"].latency]
    assert {None} == set(view.rows["chat", "north"].wait)


# --- what is new since a version -----------------------------------------------------------------------------------


def test_a_row_keeps_the_version_at_which_it_last_changed():
    process, view = Process(), make_view()
    process.row("chat").active = 1
    process.row("ticker").active = 1
    for at in (100.0, 101.0, 102.0):
        tick(view, at, process)
    quiet = view.rows["ticker", "north"].version
    process.row("chat").active = 2
    tick(view, 103.0, process)
    assert (4, quiet, 4) == (view.version, view.rows["ticker", "north"].version, view.rows["chat", "north"].version)
    assert quiet <= 2


def test_rates_that_fall_back_to_zero_are_a_change():
    process, view = Process(), make_view()
    tick(view, 100.0, process)
    process.row().accepted = 5
    tick(view, 101.0, process)
    tick(view, 102.0, process)
    row = view.rows["chat", "north"]
    assert (0, 3) == (row.rates.connect, row.version)


def test_quantiles_that_are_forgotten_are_a_change():
    process, view = Process(), make_view()
    tick(view, 100.0, process)
    process.row().latency.observe(0.1)
    for at in range(101, 111):
        tick(view, float(at), process)
    assert (None, None, None) != view.rows["chat", "north"].latency
    tick(view, 111.0, process)
    row = view.rows["chat", "north"]
    assert ((None, None, None), view.version) == (row.latency, row.version)


def test_rows_that_are_gone_are_remembered_for_a_while():
    process, view = Process(), make_view()
    process.row().active = 1
    tick(view, 100.0, process)
    tick(view, 101.0)
    assert ({}, {("chat", "north"): 2}, {ALL}) == (view.rows, view.removed, set(view.totals))
    for second in range(REMOVED_KEPT):
        tick(view, 102.0 + second)
    assert {} == view.removed


def test_a_row_that_comes_back_is_not_gone():
    process, view = Process(), make_view()
    process.row().active = 1
    tick(view, 100.0, process)
    tick(view, 101.0)
    tick(view, 102.0, process)
    assert ({("chat", "north")}, {}, 3) == (set(view.rows), view.removed, view.rows["chat", "north"].version)


# --- history ------------------------------------------------------------------------------------------------------


def test_the_past_of_the_fleet_has_every_second_and_every_column():
    process, view = Process(), make_view()
    for second in range(5):
        process.row().active = second
        process.row().accepted = second
        process.row().arrived = 2 * second
        increment(process.row().received, "text", 1)
        tick(view, 100.0 + second, process)
    step, times, columns = view.past(ALL)
    past = dict(zip(COLUMNS, columns, strict=True))
    assert (1.0, [100.0, 101.0, 102.0, 103.0, 104.0]) == (step, times)
    assert ([0, 1, 2, 3, 4], [None, 1, 1, 1, 1]) == (past["active"], past["connect_rate"])
    assert [-1, 0, 1, 2, 3] == past["backlog"]


@pytest.mark.parametrize("cadence", [1.0, 1.3])
def test_the_past_of_a_tenant_is_coarser_and_has_no_holes_when_it_is_quiet(cadence):
    process, view = Process(), make_view()
    process.row().active = 1
    for number in range(40):
        tick(view, 100.0 + number * cadence, process)
    step, times, columns = view.past("north")
    assert (DETAIL_STEP, [100.0, 110.0, 120.0, 130.0]) == (step, times[:4])
    assert [1.0] * len(times) == columns[0]


def test_a_scope_that_was_never_there_has_no_past():
    assert make_view().past("nobody")[1] == []


def test_many_tenants_stay_within_the_limit_and_the_fleet_is_kept():
    view = FleetView(History(2 << 20, len(COLUMNS)))
    process = Process()
    for number in range(100):
        process.row("chat", f"tenant {number}").active = 1
    for second in range(3):
        tick(view, 100.0 + second, process)
    assert view.history.nbytes <= 2 << 20
    assert view.history.evicted > 0
    assert len(view.past(ALL)[1]) == 3


# --- losses -------------------------------------------------------------------------------------------------------


def test_losses_have_a_rate_by_reason_and_a_time():
    process, view = Process(), make_view()
    increment(process.row().lost, "expired", 5)
    tick(view, 100.0, process)
    row = view.rows["chat", "north"]
    # Of what was lost before this view began, nobody here knows when.
    assert (None, {}) == (row.rates.lost, row.lost_at)
    increment(process.row().lost, "teardown", 3)
    tick(view, 102.0, process)
    assert ({"teardown": 1.5}, {"teardown": 102.0}) == (row.rates.lost, row.lost_at)
    assert {"teardown": 102.0} == view.totals["north"].lost_at
    tick(view, 103.0, process)
    assert ({}, {"teardown": 102.0}) == (row.rates.lost, row.lost_at)
