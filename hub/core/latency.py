"""
Fixed-bucket histograms of durations: observe, merge, subtract, quantile.

A histogram has no states: it only grows. Its buckets are *not* cumulative; bucket ``i`` counts the values in
``(bounds[i-1], bounds[i]]`` and the last one whatever lies beyond.
"""

from bisect import bisect_left
from collections.abc import Sequence

#: Upper bounds of handler latency and waiting times, in seconds. Dashboards rely on 0.01, 0.05, 0.1, 0.5, 1 and 5, the
#: rule pack on 1, 2 and 3: whether a quantile is beyond a bound is known exactly, between two bounds it is a guess.
LATENCY_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
#: Upper bounds of connection durations, in seconds: from a failed page load to a day.
DURATION_BOUNDS = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0)


class Histogram:
    """
    Counts of values by bucket, and their sum.

    Args:
        bounds: Upper bounds, ascending.
        counts: One more than there are bounds; empty buckets by default.
        total: The sum of all values.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float], counts: list[int] | None = None, total: float = 0.0) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1) if counts is None else counts
        self.sum = total

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def merge(self, other: "Histogram") -> None:
        """Add another histogram of the same bounds to this one."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum

    def since(self, earlier: "Histogram") -> "Histogram":
        """What was observed after ``earlier``, an older copy of this histogram."""
        counts = [now - then for now, then in zip(self.counts, earlier.counts, strict=True)]
        return Histogram(self.bounds, counts, self.sum - earlier.sum)

    @property
    def count(self) -> int:
        """How many values were observed."""
        return sum(self.counts)

    def quantile(self, q: float) -> float | None:
        """The ``q``-quantile in the unit observed; see `quantile`."""
        return quantile(self.bounds, self.counts, q)


def quantile(bounds: Sequence[float], counts: Sequence[int], q: float) -> float | None:
    """
    Estimate a quantile by interpolating within its bucket, as PromQL's ``histogram_quantile`` does.

    Returns:
        None when nothing was counted; the last bound when the quantile lies beyond it.
    """
    total = sum(counts)
    if total == 0:
        return None
    rank = q * total
    seen = 0
    for index, bound in enumerate(bounds):
        here = counts[index]
        if here and seen + here >= rank:
            lower = bounds[index - 1] if index else 0.0
            return lower + (bound - lower) * max(0.0, rank - seen) / here
        seen += here
    return bounds[-1]
