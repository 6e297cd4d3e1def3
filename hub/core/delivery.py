"""
Delivery: how far behind the other end of a connection is, and what became of what it never confirmed.

What was handed over, in frames or in bytes, is *outstanding* until the other end acknowledges it. A `Trail` remembers
how much had been handed over at which look, and so knows how old the oldest is that is still outstanding, without
anybody having to note when each frame went out.

When the connection has ended, the frames that its client never confirmed have a *fate*. They were received if the
client answered a close frame of ours, which travelled behind them (RFC 6455, section 5.5.1, over TCP). They are lost
if the client itself has closed, for it confirms before that what it has processed, or if the connection broke off.
Else nobody can know.
"""

#: How a connection parts: its client has closed it, or it broke off; it was closed from here. None: neither, as the
#: consumer or the server has given it up.
LEFT, CLOSED = "left", "closed"
#: What became of our close frame: the client has answered it; it may still; it never will.
ANSWERED, AWAITED, GONE = "answered", "awaited", "gone"
#: What became of frames that were never confirmed: received all the same; lost; nobody knows.
RECEIVED, UNCONFIRMED, UNKNOWN = "received", "unconfirmed", "unknown"

#: Looks that one trail remembers; beyond, every second one is let go and the age is known less precisely.
MAX_MARKS = 32


def fate_of(parting: str | None, answer: str | None) -> str | None:
    """
    What became of the frames that a client never confirmed.

    Args:
        parting: How its connection parts.
        answer: What became of our close frame; None: nobody can know.

    Returns:
        Their fate; None: it is not decided yet.
    """
    if parting != CLOSED:
        return UNCONFIRMED if parting == LEFT else UNKNOWN
    if answer == AWAITED:
        return None
    return {ANSWERED: RECEIVED, GONE: UNCONFIRMED}.get(answer or "", UNKNOWN)


class Trail:
    """How much had been handed over at which moments, as far as it is not acknowledged."""

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def look(self, total: int, acknowledged: int, now: float) -> float | None:
        """
        Look once.

        Args:
            total: Handed over since the beginning.
            acknowledged: Of these, what the other end has.
            now: Monotonic time, in seconds.

        Returns:
            Since when the oldest that is outstanding has been so: the look that saw it first, hence at most one pause
            between two looks too late and never too early; None: nothing is outstanding.
        """
        marks = self._marks
        if total <= acknowledged:
            marks.clear()
            return None
        passed = 0
        while passed < len(marks) and marks[passed][1] <= acknowledged:
            passed += 1
        del marks[:passed]
        if not marks or total > marks[-1][1]:
            if len(marks) >= MAX_MARKS:
                del marks[1::2]
            marks.append((now, total))
        return marks[0][0]


class Drain:
    """
    What has left a buffer, where all that can be seen is how full it is.

    Whatever it is fuller by came in and whatever it is emptier by has left. What did both between two looks is not
    seen, so that a client that reads slower than it is sent to may be thought slower than it is, never quicker.
    """

    __slots__ = ("_filled", "left")

    def __init__(self) -> None:
        self._filled = 0
        self.left = 0

    def look(self, filled: int) -> int:
        """Take how full it is at one look. Returns all that has left it since the first."""
        self.left += max(0, self._filled - filled)
        self._filled = filled
        return self.left
