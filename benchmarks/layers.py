"""
Channel layers, bare and instrumented: what it costs a process to send one message to a channel of its own and take it.

Redis is a real one, in a process of its own; only the processor time of this end counts, all threads.
"""

import argparse
import asyncio
import gc
import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks.children import Child
from benchmarks.figures import Measurement, Row, Spread
from benchmarks.machine import Machine, pin

MESSAGE = {"type": "benchmark.message", "text": "x" * 100}


class Kind(StrEnum):
    MEMORY = "in-memory"
    CORE = "channels_redis core"
    PUBSUB = "channels_redis pub/sub"


class Side(StrEnum):
    BARE = "bare"
    INSTRUMENTED = "instrumented"


def measure_layers(machine: Machine, messages: int, rounds: int) -> Measurement:
    """Time all layers, both sides in turn, in a child on the servers' core."""
    from tests.support.redis import make_redis
    from tests.support.require import find

    measurement = Measurement("detectors: channel layers, a message sent and received")
    with ExitStack() as stack:
        arguments = [f"--core={machine.server_core}", f"--messages={messages}", f"--rounds={rounds}"]
        if find("redis-server") is None:
            measurement.notes.append("No redis-server on this machine: its layers were not measured.")
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hub-benchmark-")))
            arguments.append(f"--redis={stack.enter_context(make_redis(folder)).url}")
        costs = stack.enter_context(Child("benchmarks.layers", *arguments)).read()
    for kind, sides in costs.items():
        bare, instrumented = ([cost * 1e6 for cost in sides[side]] for side in Side)
        added = Spread.over([cost - other for cost, other in zip(instrumented, bare, strict=True)])
        measurement.rows.append(_row(kind, Side.BARE, bare, ""))
        measurement.rows.append(_row(kind, Side.INSTRUMENTED, instrumented, added))
    measurement.notes.append("Instrumented: with its time in the layer observed, as for each one that is dispatched.")
    return measurement


def _row(kind: str, side: Side, costs: list[float], added: Spread | str) -> Row:
    return Row({"layer": kind, "side": side, "CPU us/message": Spread.over(costs), "adds us": added})


# --- the child ----------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.layers")
    for name in ("--core", "--messages", "--rounds"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--redis")
    options = parser.parse_args()
    pin(options.core)
    with tempfile.TemporaryDirectory(prefix="hub-benchmark-") as folder:
        from benchmarks.project import configure

        configure(Path(folder), monitored=True)
        costs = asyncio.run(_time_all(options.redis, options.messages, options.rounds))
    sys.stdout.write(json.dumps(costs) + "\n")
    sys.stdout.flush()


async def _time_all(redis: str | None, messages: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    costs: dict[str, dict[str, list[float]]] = {}
    for kind in Kind:
        if kind is not Kind.MEMORY and redis is None:
            continue
        layers = {side: _CLASSES[kind](side)(**_options(kind, redis)) for side in Side}
        sides: dict[str, list[float]] = {side: [] for side in Side}
        costs[kind] = sides
        for layer in layers.values():
            await _time(layer, messages // 10)
        for _ in range(rounds):
            for side, layer in layers.items():
                sides[side].append(await _time(layer, messages))
    return costs


def _options(kind: Kind, redis: str | None) -> dict[str, Any]:
    return {} if kind is Kind.MEMORY else {"hosts": [redis]}


async def _time(layer: Any, messages: int) -> float:
    """Send messages to a channel and receive each; the processor seconds of one."""
    from hub.instrument.layers.losses import CONNECTION
    from hub.instrument.state import instruments

    ledger = instruments().ledger
    connection = ledger.open("benchmark", 0.0, str)
    ledger.accept(connection, 0.0)
    token = CONNECTION.set(connection)
    channel = await layer.new_channel()
    CONNECTION.reset(token)
    counts, link = ledger.settle(connection), connection.link
    gc.collect()
    began = process_time()
    for _ in range(messages):
        await layer.send(channel, MESSAGE)
        await layer.receive(channel)
        if link is not None:
            link.dispatched(counts, 0.0)
    cost = (process_time() - began) / messages
    ledger.end(connection, 0.0, error=False)
    if link is not None:
        link.ended()
    return cost


def _memory(side: Side) -> type:
    from channels.layers import InMemoryChannelLayer as Bare

    from hub.layers import InMemoryChannelLayer as Instrumented

    return Bare if side is Side.BARE else Instrumented


def _core(side: Side) -> type:
    from channels_redis.core import RedisChannelLayer as Bare

    from hub.layers import RedisChannelLayer as Instrumented

    return Bare if side is Side.BARE else Instrumented


def _pubsub(side: Side) -> type:
    from channels_redis.pubsub import RedisPubSubChannelLayer as Bare

    from hub.layers import RedisPubSubChannelLayer as Instrumented

    return Bare if side is Side.BARE else Instrumented


_CLASSES: dict[Kind, Callable[[Side], type]] = {Kind.MEMORY: _memory, Kind.CORE: _core, Kind.PUBSUB: _pubsub}


if __name__ == "__main__":
    main()
