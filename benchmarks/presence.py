"""
What presence costs: processor time and memory of members, and a walk through a large roster.

In process, with a clock moved by hand: real connection records with a heartbeat every 30 s each, and everything that
the node does with them (evidence, sweep, digests, bus, roster). The heartbeats themselves, which have to be received,
decoded and answered, are measured on real servers, beside a raw ASGI echo that gets the same frames at the same rate.
"""

import argparse
import asyncio
import gc
import json
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks import figures
from benchmarks.apps import Side
from benchmarks.children import Child
from benchmarks.figures import Measurement, Row, Spread, Verdict
from benchmarks.load import LoadClient
from benchmarks.machine import Machine, pin
from benchmarks.servers import ServerKind, start_server

if TYPE_CHECKING:
    from hub.core.ledger import Connection

#: Members to which all processor time is put in relation, and seconds between two heartbeats of each.
MEMBERS = 10_000
INTERVAL = 30.0
ROSTER = 100_000
PAGE = 200
TENANTS = 20
#: Simulated seconds in which nothing is measured yet: every member has been heard, every buffer has its size.
WARM_UP = 60


def measure_presence(
    kinds: Sequence[ServerKind], machine: Machine, rounds: int, minutes: int, beating: tuple[int, float],
    client: LoadClient,
) -> Measurement:  # fmt: skip
    """
    Measure members in process, then heartbeats on each server.

    Args:
        rounds: Of the measurement in process.
        minutes: Simulated ones of each round.
        beating: Connections that beat on a real server, and for how many seconds.
    """
    measurement = Measurement(f"presence: {MEMBERS:,} members, a heartbeat each every {INTERVAL:g} s")
    arguments = (f"--core={machine.server_core}", f"--rounds={rounds}", f"--minutes={minutes}")
    with Child("benchmarks.presence", *arguments) as child:
        found = {name: Spread.over(values) for name, values in child.read().items()}
    measurement.rows.append(_row("in process", "presence: evidence, sweep, digests, roster", found["cpu"]))
    measurement.verdicts.append(Verdict(figures.PRESENCE, "in process, presence alone", found["cpu"]))
    for kind in kinds:
        monitored, raw = (
            _measure_beating(kind, machine, side, *beating, client) for side in (Side.MONITORED, Side.RAW)
        )
        for what in ("silent", "beating"):
            measurement.rows.append(_row(kind, f"monitored, {what}", _once(monitored[what])))
        measurement.rows.append(_row(kind, "raw ASGI echo, the same frames", _once(raw["beating"])))
        added = _once(monitored["beating"] - raw["beating"])
        measurement.verdicts.append(Verdict(figures.PRESENCE, f"{kind}, all above the raw echo", added))
    walked = {name: found[name].median for name in ("memory", "join", "paging", "page")}
    measurement.notes.append(
        f"Memory of a member in presence and roster, beside its connection: {walked['memory']:,.0f} B."
    )
    measurement.notes.append(
        f"Roster of {ROSTER:,}: joined in {walked['join']:.1f} s; paged through, {PAGE} at a time, in"
        f" {walked['paging']:.2f} s, the slowest page in {walked['page'] * 1000:.1f} ms."
    )
    measurement.notes.append(
        f"On servers {beating[0]:,} connections beat at the true rate for {beating[1]:g} s; put in relation to"
        f" {MEMBERS:,}."
    )
    return measurement


def _once(figure: float) -> Spread:
    return Spread.over([figure])


def _row(where: str, what: str, share: Spread) -> Row:
    return Row({"where": where, "what": what, f"% of a core per {MEMBERS:,}": share})


# --- heartbeats on a real server ----------------------------------------------------------------------------------


def _measure_beating(
    kind: ServerKind, machine: Machine, side: Side, connections: int, seconds: float, client: LoadClient
) -> dict[str, float]:
    """Shares of a core, in percent per `MEMBERS`: of connections that say nothing, and of the same that beat."""
    with start_server(kind, side, machine.server_core) as server:
        client.hold_negotiated([server.address("echo")] * connections, greeted=side is Side.MONITORED)
        silent = client.beat(server, interval=None, seconds=seconds)
        beating = client.beat(server, interval=INTERVAL, seconds=seconds)
        client.release()
    scale = 100 * MEMBERS / connections
    return {"silent": silent * scale, "beating": beating * scale}


# --- members in process -------------------------------------------------------------------------------------------


class MovedClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + 1_700_000_000


class Stage:
    """A node with members, and time that passes by hand."""

    def __init__(self) -> None:
        from hub.bus.memory import MemoryBus
        from hub.conf import config
        from hub.fleet import roster, service
        from hub.instrument.state import Instruments
        from hub.node import presence
        from hub.node.node import Node

        self.clock = MovedClock()
        self.instruments = Instruments(config(), self.clock)
        self.node = Node(self.instruments, MemoryBus(self.clock.monotonic, 1000, 3600.0))
        presence.attach(self.node)
        service.attach(self.node)
        roster.attach(self.node)
        self.presence = self.node.part(presence.NodePresence)
        self.roster = self.node.part(roster.FleetRoster)
        self.connections: list[Connection] = []

    def open(self, count: int) -> None:
        """So many connections come in, nobody is a member yet."""
        from hub.core.control import Negotiated
        from hub.core.policy import Policy

        policy = Policy(interval=INTERVAL)
        for number in range(count):
            tenant = f"tenant-{number % TENANTS}"
            connection = self.instruments.ledger.open("benchmark", self.clock.now, partial(str, tenant))
            connection.member_of = partial(_member, number)
            connection.control = Negotiated(lambda: None)
            connection.policy = policy
            self.connections.append(connection)

    async def join(self) -> None:
        """All of them are accepted, a few at a time, as a real server's turns of the loop would have it."""
        for start in range(0, len(self.connections), 100):
            for connection in self.connections[start : start + 100]:
                self.instruments.accepted(connection)
            self.presence.flush()
            await asyncio.sleep(0)

    async def pass_seconds(self, seconds: int) -> None:
        """So many seconds: in each, its share of the members gives a heartbeat, and the node does what it does."""
        from hub.core.control import Heartbeat

        beat = Heartbeat(count=0, hidden=False, lag=0.0)
        period = int(INTERVAL)
        for _ in range(seconds):
            self.clock.now += 1.0
            now = self.clock.now
            for connection in self.connections[int(now) % period :: period]:
                connection.heard_at = now
                assert connection.control is not None
                connection.control.heartbeat(beat, now)
            await self.presence.sweep()
            await self.roster.tick(self.clock.wall())
            await asyncio.sleep(0)


def _member(number: int) -> tuple[tuple[str, str], frozenset[str]]:
    """An id, a name, and no groups."""
    return (f"member-{number:06}", f"Member {number}"), frozenset()


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.presence")
    for name in ("--core", "--rounds", "--minutes"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()
    pin(options.core)
    with tempfile.TemporaryDirectory(prefix="hub-benchmark-") as folder:
        from benchmarks.project import configure

        configure(Path(folder), monitored=True)
        found: dict[str, list[float]] = {name: [] for name in ("cpu", "memory", "join", "paging", "page")}
        for _ in range(options.rounds):
            found["cpu"].append(asyncio.run(_time_members(options.minutes)))
        for name, value in asyncio.run(_walk()).items():
            found[name].append(value)
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


async def _time_members(minutes: int) -> float:
    """The share of a core, in percent, that `MEMBERS` take."""
    stage = Stage()
    stage.open(MEMBERS)
    await stage.join()
    await stage.pass_seconds(WARM_UP)
    gc.collect()
    began = process_time()
    await stage.pass_seconds(60 * minutes)
    share = 100 * (process_time() - began) / (60 * minutes)
    members = stage.roster.page(tenants=None, limit=1).total
    if members != MEMBERS:
        raise RuntimeError(f"{members} of {MEMBERS} members are left, though all of them gave signs of life")
    await stage.node.stop()
    return share


async def _walk() -> dict[str, float]:
    """Join `ROSTER` members, and page through all of them."""
    stage = Stage()
    stage.open(ROSTER)
    before = _resident()
    began = perf_counter()
    await stage.join()
    joined = perf_counter() - began
    await stage.pass_seconds(2)
    memory = (_resident() - before) / ROSTER
    after: Any = None
    pages: list[float] = []
    found = 0
    while not pages or after is not None:
        began = perf_counter()
        page = stage.roster.page(tenants=None, after=after, limit=PAGE)
        pages.append(perf_counter() - began)
        found += len(page.members)
        after = page.next
    if found != ROSTER:
        raise RuntimeError(f"{found} of {ROSTER} members were on the pages")
    await stage.node.stop()
    return {"memory": memory, "join": joined, "paging": sum(pages), "page": max(pages)}


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    main()
