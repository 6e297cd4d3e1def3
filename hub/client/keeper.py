"""Keeps one connection alive: says what is due on time, and gives it up when its server is dead."""

import asyncio

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from hub.client.control import Control
from hub.clock import SYSTEM

#: What is said last keeps nobody from closing for longer.
LAST_SECONDS = 1.0


class Keeper:
    """The control frames of one connection, sent when `Control` says that they are due."""

    def __init__(self, connection: ClientConnection, control: Control) -> None:
        self._connection = connection
        self._control = control
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something may be due earlier than it was."""
        self._wake.set()

    async def run(self) -> None:
        """Return when the connection has ended or was given up."""
        control = self._control
        while True:
            due = control.next_due
            await self._sleep_until(due)
            now = SYSTEM.monotonic()
            if not control.late(due, now) and control.dead(now):
                self._connection.logger.info("no sign of life from the server: connecting anew")
                self._connection.transport.abort()
                return
            if not await self.say_due(now):
                return

    async def _sleep_until(self, due: float) -> None:
        """Return at a time, or when something may be due earlier."""
        wait = due - SYSTEM.monotonic()
        if wait <= 0:
            return
        try:
            async with asyncio.timeout(wait if wait < float("inf") else None):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def say_due(self, now: float) -> bool:
        """Send the control frame that is due, if one is. Returns False when the connection has ended."""
        # A server that reads nothing must not keep us from seeing that it says nothing either.
        return await self._say(self._control.due(now, SYSTEM.wall()), self._control.interval)

    async def say_last(self) -> None:
        """Confirm what was taken, before the connection is closed from here."""
        await self._say(self._control.last(), LAST_SECONDS)

    async def _say(self, frame: str | None, seconds: float) -> bool:
        if frame is None:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._connection.send(frame)
        except ConnectionClosed:
            return False
        except TimeoutError:
            pass
        return True
