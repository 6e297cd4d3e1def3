"""
`HubSocket`: one conversation with a server, over as many connections as it takes.

It is *open* while a connection stands, *away* between two of them, and *ended* for good after `close`, a final close
code, or when there is no use in trying again. The library ``websockets`` does the protocol; what is ours is the
control frames (`hub.client.control`), what waits (`hub.client.queues`), and the way back.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Literal, Self, overload

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from websockets.protocol import State

from hub.client.control import Control, Message
from hub.client.fragments import Fragments, with_first_changed
from hub.client.keeper import Keeper
from hub.client.queues import Arrival, Inbox, Outbox
from hub.client.reconnect import BUSY_CODES, BUSY_SKIPS, STABLE_SECONDS, Resume, ResumeContext
from hub.clock import SYSTEM

#: What ends a conversation with an error of the block that it was used in (RFC 6455: internal error).
CODE_INTERNAL_ERROR = 1011
#: The end of a connection that nobody closed (RFC 6455).
CODE_ABNORMAL = 1006


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What `hub.client.connect` was told; it says what each of them means.

    Attributes:
        pings: The library's pings decide whether a negotiated connection lives, too.
    """

    delays: Callable[[], Iterator[float]]
    final_codes: Collection[int]
    resume: Resume | None
    negotiate: bool
    pings: bool


class HubSocket:
    """
    A WebSocket that comes back; used as ``websockets``' own ``ClientConnection`` is.

    Made by `hub.client.connect`, which says what can be set.

    Attributes:
        uri: Of the newest attempt, without the hub's parameter.
        connections: How many connections there were, the first one included.
    """

    def __init__(
        self, connection: ClientConnection, uri: str, reopen: Callable[[str], Awaitable[ClientConnection | None]],
        settings: Settings, *, inbox: Inbox, outbox: Outbox,
    ) -> None:  # fmt: skip
        self.uri = uri
        self._connection = connection
        self._reopen = reopen
        self._settings = settings
        self._waits = settings.delays()
        self._attempt = 0
        #: What the resume hook has said, to be sent first.
        self._first: list[Message] = []
        self._inbox = inbox
        self._outbox = outbox
        self._sending = asyncio.Lock()
        self._closing = False
        self._last: Exception | None = None
        self.connections = 0
        self._begin(connection)
        self._runner = asyncio.create_task(self._run(), name="hub.client")

    # --- what websockets' connection has ---

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol of the present connection, else of the last one."""
        return self._connection.subprotocol

    @property
    def latency(self) -> float:
        """The last round trip of the library's ping and pong, in seconds; zero before the first."""
        return self._connection.latency

    @property
    def close_code(self) -> int | None:
        """The code that ended the conversation; None as long as it lasts."""
        return self._connection.close_code if self._inbox.ended else None

    @property
    def close_reason(self) -> str | None:
        """The reason that came with `close_code`."""
        return self._connection.close_reason if self._inbox.ended else None

    @property
    def state(self) -> State:
        """``CONNECTING`` while it is away."""
        if self._inbox.ended:
            return State.CLOSED
        return self._connection.state if self.connected or self._closing else State.CONNECTING

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the library's
        """Whatever else the present connection has: ``ping``, ``remote_address``, ``request``, ``response``, ..."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._connection, name)

    # --- what it has not ---

    @property
    def connected(self) -> bool:
        """Whether a connection stands, so that nothing that is sent has to wait."""
        return self._open and self._connection.state is State.OPEN

    @property
    def negotiated(self) -> bool | None:
        """Whether the server speaks control frames; None until the first frame of a connection tells."""
        return self._control.negotiated

    @property
    def unsent(self) -> int:
        """Messages that wait for the connection to come back."""
        return len(self._outbox)

    # --- in ---

    @overload
    async def recv(self, decode: Literal[True]) -> str: ...

    @overload
    async def recv(self, decode: Literal[False]) -> bytes: ...

    @overload
    async def recv(self, decode: bool | None = None) -> Message: ...  # noqa: FBT001 - as the library

    async def recv(self, decode: bool | None = None) -> Message:  # noqa: FBT001 - as the library
        """
        The next message, from whichever connection. It counts as processed, and is confirmed, once it is taken.

        Args:
            decode: True: text for binary messages as well; False: bytes for text.

        Raises:
            ConnectionClosed: The conversation has ended; a connection that comes back raises nothing.
        """
        arrival = await self._inbox.take()
        if arrival is None:
            raise self._ending()
        if arrival.control.taken(SYSTEM.monotonic()):
            self._keeper.wake()
        if isinstance(arrival.frame, str):
            return arrival.frame.encode() if decode is False else arrival.frame
        return arrival.frame.decode() if decode is True else arrival.frame

    async def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Message]:  # noqa: FBT001 - as the library
        """The next message, whole: as a single fragment."""
        yield await self.recv(decode)

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Messages until the conversation ends; an end with an error raises `ConnectionClosedError`."""
        try:
            while True:
                yield await self.recv()
        except ConnectionClosedOK:
            return

    def _lag(self) -> float:
        oldest_at = self._inbox.oldest_at
        return 0.0 if oldest_at is None else SYSTEM.monotonic() - oldest_at

    # --- out ---

    async def send(self, message: Message | Fragments, *, text: bool | None = None) -> None:
        """
        Send a message: at once, or when the connection is back, in the order of the calls.

        One that was handed to a connection just before that broke may be lost; none is ever sent twice. Messages in
        fragments don't wait: they need a connection.

        Args:
            text: False: text in a binary frame; True: UTF-8 bytes in a text frame.

        Raises:
            ConnectionClosed: The conversation has ended.
            UnsentLimitError: The connection is away and too much waits already.
        """
        if isinstance(message, (bytearray, memoryview)):
            message = bytes(message)
        async with self._sending:
            if self._inbox.ended or self._closing:
                raise self._ending()
            if not isinstance(message, (str, bytes)):
                await self._send_fragments(message, text)
                return
            in_text = isinstance(message, str) if text is None else text
            if self._caught_up and self.connected:
                await self._hand_over(message, text=in_text)
            else:
                self._outbox.put(message, text=in_text)

    async def _hand_over(self, message: Message, *, text: bool) -> None:
        """Give a message to the connection, which stands: nobody else gets a turn before it is in the socket."""
        try:
            await self._connection.send(self._control.outgoing(message, text=text), text=text)
        except ConnectionClosed as error:
            self._connection.logger.debug("a message was under way when the connection broke: %s", error)

    async def _send_fragments(self, fragments: Fragments, text: bool | None) -> None:  # noqa: FBT001 - as the library
        if isinstance(fragments, Mapping):
            raise TypeError("a dictionary is no message; send json.dumps(...) of it")
        control = self._control

        def outgoing(fragment: Message) -> Message:
            return control.outgoing(fragment, text=isinstance(fragment, str) if text is None else text)

        await self._connection.send(with_first_changed(fragments, outgoing), text=text)

    # --- one connection after the other ---

    def _begin(self, connection: ClientConnection) -> None:
        """A connection stands."""
        self._connection = connection
        self._opened_at = SYSTEM.monotonic()
        self._control = Control(self._opened_at, self._lag, asked=self._settings.negotiate)
        self._keeper = Keeper(connection, self._control)
        self._caught_up = not self.connections
        self._open = True
        self.connections += 1

    async def _run(self) -> None:
        """The whole conversation."""
        try:
            await self._converse()
            while connection := await self._come_back():
                self._begin(connection)
                await self._converse()
        except Exception as error:  # noqa: BLE001 - whoever receives or sends is told
            self._last = error
        finally:
            if self._connection.state is not State.CLOSED:
                self._connection.transport.abort()
            self._inbox.end()

    async def _converse(self) -> None:
        """Read until the connection ends; meanwhile say what is due and what has waited."""
        connection, control = self._connection, self._control
        ended = asyncio.create_task(connection.wait_closed())
        tasks = [ended, asyncio.create_task(self._keeper.run())]
        if not self._caught_up:
            tasks.append(asyncio.create_task(self._catch_up()))
        try:
            while True:
                await self._read(connection, control, ended)
        except ConnectionClosed as error:
            self._last = error
        finally:
            self._open = False
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionClosed):
                    self._connection.logger.error("the client library failed", exc_info=outcome)

    async def _read(self, connection: ClientConnection, control: Control, ended: asyncio.Future[None]) -> None:
        """Read one frame; one for the application has to wait for room."""
        received = await connection.recv()
        now, first = SYSTEM.monotonic(), control.negotiated is None
        frame = control.receive(received, now)
        if frame is not None:
            if self._inbox.full:
                await self._park(control, ended)
            if not self._inbox.put(Arrival(frame, control, now)):
                connection.logger.warning("a connection has ended while nobody took what it brought: a frame is lost")
            return
        if first:
            if not self._settings.pings:
                # Heartbeats tell more: while the application takes nothing, pongs lie unread behind its frames.
                connection.ping_timeout = None
            # Nobody gets a turn before this heartbeat is in the socket: from it on the server knows that we escape
            # what begins with U+0000.
            await self._keeper.say_due(now)
        self._keeper.wake()

    async def _park(self, control: Control, ended: asyncio.Future[None]) -> None:
        """Read nothing until the application takes something; a connection that ends meanwhile is noticed."""
        control.parked = True
        await self._inbox.wait_for_room(ended)
        control.resumed(SYSTEM.monotonic())
        self._keeper.wake()

    # --- the way back ---

    async def _come_back(self) -> ClientConnection | None:
        """Connect again; None if there is no use in it or nobody wants it any more."""
        if self._closing or self._connection.close_code in self._settings.final_codes:
            return None
        if SYSTEM.monotonic() - self._opened_at >= STABLE_SECONDS:
            self._waits, self._attempt = self._settings.delays(), 0
        if self._connection.close_code in BUSY_CODES:
            for _ in islice(self._waits, BUSY_SKIPS):
                pass
        for delay in self._waits:
            self._connection.logger.info("connection lost; next attempt in %.1f s", delay)
            await asyncio.sleep(delay)
            self._attempt += 1
            if await self._prepare():
                connection = await self._reopen(self.uri)
                if connection is not None:
                    return connection
        return None

    async def _prepare(self) -> bool:
        """Let the resume hook say where to connect and what goes out first; False: it failed, and so this attempt."""
        last = self._connection
        context = ResumeContext(self.uri, self._attempt, last.close_code or CODE_ABNORMAL, last.close_reason or "")
        try:
            hook = None if self._settings.resume is None else self._settings.resume(context)
            if inspect.isawaitable(hook):
                await hook
        except Exception:
            # Whoever wrote the hook finds out here.
            last.logger.exception("the resume hook failed")
            return False
        self.uri, self._first = context.uri, context.messages
        return True

    async def _catch_up(self) -> None:
        """On a new connection: say what resumes the conversation, then what has waited; all others wait meanwhile."""
        async with self._sending:
            for message in self._first:
                await self._hand_over(message, text=isinstance(message, str))
            while self._outbox:
                message, text = self._outbox.first()
                if not self.connected:
                    return
                # Before it is sent: it may be lost, but never sent twice.
                self._outbox.drop_first()
                await self._hand_over(message, text=text)
            self._caught_up = True

    # --- the end ---

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the conversation, for good. What still waits for a connection is dropped."""
        self._closing = True
        self._inbox.lift()
        if self._open:
            await self._keeper.say_last()
            await self._connection.close(code, reason)
        else:
            self._runner.cancel()
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Return once the conversation has ended."""
        await asyncio.wait([self._runner])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close(1000 if kind is None else CODE_INTERNAL_ERROR)

    def _ending(self) -> ConnectionClosed:
        """Why the conversation has ended; a new one for each who asks."""
        last = self._last
        if isinstance(last, ConnectionClosed):
            return type(last)(last.rcvd, last.sent, last.rcvd_then_sent)
        error = (ConnectionClosedOK if self._closing else ConnectionClosedError)(None, None)
        error.__cause__ = last
        return error
