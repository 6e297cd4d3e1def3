"""
What alert rules cost: processor time of one evaluation, as it comes each second.

In process, with a clock moved by hand: 50 rules of all looks, none of which looks at the same series as another, so
that nothing is shared. Every series has grown since the tick before; none of the rules fires.
"""

import argparse
import asyncio
import gc
import json
import sys
from collections.abc import Iterator
from statistics import median
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any

from benchmarks import figures
from benchmarks.children import Child
from benchmarks.figures import Measurement, Row, Spread, Verdict
from benchmarks.machine import Machine, pin

if TYPE_CHECKING:
    from hub.core.rules import Evaluator

RULES = 50
#: Series that each rule matches; the target is for the one in the middle.
SERIES = (50, 200, 800)
#: Ticks, ten seconds apart, before anything is measured: the windows are full. Then one a second.
WARM_UP, MEASURED = 14, 20
BEGIN = 1_000_000_000.0
LOOKS: tuple[dict[str, Any], ...] = (
    {"look": "level", "of": "ws_connections_active"},
    {"look": "count", "of": "ws_connections_total", "window": 60},
    {"look": "rate", "of": "ws_sent_bytes_total", "window": 120},
    {"look": "ratio", "of": "ws_connections_total", "under": "ws_sent_bytes_total", "window": 60},
    {"look": "share", "of": "ws_connections_total", "under": "ws_connections_active", "window": 60},
    {"look": "quantile", "of": "ws_message_latency_seconds", "quantile": 0.95, "window": 60},
    {"look": "change", "of": "ws_connections_total", "window": 60, "offset": 60},
)


def measure_rules(machine: Machine, rounds: int) -> Measurement:
    """Time evaluations of few and of many series, in a child on the servers' core."""
    with Child("benchmarks.rules", f"--core={machine.server_core}", f"--rounds={rounds}") as child:
        found = {int(series): values for series, values in child.read().items()}
    measurement = Measurement(f"rules: {RULES} of them, evaluated once")
    for series, values in found.items():
        taken, evaluated, late = ([one[place] * 1e3 for one in values] for place in (0, 1, 2))
        cells: dict[str, str | Spread] = {
            "series": f"{RULES * series:,}",
            "taking samples, ms": Spread.over(taken),
            "evaluating, ms": Spread.over(evaluated),
            "longest loop delay ms": Spread.over(late),
        }
        measurement.rows.append(Row(cells))
    few, middle, many = (found[series] for series in SERIES)
    spread = Spread.over([sum(one[:2]) * 1e3 for one in middle])
    growth = [sum(much[:2]) / SERIES[2] / (sum(less[:2]) / SERIES[0]) for less, much in zip(few, many, strict=True)]
    measurement.verdicts.append(Verdict(figures.RULES, "in process, samples included", spread))
    measurement.verdicts.append(Verdict(figures.RULES_GROWTH, "in process", Spread.over(growth)))
    return measurement


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.rules")
    for name in ("--core", "--rounds"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()
    pin(options.core)
    found = {
        series: [(*_time(series), asyncio.run(_watch(series))) for _ in range(options.rounds)] for series in SERIES
    }
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def _time(series: int) -> tuple[float, float]:
    """Processor seconds that taking a tick's samples and evaluating it take, each the median of some ticks."""
    ticks = list(_ticks(series))[WARM_UP:]
    return median(taken for taken, _ in ticks), median(evaluated for _, evaluated in ticks)


async def _watch(series: int) -> float:
    """Seconds by which a sleep of 1 ms on an event loop ends too late, at worst, while a thread evaluates."""
    ticks, longest = _ticks(series), 0.0
    for _ in range(WARM_UP + 1):
        next(ticks)
    evaluation = asyncio.get_running_loop().run_in_executor(None, list, ticks)
    while not evaluation.done():
        began = perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, perf_counter() - began - 0.001)
    return longest


def _ticks(series: int) -> Iterator[tuple[float, float]]:
    """Evaluate tick by tick; gives the processor seconds of taking the samples and of evaluating them."""
    evaluator, samples = _evaluator(), _samples(series)
    for tick in range(WARM_UP + MEASURED):
        now = BEGIN + 10 * min(tick, WARM_UP) + max(0, tick - WARM_UP)
        if tick == WARM_UP:
            gc.collect()
        began = thread_time()
        evaluator.take(samples, now)
        between = thread_time()
        changes = evaluator.evaluate(now)
        ended = thread_time()
        if changes:
            raise RuntimeError(f"nothing should fire: {changes[0]}")
        yield between - began, ended - between


def _evaluator() -> "Evaluator":
    from hub.alerting.sources import watched
    from hub.core.rulebook import read_rules
    from hub.core.rules import Evaluator

    common = {"above": 1e12, "severity": "high", "summary": "{value} at {consumer}"}
    written = {
        f"rule_{number}": {**common, **LOOKS[number % len(LOOKS)], "where": f"consumer!=nobody{number}"}
        for number in range(RULES)
    }
    rules, flaws = read_rules(written, watched(), "the benchmark")
    if flaws:
        raise RuntimeError(str(flaws[0]))
    return Evaluator(rules, watched(), BEGIN)


def _samples(series: int) -> dict[str, dict[tuple[str, ...], Any]]:
    from hub.core.latency import LATENCY_BOUNDS

    keys = [(f"consumer{number % 10}", f"tenant{number}") for number in range(series)]
    return {
        "ws_connections_active": dict.fromkeys(keys, 5.0),
        "ws_connections_total": dict.fromkeys(keys, 3),
        "ws_sent_bytes_total": dict.fromkeys(keys, 1000),
        "ws_message_latency_seconds": dict.fromkeys(keys, [1] * (len(LATENCY_BOUNDS) + 1)),
    }


if __name__ == "__main__":
    main()
