"""
The cost of counting: what the ledger adds to a message pair (one frame in, one frame out).

No server and no socket: frames come from a queue and go to a counter, in a process of its own. The accounting is the
monitored consumer, wrapper included, minus the same consumer in the same inbox with an observer that counts nothing.
Costs are processor time, of all threads: other programs on the machine move it little.
"""

import argparse
import asyncio
import gc
import json
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

from benchmarks import figures
from benchmarks.apps import Application, Echo, Message, Side, build_application, echo_raw
from benchmarks.children import Child
from benchmarks.figures import Measurement, Row, Spread, Verdict
from benchmarks.machine import Machine, pin
from hub.core.control import MARK

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME = {"type": "websocket.receive", "text": "x" * 100}
PATH = "/echo"


class Variant(StrEnum):
    RAW = "raw ASGI"
    BARE = "bare"
    RECIPE = "recipe"
    UNCOUNTED = "inbox, nothing counted"
    MIXIN = "mixin"
    MONITORED = "mixin and wrapper"


def measure_accounting(machine: Machine, pairs: int, rounds: int) -> Measurement:
    """Time all variants in turn, in a child on the servers' core."""
    arguments = (f"--core={machine.server_core}", f"--pairs={pairs}", f"--rounds={rounds}")
    with Child("benchmarks.accounting", *arguments) as child:
        costs = {Variant(name): values for name, values in child.read().items()}
    measurement = Measurement("accounting: processor time of a message pair in process")
    bare, uncounted = costs[Variant.BARE], costs[Variant.UNCOUNTED]
    for variant in Variant:
        measurement.rows.append(
            Row(
                {
                    "side": variant,
                    "us/pair": Spread.over([cost * 1e6 for cost in costs[variant]]),
                    "us/pair above bare": _subtract(costs[variant], bare),
                    "above inbox alone": _subtract(costs[variant], uncounted),
                }
            )
        )
    added = _subtract(costs[Variant.MONITORED], uncounted)
    measurement.verdicts.append(Verdict(figures.ACCOUNTING, "in process, mixin and wrapper", added))
    measurement.notes.append(
        "Accounting is the monitored side minus the same inbox with an observer that counts nothing: what arrived, "
        "handled, sent, bytes, types, two histograms."
    )
    return measurement


def _subtract(costs: list[float], others: list[float]) -> Spread:
    return Spread.over([(cost - other) * 1e6 for cost, other in zip(costs, others, strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.accounting")
    for name in ("--core", "--pairs", "--rounds"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()
    pin(options.core)
    with tempfile.TemporaryDirectory(prefix="hub-benchmark-") as folder:
        from benchmarks.project import configure, settle

        configure(Path(folder), monitored=True)
        costs = asyncio.run(_time_all(options.pairs, options.rounds))
        settle()
    sys.stdout.write(json.dumps(costs) + "\n")
    sys.stdout.flush()


async def _time_all(pairs: int, rounds: int) -> dict[str, list[float]]:
    applications = {variant: build(variant) for variant in Variant}
    costs: dict[str, list[float]] = {variant: [] for variant in Variant}
    for application in applications.values():
        await time_pairs(application, pairs // 10)
    for _ in range(rounds):
        for variant, application in applications.items():
            costs[variant].append(await time_pairs(application, pairs))
    return costs


async def time_pairs(application: Application, pairs: int, query: bytes = b"") -> float:
    """
    Send frames over one connection.

    Args:
        pairs: How many; each is expected back.
        query: That of the connection's URL.

    Returns:
        Processor seconds per frame that came back.
    """
    frames: asyncio.Queue[Message] = asyncio.Queue()
    echoed = asyncio.Event()
    remaining = pairs

    async def send(message: Message) -> None:
        nonlocal remaining
        if message["type"] == "websocket.send" and not message["text"].startswith(MARK):
            remaining -= 1
            if not remaining:
                echoed.set()

    frames.put_nowait({"type": "websocket.connect"})
    for _ in range(pairs):
        frames.put_nowait(dict(FRAME))
    gc.collect()
    began = process_time()
    connection = asyncio.ensure_future(application(_make_scope(query), frames.get, send))
    # A connection that ends before the last frame came back has failed: say so instead of waiting for ever.
    connection.add_done_callback(lambda _: echoed.set())
    await echoed.wait()
    elapsed = process_time() - began
    if remaining > 0:
        await connection
        raise RuntimeError(f"the connection ended with {remaining} frames unanswered")
    frames.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await connection
    return elapsed / pairs


def _make_scope(query: bytes) -> dict[str, Any]:
    return {"type": "websocket", "path": PATH, "query_string": query, "headers": [], "subprotocols": []}


def build(variant: Variant) -> Application:
    """Build a variant. Django must be configured."""
    builders: dict[Variant, Callable[[], Application]] = {
        Variant.RAW: lambda: echo_raw,
        Variant.BARE: lambda: build_application(Side.BARE),
        Variant.RECIPE: lambda: build_application(Side.RECIPE),
        Variant.UNCOUNTED: _build_uncounted,
        Variant.MIXIN: _build_mixin,
        Variant.MONITORED: lambda: build_application(Side.MONITORED),
    }
    return builders[variant]()


def _build_mixin() -> Application:
    from hub import MonitoredConsumerMixin

    class MonitoredEcho(MonitoredConsumerMixin, Echo):
        pass

    application: Application = MonitoredEcho.as_asgi()
    return application


def _build_uncounted() -> Application:
    """The mixin's inbox and sweep with an observer that counts nothing, in the place of the real one."""
    from hub import MonitoredConsumerMixin
    from hub.instrument.inbox import CONTROL, LAST, payload_size

    class NoObserver:
        """What the inbox needs of an observer."""

        def __init__(self, instruments: Any) -> None:
            self.instruments = instruments
            self.monotonic = instruments.clock.monotonic
            self.connection = None
            self.reading = None

        def observe_dispatch(self, handler: Any) -> Any:
            monotonic = self.monotonic

            async def dispatch(message: Message, arrived_at: float, size: int) -> float:
                await handler(message)
                return float(monotonic())

            return dispatch

        def arrived(self, message: dict[str, Any], now: float) -> int:
            if message["type"] == "websocket.receive":
                return payload_size(message)
            return LAST if message["type"] == "websocket.disconnect" else CONTROL

        def at_work(self, inbox: Any) -> None:
            pass

    class UncountedEcho(MonitoredConsumerMixin, Echo):
        def _hub_begin(self, shared: Any, scope: Any, receive: Any, send: Any) -> Any:
            self._hub_sweeping = self._hub_sweep_of(shared)
            return NoObserver(shared), receive, send

        def _hub_end(self, observer: Any, inbox: Any, failure: Any) -> None:
            pass

    application: Application = UncountedEcho.as_asgi()
    return application


if __name__ == "__main__":
    main()
