"""
The fleet: one merged view of all nodes, renewed on each tick, with its history.

A view has a version, the number of its tick. Each row keeps the version at which it last changed, so that anyone
can be told what is new since any version.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hub.core.history import History
from hub.core.ledger import Counts
from hub.core.rates import Rates, Window, rates_of
from hub.core.snapshot import Key, NodeSnapshot, change_of, merge

#: The columns of the history; the wire names them.
COLUMNS = (
    "active", "connect_rate", "disconnect_rate", "received_rate", "sent_rate", "error_rate", "backlog",
    "latency_p50", "latency_p95", "latency_p99", "wait_p50", "wait_p95", "wait_p99",
)  # fmt: skip
#: Totals of the fleet: one hour at one second; of a tenant: one hour at ten.
TOTALS_STEP, TOTALS_LENGTH = 1.0, 3600
DETAIL_STEP, DETAIL_LENGTH = 10.0, 360
#: Versions for which removed rows are remembered: longer than the slowest cadence.
REMOVED_KEPT = 60

#: Rows that are renewed between two pauses: about a millisecond.
SLICE = 20

ALL = None
"""The scope of all tenants; any other scope is a tenant's name."""


@dataclass(slots=True)
class Row:
    """
    Counts of a consumer and tenant, of a tenant, or of the fleet, with what follows from them.

    Attributes:
        version: The tick at which it last changed.
        grown: What was counted since the tick before; None for nothing.
        resting: Nothing has happened within the window, and all rates are known to be zero.
        lost_at: When something was last seen to be lost, by reason, by the wall clock; what is not in it was not seen.
    """

    counts: Counts
    version: int = 0
    grown: Counts | None = None
    resting: bool = False
    rates: Rates = field(default_factory=Rates)
    window: Window = field(default_factory=Window)
    latency: tuple[float | None, ...] = (None, None, None)
    wait: tuple[float | None, ...] = (None, None, None)
    lost_at: dict[str, float] = field(default_factory=dict)

    def renew(self, counts: Counts, grown: Counts | None, seconds: float | None, version: int, now: float) -> None:
        """Take the counts of a new tick, at ``now``, wall clock; ``seconds`` is None where rates can't be known."""
        self.counts, self.grown = counts, grown
        if grown is None and self.resting and seconds is not None and self.version:
            return
        before = (self.rates, self.latency, self.wait)
        if grown is not None or not self.window.empty:
            self.window.push(grown)
            self.latency, self.wait = self.window.latency(), self.window.wait()
        if grown is not None and grown.lost:
            self.lost_at.update(dict.fromkeys(grown.lost, now))
        self.rates = Rates() if seconds is None else rates_of(grown or _NOTHING, seconds)
        self.resting = grown is None and seconds is not None and self.window.empty
        if grown is not None or before != (self.rates, self.latency, self.wait) or not self.version:
            self.version = version

    def point(self) -> tuple[float | None, ...]:
        """The columns of the history."""
        rates = self.rates
        return (
            self.counts.active, rates.connect, rates.disconnect, rates.received, rates.sent, rates.error,
            self.counts.waiting, *self.latency, *self.wait,
        )  # fmt: skip


_NOTHING = Counts()


class FleetView:
    """
    What is known of all nodes.

    Args:
        history: Where the past is kept.

    Attributes:
        version: The number of the last tick.
        rows: By consumer and tenant.
        totals: By scope: a tenant, or `ALL`.
        removed: Rows that are gone, with the version at which they went.
        nodes: The newest snapshot of each live node.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.version = 0
        self.at = 0.0
        self.rows: dict[Key, Row] = {}
        self.totals: dict[str | None, Row] = {ALL: Row(Counts())}
        self.removed: dict[Key, int] = {}
        self.nodes: dict[str, NodeSnapshot] = {}
        self._before: dict[str, tuple[NodeSnapshot, dict[Key, Counts]]] = {}
        self._merged: dict[Key, Counts] = {}
        self._sums: dict[str | None, Counts] = {}
        self._detail_step = 0.0
        self._now = 0.0

    def renew(self, snapshots: Iterable[NodeSnapshot], now: float) -> None:
        """Take the newest snapshots of all live nodes, at once; see `renew_in_steps`."""
        for _ in self.renew_in_steps(snapshots, now):
            pass

    def renew_in_steps(self, snapshots: Iterable[NodeSnapshot], now: float) -> Iterator[None]:
        """
        Take the newest snapshots of all live nodes, pausing after each `SLICE` of rows.

        Between two steps some rows are of the new tick already; their version says so, and values are absolute, so
        that whoever looks meanwhile is told of them twice at the worst.

        Args:
            now: Wall-clock time, in seconds.
        """
        self._now = now
        nodes = {snapshot.node: snapshot for snapshot in snapshots}
        parts: dict[str, tuple[NodeSnapshot, dict[Key, Counts]]] = {}
        for snapshot in nodes.values():
            parts[snapshot.boot] = (snapshot, self._unpacked(snapshot))
            yield
        grown = yield from self._changes(parts)
        merged = merge(counts for _, counts in parts.values())
        seconds = self._elapsed(parts)
        # What only a node that has just joined has counted may be years old: its rates are not known yet.
        known = {key for boot, (_, counts) in parts.items() if boot in self._before for key in counts}
        yield from self._renew_rows(merged, grown, dict.fromkeys(known, seconds))
        yield from self._renew_totals(merged, grown, {ALL: seconds, **{tenant: seconds for _, tenant in known}})
        self.version, self.nodes, self._before, self.at = self.version + 1, nodes, parts, now
        self._record(now)

    def _unpacked(self, snapshot: NodeSnapshot) -> dict[Key, Counts]:
        before, known = self._before.get(snapshot.boot, (None, None))
        return snapshot.counts(before, known)

    def _changes(
        self, parts: dict[str, tuple[NodeSnapshot, dict[Key, Counts]]]
    ) -> Generator[None, None, dict[Key, Counts]]:
        """What all boots that were there before have counted since; keys without a change are left out."""
        changes = []
        for boot, (_, counts) in parts.items():
            if boot not in self._before:
                continue
            before, grown = self._before[boot][1], {}
            for number, (key, row) in enumerate(counts.items()):
                change = change_of(row, before.get(key))
                if change is not None:
                    grown[key] = change
                if number % SLICE == 0:
                    yield
            changes.append(grown)
        return merge(changes)

    def _elapsed(self, parts: dict[str, tuple[NodeSnapshot, Any]]) -> float | None:
        """Seconds between this tick's samples and the last one's; None if no node was there before."""
        spans = [
            snapshot.at - self._before[boot][0].at for boot, (snapshot, _) in parts.items() if boot in self._before
        ]
        longest = max(spans, default=0.0)
        return longest if longest > 0 else None

    def _renew_rows(
        self, merged: dict[Key, Counts], grown: dict[Key, Counts], seconds: dict[Key, float | None]
    ) -> Iterator[None]:
        version = self.version + 1
        for number, (key, counts) in enumerate(merged.items()):
            row = self.rows.get(key)
            if row is None:
                row = self.rows[key] = Row(counts)
                self.removed.pop(key, None)
            row.renew(counts, grown.get(key), seconds.get(key), version, self._now)
            if number % SLICE == 0:
                yield
        for key in self.rows.keys() - merged.keys():
            del self.rows[key]
            self.removed[key] = version
        self.removed = {key: gone for key, gone in self.removed.items() if gone > version - REMOVED_KEPT}

    def _renew_totals(
        self, merged: dict[Key, Counts], grown: dict[Key, Counts], seconds: dict[str | None, float | None]
    ) -> Iterator[None]:
        sums = yield from self._sums_of(merged)
        changes = yield from sums_by_tenant(grown)
        if changes:
            changes[ALL] = yield from sum_of(list(changes.values()))
        for scope, counts in sums.items():
            row = self.totals.setdefault(scope, Row(counts))
            row.renew(counts, changes.get(scope), seconds.get(scope), self.version + 1, self._now)
        for scope in self.totals.keys() - sums.keys():
            del self.totals[scope]

    def _sums_of(self, merged: dict[Key, Counts]) -> Generator[None, None, dict[str | None, Counts]]:
        """Sums by scope: those of tenants at rest are the last tick's."""
        before = self._merged
        touched = {key[1] for key, counts in merged.items() if before.get(key) is not counts}
        touched.update(tenant for _, tenant in before.keys() - merged.keys())
        yield
        fresh = yield from sums_by_tenant({key: row for key, row in merged.items() if key[1] in touched})
        kept: dict[str | None, Counts] = {
            scope: row for scope, row in self._sums.items() if scope is not ALL and scope not in touched
        }
        sums = {**kept, **fresh}
        if touched or ALL not in self._sums:
            sums[ALL] = yield from sum_of(list(sums.values()))
        else:
            sums[ALL] = self._sums[ALL]
        self._merged, self._sums = merged, sums
        return sums

    def _record(self, now: float) -> None:
        self.history.record("", now, self.totals[ALL].point(), step=TOTALS_STEP, length=TOTALS_LENGTH)
        step, before = now // DETAIL_STEP, self._detail_step
        self._detail_step = step
        for scope, row in self.totals.items():
            # A tenant at rest has a point in each step all the same: it is known that nothing changed.
            if scope is not ALL and (row.version == self.version or step != before):
                self.history.record(_key(scope), now, row.point(), step=DETAIL_STEP, length=DETAIL_LENGTH)

    def past(self, scope: str | None) -> tuple[float, list[float], list[list[float | None]]]:
        """Step, times and columns of a scope's history."""
        return self.history.points("" if scope is ALL else _key(scope))


def _key(scope: str | None) -> str:
    return f"tenant:{scope}"


def sums_by_tenant(counts: dict[Key, Counts]) -> Generator[None, None, dict[str | None, Counts]]:
    """Sums by tenant, pausing after each `SLICE` of rows."""
    sums: dict[str | None, Counts] = {}
    for number, ((_, tenant), row) in enumerate(counts.items()):
        sums.setdefault(tenant, Counts("", tenant)).add(row)
        if number % SLICE == 0:
            yield
    return sums


def sum_of(rows: Iterable[Counts]) -> Generator[None, None, Counts]:
    """The sum of all rows, pausing after each `SLICE` of them."""
    total = Counts()
    for number, row in enumerate(rows):
        total.add(row)
        if number % SLICE == 0:
            yield
    return total
