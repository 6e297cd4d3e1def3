"""
What rules look at: the numbers of now, and as much of the past of each series as their windows need.

A `Watched` metric comes in as samples, one for each set of label values, at each tick: a gauge as what it is now, a
counter and a histogram as what they have *grown by* since the tick before. Sums of a fleet go down when a node leaves
it; what was counted since the last tick never does. A series is *known* from its first sample until it has been at
rest for longer than any window reaches back; then it is forgotten.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Generic, TypeVar

from hub.core.latency import quantile
from hub.core.matchers import Matcher, match

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"
#: Values of the labels that a series is told apart by, in their order.
Values = tuple[str, ...]
#: By the values of all labels of a metric: a gauge's value, what a counter has grown by, or the counts of
#: a histogram's buckets that it has. What is not a finite number is not taken.
Samples = Mapping[Values, Any]

Total = TypeVar("Total")

#: Parts that a window slides in: a window is at most one of them too short, never too long. Buckets take more memory.
PARTS, SPREAD_PARTS = 60, 20
#: No part is shorter, in seconds.
SHORTEST_PART = 0.25
#: Series that one selection keeps; what comes beyond is not looked at, and counted in `Track.refused`.
MAX_SERIES = 10_000


@dataclass(frozen=True, slots=True)
class Watched:
    """
    A metric that rules may look at.

    Attributes:
        kind: ``gauge``, ``counter`` or ``histogram``.
        labels: Names of its labels.
        unit: Of its values, for people: ``seconds``, ``bytes``, ``messages``, ``ratio``; of a counter, what it counts.
        bounds: Of a histogram.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    unit: str = ""
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """
    Some series of a metric, those summed up that agree in the labels named in ``by``.

    Attributes:
        highest: Take the highest of those that agree instead of their sum (gauges).
    """

    metric: str
    where: tuple[Matcher, ...] = ()
    by: tuple[str, ...] = ()
    highest: bool = False


class _Ring(Generic[Total]):
    """
    What something has grown to, within a ring of moments.

    Args:
        part: Seconds between two moments.
        marks: A ring of what it had grown to, one for each moment; nothing yet.
        nothing: What it begins with.
        now: Wall-clock time, in seconds, from which on it is known; before it had not grown.
    """

    __slots__ = ("_first", "_last", "_marks", "_nothing", "_part", "total")

    def __init__(self, part: float, marks: MutableSequence[Total], nothing: Total, now: float) -> None:
        self._part = part
        self._first = self._last = int(now // part)
        self._marks = marks
        self._nothing = self.total = nothing

    def _grow(self, total: Total, now: float) -> None:
        slot = int(now // self._part)
        marks, last = self._marks, self._last
        if slot > last:
            for skipped in range(max(last + 1, slot - len(marks) + 1), slot):
                marks[skipped % len(marks)] = self.total
            self._last = last = slot
        self.total = total
        marks[last % len(marks)] = total

    def _at(self, then: float) -> Total:
        slot = int(then // self._part)
        if slot >= self._last:
            return self.total
        if slot < self._first:
            return self._nothing
        marks = self._marks
        return marks[max(slot, self._last - len(marks) + 1) % len(marks)]

    def at_rest(self, since: float) -> bool:
        """Whether it has not grown after a moment."""
        return self._last <= since // self._part


class Past(_Ring[float]):
    """How a counter has grown; see `_Ring`, and ``length`` for how many moments are kept."""

    __slots__ = ()

    def __init__(self, part: float, length: int, now: float) -> None:
        super().__init__(part, array("d", bytes(8 * length)), 0.0, now)

    def add(self, amount: float, now: float) -> None:
        """It has grown."""
        self._grow(self.total + amount, now)

    def grown(self, since: float, until: float | None = None) -> float:
        """By how much it has grown after one moment, until another or until now."""
        return (self.total if until is None else self._at(until)) - self._at(since)


class Spread(_Ring[Sequence[int]]):
    """How the buckets of a histogram have grown; see `Past`."""

    __slots__ = ()

    def __init__(self, part: float, length: int, now: float, buckets: int) -> None:
        nothing = [0] * buckets
        super().__init__(part, [nothing] * length, nothing, now)

    def add(self, counts: Sequence[int], now: float) -> None:
        """It has grown, by so many values in each bucket."""
        self._grow([mine + more for mine, more in zip(self.total, counts, strict=True)], now)

    def grown(self, since: float) -> Sequence[int]:
        """By how much each bucket has grown after a moment; empty: not at all."""
        then = self._at(since)
        if then is self.total:
            return ()
        return [now - before for now, before in zip(self.total, then, strict=True)]


class Track:
    """
    The series of one selection.

    Args:
        selection: Which they are.
        watched: Their metric.
        window: Seconds that a window of it has.
        reach: Seconds that have to be known; at least the window.

    Attributes:
        levels: Of a gauge: what each series is now.
        seen_at: Of a gauge: when each series was last there.
        pasts: Of a counter: how each series has grown.
        spreads: Of a histogram: likewise.
        refused: Samples that found no room.
    """

    def __init__(self, selection: Selection, watched: Watched, window: float, reach: float) -> None:
        self.selection = selection
        self.reach = reach
        self.bounds = watched.bounds
        self.levels: dict[Values, float] = {}
        self.seen_at: dict[Values, float] = {}
        self.pasts: dict[Values, Past] = {}
        self.spreads: dict[Values, Spread] = {}
        self.refused = 0
        self._kind = watched.kind
        self._labels = watched.labels
        self._places = tuple(watched.labels.index(label) for label in selection.by)
        self._part = max(SHORTEST_PART, window / (SPREAD_PARTS if watched.kind == HISTOGRAM else PARTS))
        self._length = int(reach / self._part) + 2
        self._known: dict[Values, Values | None] = {}

    def _picked(self, values: Values) -> Values | None:
        """The series that a sample belongs to, None if it is not selected; remembered."""
        try:
            return self._known[values]
        except KeyError:
            pass
        if len(self._known) > 4 * MAX_SERIES:
            self._known.clear()
        picked = match(self.selection.where, dict(zip(self._labels, values, strict=True)))
        series = tuple(values[place] for place in self._places) if picked else None
        self._known[values] = series
        return series

    def take(self, samples: Samples, now: float) -> None:
        """Take the samples of a tick."""
        if self._kind == GAUGE:
            self._take_levels(samples, now)
        else:
            for values, grown in samples.items():
                self.add(values, grown, now)

    def _take_levels(self, samples: Samples, now: float) -> None:
        levels: dict[Values, float] = {}
        highest, picked = self.selection.highest, self._picked
        for values, value in samples.items():
            series = picked(values)
            if series is None or not isfinite(value):
                continue
            before = levels.get(series)
            if before is None:
                levels[series] = value
            else:
                levels[series] = max(before, value) if highest else before + value
        self.levels = levels
        if self.reach:
            self.seen_at.update(dict.fromkeys(levels, now))

    def add(self, values: Values, grown: Any, now: float) -> None:  # noqa: ANN401 - see `Samples`
        """
        Take one sample between two ticks: what a counter or histogram has grown by; a gauge is at least that high,
        until the next tick says what it is.
        """
        series = self._picked(values)
        if series is None:
            return
        if self._kind == GAUGE:
            if isfinite(grown):
                self.levels[series] = max(self.levels.get(series, grown), grown)
        elif self._kind == HISTOGRAM:
            spread = self.spreads.get(series)
            if spread is None:
                if self._full(self.spreads):
                    return
                spread = self.spreads[series] = Spread(self._part, self._length, now, len(self.bounds) + 1)
            spread.add(grown, now)
        elif isfinite(grown):
            past = self.pasts.get(series)
            if past is None:
                if self._full(self.pasts):
                    return
                past = self.pasts[series] = Past(self._part, self._length, now)
            past.add(grown, now)

    def _full(self, series: Mapping[Values, object]) -> bool:
        if len(series) < MAX_SERIES:
            return False
        self.refused += 1
        return True

    def forget(self, now: float, kept: Iterable[Values]) -> None:
        """Let go of what has been at rest for longer than anybody looks back, but for the series in ``kept``."""
        since, keep = now - self.reach - 2 * self._part, set(kept)
        self.seen_at = {key: at for key, at in self.seen_at.items() if at >= since}
        self.pasts = {key: past for key, past in self.pasts.items() if key in keep or not past.at_rest(since)}
        self.spreads = {key: one for key, one in self.spreads.items() if key in keep or not one.at_rest(since)}

    def grown(self, since: float) -> Iterator[tuple[Values, float]]:
        """By how much each series of a counter has grown after a moment."""
        for series, past in self.pasts.items():
            yield series, past.grown(since)

    def grown_of(self, series: Values, since: float, until: float | None = None) -> float:
        """The same of one series; zero if it is not known."""
        past = self.pasts.get(series)
        return 0.0 if past is None else past.grown(since, until)

    def quantiles(self, q: float, since: float, least: float) -> Iterator[tuple[Values, float | None]]:
        """A quantile of what each series has observed after a moment; None where that were fewer than ``least``."""
        for series, spread in self.spreads.items():
            counts = spread.grown(since)
            enough = counts and sum(counts) >= max(1, least)
            yield series, quantile(self.bounds, counts, q) if enough else None
