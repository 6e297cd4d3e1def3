"""
The server's side of one connection, in this loop: what a test sends, and all that the application sent.

Channels' own communicator switches the sweep of old connections off, so that it can't be used here.
"""

from __future__ import annotations

import asyncio
from typing import Any

Application = Any
Message = dict[str, Any]


class Peer:
    """
    One connection to an ASGI application.

    Args:
        application: To be called with a WebSocket scope.
        scope: What the scope has besides type, path and headers.
    """

    def __init__(self, application: Application, path: str = "/", **scope: Any) -> None:
        self.application = application
        self.scope: Message = {"type": "websocket", "path": path, "headers": [], "subprotocols": [], **scope}
        self.sent: list[Message] = []
        self.to_application: asyncio.Queue[Message] = asyncio.Queue()
        self.from_application: asyncio.Queue[Message] = asyncio.Queue()
        self.task: asyncio.Task[Any] | None = None

    async def send(self, message: Message) -> None:
        """What the application calls."""
        self.sent.append(message)
        self.from_application.put_nowait(message)

    def start(self) -> None:
        self.task = asyncio.create_task(self.application(self.scope, self.to_application.get, self.send))
        self.give({"type": "websocket.connect"})

    def give(self, message: Message) -> None:
        self.to_application.put_nowait(message)

    def text(self, *texts: str) -> None:
        for text in texts:
            self.give({"type": "websocket.receive", "text": text})

    def bytes(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.give({"type": "websocket.receive", "bytes": payload})

    async def next(self, seconds: float = 10.0) -> Message:
        """The next message of the application; its exception if it has ended with one instead."""
        assert self.task is not None
        answer = asyncio.create_task(self.from_application.get())
        await asyncio.wait({answer, self.task}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        if self.task.done():
            self.task.result()
        raise AssertionError(
            f"nothing came within {seconds} s" if not self.task.done() else "the application has ended"
        )

    async def connect(self) -> Message:
        self.start()
        return await self.next()

    async def ask(self, text: str) -> Any:
        self.text(text)
        return (await self.next()).get("text")

    async def end(self, seconds: float = 10.0) -> BaseException | None:
        """Wait until the application returns; gives what it raised."""
        assert self.task is not None
        await asyncio.wait({self.task}, timeout=seconds)
        assert self.task.done(), "the application goes on"
        return asyncio.CancelledError() if self.task.cancelled() else self.task.exception()

    async def disconnect(self, code: int = 1000) -> BaseException | None:
        self.give({"type": "websocket.disconnect", "code": code})
        return await self.end()

    async def cancel(self) -> BaseException | None:
        assert self.task is not None
        self.task.cancel()
        return await self.end()
