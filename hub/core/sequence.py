"""
Sequence: whether the frames of a client that numbers them come in line.

The first number that comes is where the line begins; each further frame should have the next one. A number that was
jumped over is *missing* until it comes late. What comes is *in line*, or one of `KINDS`: whoever counts them knows of
a line from its lowest to its highest number that ``gap - reordered`` of it never came, and ``double`` came again.
"""

GAP, REORDERED, DOUBLE = "gap", "reordered", "double"
#: A late one, so late that nobody remembers whether it was missing.
UNKNOWN = "unknown"
#: So far from the line that it must be another one.
RESTARTED = "restarted"
KINDS = (GAP, REORDERED, DOUBLE, UNKNOWN, RESTARTED)

#: A line may jump so far, forth or back.
MAX_JUMP = 1_000_000
#: Stretches of missing numbers that one line remembers; beyond, the lowest is forgotten.
MAX_STRETCHES = 64


class Sequence:
    """The line of one connection."""

    __slots__ = ("_first", "_forgotten", "_last", "_missing")

    def __init__(self) -> None:
        self._first = 0
        self._last: int | None = None
        #: First and last number of each stretch that is missing, the lowest first.
        self._missing: list[tuple[int, int]] = []
        #: Of the numbers up to this one nobody knows any more which are missing.
        self._forgotten: int | None = None

    def take(self, number: int) -> list[tuple[str, int]]:
        """A frame has come. Returns what is out of line, by kind and number of frames: nothing, as a rule."""
        last = self._last
        if last is not None and number == last + 1:
            self._last = number
            return []
        if last is None or not self._first - MAX_JUMP <= number <= last + MAX_JUMP:
            self._first = self._last = number
            self._missing, self._forgotten = [], None
            return [] if last is None else [(RESTARTED, 1)]
        if number > last:
            self._last = number
            self._miss(last + 1, number - 1)
            return [(GAP, number - last - 1)]
        if number < self._first:
            return self._begin_earlier(number)
        return [(self._late(number), 1)]

    def _begin_earlier(self, number: int) -> list[tuple[str, int]]:
        """It came after what should have followed it: so all from here to there was missing until now."""
        before, self._first = self._first, number
        if number + 1 < before:
            self._missing.insert(0, (number + 1, before - 1))
            self._forget()
        return [(GAP, before - number), (REORDERED, 1)]

    def _miss(self, first: int, last: int) -> None:
        self._missing.append((first, last))
        self._forget()

    def _forget(self) -> None:
        if len(self._missing) > MAX_STRETCHES:
            _, self._forgotten = self._missing.pop(0)

    def _late(self, number: int) -> str:
        """What a number from within the line is."""
        for index, (first, last) in enumerate(self._missing):
            if first <= number <= last:
                rest = [(first, number - 1), (number + 1, last)]
                self._missing[index : index + 1] = [stretch for stretch in rest if stretch[0] <= stretch[1]]
                self._forget()
                return REORDERED
        return UNKNOWN if self._forgotten is not None and number <= self._forgotten else DOUBLE
