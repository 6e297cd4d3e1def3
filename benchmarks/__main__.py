"""`python -m benchmarks`: measure, print, and say which targets are met."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import perf_counter

from benchmarks.accounting import measure_accounting
from benchmarks.alerts import measure_alerts
from benchmarks.detectors import measure_shares
from benchmarks.figures import Measurement
from benchmarks.flags import measure_flags
from benchmarks.idle import measure_idle
from benchmarks.layers import measure_layers
from benchmarks.load import LoadClient
from benchmarks.machine import Machine, describe_machine
from benchmarks.memory import measure_memory
from benchmarks.presence import measure_presence
from benchmarks.report import make_json, render_machine, render_measurement, render_verdicts
from benchmarks.rules import measure_rules
from benchmarks.scrape import measure_scrape
from benchmarks.servers import ServerKind
from benchmarks.throughput import Effort, Workload, measure_throughput


class What(StrEnum):
    """What can be measured, in the order of a whole run."""

    ACCOUNTING = "accounting"
    ECHO = "echo"
    BROADCAST = "broadcast"
    QUERY = "query"
    SCRAPE = "scrape"
    MEMORY = "memory"
    PRESENCE = "presence"
    RULES = "rules"
    ALERTS = "alerts"
    DETECTORS = "detectors"
    FLAGS = "flags"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything: the whole run, or a quick look."""

    load: Effort
    accounting_pairs: int
    accounting_rounds: int
    scrapes: int
    connections: int
    memory_rounds: int
    presence_rounds: int
    presence_minutes: int
    beating: tuple[int, float]
    rules_rounds: int
    alerts: tuple[int, int, float]
    detectors: Effort
    idle: tuple[int, float, int]
    layer_messages: int
    storm: tuple[int, float]


WHOLE = Scale(
    Effort(1.0, 5), accounting_pairs=10_000, accounting_rounds=7, scrapes=7, connections=8_000, memory_rounds=2,
    presence_rounds=3, presence_minutes=2, beating=(8_000, 20.0), rules_rounds=5, alerts=(200, 2_000, 120.0),
    detectors=Effort(0.5, 5), idle=(1_000, 10.0, 4), layer_messages=2_000, storm=(10_000, 60.0),
)  # fmt: skip
QUICK = Scale(
    Effort(0.3, 1), accounting_pairs=5_000, accounting_rounds=3, scrapes=2, connections=1_000, memory_rounds=1,
    presence_rounds=1, presence_minutes=1, beating=(2_000, 4.0), rules_rounds=1, alerts=(20, 500, 15.0),
    detectors=Effort(0.2, 1), idle=(200, 5.0, 1), layer_messages=500, storm=(1_000, 6.0),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the benchmarks: where, with what, and how much."""

    machine: Machine
    kinds: list[ServerKind]
    scale: Scale
    client: LoadClient

    def measure(self, what: What) -> Iterator[Measurement]:
        measure: dict[What, Callable[[], Measurement]] = {
            What.ACCOUNTING: self._measure_accounting,
            What.SCRAPE: self._measure_scrape,
            What.MEMORY: self._measure_memory,
            What.PRESENCE: self._measure_presence,
            What.RULES: self._measure_rules,
            What.ALERTS: self._measure_alerts,
            What.FLAGS: self._measure_flags,
        }
        if what is What.DETECTORS:
            yield from self._measure_detectors()
        elif what in measure:
            yield measure[what]()
        else:
            yield self._measure_throughput(Workload(what))

    def _measure_throughput(self, workload: Workload) -> Measurement:
        return measure_throughput(workload, self.kinds, self.machine, self.scale.load, self.client)

    def _measure_accounting(self) -> Measurement:
        return measure_accounting(self.machine, self.scale.accounting_pairs, self.scale.accounting_rounds)

    def _measure_scrape(self) -> Measurement:
        return measure_scrape(self.machine, self.scale.scrapes, self.client)

    def _measure_memory(self) -> Measurement:
        scale = self.scale
        return measure_memory(self.kinds, self.machine, scale.connections, scale.memory_rounds, self.client)

    def _measure_presence(self) -> Measurement:
        scale = self.scale
        return measure_presence(
            self.kinds, self.machine, scale.presence_rounds, scale.presence_minutes, scale.beating, self.client
        )

    def _measure_rules(self) -> Measurement:
        return measure_rules(self.machine, self.scale.rules_rounds)

    def _measure_alerts(self) -> Measurement:
        return measure_alerts(self.kinds, self.machine, *self.scale.alerts)

    def _measure_detectors(self) -> Iterator[Measurement]:
        scale, machine = self.scale, self.machine
        pairs, rounds = scale.accounting_pairs, scale.accounting_rounds
        yield measure_shares(self.kinds, machine, pairs, rounds, scale.detectors, self.client)
        yield measure_idle(self.kinds, machine, *scale.idle, self.client)
        yield measure_layers(machine, scale.layer_messages, scale.detectors.rounds)

    def _measure_flags(self) -> Measurement:
        return measure_flags(self.kinds, self.machine, *self.scale.storm)


def main() -> int:
    options = _parse()
    began = perf_counter()
    machine = describe_machine()
    print(render_machine(machine))
    with _start_client(machine.client_core) as client:
        run = Run(machine, options.server, QUICK if options.quick else WHOLE, client)
        measurements = list(_measure_all(run, options.only))
    print(render_verdicts([verdict for measurement in measurements for verdict in measurement.verdicts]))
    print(f"\n{'A quick look' if options.quick else 'The run'} took {perf_counter() - began:.0f} s.")
    if options.json is not None:
        choices = {"only": options.only, "server": options.server, "quick": options.quick}
        options.json.write_text(make_json(machine, choices, measurements), encoding="utf-8")
    return 0


def _measure_all(run: Run, choice: list[What]) -> Iterator[Measurement]:
    for what in What:
        if what in choice:
            for measurement in run.measure(what):
                print(render_measurement(measurement), flush=True)
                yield measurement


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure against the design's targets.")
    parser.add_argument(
        "--only", nargs="+", type=What, choices=list(What), default=list(What), metavar="WHAT",
        help=f"measure only some of {', '.join(What)}",
    )  # fmt: skip
    parser.add_argument(
        "--server", nargs="+", type=ServerKind, choices=list(ServerKind), default=list(ServerKind), metavar="SERVER",
        help=f"only on some of {', '.join(ServerKind)}",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a look of some three minutes; figures are rough")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything to FILE")
    return parser.parse_args()


@contextmanager
def _start_client(core: int) -> Iterator[LoadClient]:
    client = LoadClient(core)
    try:
        yield client
    finally:
        client.end()


if __name__ == "__main__":
    sys.exit(main())
