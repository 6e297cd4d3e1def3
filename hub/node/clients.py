"""
Clients that are behind: whoever was sent something is looked at until all of it has arrived.

A client that speaks control frames says what it has processed, and is judged by that alone. Any other is judged by
its bytes, those that wait in the server and in the kernel: they tell of a client that doesn't read once the buffers
in between are full, and before that nothing, which is *unknown* and not healthy. While nobody reads what a client
says (the inbox is full of its messages), its silence is not its fault: then its bytes are asked as well.
"""

from collections.abc import Callable
from itertools import chain, islice

from hub.core.delivery import Drain, Trail
from hub.core.events import Detail
from hub.core.ledger import OPEN, Connection, Ledger
from hub.core.slowness import RELEASE
from hub.instrument.busy import SENT, AtWork
from hub.instrument.servers import acknowledged_bytes, kernel_bytes, outbound_bytes, send_never_waits

#: Connections that one look is for, in turn where there are more: about 2 microseconds each ...
MAX_LOOKED_AT = 2000
#: ... and besides, those whose bytes are asked for: about 2 microseconds where all has arrived, else 5 to 10.
MAX_ASKED = 250


def _speaks(connection: Connection) -> bool:
    """Whether the client confirms frames."""
    control = connection.control
    return control is not None and control.speaks


def _has_all(connection: Connection) -> bool:
    """Whether all has arrived at a client, as far as one question tells."""
    if connection.state != OPEN or connection.closing:
        return True
    control = connection.control
    if control is not None and control.speaks:
        return connection.reading and control.frames_confirmed >= control.frames_sent
    return not outbound_bytes(connection.raw_send) and not kernel_bytes(connection.raw_send)


class Watched:
    """
    A connection that not all has arrived at, as far as is known.

    Attributes:
        entry: What stands for it in the register.
        since: Since when the oldest frame has been outstanding, in monotonic seconds; None: none is, or unknown.
    """

    __slots__ = ("_bytes", "_drain", "_frames", "_unheard_at", "entry", "since")

    def __init__(self, entry: AtWork) -> None:
        self.entry = entry
        self.since: float | None = None
        self._frames: Trail | None = None
        self._bytes: Trail | None = None
        self._drain: Drain | None = None
        #: Nobody read what it says, then.
        self._unheard_at = 0.0

    @property
    def asks_bytes(self) -> bool:
        """Whether its bytes have to be asked for."""
        return not self.entry.connection.reading or not _speaks(self.entry.connection)

    def look(self, now: float) -> bool:
        """Look once. Returns whether anything is outstanding; if not, nothing need be remembered of it."""
        connection = self.entry.connection
        if connection.state != OPEN or connection.closing:
            self.since = None
            return False
        unconfirmed = self._unconfirmed_since(connection, now)
        if not self.asks_bytes:
            self._bytes = self._drain = None
            self.since = None if unconfirmed is None else max(unconfirmed, self._unheard_at)
            return unconfirmed is not None
        self._unheard_at = now
        self.since = self._unacknowledged_since(connection, now)
        return self.since is not None or unconfirmed is not None

    def _unconfirmed_since(self, connection: Connection, now: float) -> float | None:
        control = connection.control
        if control is None or not _speaks(connection):
            return None
        if self._frames is None:
            self._frames = Trail()
        return self._frames.look(control.frames_sent, control.frames_confirmed, now)

    def _unacknowledged_since(self, connection: Connection, now: float) -> float | None:
        raw_send = connection.raw_send
        buffered, unsent = outbound_bytes(raw_send) or 0, kernel_bytes(raw_send) or 0
        if not buffered and not unsent:
            self._bytes = self._drain = None
            return None
        if self._bytes is None:
            self._bytes, self._drain = Trail(), Drain()
        left = acknowledged_bytes(raw_send)
        if left is None:
            # Only the server's own buffer says when it empties: what is on its way is always some.
            left = self._drain.look(buffered) if self._drain else 0
            return self._bytes.look(left + buffered, left, now)
        # Again, now that what was acknowledged is known: counted twice, it would never be acknowledged.
        return self._bytes.look(left + buffered + (kernel_bytes(raw_send) or 0), left, now)


class Clients:
    """
    The clients of one process, as far as something was sent to them.

    Args:
        ledger: Where what is on its way to them counts.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._confirming: dict[Connection, Watched] = {}
        self._asked: dict[Connection, Watched] = {}

    def __bool__(self) -> bool:
        """Whether there is anybody to look at."""
        return bool(SENT or self._confirming or self._asked)

    def look(self, now: float, taken: Callable[[float, float], float]) -> list[tuple[AtWork, float]]:
        """
        Look once at those that something was sent to, and at those that not all has arrived at.

        Args:
            now: Monotonic time, in seconds.
            taken: Seconds between two moments in which the event loop was not blocked: while it is, nobody reads
                what clients confirm, and nobody writes to them.

        Returns:
            Who is behind, and by how many seconds; also those whose turn to be looked at has not come.
        """
        asked = self._take_over()
        for group, most in ((self._confirming, MAX_LOOKED_AT), (self._asked, MAX_ASKED - asked)):
            for connection, one in list(islice(group.items(), most)):
                del group[connection]
                self._ledger.record_delivery(connection)
                if one.look(now):
                    self._watch(one)
                else:
                    connection.touched = False
        behind = [
            (one.entry, taken(one.since, now))
            for one in chain(self._confirming.values(), self._asked.values()) if one.since is not None
        ]  # fmt: skip
        return [(entry, seconds) for entry, seconds in behind if seconds > RELEASE * entry.threshold]

    def _take_over(self) -> int:
        """
        Begin to watch those that something was sent to since the last look.

        Most of them have it all by now: then nothing need be remembered of them.

        Returns:
            How many were found to have it all, by asking for their bytes.
        """
        asked, most = 0, MAX_ASKED - len(self._asked)
        for connection, entry in SENT.items():
            by_bytes = not _speaks(connection)
            if (asked < most or not by_bytes) and _has_all(connection):
                asked += by_bytes
                connection.touched = False
            else:
                self._watch(Watched(entry))
        SENT.clear()
        return asked

    def _watch(self, one: Watched) -> None:
        """Put it at the end, so that its turn comes after all others."""
        group = self._asked if one.asks_bytes else self._confirming
        group[one.entry.connection] = one

    def forget(self, connection: Connection) -> None:
        """The connection is no more."""
        self._confirming.pop(connection, None)
        self._asked.pop(connection, None)

    def details(self, entry: AtWork, now: float) -> dict[str, Detail]:
        """What an operator should know of a client that is behind, and what nobody can know of it."""
        connection = entry.connection
        one = self._confirming.get(connection) or self._asked.get(connection) or Watched(entry)
        control, raw_send = connection.control, connection.raw_send
        details: dict[str, Detail] = {}
        if control is not None and _speaks(connection):
            details["frames_behind"] = control.frames_sent - control.frames_confirmed
            details["silent_seconds"] = round(now - control.confirmed_at, 3) if control.confirmed_at else None
            details["hidden"] = control.hidden
        if one.since is not None:
            details["oldest_seconds"] = round(now - one.since, 3)
        details["unsent_bytes"] = outbound_bytes(raw_send)
        details["kernel_bytes"] = kernel_bytes(raw_send)
        details["unknown"] = "; ".join(_unknown(one, details)) or None
        return details


def _unknown(one: Watched, details: dict[str, Detail]) -> list[str]:
    """Which signals were not to be had, and why."""
    connection = one.entry.connection
    unknown = []
    if not _speaks(connection):
        plain = connection.control is None
        unknown.append(f"confirmations: {'plain client' if plain else 'the client never answered the hello'}")
    elif not connection.reading:
        unknown.append("confirmations: nobody reads them while the inbox is full")
    if details["unsent_bytes"] is None:
        unknown.append("unsent_bytes: the server doesn't tell")
    if details["kernel_bytes"] is None:
        unknown.append("kernel_bytes: no TCP socket of Linux is known")
    if send_never_waits(connection.raw_send):
        unknown.append("time in send: this server's never waits")
    return unknown
