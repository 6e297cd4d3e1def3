"""
The fleet: one merged view of all nodes, renewed on each tick, with its history.

A view has a version, the number of its tick. Each row keeps the version at which it last changed, so that anyone
can be told what is new since any version.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hub.core.history import History
from hub.core.ledger import Counts
from hub.core.rates import Rates, Window, rates_of
from hub.core.snapshot import Key, NodeSnapshot, change, merge

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

ALL = None
"""The scope of all tenants; any other scope is a tenant's name."""


@dataclass(slots=True)
class Row:
    """Counts of a consumer and tenant, of a tenant, or of the fleet, with what follows from them."""

    counts: Counts
    version: int = 0
    rates: Rates = field(default_factory=Rates)
    window: Window = field(default_factory=Window)
    latency: tuple[float | None, ...] = (None, None, None)
    wait: tuple[float | None, ...] = (None, None, None)

    def renew(self, counts: Counts, grown: Counts | None, seconds: float | None, version: int) -> None:
        """Take the counts of a new tick; ``seconds`` is None where rates can't be known."""
        before = (self.rates, self.latency, self.wait)
        if grown is not None or not self.window.empty:
            self.window.push(grown)
            self.latency, self.wait = self.window.latency(), self.window.wait()
        if seconds is None:
            self.rates = Rates()
        else:
            self.rates = rates_of(grown or _NOTHING, seconds)
        if grown is not None or before != (self.rates, self.latency, self.wait) or not self.version:
            self.version = version
        self.counts = counts

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
        self._before: dict[str, tuple[float, dict[Key, Counts]]] = {}
        self._detail_step = 0.0

    def renew(self, snapshots: Iterable[NodeSnapshot], now: float) -> None:
        """
        Take the newest snapshots of all live nodes.

        Args:
            now: Wall-clock time, in seconds.
        """
        self.version += 1
        self.nodes = {snapshot.node: snapshot for snapshot in snapshots}
        parts = {snapshot.boot: (snapshot.at, snapshot.counts()) for snapshot in self.nodes.values()}
        grown = merge(
            change(counts, self._before[boot][1]) for boot, (_, counts) in parts.items() if boot in self._before
        )
        merged = merge(counts for _, counts in parts.values())
        seconds = self._elapsed(parts)
        # What only a node that has just joined has counted may be years old: its rates are not known yet.
        known = {key for boot, (_, counts) in parts.items() if boot in self._before for key in counts}
        self._before, self.at = parts, now
        self._renew_rows(merged, grown, dict.fromkeys(known, seconds))
        self._renew_totals(merged, grown, {ALL: seconds, **{tenant: seconds for _, tenant in known}})
        self._record(now)

    def _elapsed(self, parts: dict[str, tuple[float, Any]]) -> float | None:
        """Seconds between this tick's samples and the last one's; None if no node was there before."""
        spans = [at - self._before[boot][0] for boot, (at, _) in parts.items() if boot in self._before]
        longest = max(spans, default=0.0)
        return longest if longest > 0 else None

    def _renew_rows(
        self, merged: dict[Key, Counts], grown: dict[Key, Counts], seconds: dict[Key, float | None]
    ) -> None:
        for key, counts in merged.items():
            row = self.rows.get(key)
            if row is None:
                row = self.rows[key] = Row(counts)
                self.removed.pop(key, None)
            row.renew(counts, grown.get(key), seconds.get(key), self.version)
        for key in self.rows.keys() - merged.keys():
            del self.rows[key]
            self.removed[key] = self.version
        self.removed = {key: gone for key, gone in self.removed.items() if gone > self.version - REMOVED_KEPT}

    def _renew_totals(
        self, merged: dict[Key, Counts], grown: dict[Key, Counts], seconds: dict[str | None, float | None]
    ) -> None:
        sums, changes = sum_by_scope(merged), sum_by_scope(grown)
        sums.setdefault(ALL, Counts())
        for scope, counts in sums.items():
            row = self.totals.setdefault(scope, Row(counts))
            row.renew(counts, changes.get(scope), seconds.get(scope), self.version)
        for scope in self.totals.keys() - sums.keys():
            del self.totals[scope]

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


def sum_by_scope(counts: dict[Key, Counts]) -> dict[str | None, Counts]:
    """Sums by tenant, and over all of them."""
    sums: dict[str | None, Counts] = {}
    for (_, tenant), row in counts.items():
        sums.setdefault(tenant, Counts("", tenant)).add(row)
    total = Counts()
    for row in list(sums.values()):
        total.add(row)
    if sums:
        sums[ALL] = total
    return sums
