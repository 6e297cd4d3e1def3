"""
Rates and quantiles from absolute counts: what changed in a tick, and over a sliding window of ticks.

A series is *known* from its second tick on; before that its rates are unknown (None), never zero.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from hub.core.latency import LATENCY_BOUNDS, Histogram, quantile
from hub.core.ledger import Counts

#: Ticks that quantiles look back over.
WINDOW = 10
QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Rates:
    """Per second over the last tick; None where it is not known. ``lost`` by reason, without those that are zero."""

    connect: float | None = None
    disconnect: float | None = None
    received: float | None = None
    sent: float | None = None
    error: float | None = None
    lost: Mapping[str, float] | None = None


def rates_of(change: Counts, seconds: float) -> Rates:
    """The rates that a change within so many seconds means."""
    return Rates(
        connect=change.accepted / seconds,
        disconnect=sum(change.disconnects.values()) / seconds,
        received=sum(change.received.values()) / seconds,
        sent=sum(change.sent.values()) / seconds,
        error=sum(change.errors.values()) / seconds,
        lost={reason: number / seconds for reason, number in change.lost.items()},
    )


class Window:
    """Latency and waiting times of the last `WINDOW` ticks."""

    __slots__ = ("_busy", "_latency", "_ticks", "_wait")

    def __init__(self) -> None:
        self._ticks: deque[tuple[Histogram, Histogram] | None] = deque()
        self._latency = Histogram(LATENCY_BOUNDS)
        self._wait = Histogram(LATENCY_BOUNDS)
        self._busy = 0

    def push(self, change: Counts | None) -> None:
        """Add a tick's change, None for nothing, and let go of the oldest."""
        self._ticks.append(None if change is None else (change.latency, change.wait))
        if change is not None:
            self._busy += 1
            self._latency.merge(change.latency)
            self._wait.merge(change.wait)
        if len(self._ticks) > WINDOW:
            gone = self._ticks.popleft()
            if gone is not None:
                self._busy -= 1
                self._latency = self._latency.since(gone[0])
                self._wait = self._wait.since(gone[1])

    @property
    def empty(self) -> bool:
        """Whether nothing happened within the window."""
        return self._busy == 0

    def latency(self) -> tuple[float | None, ...]:
        """Quantiles of the time in handlers, in seconds."""
        return tuple(quantile(LATENCY_BOUNDS, self._latency.counts, q) for q in QUANTILES)

    def wait(self) -> tuple[float | None, ...]:
        """Quantiles of the time between arrival and dispatch, in seconds."""
        return tuple(quantile(LATENCY_BOUNDS, self._wait.counts, q) for q in QUANTILES)
