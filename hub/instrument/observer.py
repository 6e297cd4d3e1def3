"""
The observer of one connection: counts what passes between a consumer and its server, and changes none of it.

The mixin and the wrapper both count through it; the connection's ``owner`` says which of them does.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from typing import Any

from channels.exceptions import StopConsumer

from hub.core.latency import LATENCY_BOUNDS
from hub.core.ledger import AFTER_CLOSE, OPEN, TEARDOWN, Connection, increment
from hub.instrument.busy import BUSY, SENT, Backlog
from hub.instrument.control import ControlFrames
from hub.instrument.inbox import (
    CONTROL,
    FROM_LAYER,
    LAST,
    Dispatch,
    Message,
    Receive,
    Send,
    kind_of,
    payload_size,
)
from hub.instrument.servers import (
    abort,
    broke_off,
    handed_over,
    parting_of,
    parting_when_refused,
    refuses,
    send_close_frame,
)
from hub.instrument.state import Instruments
from hub.instrument.types import OTHER

Handler = Callable[[Message], Awaitable[None]]
TypeOf = Callable[[Message], str | None]

#: The first bucket of the histograms ends here.
SHORTEST = LATENCY_BOUNDS[0]
#: Where the wrapper leaves the shared record in the scope.
SCOPE_KEY = "hub.connection"

#: On an exception of the server's own: it found, as something was sent, that the client is gone.
_GONE = "_hub_client_gone"
#: RFC 6455's registry: try again later.
CODE_TRY_AGAIN_LATER = 1013
#: The same for a server that refuses to send it.
CODE_TRY_AGAIN_LATER_PRIVATE = 4013
#: Seconds that a slow client has to fetch the close frame before its connection is dropped.
LINGER = 5.0
#: Turns of the event loop that a server's readers need to hand over what has arrived.
LAST_TURNS = 4


class Observer:
    """
    Counts for one connection.

    Args:
        instruments: Those of the process.
        connection: The record of the connection.
        type_of: Says the type of a message where the host has its own rule.
        control: The control frames of the connection, if its client asked for them and gets them.
    """

    __slots__ = ("_closer", "_dispatched", "_send", "_type_of", "_unhandled", "close_after", "connection", "control",
                 "inbox", "instruments", "monotonic", "started_at", "task", "threshold")  # fmt: skip

    def __init__(
        self, instruments: Instruments, connection: Connection, type_of: TypeOf | None = None,
        control: ControlFrames | None = None,
    ) -> None:  # fmt: skip
        self.instruments = instruments
        self.connection = connection
        self.monotonic = instruments.clock.monotonic
        self._type_of = type_of
        self.control = control
        self._unhandled: list[Message] = []
        self._dispatched = False
        self.inbox: Backlog | None = None
        self.task: asyncio.Task[Any] | None = None
        self.started_at = 0.0
        self.threshold = instruments.config.slow_threshold_ms / 1000
        self.close_after: float | None = None
        self._send: Send | None = None
        #: Closes the connection of a slow client, since that was asked for.
        self._closer: asyncio.Task[None] | None = None

    # --- towards the server ---

    def observe_send(self, send: Send) -> Send:
        """The server's ``send``, with everything that goes through it counted."""
        # On the hot path: names are bound here, once per connection.
        connection, settle = self.connection, self.instruments.ledger.settle
        label = None if self._type_of is None else self.label
        connection.touched = not self.instruments.config.slow_detection
        self._send = send

        async def observed_send(message: Any) -> Any:  # noqa: ANN401 - whatever the host passes on
            if type(message) is not dict or message.get("type") != "websocket.send":
                return await self._send_control(send, message)
            if connection.closing:
                return await self._send_after_close(send, message)
            if not connection.touched:
                # Before it is sent: where the client does not read, that may take for ever.
                connection.touched = True
                SENT[connection] = self
            try:
                result = await send(message)
            except (OSError, RuntimeError) as error:
                await self._record_refused(error)
                raise
            except asyncio.CancelledError as error:
                self._record_cancelled(message, error)
                raise
            counts = connection.counts or settle(connection)
            name, text = connection.outbound_type, message.get("text")
            connection.outbound_type = None
            if label is not None:
                name = label(message, name)
            elif name is None:
                name = "binary" if text is None else "text"
            try:
                counts.sent[name] += 1
            except KeyError:
                counts.sent[name] = 1
            counts.sent_bytes += len(text) if type(text) is str else payload_size(message)
            return result

        return observed_send

    async def _record_refused(self, error: OSError | RuntimeError) -> None:
        """A frame was not taken: it is lost, if the server noticed before we did that the client is gone."""
        connection = self.connection
        # Daphne says so by a RuntimeError, which may be anybody's.
        if isinstance(error, OSError) or refuses(connection.raw_send):
            vars(error)[_GONE] = True
            connection.parting = connection.parting or parting_when_refused(connection.raw_send)
            increment(self.instruments.ledger.settle(connection).lost, AFTER_CLOSE)
            if connection.control is not None:
                # What the client confirmed as it left has arrived, and nobody has read it yet.
                for _ in range(LAST_TURNS):
                    await asyncio.sleep(0)

    def _record_cancelled(self, message: Message, error: BaseException) -> None:
        """A send was cancelled while it waited: its frame counts as sent where the server had written it."""
        connection = self.connection
        name, connection.outbound_type = connection.outbound_type, None
        if handed_over(error):
            counts = self.instruments.ledger.settle(connection)
            increment(counts.sent, self.label(message, name))
            counts.sent_bytes += payload_size(message)

    async def _send_control(self, send: Send, message: Any) -> Any:  # noqa: ANN401 - whatever the host passes on
        kind = kind_of(message)
        connection = self.connection
        if self._closer is not None:
            # The server would refuse it, and the consumer could not know why.
            return None
        closes = kind == "websocket.close" and connection.accepted_at and not connection.closing
        if closes:
            # Before it is sent: the client may answer, and the reader see it, while we wait for the server.
            self.instruments.ledger.close(connection, message.get("code"))
        try:
            result = await send(message)
        except Exception:
            if closes:
                # The server refused it, a wrong code perhaps: the connection goes on.
                self.instruments.ledger.reopen(connection)
            raise
        if kind == "websocket.accept":
            await self._accepted()
        elif kind in ("websocket.close", "websocket.http.response.start"):
            self.instruments.rejected(connection)
        return result

    async def _accepted(self) -> None:
        control = self.control
        if control is None:
            self.instruments.accepted(self.connection)
            return
        control.negotiate()
        self.instruments.accepted(self.connection)
        await control.greet()

    async def _send_after_close(self, send: Send, message: Message) -> Any:  # noqa: ANN401 - what the server returns
        """One side has closed: some servers raise, some drop the frame in silence; it is lost either way."""
        increment(self.instruments.ledger.settle(self.connection).lost, AFTER_CLOSE)
        return None if self._closer is not None else await send(message)

    def close_slow_client(self) -> None:
        """
        Close the connection without waiting for its client; does nothing the second time.

        The consumer is told as of any other end, by the server; what it sends until then is swallowed and counted.
        """
        connection, send = self.connection, self._send
        if connection.state != OPEN or connection.closing or send is None:
            return
        self.instruments.ledger.close(connection, CODE_TRY_AGAIN_LATER)
        raw_send = connection.raw_send
        loop = asyncio.get_running_loop()
        self._closer = loop.create_task(_close(raw_send, send))
        # Whether or not it has taken the frame, and also where the consumer has ended meanwhile.
        loop.call_later(LINGER, abort, raw_send)

    # --- from the server ---

    def arrived(self, message: Message, now: float) -> int:
        """The server has handed over a message just now. Returns its size in bytes, or `CONTROL`, or `LAST`."""
        connection = self.connection
        # Without a call where that will do: this is the hot path.
        kind = message.get("type") if type(message) is dict else kind_of(message)
        if kind == "websocket.receive":
            counts = connection.counts
            if counts is None:
                connection.early += 1
            else:
                counts.arrived += 1
                connection.heard_at = now
            text = message.get("text")
            return len(text) if type(text) is str else payload_size(message)
        if kind == "websocket.disconnect":
            connection.broken = connection.code is None and broke_off(connection.raw_send, message)
            parting = parting_of(connection.raw_send, message)
            self.instruments.ledger.disconnect(connection, message.get("code"), parting)
            # Nobody waits for more, but nothing would come either: silence is what it seems.
            connection.reading = True
            return LAST
        return CONTROL

    def reading(self, *, value: bool) -> None:
        """Whether anybody waits for what the client sends."""
        self.connection.reading = value

    def label(self, message: Message, known: str | None) -> str:
        """The type that a frame counts under: by the host's rule, else by its JSON content, else its kind."""
        if self._type_of is not None:
            name = self._type_of(message)
            if name is not None:
                return name
        return known or ("text" if message.get("text") is not None else "binary")

    # --- in the handler ---

    def at_work(self, inbox: Backlog | None = None) -> "Observer | None":
        """
        The task that runs the consumer asks what stands for it in the register; None: nobody looks.

        Args:
            inbox: Where its messages wait.
        """
        if not self.instruments.config.slow_detection:
            return None
        self.inbox, self.task = inbox, asyncio.current_task()
        return self

    def observe_dispatch(self, handler: Handler) -> Dispatch:
        """
        The consumer's ``dispatch``, with what becomes of each message counted.

        Returns:
            Takes a message, when it arrived in monotonic seconds (zero where that is not known) and its size in
            bytes, and returns when its handler ended.
        """
        # On the hot path: names are bound here, once per connection.
        monotonic, handled = self.monotonic, self._handled

        async def observed_dispatch(message: Message, arrived_at: float, size: int) -> float:
            started_at = self.started_at = monotonic()
            try:
                await handler(message)
            except (StopConsumer, asyncio.CancelledError):
                raise
            except Exception as error:
                # That the client has gone is how a connection ends: servers take it for no error of the consumer's.
                if _GONE not in vars(error):
                    self.instruments.handler_error(self.connection, str(kind_of(message)), error)
                raise
            finally:
                ended_at = monotonic()
                self.started_at = 0.0
                handled(message, size, started_at - arrived_at if arrived_at else None, ended_at - started_at)
            return ended_at

        return observed_dispatch

    def _handled(self, message: Message, size: int, waited: float | None, seconds: float) -> None:
        connection = self.connection
        counts = connection.counts or self.instruments.ledger.settle(connection)
        if size >= 0:
            name = connection.inbound_type
            connection.inbound_type = None
            if self._type_of is not None:
                name = self.label(message, name)
            elif name is None:
                name = "text" if message.get("text") is not None else "binary"
            try:
                counts.received[name] += 1
            except KeyError:
                counts.received[name] = 1
            counts.received_bytes += size
        elif size == FROM_LAYER:
            increment(counts.layer, kind_of(message) or OTHER)
            if connection.link is not None:
                connection.link.dispatched(counts, seconds)
        else:
            return
        # As `Histogram.observe` does, without the calls: this is the hot path, and most are in the first bucket.
        latency = counts.latency
        latency.counts[0 if seconds <= SHORTEST else bisect_left(LATENCY_BOUNDS, seconds)] += 1
        latency.sum += seconds
        if waited is not None:
            wait = counts.wait
            wait.counts[0 if waited <= SHORTEST else bisect_left(LATENCY_BOUNDS, waited)] += 1
            wait.sum += waited

    # --- around a loop that is not ours ---

    def observe_receive(self, receive: Receive) -> Receive:
        """The server's ``receive``, with everything that comes through it counted as arrived."""
        connection = self.connection

        async def observed_receive() -> Any:  # noqa: ANN401 - ASGI
            connection.reading = True
            try:
                message = await receive()
            finally:
                connection.reading = False
            now = connection.arrived_at = self.monotonic()
            self.arrived(message, now)
            self._unhandled.append(message)
            return message

        return observed_receive

    def observe_received(self, receive: Receive) -> Receive:
        """The server's ``receive`` where nothing is known of handlers: a message counts as received at once."""
        connection = self.connection

        async def observed_receive() -> Any:  # noqa: ANN401 - ASGI
            connection.reading = True
            try:
                message = await receive()
            finally:
                connection.reading = False
            self.arrived(message, self.monotonic())
            if kind_of(message) == "websocket.receive":
                self._count_unobserved(message)
            return message

        return observed_receive

    def observe_own_dispatch(self, handler: Handler) -> Handler:
        """The consumer's ``dispatch``, for a loop of the host's or of Channels' to call."""
        observed = self.observe_dispatch(handler)

        async def observed_own_dispatch(message: Message) -> None:
            self._dispatched = True
            entry = self.at_work()
            if entry is not None:
                BUSY.add(entry)
            try:
                await dispatched(message)
            finally:
                BUSY.discard(self)

        async def dispatched(message: Message) -> None:
            if self._unhandled and message is self._unhandled[0]:
                self._unhandled.pop(0)
                size = payload_size(message) if kind_of(message) == "websocket.receive" else CONTROL
                await observed(message, self.connection.arrived_at, size)
            else:
                await observed(message, 0.0, FROM_LAYER)

        return observed_own_dispatch

    def settle_unhandled(self) -> None:
        """The loop has ended: what it received and never dispatched is lost, unless it never dispatches at all."""
        if self._dispatched:
            self.lost_in_teardown([self._unhandled])
            self._lose_taken()
            return
        for message in self._unhandled:
            if kind_of(message) == "websocket.receive":
                self._count_unobserved(message)

    def _lose_taken(self) -> None:
        """A message that the loop had taken from the channel layer and not dispatched when it ended is lost."""
        link = self.connection.link
        if link is not None and link.undispatched():
            increment(self.instruments.ledger.settle(self.connection).lost, TEARDOWN, link.undispatched())

    def _count_unobserved(self, message: Message) -> None:
        """A message whose handler nobody sees counts as received."""
        counts = self.instruments.ledger.settle(self.connection)
        increment(counts.received, self.label(message, None))
        counts.received_bytes += payload_size(message)

    def lost_in_teardown(self, undispatched: list[list[Message]]) -> None:
        """The connection ended with messages in the inbox: those of the client first, then the layer's."""
        inbound = sum(kind_of(message) == "websocket.receive" for message in undispatched[0]) if undispatched else 0
        lost = inbound + sum(len(messages) for messages in undispatched[1:])
        if lost:
            counts = self.instruments.ledger.settle(self.connection)
            increment(counts.lost, TEARDOWN, lost)
            counts.inbound_lost += inbound


async def _close(raw_send: object, send: Send) -> None:
    """Send a close frame, as far as the server does that."""
    if send_close_frame(raw_send, CODE_TRY_AGAIN_LATER):
        return
    for code in (CODE_TRY_AGAIN_LATER, CODE_TRY_AGAIN_LATER_PRIVATE):
        try:
            # Where its buffers are full it waits, until the connection is dropped.
            await send({"type": "websocket.close", "code": code})
        except (OSError, RuntimeError):
            # What servers raise when the client has gone.
            return
        except Exception:  # noqa: BLE001, S112 - it refused the code, in whatever way
            continue
        return
