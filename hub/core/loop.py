"""
The loop's own clock: of the time that has passed, how much the event loop had for whoever waits for it.

While the loop is *free* all time counts. While it *stands still* none does. While it is *saturated*, busy from one
turn to the next, whoever waits for a few turns waits for it and for nobody else: then a turn counts as a quick one,
however long it takes. Whatever is to be called slow by its own name has to be so by this clock.
"""

from bisect import bisect_right
from operator import itemgetter

#: Seconds of delay from which on it is worth a sample, and is taken off.
LATE = 0.05
#: A delay from which on nothing of the time since the last look counts.
BLOCKED = 0.25
#: Seconds of a turn that are nobody's fault: what an answer takes, a few turns, is far from any threshold then.
QUICK = 0.02
#: Looks that are remembered at which some time was lost; about two of them make one mark.
MAX_MARKS = 400


class LoopClock:
    """
    The own clock of one event loop.

    Args:
        now: Monotonic time, in seconds, as everywhere here.

    Attributes:
        looked_at: When it was looked at last.
    """

    def __init__(self, now: float) -> None:
        self.looked_at = now
        #: How much had been lost in all, at which time; in between as much as of the time has passed.
        self._marks: list[tuple[float, float]] = [(now, 0.0)]

    def look(self, now: float, late: float, turn: float = 0.0) -> None:
        """
        Look once.

        Args:
            late: How long after its time the loop came to look, in seconds.
            turn: How long a turn of the loop takes, in seconds.
        """
        passed = now - self.looked_at
        ran = 0.0 if late > BLOCKED else passed - late if late > LATE else passed
        lost = passed - max(0.0, ran) * min(1.0, QUICK / turn if turn else 1.0)
        if lost > 0.0:
            at, total = self._marks[-1]
            if at < self.looked_at:
                self._marks.append((self.looked_at, total))
            self._marks.append((now, total + lost))
            del self._marks[:-MAX_MARKS]
        self.looked_at = now

    def rest(self, now: float) -> None:
        """Nobody waits for the loop: that counts as a look."""
        self.looked_at = now

    def taken(self, since: float, until: float) -> float:
        """Seconds between two times by this clock."""
        return until - since - (self._lost(until) - self._lost(since))

    def _lost(self, at: float) -> float:
        """How much had been lost up to a time; what was before the oldest mark is forgotten."""
        marks = self._marks
        if at >= marks[-1][0]:
            return marks[-1][1]
        after = bisect_right(marks, at, key=itemgetter(0))
        if not after:
            return marks[0][1]
        (begin, before), (end, total) = marks[after - 1], marks[after]
        return before + (total - before) * (at - begin) / (end - begin)
