"""What a test of slowness needs: an operator's events as they come, clients, a twin that is healthy all the time."""

from __future__ import annotations

import asyncio
import inspect
import signal
import sys
import time
from contextlib import AsyncExitStack
from typing import Any, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.feed.site import Cookies, feed
from tests.slow import consumers
from tests.support.processes import ROOT
from tests.support.servers import Server

WAIT = 10.0
"""Seconds that a test waits for what should happen at once."""
THRESHOLD = 0.5
PROMISED = 0.25
"""Seconds after passing the threshold within which operators know (DESIGN.md, "Targets")."""

Message = dict[str, Any]


def line_of(mark: str) -> int:
    """The line of the consumers' source with a mark."""
    lines = inspect.getsource(consumers).splitlines()
    [found] = [number for number, line in enumerate(lines, start=1) if line.endswith(f"# {mark}") or mark in line]
    return found


class Reader:
    """A client that can be stopped."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    def stop(self) -> float:
        """It does nothing any more. Returns when, in seconds since the epoch."""
        self.process.send_signal(signal.SIGSTOP)
        return time.time()

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def end(self) -> None:
        self.process.kill()
        await self.process.communicate()


class Stage:
    """One operator at a site, and clients of its consumers."""

    def __init__(self, site: Server, cookies: Cookies) -> None:
        self.site = site
        self._cookies = cookies
        self._exits = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self.told: list[Message] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        operator = await self._exits.enter_async_context(feed(self.site, self._cookies))
        await operator.hear_until(type="hello")
        await operator.say(type="subscribe", ref="1", topics=["events"])
        await operator.hear_until(type="snapshot", topic="events")
        self._tasks.append(asyncio.create_task(self._listen(operator)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._exits.aclose()

    async def _listen(self, operator: Any) -> None:
        while True:
            message = await operator.hear_until(type="event")
            if message["kind"].startswith("slow."):
                self.told.append({**message, "heard_at": time.time()})
                self._news.set()

    async def client(self, consumer: str, tenant: str = "acme", **options: Any) -> ClientConnection:
        """A client of a consumer, connected until the end of the test."""
        url = f"{self.site.ws_url}/{tenant}/{consumer}/"
        return await self._exits.enter_async_context(connect(url, compression=None, max_size=None, **options))

    async def reader(self, consumer: str, first: str = "stream 50", tenant: str = "acme") -> Reader:
        """A negotiated client that reads in a process of its own, until the end of the test."""
        url = f"{self.site.ws_url}/{tenant}/{consumer}/"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.slow.reader", url, first, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        reader = Reader(process)
        self._exits.push_async_callback(reader.end)
        async with asyncio.timeout(WAIT):
            assert b"reads\n" == await reader.process.stdout.readline()
        return reader

    async def twin(self, consumer: str = "twin") -> None:
        """A client that sends and gets an answer, fifty times a second, until the end of the test."""
        client = await self.client(consumer)

        async def chatter() -> None:
            while True:
                await client.send("echo")
                await client.recv()
                await asyncio.sleep(0.02)

        self._tasks.append(asyncio.create_task(chatter()))

    async def hear(self, kind: str, cause: str, consumer: str) -> Message:
        """The event, as soon as it is there."""
        async with asyncio.timeout(WAIT):
            while True:
                self._news.clear()
                for message in self.told:
                    if (kind, cause, consumer) == (message["kind"], message["details"]["cause"], message["consumer"]):
                        return message
                await self._news.wait()

    async def ranked(self) -> list[Message]:
        """What the feed's topic ``slow`` says at the moment."""
        async with feed(self.site, self._cookies) as operator:
            await operator.hear_until(type="hello")
            await operator.say(type="subscribe", ref="1", topics=["slow"])
            rows: list[Message] = (await operator.hear_until(type="snapshot", topic="slow"))["slow"]
            return rows

    async def open_row(self, connection: str) -> Message:
        """The open row of a connection in the ranked list, as soon as it is there: nodes publish once a second."""
        async with asyncio.timeout(WAIT):
            while True:
                for row in await self.ranked():
                    if row["closed_at"] is None and row["connection"] == connection:
                        return row
                await asyncio.sleep(0.05)

    def causes(self) -> set[tuple[str, str]]:
        """Everything that was told of: consumer and cause."""
        return {(message["consumer"], message["details"]["cause"]) for message in self.told}

    def numbers(self) -> dict[str, float]:
        """The samples of ``/metrics`` that say how many are slow now, and how often something was."""
        return self.samples("ws_slow")

    def samples(self, prefix: str) -> dict[str, float]:
        """The samples of ``/metrics`` whose names begin so."""
        text = httpx.get(f"{self.site.url}/metrics", timeout=WAIT).text
        lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith(prefix)]
        return {name: float(value) for name, _, value in lines}

    def faults(self) -> str:
        """Everything that went wrong inside the hub."""
        text = httpx.get(f"{self.site.url}/metrics?name[]=hub_faults_total", timeout=WAIT).text
        return "".join(line for line in text.splitlines() if not line.startswith("#"))
