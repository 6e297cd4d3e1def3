"""
Control frames of one connection, the server's side: the hello after accept, what the client says, what it is told.

A connection whose client asked for control frames is *silent* until it is accepted, then *greeted* with a hello. A
client that has seen the hello answers with a heartbeat at once: from its first control frame on it is *speaking*.
Only then does U+0000 at the beginning of its frames mean anything; what it sent before, it sent as a plain client.

What has to go out goes out beside the consumer's own frames: nobody waits for it, at most one is on its way.
"""

import asyncio
from typing import Any

from hub.core.control import (
    MARK,
    VERSION,
    Confirm,
    Negotiated,
    decode,
    encode,
    escaped,
    is_control,
    take_parameter,
    unescaped,
)
from hub.core.ledger import CONNECTING, OPEN, Connection
from hub.faults import record_fault
from hub.instrument.inbox import YIELD_MESSAGES, Message, Receive, Send, kind_of, payload_size
from hub.instrument.servers import drops_empty_frames, waits_before_it_sends
from hub.instrument.state import Instruments


def take_parameter_of(scope: Any) -> bool:  # noqa: ANN401 - ASGI
    """Whether a connection's client asks for control frames; nobody further in sees that it did."""
    query = scope.get("query_string")
    if not isinstance(query, bytes):
        return False
    # In place: the scope may be known by its identity.
    rest, asked = take_parameter(query)
    if asked:
        scope["query_string"] = rest
    return asked


class ControlFrames:
    """
    The control frames of one connection.

    Args:
        instruments: Those of the process.
        connection: The record of the connection.
        interval: Seconds between two heartbeats of the client.
        send: Where control frames go out: what the consumer's own frames go out through.
    """

    __slots__ = ("_drops_empty", "_greeting", "_instruments", "_interval", "_send", "_speaking", "_taken", "_task",
                 "connection")  # fmt: skip

    def __init__(self, instruments: Instruments, connection: Connection, interval: float, send: Send) -> None:
        self.connection = connection
        self._instruments = instruments
        self._interval = interval
        self._send = send
        self._drops_empty = drops_empty_frames(connection.raw_send or send)
        #: What frames of the consumer wait for, from the accept until the hello has gone out.
        self._greeting: asyncio.Event | None = None
        self._speaking = False
        self._taken = 0
        self._task: asyncio.Task[None] | None = None

    # --- towards the client ---

    def observe_send(self, send: Send) -> Send:
        """The server's ``send``, with the consumer's frames counted, escaped, and kept behind the hello."""
        connection = self.connection

        async def escaping_send(message: Any) -> Any:  # noqa: ANN401 - whatever the host passes on
            # Without a call where that will do: this is the hot path.
            kind = message.get("type") if type(message) is dict else kind_of(message)
            if kind != "websocket.send":
                return await self._send_other(send, message)
            if self._greeting is not None:
                await self._greeting.wait()
            control, text = connection.control, message.get("text")
            if isinstance(text, str) and text.startswith(MARK) and control is not None:
                message = {**message, "text": escaped(text)}
            if control is None or connection.closing or (self._drops_empty and not payload_size(message)):
                return await send(message)
            # Before it is sent: the client may confirm it while we wait for the server.
            control.frames_sent += 1
            try:
                return await send(message)
            except Exception:
                control.frames_sent -= 1
                raise
            except asyncio.CancelledError:
                if waits_before_it_sends(connection.raw_send):
                    # Else its client would be one frame behind for ever.
                    control.frames_sent -= 1
                raise

        return escaping_send

    async def _send_other(self, send: Send, message: Any) -> Any:  # noqa: ANN401 - whatever the host passes on
        if kind_of(message) != "websocket.accept" or self.connection.state != CONNECTING:
            return await send(message)
        self._greeting = asyncio.Event()
        try:
            return await send(message)
        except BaseException:
            self._greeted()
            raise

    def negotiate(self) -> None:
        """The server has taken the accept: the connection is negotiated."""
        if self.connection.state == CONNECTING:
            self.connection.control = Negotiated(self.probe)

    async def greet(self) -> None:
        """Send the hello, once, before anything of the consumer can go out."""
        try:
            if self._greeting is not None:
                await self._deliver("hello", version=VERSION, interval=self._interval)
        finally:
            self._greeted()

    def _greeted(self) -> None:
        if self._greeting is not None:
            self._greeting.set()
            self._greeting = None

    def probe(self) -> None:
        """Ask the client for a heartbeat."""
        self._say("probe")

    def _say(self, kind: str) -> None:
        """Send a control frame with nobody waiting for it; none while one is on its way: the client reads slowly."""
        if self._task is None and self._open:
            self._task = asyncio.get_running_loop().create_task(self._said(kind))

    async def _said(self, kind: str) -> None:
        try:
            await self._deliver(kind)
        finally:
            self._task = None

    async def _deliver(self, kind: str, **fields: float) -> None:
        if not self._open:
            return
        try:
            text = encode(kind, **fields, at=self._instruments.clock.monotonic())
            await self._send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError):
            # What servers raise when the client has gone (FACTS: ClientDisconnected, Disconnected, RuntimeError).
            return
        except Exception as error:  # noqa: BLE001 - the border: the consumer never asked for this frame
            record_fault("control frames", error)

    @property
    def _open(self) -> bool:
        return self.connection.state == OPEN and not self.connection.closing

    def stop(self) -> None:
        """The connection has ended."""
        if self._task is not None:
            self._task.cancel()
        if self.connection.control is not None:
            # Else the record would keep this object, and with it the server's, alive.
            self.connection.control.probe = _unheard

    # --- from the client ---

    def observe_receive(self, receive: Receive) -> Receive:
        """The server's ``receive`` as the consumer would know it: without control frames, nothing escaped."""

        async def ordinary_receive() -> Any:  # noqa: ANN401 - ASGI
            while True:
                message = await receive()
                kind = message.get("type") if type(message) is dict else kind_of(message)
                text = message.get("text") if kind == "websocket.receive" else None
                if not isinstance(text, str) or not text.startswith(MARK):
                    return message
                if not self._take(text):
                    return self._as_meant(message, text)
                self._taken += 1
                if self._taken % YIELD_MESSAGES == 0:
                    # Some servers hand over what they have without a turn of the loop in between.
                    await asyncio.sleep(0)

        return ordinary_receive

    def _as_meant(self, message: Message, text: str) -> Message:
        return {**message, "text": unescaped(text)} if self._speaking else message

    def _take(self, text: str) -> bool:
        """Whether a frame is one of ours; if so, it is dealt with."""
        control = self.connection.control
        if control is None or not is_control(text):
            return False
        try:
            frame = decode(text)
        except ValueError:
            if not self._speaking:
                return False
            frame = None
        self._speaking = True
        now = self.connection.heard_at = self._instruments.clock.monotonic()
        ledger = self._instruments.ledger
        counts = ledger.settle(self.connection)
        try:
            if isinstance(frame, Confirm):
                control.confirm(frame.count, now)
            elif frame is None:
                counts.garbled += 1
            else:
                rtt = control.heartbeat(frame, now)
                counts.heartbeats += 1
                if rtt is not None:
                    counts.rtt.observe(rtt)
                self._say("heartbeat")
        except ValueError:
            counts.garbled += 1
        ledger.record_delivery(self.connection)
        return True


def _unheard() -> None:
    """A probe of a connection that has ended."""
