from __future__ import annotations

import pytest

from hub.alerting.sources import DEPTH, FILL, GAPS, LOOP_LAG, NODE_UP, OLDEST, SLOW, Reader, watched
from hub.core.history import History
from hub.core.latency import LATENCY_BOUNDS
from hub.core.ledger import Counts, increment
from hub.core.metrics import Counter, Distribution, Gauge, Packed
from hub.core.presence import Tally
from hub.core.series import COUNTER, GAUGE, HISTOGRAM
from hub.core.snapshot import LayerRow, NodeSnapshot, SlowRow
from hub.export.catalogue import COUNTERS, GAUGES, HISTOGRAMS, LABELLED
from hub.fleet.view import COLUMNS, FleetView

CHAT = ("chat", "acme")


class Process:
    """One process of a fleet, told to a view second by second."""

    def __init__(self, name: str = "one", boot: str = "first") -> None:
        self.name, self.boot = name, boot
        self.counts = Counts(*CHAT)
        self.metrics: list[Packed] = []
        self.slow: list[SlowRow] = []
        self.layers: list[LayerRow] = []
        self.loop_lag: float | None = None

    def snapshot(self, at: float) -> NodeSnapshot:
        return NodeSnapshot(
            node=self.name, boot=self.boot, host="host", pid=1, version="0", started_at=0.0, at=at,
            rows=[self.counts.pack()], metrics=list(self.metrics), slow=[list(row) for row in self.slow],
            layers=[list(row) for row in self.layers], loop_lag=self.loop_lag,
        )  # fmt: skip


@pytest.fixture
def view() -> FleetView:
    return FleetView(History(8 << 20, len(COLUMNS)))


def tick(view: FleetView, reader: Reader, at: float, *processes: Process) -> dict:
    view.renew([process.snapshot(at) for process in processes], at)
    return reader.read(view)


def layer(depth: int | None = 5, gaps: int = 0) -> LayerRow:
    known = depth is not None
    return LayerRow(
        alias="default", backend="Redis", depth=depth, oldest=2.0 if known else None, capacity=10 if known else None,
        fullest=0.5 if known else None, channel="", consumer="", tenant="", gaps=gaps,
    )  # fmt: skip


def slow(cause: str, closed_at: float | None = None) -> SlowRow:
    return SlowRow(cause, *CHAT, "7", 0.0, 1.0, 0.5, None, closed_at, {})


# --- what there is ------------------------------------------------------------------------------------------------


def test_all_of_the_catalogue_may_be_looked_at_under_the_name_it_is_exported_by():
    found = watched()
    names = {
        *(name for name, *_ in (*GAUGES, *HISTOGRAMS)),
        *(f"{name}_total" for name, *_ in (*COUNTERS, *LABELLED)),
    }
    assert names <= found.keys()
    assert LATENCY_BOUNDS == found["ws_message_latency_seconds"].bounds
    assert (COUNTER, ("consumer", "tenant", "reason"), "messages") == (
        found["ws_frames_dropped_total"].kind, found["ws_frames_dropped_total"].labels,
        found["ws_frames_dropped_total"].unit,
    )  # fmt: skip


def test_so_may_the_hosts_own():
    metrics = [Counter("orders_total", "Orders.", ["shop"]), Gauge("open", "Open."), Distribution("s", "S.", (), [1.0])]
    found = watched(metric.pack() for metric in metrics)
    assert [(COUNTER, ("shop",), ()), (GAUGE, (), ()), (HISTOGRAM, (), (1.0,))] == [
        (found[name].kind, found[name].labels, found[name].bounds) for name in ("orders_total", "open", "s")
    ]


# --- what is read -------------------------------------------------------------------------------------------------


def test_of_counts_it_reads_what_they_have_grown_by(view):
    reader, one, two = Reader(), Process(), Process("two", "second")
    one.counts.active = 3
    increment(one.counts.errors, "ValueError", 100)
    first = tick(view, reader, 100.0, one)
    # What was counted before anybody looked may be years old.
    assert ({CHAT: 3}, None) == (first["ws_connections_active"], first.get("ws_handler_errors_total"))
    increment(one.counts.errors, "ValueError", 2)
    one.counts.accepted += 4
    one.counts.latency.observe(0.2)
    increment(two.counts.errors, "ValueError", 1000)
    second = tick(view, reader, 101.0, one, two)
    assert {(*CHAT, "ValueError"): 2} == second["ws_handler_errors_total"]
    assert ({CHAT: 4}, 1) == (second["ws_connections_total"], sum(second["ws_message_latency_seconds"][CHAT]))
    assert None is second.get("ws_sent_bytes_total")


def test_a_node_that_leaves_or_starts_anew_counts_nothing(view):
    reader, one, two = Reader(), Process(), Process("two", "second")
    for process in (one, two):
        increment(process.counts.errors, "ValueError", 100)
    tick(view, reader, 100.0, one, two)
    again = Process("two", "third")
    increment(again.counts.errors, "ValueError", 5)
    assert None is tick(view, reader, 101.0, one, again).get("ws_handler_errors_total")
    assert None is tick(view, reader, 102.0, one).get("ws_handler_errors_total")


def test_the_same_tick_is_not_counted_twice(view):
    reader, one = Reader(), Process()
    tick(view, reader, 100.0, one)
    one.counts.accepted += 4
    assert {CHAT: 4} == tick(view, reader, 101.0, one)["ws_connections_total"]
    assert None is reader.read(view).get("ws_connections_total")
    assert {CHAT: 0} == reader.read(view)["ws_connections_active"]


def test_slowness_is_that_of_open_episodes_by_node(view):
    one = Process()
    one.slow = [slow("handler"), slow("handler"), slow("loop"), slow("client", closed_at=99.0)]
    samples = tick(view, Reader(), 100.0, one)
    assert {("handler", *CHAT, "one"): 2.0, ("loop", *CHAT, "one"): 1.0} == samples[SLOW]


def test_members_are_read_by_tenant_and_state(view):
    samples = Reader().read(view, {"acme": Tally(online=3, stale=2), "globex": Tally(idle=1)})
    assert {
        ("acme", "online"): 3.0, ("acme", "idle"): 0.0, ("acme", "stale"): 2.0,
        ("globex", "online"): 0.0, ("globex", "idle"): 1.0, ("globex", "stale"): 0.0,
    } == samples["ws_presence_members"]  # fmt: skip


def test_layers_and_the_process_itself_are_read_by_node(view):
    reader, one = Reader(), Process()
    one.layers, one.loop_lag = [layer(gaps=3)], 0.25
    samples = tick(view, reader, 100.0, one)
    key = ("default", "one")
    assert ({key: 5}, {key: 2.0}, {key: 0.5}) == (samples[DEPTH], samples[OLDEST], samples[FILL])
    assert ({("one",): 1.0}, {("one",): 0.25}, None) == (samples[NODE_UP], samples[LOOP_LAG], samples.get(GAPS))
    one.layers = [layer(None, gaps=5)]
    samples = tick(view, reader, 101.0, one)
    assert ({key: 2}, None) == (samples[GAPS], samples.get(DEPTH))


def test_the_hosts_metrics_are_summed_over_nodes_and_counters_are_growth(view):
    reader, processes = Reader(), (Process(), Process("two", "second"))
    orders = Counter("orders_total", "Orders.", ["shop"])
    open_now, seconds = Gauge("open", "Open."), Distribution("seconds", "S.", (), [1.0])
    orders.inc(50, shop="a")
    open_now.set(2)
    for process in processes:
        process.metrics = [orders.pack(), open_now.pack(), seconds.pack()]
    first = tick(view, reader, 100.0, *processes)
    assert ({(): 4.0}, {}) == (first["open"], first.get("orders_total", {}))
    orders.inc(3, shop="a")
    orders.inc(1, shop="b")
    seconds.observe(0.5)
    for process in processes:
        process.metrics = [orders.pack(), open_now.pack(), seconds.pack()]
    second = tick(view, reader, 101.0, *processes)
    assert {("a",): 6.0, ("b",): 2.0} == second["orders_total"]
    assert {(): [2, 0]} == second["seconds"]
