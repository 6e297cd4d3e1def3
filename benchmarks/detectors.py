"""
What each detector costs of a message.

With one after the other switched off, in turn, so that what it adds is what is missing without it; in process, where
nothing else is measured, and end to end.
"""

import argparse
import asyncio
import gc
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Any

from benchmarks.accounting import Variant, build, time_pairs
from benchmarks.apps import Side
from benchmarks.children import Child
from benchmarks.figures import Measurement, Row, Spread
from benchmarks.load import LoadClient
from benchmarks.machine import Machine, pin
from benchmarks.servers import ServerKind, start_server
from benchmarks.throughput import CONNECTIONS, Effort
from hub.core.control import PARAMETER

IN_FLIGHT = 20


class Without(StrEnum):
    """What is switched off."""

    NOTHING = "nothing"
    SLOWNESS = "slow detection"
    LAYERS = "instrumented layers"
    CONTROL = "control frames"
    PRESENCE = "presence"
    ALL = "all of these"


SETTINGS: dict[Without, dict[str, bool]] = {
    Without.NOTHING: {},
    Without.SLOWNESS: {"SLOW_DETECTION": False},
    Without.LAYERS: {"LAYERS": False},
    Without.CONTROL: {"CONTROL_FRAMES": False},
    Without.PRESENCE: {"PRESENCE": False},
}
SETTINGS[Without.ALL] = {key: value for settings in list(SETTINGS.values()) for key, value in settings.items()}

#: Seconds a message pair, round by round.
Costs = list[float]


def as_argument(without: Without) -> str:
    """The argument of a child in which that is switched off."""
    return f"--hub={json.dumps(SETTINGS[without])}"


def _in_turn(number: int) -> list[Without]:
    """Every round begins with another one: none is always the first after a pause."""
    turn = number % len(Without)
    several = list(Without)
    return several[turn:] + several[:turn]


# --- a message ----------------------------------------------------------------------------------------------------


def measure_shares(
    kinds: Sequence[ServerKind], machine: Machine, pairs: int, rounds: int, effort: Effort, client: LoadClient
) -> Measurement:
    """
    Measure what each detector adds to an echo.

    Args:
        pairs: Frames of each round in process.
        rounds: Of these.
        effort: Of the load on each server.
    """
    measurement = Measurement("detectors: what each adds to an echo")
    costs, others = _time_in_process(machine, pairs, rounds)
    uncounted = others[Variant.UNCOUNTED]
    accounting = [cost - other for cost, other in zip(costs[Without.NOTHING], uncounted, strict=True)]
    measurement.rows.append(_row("in process", "the inbox alone", uncounted, None, None))
    measurement.rows.extend(_make_rows("in process", costs, accounting))
    negotiated = others[PARAMETER]
    added = [cost - other for cost, other in zip(negotiated, costs[Without.NOTHING], strict=True)]
    measurement.rows.append(_row("in process", "nothing; a negotiated connection", negotiated, added, accounting))
    for kind in kinds:
        measurement.rows.extend(_make_rows(str(kind), _load_server(kind, machine, effort, client)))
    measurement.notes.append(
        "In process the share is one of the accounting: of all that the hub adds to its inbox; on servers it is one of "
        "the server's processor time. A detector adds what is missing without it, in the same round."
    )
    measurement.notes.append(
        "A negotiated connection is one of a client with our library: what it adds comes on top of everything. Below "
        "1 % of a server's time a figure is mostly noise, and may be less than nothing."
    )
    return measurement


def _row(where: str, without: str, costs: Costs, added: Costs | None, whole: Costs | None) -> Row:
    share = [100 * part / all_of_it for part, all_of_it in zip(added or [], whole or [], strict=True)]
    return Row(
        {
            "where": where,
            "switched off": without,
            "CPU us/message": Spread.over([cost * 1e6 for cost in costs]),
            "adds us": "" if added is None else Spread.over([cost * 1e6 for cost in added]),
            "share %": Spread.over(share) if share else "",
        }
    )


def _make_rows(where: str, costs: dict[Without, Costs], whole: Costs | None = None) -> Iterator[Row]:
    everything = costs[Without.NOTHING]
    for without in Without:
        if without is Without.NOTHING:
            yield _row(where, without, everything, whole, whole)
        else:
            added = [cost - less for cost, less in zip(everything, costs[without], strict=True)]
            yield _row(where, without, costs[without], added, whole or everything)


def _load_server(kind: ServerKind, machine: Machine, effort: Effort, client: LoadClient) -> dict[Without, Costs]:
    costs: dict[Without, Costs] = {without: [] for without in Without}
    with ExitStack() as stack:
        servers = {
            without: stack.enter_context(start_server(kind, Side.MONITORED, machine.server_core, as_argument(without)))
            for without in Without
        }
        for number in range(effort.rounds):
            for without in _in_turn(number):
                load = client.echo(
                    servers[without], "echo", connections=CONNECTIONS, in_flight=IN_FLIGHT, seconds=effort.seconds
                )
                costs[without].append(load.cost)
    return costs


def _time_in_process(machine: Machine, pairs: int, rounds: int) -> tuple[dict[Without, Costs], dict[str, Costs]]:
    """The costs by what is switched off; and, with everything on, of the inbox alone and of a negotiated connection."""
    costs: dict[Without, Costs] = {without: [] for without in Without}
    others: dict[str, Costs] = {Variant.UNCOUNTED: [], PARAMETER: []}
    with ExitStack() as stack:
        children = {
            without: stack.enter_context(
                Child("benchmarks.detectors", f"--core={machine.server_core}", as_argument(without))
            )
            for without in Without
        }
        for number in range(rounds):
            for without in _in_turn(number):
                costs[without].append(_ask(children[without], Variant.MONITORED, pairs))
            whole = children[Without.NOTHING]
            others[Variant.UNCOUNTED].append(_ask(whole, Variant.UNCOUNTED, pairs))
            others[PARAMETER].append(_ask(whole, Variant.MONITORED, pairs, PARAMETER))
    return costs, others


def _ask(child: Child, variant: Variant, pairs: int, query: str = "") -> float:
    return float(child.ask(variant=variant, pairs=pairs, query=query)["cost"])


# --- the child: a hub with some of it switched off ----------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.detectors")
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--hub", type=json.loads, required=True)
    options = parser.parse_args()
    pin(options.core)
    with tempfile.TemporaryDirectory(prefix="hub-benchmark-") as folder:
        from benchmarks.project import configure, settle

        configure(Path(folder), monitored=True, hub=options.hub)
        asyncio.run(_answer_requests())
        settle()


async def _answer_requests() -> None:
    applications = {variant: build(variant) for variant in (Variant.MONITORED, Variant.UNCOUNTED)}
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request: dict[str, Any] = json.loads(line)
        application, pairs = applications[request["variant"]], request["pairs"]
        query = request["query"].encode()
        # The first frames of a connection pay for what happens once, and for what the last one left to collect.
        await time_pairs(application, pairs // 10, query)
        sys.stdout.write(json.dumps({"cost": await time_pairs(application, pairs, query)}) + "\n")
        sys.stdout.flush()
        gc.collect()


if __name__ == "__main__":
    main()
