"""
Heartbeats that do not come.

The client of a negotiated connection is *silent* between two signs of life. After one and a half intervals of silence
a heartbeat counts as missed, and one more after each further interval; each time the client is probed. Silence counts
only while somebody reads, and never across a moment at which the process slept. `hub.core.evidence` looks after the
connections that have a member, `Heartbeats` after those that presence does not know.
"""

from collections.abc import Iterator

from hub.core.ledger import Connection
from hub.core.policy import Policy

#: Connections that are looked at between two pauses: well below a millisecond.
SLICE = 200
#: Heartbeats count as missed after so many intervals of silence, and after each further one.
MISSED_INTERVALS = 1.5

DEFAULT_POLICY = Policy()


def count_missed(connection: Connection, interval: float, silence: float, *, heard: bool) -> float:
    """
    Count the heartbeats that a negotiated client has missed, and probe it when there is one more.

    Args:
        interval: Between two heartbeats, in seconds.
        silence: In seconds.
        heard: It was heard since the last call.

    Returns:
        The silence, in seconds, at which the next one is missed.
    """
    control = connection.control
    if control is None:
        return float("inf")
    missed = max(0, int(silence / interval - MISSED_INTERVALS + 1))
    if heard:
        control.missed = 0
    if missed > control.missed:
        if connection.counts is not None:
            connection.counts.heartbeats_missed += missed - control.missed
        control.missed = missed
        control.probe()
    return (missed + MISSED_INTERVALS) * interval


class _Watched:
    """A connection, when it is looked at next, and what was known of it then."""

    __slots__ = ("connection", "due", "heard_at", "since")

    def __init__(self, connection: Connection, now: float) -> None:
        self.connection = connection
        #: Silence counts from here on at the earliest: somebody has read since.
        self.since = now
        #: The last sign of life that was judged.
        self.heard_at = 0.0
        self.due = now


class Heartbeats:
    """The negotiated connections that have no member: presence is off for their consumers."""

    def __init__(self) -> None:
        self._watched: dict[int, _Watched] = {}
        self._resumed_at = 0.0

    def __len__(self) -> int:
        return len(self._watched)

    def join(self, connection: Connection, now: float) -> None:
        """A connection is open; a plain one has no heartbeats."""
        if connection.control is not None:
            watched = self._watched[connection.number] = _Watched(connection, now)
            self._judge(watched, now)

    def close(self, connection: Connection, now: float) -> None:  # noqa: ARG002 - as `Presence.close`
        """A connection has ended."""
        self._watched.pop(connection.number, None)

    def resume(self, now: float) -> None:
        """The process slept, or was busy, until now: what it did not hear says nothing."""
        self._resumed_at = now

    def expire(self, now: float) -> Iterator[None]:
        """Let time pass, pausing after each `SLICE` of connections. One at rest costs two comparisons."""
        for number, watched in enumerate(list(self._watched.values()), start=1):
            if not watched.connection.reading:
                watched.since = now
            if now > watched.due:
                self._judge(watched, now)
            if number % SLICE == 0:
                yield

    def _judge(self, watched: _Watched, now: float) -> None:
        connection = watched.connection
        interval = (connection.policy or DEFAULT_POLICY).interval
        if not connection.reading and connection.control is not None:
            # Its heartbeats are not read, so nobody answers them: let it hear that somebody is there.
            watched.due = now + interval
            connection.control.probe()
            return
        silent_from = max(connection.heard_at, watched.since, self._resumed_at)
        heard = connection.heard_at > watched.heard_at
        watched.heard_at = connection.heard_at
        watched.due = silent_from + count_missed(connection, interval, now - silent_from, heard=heard)
