"""
What the instruments of one process share: its ledger, its clock, and the way out for rare events.

The rooms above register here: the node what starts it (`on_first_call`) and that it listens to events, so that
nothing below needs to know it.
"""

import os
import traceback
from collections.abc import Callable
from typing import Protocol

from hub.clock import SYSTEM, Clock
from hub.conf import Config, config
from hub.core.events import Detail, Event, EventLimiter
from hub.core.ledger import Connection, Ledger
from hub.core.redaction import redact
from hub.faults import record_fault
from hub.instrument.busy import SENT

#: Parts of paths that are no code of the host's.
LIBRARIES = ("site-packages", "dist-packages", f"{os.sep}hub{os.sep}instrument{os.sep}", f"{os.sep}asyncio{os.sep}")
#: Parts of a path that are shown.
PATH_PARTS = 3


class Watcher(Protocol):
    """Sees connections come and go, on the event loop."""

    def accepted(self, connection: Connection) -> None:
        """The connection is open; `Connection.counts` says where it counts, `Connection.member` who it is."""

    def ended(self, connection: Connection) -> None:
        """The connection is no more; its `code` says how it ended."""


class Instruments:
    """
    The instruments of one process.

    Attributes:
        ledger: All counts.
        listeners: Called with each event that goes out by itself.
        watchers: Told of each connection that comes or goes.
    """

    def __init__(self, settings: Config, clock: Clock = SYSTEM) -> None:
        self.config = settings
        self.clock = clock
        self.ledger = Ledger()
        self.limiter = EventLimiter(settings.events_per_second)
        self.listeners: list[Callable[[Event], None]] = []
        self.watchers: list[Watcher] = []

    def start(self) -> None:
        """Called with every call of a monitored application: start the node, cheaply if it runs."""
        for starter in _starters:
            try:
                starter()
            except Exception as error:  # noqa: BLE001 - the border: without a node the consumer still runs
                record_fault("node start", error)

    def accepted(self, connection: Connection) -> None:
        """The server has taken the consumer's accept."""
        now = self.clock.monotonic()
        if self.ledger.accept(connection, now):
            connection.heard_at = now
            if connection.member_of is not None:
                connection.member, connection.groups = connection.member_of()
                # It was asked once and for all, and every connection would keep it.
                connection.member_of = None
            for watcher in self.watchers:
                self._tell(watcher.accepted, connection)
            self.emit("connection.opened", connection)

    def _tell(self, told: Callable[[Connection], None], connection: Connection) -> None:
        try:
            told(connection)
        except Exception as error:  # noqa: BLE001 - the border: a watcher's fault must not reach the consumer
            record_fault("connection watcher", error)

    def rejected(self, connection: Connection) -> None:
        """The consumer closed the connection, or answered with a response, before accepting it."""
        if self.ledger.reject(connection):
            self.emit("connection.rejected", connection)

    def ended(self, connection: Connection, error: BaseException | None) -> None:
        """The consumer is done with the connection, because of ``error`` or without one."""
        rejected = connection.failure
        now = self.clock.monotonic()
        if not self.ledger.end(connection, now, error=error is not None):
            return
        if connection.accepted_at:
            for watcher in self.watchers:
                self._tell(watcher.ended, connection)
            duration = round(now - connection.accepted_at, 3)
            self.emit("connection.closed", connection, code=connection.code, seconds=duration)
        elif connection.failure != rejected:
            self.emit("connection.failed", connection, reason=connection.failure)
        if connection.link is not None:
            connection.link.ended()
        _let_go(connection)

    def handler_error(self, connection: Connection, message_type: str, error: Exception) -> None:
        """A handler of the consumer raised: count it by exception and tell where, in one redacted line."""
        counts = self.ledger.settle(connection)
        name = type(error).__name__
        counts.errors[name] = counts.errors.get(name, 0) + 1
        if self._admits("handler.error", connection):
            self._send("handler.error", connection, message=redact(message_type), **_where(error))

    def emit(self, kind: str, connection: Connection, **details: Detail) -> None:
        """Send an event about a connection at once, or count it if there are too many of its kind."""
        if self._admits(kind, connection):
            self._send(kind, connection, **details)

    def _admits(self, kind: str, connection: Connection) -> bool:
        counts = self.ledger.settle(connection)
        return self.limiter.admit(kind, counts.tenant, counts.consumer, self.clock.monotonic())

    def _send(self, kind: str, connection: Connection, **details: Detail) -> None:
        counts = self.ledger.settle(connection)
        event = Event(
            kind=kind, at=self.clock.wall(), tenant=counts.tenant, consumer=counts.consumer,
            connection=str(connection.number), details=details,
        )  # fmt: skip
        self.publish(event)

    def publish(self, event: Event) -> None:
        """Hand an event to whoever listens; a fault there stays there."""
        for listener in self.listeners:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 - the border: a listener's fault must not reach the consumer
                record_fault("event listener", error)


def _let_go(connection: Connection) -> None:
    """Presence keeps the record for a while: it must not keep the consumer alive, nor the server's side."""
    connection.tenant_of, connection.member_of = str, None
    connection.raw_receive = connection.raw_send = None
    SENT.pop(connection, None)
    # What it is still sent concerns nobody.
    connection.touched = True


def _where(error: Exception) -> dict[str, Detail]:
    """The last line of a traceback, and the place in the host's code that is nearest to it."""
    last = redact(traceback.format_exception_only(error)[-1])
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return {"error": last}
    # The innermost frame may lie deep in a library, which tells an operator little.
    own = [frame for frame in frames if not any(part in frame.filename for part in LIBRARIES)]
    frame = (own or frames)[-1]
    return {"error": last, "file": shortened(frame.filename), "line": frame.lineno, "function": frame.name}


def shortened(path: str) -> str:
    """The end of a path that tells one file from another, without the machine's folders."""
    return "/".join(path.replace("\\", "/").split("/")[-PATH_PARTS:])


_starters: list[Callable[[], None]] = []


def on_first_call(starter: Callable[[], None]) -> None:
    """Register what starts with the first call of a monitored application; it is called with all of them."""
    if starter not in _starters:
        _starters.append(starter)


_current: list[Instruments] = []


def instruments() -> Instruments:
    """The instruments of this process, made on first use."""
    if not _current:
        _current.append(Instruments(config()))
    return _current[0]


def reset(fresh: Instruments | None = None) -> None:
    """Forget everything counted, for tests; ``fresh`` takes the place if given."""
    _current[:] = [] if fresh is None else [fresh]
