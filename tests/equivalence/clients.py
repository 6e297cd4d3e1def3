"""The clients of the conversations: one on a real connection, one on Channels' communicator."""

import asyncio
import base64
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from hashlib import sha1
from typing import Any, cast
from urllib.parse import quote

from channels.testing import WebsocketCommunicator
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.frames import Close, Frame, Opcode
from websockets.typing import Subprotocol

from hub.core.control import MARK, PARAMETER, escaped, is_control, unescaped
from tests.equivalence.application import CONTROL_PATH, applications
from tests.equivalence.application import control as local_control
from tests.equivalence.control import PATIENCE
from tests.equivalence.script import DAPHNE, Transcript
from tests.equivalence.variants import Variant
from tests.equivalence.witness import Entry

#: Seconds that the network's end is waited for after both close frames.
LINGER = 15.0
#: Longer payloads are noted as their length and digest.
SHOWN = 200


class StepFailed(AssertionError):
    """A step waited for what can't come any more."""


def noted(data: str | bytes) -> Entry:
    """A frame as an entry of a transcript."""
    kind = "text" if isinstance(data, str) else "binary"
    raw = data.encode() if isinstance(data, str) else bytes(data)
    if len(raw) > SHOWN:
        return [kind, len(raw), sha1(raw, usedforsecurity=False).hexdigest()]
    return [kind, data if isinstance(data, str) else raw.hex()]


def type_of(message: Any) -> Any:
    """The type of an application's message, which may be no message at all."""
    return message.get("type") if isinstance(message, dict) else None


def targeted(consumer: str, variant: Variant, identity: str, query: str, room: str) -> str:
    """The path and query string of a connection; the query's values may hold ``{room}``."""
    pairs = [pair.partition("=") for pair in query.replace("{room}", room).split("&") if pair]
    asking = [PARAMETER] * variant.negotiated
    parts = [f"id={identity}", *asking, *(f"{key}={quote(value)}" for key, _, value in pairs)]
    return f"/{variant.name}/{consumer}/?{'&'.join(parts)}"


#: A sign of life that confirms nothing, and frames that are no sign of anything.
HEARTBEAT = MARK + '{"type":"heartbeat","count":0}'
GARBLED = MARK + '{"type":"confirm","count":-1}'


def spoken(texts: Iterable[str], room: str, *, negotiated: bool) -> list[str]:
    """The texts of a client as they travel; ours speaks in between."""
    plain = [text.replace("{room}", room) for text in texts]
    if not negotiated:
        return plain
    between = (HEARTBEAT, GARBLED)
    return [frame for text in plain for frame in (between[len(text) % 2], escaped(text))]


def heard(data: Any, *, negotiated: bool) -> Any:
    """A frame as the server meant it; None for a control frame."""
    if not negotiated or not isinstance(data, str):
        return data
    return None if is_control(data) else unescaped(data)


def expect_hello(data: Any) -> None:
    """The first frame of a negotiated connection."""
    if not isinstance(data, str) or not data.startswith(MARK + '{"type":"hello"'):
        raise StepFailed(f"{data!r:.80} where a hello was due")


class RemoteControl:
    """`Control` over a connection of its own."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket
        self._answers: dict[int, asyncio.Future[Any]] = {}

    async def __call__(self, verb: str, identity: str, argument: str) -> Any:
        reference = len(self._answers)
        self._answers[reference] = asyncio.get_running_loop().create_future()
        await self._websocket.send(json.dumps([reference, verb, identity, argument]))
        return await self._answers[reference]

    async def listen(self) -> None:
        """Hand answers to those who asked, until the connection is closed."""
        async for text in self._websocket:
            reference, error, answer = json.loads(text)
            if error is None:
                self._answers[reference].set_result(answer)
            else:
                self._answers[reference].set_exception(StepFailed(error))


@asynccontextmanager
async def remote_control(host: str) -> AsyncIterator[RemoteControl]:
    """Connect to the control of a server."""
    async with open_websocket(f"ws://{host}{CONTROL_PATH}", ping_interval=None, max_size=None, proxy=None) as websocket:
        control = RemoteControl(websocket)
        listening = asyncio.create_task(control.listen())
        yield control
        await websocket.close()
        await listening


class NetworkClient:
    """A WebSocket client that shows every frame, every code and no kindness."""

    def __init__(
        self, host: str, kind: str, consumer: str, variant: Variant, identity: str, room: str, remote: RemoteControl
    ) -> None:
        self.transcript = Transcript()
        self.identity, self.room = identity, room
        self._host, self._kind, self._remote = host, kind, remote
        self._consumer, self._variant = consumer, variant
        self._websocket: ClientConnection | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._pouring: asyncio.Task[None] | None = None

    @property
    def websocket(self) -> ClientConnection:
        assert self._websocket is not None, "not connected"
        return self._websocket

    @property
    def _transport(self) -> asyncio.WriteTransport:
        return self._writer.transport if self._writer else self.websocket.transport

    @property
    def _socket(self) -> socket.socket:
        return cast("socket.socket", self._transport.get_extra_info("socket"))

    async def connect(self, query: str, subprotocols: tuple[str, ...]) -> None:
        uri = f"ws://{self._host}{self._target(query)}"
        offered = [Subprotocol(name) for name in subprotocols] or None
        try:
            self._websocket = await open_websocket(
                uri, subprotocols=offered, compression=None, max_size=None, ping_interval=None,
                open_timeout=PATIENCE, close_timeout=LINGER, proxy=None,
            )  # fmt: skip
            # Little room between this client and the server, so that back-pressure is felt soon.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        except InvalidStatus as error:
            self._note(
                "refused", error.response.status_code, error.response.body.decode() if error.response.body else ""
            )
        except (InvalidMessage, EOFError, ConnectionError) as error:
            self._note("refused", type(error).__name__)
        else:
            response = self.websocket.response
            assert response is not None
            flavours = [value for name, value in response.headers.raw_items() if name.lower().startswith("x-")]
            self._note("open", self.websocket.subprotocol, flavours)
            if self._variant.negotiated:
                async with asyncio.timeout(PATIENCE):
                    expect_hello(await self.websocket.recv())
                with suppress(ConnectionClosed):
                    await self.websocket.send(HEARTBEAT)

    def _target(self, query: str) -> str:
        return targeted(self._consumer, self._variant, self.identity, query, self.room)

    async def _heard(self) -> str | bytes:
        """The next ordinary frame."""
        while True:
            data: str | bytes | None = heard(await self.websocket.recv(), negotiated=self._variant.negotiated)
            if data is not None:
                return data

    def _spoken(self, *texts: str) -> list[str]:
        return spoken(texts, self.room, negotiated=self._variant.negotiated)

    async def attempt(self, query: str) -> None:
        host, port = self._host.split(":")
        _, self._writer = await asyncio.open_connection(host, int(port))
        key = base64.b64encode(os.urandom(16)).decode()
        self._writer.write(
            f"GET {self._target(query)} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    async def text(self, text: str) -> None:
        for frame in self._spoken(text):
            await self.websocket.send(frame)

    async def flood(self, texts: tuple[str, ...], code: int | None = None) -> None:
        out = [Frame(Opcode.TEXT, text.encode()) for text in self._spoken(*texts)]
        if code is not None:
            out.append(Frame(Opcode.CLOSE, Close(code, "").serialize()))
        self.websocket.transport.write(b"".join(frame.serialize(mask=True) for frame in out))

    async def pour(self, count: int, size: int) -> None:
        async def send_all() -> None:
            for number in range(count):
                await self.websocket.send(number.to_bytes(4, "big") * (size // 4))

        self._pouring = asyncio.create_task(send_all())
        waiting = -1
        while not self._pouring.done() and waiting != self.websocket.transport.get_write_buffer_size():
            waiting = self.websocket.transport.get_write_buffer_size()
            await asyncio.sleep(0.3)
        if self._kind != DAPHNE:  # which takes whatever comes
            self._note("held back", not self._pouring.done())

    async def binary(self, data: bytes) -> None:
        await self.websocket.send(data)

    async def asgi(self, message: dict[str, Any]) -> None:
        raise StepFailed(f"no network carries {message}")

    async def frames(self, count: int) -> None:
        for _ in range(count):
            async with asyncio.timeout(PATIENCE):
                try:
                    self._note(*noted(await self._heard()))
                except ConnectionClosed:
                    raise StepFailed(f"{self.identity} closed after {self.transcript}") from None

    async def close(self, code: int | None, reason: str) -> None:
        if code is None:
            self.websocket.transport.write(Frame(Opcode.CLOSE, b"").serialize(mask=True))
            await self.closed()
        else:
            closing = asyncio.create_task(self.websocket.close(code, reason))
            await self.closed()
            await closing

    async def closed(self) -> None:
        async with asyncio.timeout(PATIENCE):
            try:
                while True:
                    self._note(*noted(await self._heard()))
            except ConnectionClosed:
                received = self.websocket.protocol.close_rcvd
                self._note("closed", received.code if received else 1006, received.reason if received else "")
            await self.websocket.wait_closed()

    async def kill(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        self._note("killed")

    async def over(self) -> None:
        await self._ask("ended", "")
        # Daphne does not notice that its application returned; uvicorn drops the connection without a close frame.
        await (self.close(1000, "") if self._kind == DAPHNE else self.closed())

    async def control(self, verb: str, argument: str) -> None:
        await self._ask(verb, argument.replace("{room}", self.room))

    async def finish(self) -> None:
        if self._pouring is not None:
            await self._pouring
        self.transcript.server = await self._ask("ended", "")
        if self._websocket is not None:
            self._websocket.transport.abort()
            await self._websocket.wait_closed()

    async def _ask(self, verb: str, argument: str) -> Any:
        try:
            return await self._remote(verb, self.identity, argument)
        except StepFailed as error:
            raise StepFailed(f"{error}; so far {self.transcript}") from None

    def _note(self, *entry: Any) -> None:
        self.transcript.client.append(list(entry))


class LocalClient:
    """The same on Channels' own communicator, playing the server's part where a close needs an answer."""

    def __init__(self, consumer: str, variant: Variant, identity: str, room: str) -> None:
        self.transcript = Transcript()
        self.identity, self.room = identity, room
        self._consumer, self._variant = consumer, variant
        self._open = False
        self._communicator: WebsocketCommunicator | None = None

    @property
    def communicator(self) -> WebsocketCommunicator:
        assert self._communicator is not None, "not connected"
        return self._communicator

    async def connect(self, query: str, subprotocols: tuple[str, ...]) -> None:
        await self._start(query, subprotocols)
        message = await self._output()
        if message is None:
            self._note("refused")
        elif type_of(message) == "websocket.accept":
            self._open = True
            self._note(
                "open", message.get("subprotocol"), [list(map(str, pair)) for pair in message.get("headers", [])]
            )
            if self._variant.negotiated:
                expect_hello((await self._any_output()).get("text"))
                await self.asgi({"type": "websocket.receive", "text": HEARTBEAT})
        else:
            self._note("first", repr(message))
            await self._disconnect(1006)

    async def attempt(self, query: str) -> None:
        await self._start(query, ())

    async def _start(self, query: str, subprotocols: tuple[str, ...]) -> None:
        target = targeted(self._consumer, self._variant, self.identity, query, self.room)
        application = applications[self._variant.name]
        self._communicator = WebsocketCommunicator(application, target, subprotocols=list(subprotocols))
        await self.communicator.send_input({"type": "websocket.connect"})

    async def text(self, text: str) -> None:
        for frame in spoken([text], self.room, negotiated=self._variant.negotiated):
            await self.asgi({"type": "websocket.receive", "text": frame})

    async def flood(self, texts: tuple[str, ...], code: int | None = None) -> None:
        for text in texts:
            await self.text(text)
        if code is not None:
            await self._disconnect(code)

    async def pour(self, count: int, size: int) -> None:
        for number in range(count):
            await self.binary(number.to_bytes(4, "big") * (size // 4))

    async def binary(self, data: bytes) -> None:
        await self.asgi({"type": "websocket.receive", "bytes": data})

    async def asgi(self, message: dict[str, Any]) -> None:
        self.communicator.input_queue.put_nowait(message)

    async def frames(self, count: int) -> None:
        for _ in range(count):
            message = await self._output()
            if message is None or type_of(message) == "websocket.close":
                raise StepFailed(f"{self.identity} ended with {message} after {self.transcript}")
            self._note(*self._frame(message))

    async def close(self, code: int | None, reason: str) -> None:
        await self._disconnect(1005 if code is None else code)

    async def closed(self) -> None:
        while (message := await self._output()) is not None and type_of(message) != "websocket.close":
            self._note(*self._frame(message))
        self._note("closed", repr(message))
        if message is not None:
            await self._disconnect(message.get("code", 1000))

    async def kill(self) -> None:
        await self._disconnect(1006)

    async def over(self) -> None:
        await local_control("ended", self.identity, "")

    async def control(self, verb: str, argument: str) -> None:
        await local_control(verb, self.identity, argument.replace("{room}", self.room))

    async def finish(self) -> None:
        self.transcript.server = await local_control("ended", self.identity, "")
        await asyncio.wait([self.communicator.future])
        while not self.communicator.output_queue.empty():
            message = self._meant(self.communicator.output_queue.get_nowait())
            if message is not None:
                self._note("late", repr(message))
        if not self.communicator.future.cancelled():
            self.communicator.future.exception()  # seen already, by the witness

    async def _disconnect(self, code: int) -> None:
        await self.asgi({"type": "websocket.disconnect", "code": code})

    async def _output(self) -> Any:
        """The next message of the application that is no control frame; None if it ends without another."""
        while (message := await self._any_output()) is not None:
            meant = self._meant(message)
            if meant is not None:
                return meant
        return None

    def _meant(self, message: Any) -> Any:
        if type_of(message) != "websocket.send" or not isinstance(message.get("text"), str):
            return message
        text = heard(message["text"], negotiated=self._variant.negotiated)
        return None if text is None else {**message, "text": text}

    async def _any_output(self) -> Any:
        getting = asyncio.ensure_future(self.communicator.output_queue.get())
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([getting, self.communicator.future], return_when=asyncio.FIRST_COMPLETED)
        if getting.done() or not self.communicator.output_queue.empty():
            return await getting
        getting.cancel()
        return None

    def _frame(self, message: Any) -> Entry:
        match message:
            case {"type": "websocket.send", "text": str(content), **others} if not others:
                return noted(content)
            case {"type": "websocket.send", "bytes": bytes(content), **others} if not others:
                return noted(content)
        return ["odd", repr(message)]

    def _note(self, *entry: Any) -> None:
        self.transcript.client.append(list(entry))
