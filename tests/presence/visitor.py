"""
A client as a script: it speaks control frames, or doesn't, and falls silent when it is told to.

Run as a program it is a page in a process of its own, with our library's client in it, that can be stopped and killed:
``python -m tests.presence.visitor URL...``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from hub.core import control

WAIT = 20.0
"""Seconds that a test waits for what should happen at once."""


class Visitor:
    """
    One connection of a scripted client.

    Attributes:
        beating: Whether it gives signs of life by itself: a heartbeat each interval, and one for each probe.
        heard: Ordinary frames, in order.
        controls: Control frames, in order.
    """

    def __init__(self, connection: ClientConnection, *, negotiated: bool) -> None:
        self.connection = connection
        self.negotiated = negotiated
        self.beating = negotiated
        self.heard: list[str | bytes] = []
        self.controls: list[dict[str, Any]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    async def begin(self) -> Self:
        """Take the hello, if there is to be one, and go on by itself."""
        if self.negotiated:
            first = await asyncio.wait_for(self.connection.recv(), WAIT)
            assert isinstance(first, str)
            self._take_control(first)
            assert self.controls[0]["type"] == "hello"
            assert self.controls[0]["version"] == control.VERSION
            self._tasks.append(asyncio.create_task(self._beat(self.controls[0]["interval"])))
        self._tasks.append(asyncio.create_task(self._read()))
        return self

    async def _beat(self, interval: float) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                if self.beating:
                    await self.heartbeat()
                await asyncio.sleep(interval)

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                frame = await self.connection.recv()
                if self.negotiated and isinstance(frame, str) and control.is_control(frame):
                    self._take_control(frame)
                    if self.controls[-1]["type"] == "probe" and self.beating:
                        await self.heartbeat()
                else:
                    text = isinstance(frame, str) and self.negotiated
                    self.heard.append(control.unescaped(frame) if text else frame)  # type: ignore[arg-type]
                self._changed.set()

    def _take_control(self, frame: str) -> None:
        assert control.is_control(frame), frame
        self.controls.append(json.loads(frame[1:]))

    async def heartbeat(self, **fields: Any) -> None:
        """One sign of life."""
        beat = {"type": "heartbeat", "sent_at": time.time(), "hidden": False, "lag": 0.0, "count": len(self.heard)}
        await self.connection.send(control.MARK + json.dumps({**beat, **fields}))

    async def say(self, **content: Any) -> None:
        """Send an ordinary frame."""
        await self.connection.send(json.dumps(content))

    async def hear(self, **expected: Any) -> dict[str, Any]:
        """Wait until a JSON frame with these fields has come; returns it."""
        async with asyncio.timeout(WAIT):
            while True:
                for frame in self.heard:
                    content = json.loads(frame)
                    if expected.items() <= content.items():
                        return dict(content)
                self._changed.clear()
                await self._changed.wait()

    async def close(self) -> None:
        """Leave as a page that is closed does."""
        await self._end()
        await self.connection.close()

    async def vanish(self) -> None:
        """Be gone without a word."""
        await self._end()
        self.connection.transport.abort()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def visit(url: str, *, negotiated: bool = True) -> Visitor:
    """Open a connection; ``negotiated``: as a client of our library's would."""
    address = control.with_parameter(url) if negotiated else url
    # No compression: the frames are small, and the test's machine is too.
    connection = await connect(address, compression=None, ping_interval=None, open_timeout=WAIT)
    return await Visitor(connection, negotiated=negotiated).begin()


async def main(urls: list[str]) -> None:
    """Visit and stay, however often the server goes."""
    async with asyncio.TaskGroup() as group:
        for url in urls:
            group.create_task(stay(url))


async def stay(url: str) -> None:
    """Keep a conversation of our library's client open for good."""
    from hub.client import connect as connect_with_library

    async with connect_with_library(url) as socket:
        print("open", url, flush=True)
        async for _ in socket:
            pass


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
