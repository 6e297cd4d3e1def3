"""What the visitors counted on their side."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """
    Counts of a run.

    Each attempt to connect ends up in exactly one of ``opened``, ``refused``, ``failed`` and ``unanswered``,
    each opened connection in ``closed`` under the close code that its visitor saw.
    """

    active: int = 0
    opened: int = 0
    refused: int = 0
    """Handshakes that the server turned down."""
    failed: int = 0
    """Handshakes that ended in a server error."""
    unanswered: int = 0
    """Attempts for which there was no server, or none that answered in time."""
    sent: int = 0
    received: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    closed: Counter[int] = field(default_factory=Counter)

    def record_open(self) -> None:
        """Count an accepted connection."""
        self.opened += 1
        self.active += 1

    def record_close(self, code: int) -> None:
        """Count its end; 1006 where no close frame came."""
        self.closed[code] += 1
        self.active -= 1

    def record_sent(self, message: str | bytes) -> None:
        """Count a message that was handed to the socket."""
        self.sent += 1
        self.sent_bytes += len(message.encode() if isinstance(message, str) else message)

    def record_received(self, message: str | bytes) -> None:
        """Count a message that came."""
        self.received += 1
        self.received_bytes += len(message.encode() if isinstance(message, str) else message)


@dataclass(slots=True)
class Progress:
    """Turns a growing tally into lines, with rates since the line before."""

    tally: Tally
    visitors: int
    _at: float = 0.0
    _sent: int = 0
    _received: int = 0

    def line(self, elapsed: float) -> str:
        """Return what is going on, ``elapsed`` seconds after the start."""
        span = max(elapsed - self._at, 0.001)
        sent, received = (self.tally.sent - self._sent) / span, (self.tally.received - self._received) / span
        self._at, self._sent, self._received = elapsed, self.tally.sent, self.tally.received
        return (
            f"{int(elapsed) // 60:02}:{int(elapsed) % 60:02}  open {self.tally.active}/{self.visitors}"
            f"  sent {sent:,.0f}/s  received {received:,.0f}/s  {outcomes(self.tally)}"
        )


def outcomes(tally: Tally) -> str:
    """Return how attempts and connections ended so far."""
    parts = [f"opened {tally.opened:,}", f"refused {tally.refused:,}", f"failed {tally.failed:,}"]
    if tally.unanswered:
        parts.append(f"unanswered {tally.unanswered:,}")
    if tally.closed:
        codes = " ".join(f"{code}:{count:,}" for code, count in sorted(tally.closed.items()))
        parts.append(f"closed {codes}")
    return "  ".join(parts)


def summary(tally: Tally) -> str:
    """Return the last word on a run."""
    return (
        f"In all: sent {tally.sent:,} messages ({tally.sent_bytes:,} bytes), "
        f"received {tally.received:,} ({tally.received_bytes:,} bytes); {outcomes(tally)}."
    )
