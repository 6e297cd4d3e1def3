"""
A visitor: comes, talks, pauses, goes, comes back.

States: away, connecting, connected (greeting, then bursts and pauses), and away again; ``live`` walks through
them until it is cancelled. What is said in a visit is the business of the classes in ``clients``.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as plain_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Origin

from consumers.demo.traffic.pace import Pace
from consumers.demo.traffic.profiles import FLOOD_MESSAGES, Mishap, Profile
from consumers.demo.traffic.tally import Tally
from hub.client import HubSocket, connect

OPTIONS: Mapping[str, Any] = {"compression": None, "proxy": None, "open_timeout": 20, "close_timeout": 5}
"""How everybody connects."""
MAX_BACKOFF = 20
RETURN_WITHIN = 8
"""Seconds within which everybody whose connection was lost tries again."""
RELOAD_WITHIN = 2
"""Seconds that a reload takes at most."""

Connection = HubSocket | ClientConnection


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all visitors of a run share."""

    url: str
    """Where the server is: ``ws://host:port``."""
    origin: Origin
    profile: Profile
    pace: Pace
    door: asyncio.Semaphore
    """Held during a handshake."""
    tally: Tally


class Visitor:
    """The life of one visitor. Subclasses say where it goes, how it greets and what it says."""

    kind: ClassVar[str]
    pause: ClassVar[float] = 2.0
    """Mean seconds between two messages of a burst."""
    burst: ClassVar[tuple[int, int]] = (2, 8)
    """Fewest and most messages of a burst."""
    idle: ClassVar[float] = 12.0
    """Mean seconds between two bursts."""
    negotiated: ClassVar[float] = 0.0
    """Share of visits with the hub's client library; the others are plain WebSockets."""

    def __init__(self, name: str, tenant: str, surroundings: Surroundings, dice: random.Random) -> None:
        self.name = name
        self.tenant = tenant
        self.around = surroundings
        self.dice = dice
        self.connection: Connection | None = None
        self._lost = False
        self._reloads = False
        self._attempts = 0

    def path(self) -> str:
        """Where to connect to."""
        raise NotImplementedError

    async def greet(self) -> None:
        """Say what has to be said first."""

    async def speak(self) -> None:
        """Say one thing."""

    def is_said(self, message: str | bytes) -> bool:  # noqa: ARG002 - for those who hear more than was said
        """Whether the consumer has sent a message, rather than the hub."""
        return True

    async def live(self) -> None:
        """Come and go until cancelled."""
        await asyncio.sleep(self.dice.uniform(0, self.around.profile.arrival))
        while True:
            await self.visit()
            await asyncio.sleep(self._time_away())

    async def visit(self) -> None:
        """Connect and stay for a while; count how it began and how it ended."""
        async with self.around.door:
            connection = await self._open()
        if connection is None:
            return
        self.connection, self._lost, self._reloads, self._attempts = connection, False, False, 0
        self.around.tally.record_open()
        try:
            await self._stay(connection)
        finally:
            self.connection = None
            await self._close(connection)

    async def send(self, message: str | bytes) -> None:
        """Send a message when it is its turn."""
        await self.around.pace.wait()
        if self.connection is not None:
            await self.connection.send(message)
            self.around.tally.record_sent(message)

    async def befall(self, mishap: Mishap) -> None:
        """Have an accident, if there is a connection to have it with."""
        connection = self.connection
        if connection is None:
            return
        self._lost = mishap != "flood"
        with contextlib.suppress(ConnectionClosed):
            match mishap:
                case "hang_up":
                    await connection.close(code=1001)
                case "kill":
                    connection.transport.abort()
                case "flood":
                    for _ in range(FLOOD_MESSAGES):
                        await self.speak()

    async def open(self) -> Connection:
        """Connect, with the hub's client library or without; a visitor sees to it itself that it comes back."""
        url, options = self.around.url + self.path(), {"origin": self.around.origin, **OPTIONS}
        if self.dice.random() < self.negotiated:
            return await connect(url, reconnect_delays=None, **options)
        return await plain_connect(url, **options)

    async def _open(self) -> Connection | None:
        tally = self.around.tally
        self._attempts += 1
        try:
            return await self.open()
        except InvalidStatus as error:
            if error.response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                tally.refused += 1
                self._attempts = 0  # somebody answered: there is no hurry
            else:
                tally.failed += 1
        except (OSError, InvalidHandshake, EOFError):
            tally.unanswered += 1
        return None

    async def _stay(self, connection: Connection) -> None:
        """Talk and listen at the same time, until the visit is over or the connection lost."""
        listening = asyncio.create_task(self._listen(connection))
        talking = asyncio.create_task(self._talk(connection))
        try:
            await asyncio.wait({listening, talking}, return_when=asyncio.FIRST_COMPLETED)
            if talking.done():  # and has closed the connection: hear what was still on its way
                talking.result()
                await listening
            else:
                self._lost = True
                listening.result()
        finally:
            for task in (talking, listening):
                task.cancel()
            await asyncio.gather(talking, listening, return_exceptions=True)

    async def _listen(self, connection: Connection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                if self.is_said(message):
                    self.around.tally.record_received(message)

    async def _talk(self, connection: Connection) -> None:
        leaves_at = self._now() + self.dice.expovariate(1 / self.around.profile.visit) + 1
        with contextlib.suppress(ConnectionClosed):
            await self.greet()
            while self._now() < leaves_at:
                for _ in range(self.dice.randint(*self.burst)):
                    await self.speak()
                    await self._rest(self.pause, leaves_at)
                    if self._now() >= leaves_at:
                        break
                await self._rest(self.idle, leaves_at)
            await self._leave(connection)

    async def _rest(self, mean: float, until: float) -> None:
        pause = self.dice.expovariate(self.around.profile.tempo / mean)
        await asyncio.sleep(min(pause, max(0, until - self._now())))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _leave(self, connection: Connection) -> None:
        if self.dice.random() < self.around.profile.kill_share:
            connection.transport.abort()
        else:
            self._reloads = self.dice.random() < self.around.profile.reload_share
            await connection.close()

    async def _close(self, connection: Connection) -> None:
        """See to it that the connection is gone, and count it."""
        try:
            await connection.close()
        finally:
            self.around.tally.record_close(connection.close_code or 1006)

    def _time_away(self) -> float:
        """Return how long to stay away: longer each time that nobody answers, and never all at the same moment."""
        if self._attempts:
            return self.dice.uniform(0, min(MAX_BACKOFF, 2.0 ** min(self._attempts, 10)))
        if self._lost:
            return self.dice.uniform(0, RETURN_WITHIN)
        if self._reloads:
            return self.dice.uniform(0, RELOAD_WITHIN)
        return self.dice.expovariate(1 / self.around.profile.away)
