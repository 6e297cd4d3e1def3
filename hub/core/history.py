"""
History within a byte limit: rings of numbers at a fixed step, those that are no longer recorded let go first.

A ring is *in use* while it is recorded at each of its steps; one in use is never let go of for a new one, or many
series would drive out each other, and the whole fleet's, again and again. A ring's point is *known* or *unknown*
(not a number); a step for which nothing was recorded is unknown.
"""

import math
from array import array
from collections import OrderedDict
from collections.abc import Sequence

UNKNOWN = math.nan
#: Memory of one number.
POINT_BYTES = 8


class Ring:
    """
    The last points of one series of several columns.

    Args:
        columns: How many numbers a point has.
        step: Seconds between two points.
        length: How many points are kept.
    """

    __slots__ = ("_columns", "_last", "length", "step")

    def __init__(self, columns: int, step: float, length: int) -> None:
        self.step = step
        self.length = length
        self._columns = [array("d", [UNKNOWN]) * length for _ in range(columns)]
        self._last: int | None = None

    @property
    def nbytes(self) -> int:
        """Memory of the points."""
        return sum(len(column) * column.itemsize for column in self._columns)

    def in_use(self, at: float) -> bool:
        """Whether a point was recorded in the step of a wall-clock time, or in the one before."""
        return self._last is not None and self._last + 1 >= at // self.step

    def record(self, at: float, point: Sequence[float | None]) -> None:
        """
        Record a point at a wall-clock time; the last one of a step wins, one older than the ring is dropped.
        """
        slot = int(at // self.step)
        if self._last is not None and slot <= self._last - self.length:
            return
        self._forget_between(slot)
        for column, value in zip(self._columns, point, strict=True):
            column[slot % self.length] = UNKNOWN if value is None else value

    def _forget_between(self, slot: int) -> None:
        """Points between the newest one and a newer slot are unknown, whatever stood there a round ago."""
        if self._last is None:
            self._last = slot
            return
        for skipped in range(max(self._last + 1, slot - self.length + 1), slot + 1):
            for column in self._columns:
                column[skipped % self.length] = UNKNOWN
        self._last = max(self._last, slot)

    def points(self) -> tuple[list[float], list[list[float | None]]]:
        """Times and columns, oldest first, from the first known point on."""
        if self._last is None:
            return [], [[] for _ in self._columns]
        slots = range(max(0, self._last - self.length + 1), self._last + 1)
        known = [slot for slot in slots if any(not math.isnan(c[slot % self.length]) for c in self._columns)]
        slots = range(known[0], self._last + 1) if known else range(0)
        columns = [[_known(column[slot % self.length]) for slot in slots] for column in self._columns]
        return [slot * self.step for slot in slots], columns


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


class History:
    """
    Rings by key, within a limit of bytes.

    Args:
        max_bytes: The limit for all rings together.
        columns: How many numbers a point has.

    Attributes:
        nbytes: Memory of all points.
        evicted: How often a series was let go of, or not kept, for lack of memory.
    """

    def __init__(self, max_bytes: int, columns: int) -> None:
        self.max_bytes = max_bytes
        self._columns = columns
        self._rings: OrderedDict[str, Ring] = OrderedDict()
        self.nbytes = 0
        self.evicted = 0

    def __contains__(self, key: str) -> bool:
        return key in self._rings

    def record(self, key: str, at: float, point: Sequence[float | None], *, step: float, length: int) -> None:
        """Record a point of a series; a new one may find no room, and is then not kept."""
        ring = self._rings.get(key)
        if ring is None:
            if not self._make_room(self._columns * length * POINT_BYTES, at):
                self.evicted += 1
                return
            ring = self._rings[key] = Ring(self._columns, step, length)
            self.nbytes += ring.nbytes
        ring.record(at, point)
        self._rings.move_to_end(key)

    def _make_room(self, nbytes: int, at: float) -> bool:
        """Let go of rings that are not in use, the least recently used first; whether there is room then."""
        if nbytes > self.max_bytes:
            return False
        while self.nbytes + nbytes > self.max_bytes:
            key, oldest = next(iter(self._rings.items()))
            if oldest.in_use(at):
                return False
            del self._rings[key]
            self.nbytes -= oldest.nbytes
            self.evicted += 1
        return True

    def points(self, key: str) -> tuple[float, list[float], list[list[float | None]]]:
        """Step, times and columns of a series; empty if it is not kept."""
        ring = self._rings.get(key)
        if ring is None:
            return 1.0, [], [[] for _ in range(self._columns)]
        times, columns = ring.points()
        return ring.step, times, columns
