"""
Looks: what a rule makes of the series it selects, one number for each.

==========  =====================================================================================================
``level``   a gauge as it is now
``part``    a gauge as it is now, of what another one is
``count``   by how much a counter has grown within the window; events are a counter too
``rate``    the same, per second
``ratio``   what one counter has grown by within the window, of what another one has
``share``   what a counter has grown by within the window, of that and a gauge: the share of those that are gone
``quantile``  a quantile of what a histogram has observed within the window
``change``  what a counter has grown by within the window, as a multiple of the window ``offset`` ago (at least 1)
``absent``  for how many seconds a gauge that was there is not there any more
==========  =====================================================================================================

A number is None where there is nothing to say: no traffic has no latency.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hub.core.series import COUNTER, GAUGE, HISTOGRAM, Samples, Selection, Track, Values, Watched

LEVEL, PART, COUNT, RATE, RATIO, SHARE = "level", "part", "count", "rate", "ratio", "share"
QUANTILE, CHANGE, ABSENT = "quantile", "change", "absent"

#: Seconds after which something absent is forgotten: it will not come back.
FORGOTTEN_AFTER = 3600.0


@dataclass(frozen=True, slots=True)
class Look:
    """
    What a rule looks at.

    Attributes:
        kind: One of the table above.
        of: The series.
        under: The other series of a ``part``, ``ratio`` or ``share``.
        window: Seconds that it looks back.
        offset: Of a ``change``: how many seconds ago the window ended that this one is compared with.
        q: Of a ``quantile``: which, from 0 to 1.
        least: So much has to be counted within the window (of ``under``, in a ratio), or be there now (of a ``part``),
            or there is nothing to say.
    """

    kind: str
    of: Selection
    under: Selection | None = None
    window: float = 0.0
    offset: float = 0.0
    q: float = 0.0
    least: float = 0.0

    @property
    def reach(self) -> float:
        """Seconds that have to be known before its number is the whole truth."""
        return self.window + self.offset

    @property
    def compares(self) -> bool:
        """Whether its number says nothing before all of that is known."""
        return self.kind == CHANGE

    @property
    def metrics(self) -> set[str]:
        """Names of the metrics it looks at."""
        return {self.of.metric} | ({self.under.metric} if self.under is not None else set())


Found = Iterable[tuple[Values, float | None]]
#: What each kind of look may be of, and under.
KINDS: dict[str, tuple[str, str | None]] = {
    LEVEL: (GAUGE, None),
    PART: (GAUGE, GAUGE),
    COUNT: (COUNTER, None),
    RATE: (COUNTER, None),
    RATIO: (COUNTER, COUNTER),
    SHARE: (COUNTER, GAUGE),
    QUANTILE: (HISTOGRAM, None),
    CHANGE: (COUNTER, None),
    ABSENT: (GAUGE, None),
}


def _level(look: Look, of: Track, under: Track, now: float) -> Found:  # noqa: ARG001 - one signature for all
    return of.levels.items()


def _part(look: Look, of: Track, under: Track, now: float) -> Found:  # noqa: ARG001
    for series, level in of.levels.items():
        whole = under.levels.get(series, 0.0)
        yield series, level / whole if whole > 0 and level >= look.least else None


def _count(look: Look, of: Track, under: Track, now: float) -> Found:  # noqa: ARG001
    return of.grown(now - look.window)


def _rate(look: Look, of: Track, under: Track, now: float) -> Found:  # noqa: ARG001
    return ((series, grown / look.window) for series, grown in of.grown(now - look.window))


def _ratio(look: Look, of: Track, under: Track, now: float) -> Found:
    since, least = now - look.window, max(look.least, 1)
    for series, grown in of.grown(since):
        whole = under.grown_of(series, since)
        yield series, grown / whole if whole >= least else None


def _share(look: Look, of: Track, under: Track, now: float) -> Found:
    for series, gone in of.grown(now - look.window):
        yield series, gone / (gone + under.levels.get(series, 0.0)) if gone >= max(look.least, 1) else None


def _quantile(look: Look, of: Track, under: Track, now: float) -> Found:  # noqa: ARG001
    return of.quantiles(look.q, now - look.window, look.least)


def _change(look: Look, of: Track, under: Track, now: float) -> Found:  # noqa: ARG001
    until = now - look.offset
    for series, grown in of.grown(now - look.window):
        before = of.grown_of(series, until - look.window, until)
        # A multiple of nothing is no number: before, there was at least one.
        yield series, grown / max(before, 1) if grown >= look.least else None


def _absent(look: Look, of: Track, under: Track, now: float) -> Found:  # noqa: ARG001
    return ((series, now - at) for series, at in of.seen_at.items())


_FINDERS: dict[str, Callable[[Look, Track, Track, float], Found]] = {
    LEVEL: _level, PART: _part, COUNT: _count, RATE: _rate, RATIO: _ratio, SHARE: _share,
    QUANTILE: _quantile, CHANGE: _change, ABSENT: _absent,
}  # fmt: skip

_TrackKey = tuple[Selection, float, float]


class Series:
    """
    All series that some rules look at; what two of them look at alike is kept once.

    Args:
        looks: What they look at.
        watched: The metrics there are.
        now: Wall-clock time, in seconds: since when anything is known.
    """

    def __init__(self, looks: Iterable[Look], watched: Mapping[str, Watched], now: float) -> None:
        self._began = now
        self._taken = False
        self._tracks: dict[_TrackKey, Track] = {}
        self._by_metric: dict[str, list[Track]] = {}
        for look in looks:
            for selection in (look.of, look.under):
                key = _key_of(look, selection) if selection is not None else None
                if selection is None or key is None or key in self._tracks:
                    continue
                track = self._tracks[key] = Track(selection, watched[selection.metric], *key[1:])
                self._by_metric.setdefault(selection.metric, []).append(track)

    def take(self, samples: Mapping[str, Samples], now: float) -> None:
        """Take a tick's samples by metric; a gauge without any is nowhere any more."""
        self._taken = True
        for metric, tracks in self._by_metric.items():
            for track in tracks:
                track.take(samples.get(metric, {}), now)

    def add(self, metric: str, values: Values, grown: Any, now: float) -> bool:  # noqa: ANN401 - see `Samples`
        """Take one sample between two ticks, see `Track.add`. Returns whether any rule looks at its metric."""
        for track in self._by_metric.get(metric, ()):
            track.add(values, grown, now)
        return metric in self._by_metric

    def find(self, look: Look, now: float) -> Iterator[tuple[Values, float | None]]:
        """The number of each series that a look sees."""
        of = self._tracks[_key_of(look, look.of)]
        under = of if look.under is None else self._tracks[_key_of(look, look.under)]
        return iter(_FINDERS[look.kind](look, of, under, now))

    def known(self, look: Look, now: float) -> bool:
        """Whether all that a look looks back over is known: no gauge is before the first tick."""
        return self._taken and now - self._began >= look.reach

    def forget(self, now: float, kept: Mapping[Look, Iterable[Values]]) -> None:
        """Let go of series at rest, but for those in ``kept``."""
        keep: dict[_TrackKey, set[Values]] = {}
        for look, series in kept.items():
            keep.setdefault(_key_of(look, look.of), set()).update(series)
        for key, track in self._tracks.items():
            track.forget(now, keep.get(key, ()))

    @property
    def refused(self) -> int:
        """Samples that found no room: what they belong to is not looked at."""
        return sum(track.refused for track in self._tracks.values())


def _key_of(look: Look, selection: Selection) -> _TrackKey:
    return selection, look.window, FORGOTTEN_AFTER if look.kind == ABSENT else look.reach
