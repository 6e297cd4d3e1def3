"""A server that says what a test tells it to, and remembers what it was told; on a free port of 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from hub.core.control import encode, is_control

WAIT = 10.0
"""Seconds that a test waits for what should happen at once."""

Script = Callable[["Visit"], Awaitable[None]]


class Visit:
    """One connection, as the server sees it."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.path = connection.request.path
        self.frames: list[str | bytes] = []
        self.arrived = asyncio.Event()
        self.sent = 0

    async def hello(self, interval: float = 30.0, **fields: float) -> None:
        await self.connection.send(encode("hello", **{"version": 1, "interval": interval, "at": 7.5, **fields}))

    async def say(self, frame: str | bytes) -> None:
        await self.connection.send(frame)

    async def listen(self) -> None:
        """Remember what comes, and react to it, until the end."""
        with suppress(ConnectionClosed):
            while True:
                frame = await self.connection.recv()
                self.frames.append(frame)
                self.arrived.set()
                await self.react(frame)

    async def react(self, frame: str | bytes) -> None:
        """What a script has set in place of this; nothing by default."""

    async def answer(self, frame: str | bytes) -> None:
        """Answer a heartbeat as the hub does."""
        if control_of(frame).get("type") == "heartbeat":
            await self.say(encode("heartbeat", at=8.5))

    async def stay(self) -> None:
        """Wait for the end."""
        await self.connection.wait_closed()

    @property
    def controls(self) -> list[dict[str, Any]]:
        return [control_of(frame) for frame in self.frames if control_of(frame)]

    @property
    def ordinary(self) -> list[str | bytes]:
        return [frame for frame in self.frames if not control_of(frame)]

    async def until(self, met: Callable[[Visit], object]) -> None:
        async with asyncio.timeout(WAIT):
            while not met(self):
                self.arrived.clear()
                await self.arrived.wait()


def control_of(frame: str | bytes) -> dict[str, Any]:
    """What a control frame says; nothing if it is none."""
    return json.loads(frame[1:]) if isinstance(frame, str) and is_control(frame) else {}


class Server:
    """Each connection plays the next script, the last one again and again."""

    def __init__(self, scripts: list[Script]) -> None:
        self.scripts = scripts
        self.visits: list[Visit] = []
        self.came = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/room/"

    async def play(self, connection: ServerConnection) -> None:
        visit = Visit(connection)
        script = self.scripts[min(len(self.visits), len(self.scripts) - 1)]
        self.visits.append(visit)
        self.came.set()
        listening = asyncio.create_task(visit.listen())
        try:
            with suppress(ConnectionClosed):
                await script(visit)
        finally:
            listening.cancel()

    async def visit(self, number: int) -> Visit:
        """The connection of this number, the first one being 1, once it has come."""
        async with asyncio.timeout(WAIT):
            while len(self.visits) < number:
                self.came.clear()
                await self.came.wait()
        return self.visits[number - 1]


@asynccontextmanager
async def served(*scripts: Script, port: int = 0, **options: Any) -> AsyncIterator[Server]:
    """A running server; ``options`` are those of the library's ``serve``."""
    server = Server(list(scripts))
    async with serve(server.play, "127.0.0.1", port, compression=None, **options) as listening:
        server.port = next(iter(listening.sockets)).getsockname()[1]
        yield server
