"""A run of traffic: everybody lives for a while, waves pass, lines are printed."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from websockets.typing import Origin

from consumers.demo.traffic.clients import KINDS
from consumers.demo.traffic.limits import allow_connections
from consumers.demo.traffic.pace import Pace
from consumers.demo.traffic.profiles import Profile, Wave, headcounts
from consumers.demo.traffic.tally import Progress, Tally, summary
from consumers.demo.traffic.visitor import Surroundings, Visitor

NAMES = ("ada", "ben", "cleo", "dora", "emil", "fay", "gus", "hana", "ivo", "june", "kofi", "lena", "milo", "nora")
FAREWELL = 10
"""Seconds that visitors have to close their connections at the end."""


def is_loopback(url: str) -> bool:
    """Tell whether a URL leads to this machine. Names other than localhost are not looked up: they may change."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def invite(surroundings: Surroundings, tenants: Sequence[str], seed: int) -> list[Visitor]:
    """Make the profile's visitors. The first tenant gets the most, the last the fewest; a seed repeats it all."""
    weights = range(len(tenants), 0, -1)
    visitors: list[Visitor] = []
    for kind, count in headcounts(surroundings.profile.visitors).items():
        for number in range(count):
            dice = random.Random(f"{seed}/{kind}/{number}")  # noqa: S311 - traffic, not secrets
            tenant = dice.choices(tenants, weights)[0]
            visitors.append(KINDS[kind](f"{dice.choice(NAMES)}-{number}", tenant, surroundings, dice))
    return visitors


class Run:
    """One run of a profile against one server; ``stop`` ends it early, from the same loop."""

    def __init__(self, url: str, profile: Profile, tenants: Sequence[str], seed: int) -> None:
        room = allow_connections(profile.visitors)
        self.profile = replace(profile, visitors=room)
        self.tally = Tally()
        origin = Origin(url.replace("ws", "http", 1).rstrip("/"))
        pace, door = Pace(profile.sends_per_second), asyncio.Semaphore(profile.handshakes)
        around = Surroundings(url.rstrip("/"), origin, self.profile, pace, door, self.tally)
        self.visitors = invite(around, tenants, seed)
        self._dice = random.Random(seed)  # noqa: S311 - traffic, not secrets
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End the run: everybody closes and goes."""
        self._stopped.set()

    async def run(self, duration: float | None, report: Callable[[str], None], every: float) -> Tally:
        """
        Let the visitors live for ``duration`` seconds, or until ``stop``; hand ``report`` a line now and then.

        Returns:
            What was counted, after every connection has been closed.
        """
        tasks = [asyncio.create_task(visitor.live()) for visitor in self.visitors]
        tasks += [asyncio.create_task(self._repeat(wave)) for wave in self.profile.waves]
        tasks.append(asyncio.create_task(self._report(report, every)))
        try:
            await self._wait(duration, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=FAREWELL)
        report(summary(self.tally))
        return self.tally

    async def _wait(self, duration: float | None, tasks: list[asyncio.Task[None]]) -> None:
        """Wait for the end. None of the tasks ends by itself: one that does has failed, and says why."""
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            done, _ = await asyncio.wait({stopped, *tasks}, timeout=duration, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        for task in done - {stopped}:
            task.result()

    async def _repeat(self, wave: Wave) -> None:
        while True:
            await asyncio.sleep(wave.every * self._dice.uniform(0.8, 1.2))
            connected = [visitor for visitor in self.visitors if visitor.connection is not None]
            struck = self._dice.sample(connected, int(len(connected) * wave.share))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wave.every):
                    await asyncio.gather(*(visitor.befall(wave.mishap) for visitor in struck))

    async def _report(self, report: Callable[[str], None], every: float) -> None:
        progress = Progress(self.tally, self.profile.visitors)
        start = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(every)
            report(progress.line(asyncio.get_running_loop().time() - start))
