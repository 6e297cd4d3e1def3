"""
Throughput and round trips: the same load on every side, round by round.

All servers of a block stand ready while one of them is loaded, and each round loads every side, so that whatever the
machine does meanwhile it does to all of them. A ratio is taken within its round; the median over the rounds decides.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum

from benchmarks import figures
from benchmarks.apps import Side
from benchmarks.figures import Measurement, Row, Spread, Target, Verdict
from benchmarks.load import Load, LoadClient
from benchmarks.machine import Machine
from benchmarks.servers import Server, ServerKind, start_server

CONNECTIONS = 50
ALL_SIDES = tuple(Side)
BARE_AND_MONITORED = (Side.BARE, Side.MONITORED)


class Workload(StrEnum):
    ECHO = "echo"
    BROADCAST = "broadcast"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class Case:
    """One load, to be put on each of `sides`."""

    workload: Workload
    connections: int
    in_flight: int
    sides: tuple[Side, ...]

    def run(self, client: LoadClient, server: Server, seconds: float) -> Load:
        load = client.broadcast if self.workload is Workload.BROADCAST else client.echo
        return load(server, self.workload, connections=self.connections, in_flight=self.in_flight, seconds=seconds)


CASES = (
    Case(Workload.ECHO, 1, 1, ALL_SIDES),
    Case(Workload.ECHO, CONNECTIONS, 1, ALL_SIDES),
    Case(Workload.ECHO, CONNECTIONS, 20, ALL_SIDES),
    Case(Workload.BROADCAST, CONNECTIONS, 1, BARE_AND_MONITORED),
    Case(Workload.BROADCAST, CONNECTIONS, 20, BARE_AND_MONITORED),
    Case(Workload.QUERY, CONNECTIONS, 1, BARE_AND_MONITORED),
    Case(Workload.QUERY, CONNECTIONS, 20, BARE_AND_MONITORED),
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure: seconds a load, and rounds."""

    seconds: float
    rounds: int


Loads = dict[Side, list[Load]]


def measure_throughput(
    workload: Workload, kinds: Sequence[ServerKind], machine: Machine, effort: Effort, client: LoadClient
) -> Measurement:
    """Measure one workload on each server, all sides and loads."""
    measurement = Measurement(f"{workload}: throughput and round trips")
    for kind in kinds:
        for case, loads in _measure_server(workload, kind, machine, effort, client):
            measurement.rows.extend(_make_rows(case, kind, loads))
            measurement.verdicts.extend(_judge(case, kind, loads))
    measurement.notes.extend(_NOTES[workload])
    return measurement


def _measure_server(
    workload: Workload, kind: ServerKind, machine: Machine, effort: Effort, client: LoadClient
) -> Iterator[tuple[Case, Loads]]:
    cases = [case for case in CASES if case.workload is workload]
    sides = {side for case in cases for side in case.sides}
    with ExitStack() as stack:
        servers = {
            side: stack.enter_context(start_server(kind, side, machine.server_core)) for side in Side if side in sides
        }
        for case in cases:
            yield case, _measure_case(case, servers, effort, client)


def _measure_case(case: Case, servers: dict[Side, Server], effort: Effort, client: LoadClient) -> Loads:
    loads: Loads = {side: [] for side in case.sides}
    for number in range(effort.rounds):
        # Every round begins with another side: none is always the first after a pause.
        turn = number % len(case.sides)
        for side in (*case.sides[turn:], *case.sides[:turn]):
            loads[side].append(case.run(client, servers[side], effort.seconds))
    return loads


def _make_rows(case: Case, kind: ServerKind, loads: Loads) -> Iterator[Row]:
    for side in case.sides:
        yield Row(
            {
                "server": kind,
                "connections": str(case.connections),
                "in flight": str(case.in_flight),
                "side": side,
                "messages/s": Spread.over([load.rate for load in loads[side]]),
                "x bare": _divide(loads[side], loads[Side.BARE]),
                "CPU us/message": Spread.over([load.cost * 1e6 for load in loads[side]]),
                # With more in flight a round trip is the length of the queue that the load itself has made.
                "p50 ms": Spread.over([load.p50 * 1e3 for load in loads[side]]) if case.in_flight == 1 else "",
                "p99 ms": Spread.over([load.p99 * 1e3 for load in loads[side]]) if case.in_flight == 1 else "",
            }
        )


def _judge(case: Case, kind: ServerKind, loads: Loads) -> Iterator[Verdict]:
    if case.connections == 1:
        return
    where = f"{kind}, {case.in_flight} in flight"
    for target, other in _list_targets(case):
        yield Verdict(target, where, _divide(loads[Side.MONITORED], loads[other]))


def _list_targets(case: Case) -> list[tuple[Target, Side]]:
    if case.workload is Workload.QUERY:
        return [(figures.QUERY, Side.BARE)]
    if case.workload is Workload.ECHO:
        return [(figures.ECHO_1 if case.in_flight == 1 else figures.ECHO_20, Side.BARE), (figures.ECHO_RAW, Side.RAW)]
    return []


def _divide(loads: list[Load], others: list[Load]) -> Spread:
    return Spread.over([load.rate / other.rate for load, other in zip(loads, others, strict=True)])


_NOTES = {
    Workload.ECHO: [
        "100-byte text frames. With one connection the round trip is that of an idle server; with 50 it is a queue's.",
        "recipe: three prometheus_client labels() calls a message. OpenTelemetry and Sentry sample all, send nothing.",
    ],
    Workload.BROADCAST: [
        "One sender, 50 receivers, in-memory layer. messages/s are deliveries; a round trip ends when all have it.",
    ],
    Workload.QUERY: ["One row of a SQLite file by primary key, through database_sync_to_async, on every message."],
}
