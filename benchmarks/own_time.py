"""
The processor time that watchdog and lookout take themselves, in the process that they look at.

Of the watchdog's thread the kernel says what it has run, in nanoseconds. Each step of the lookout, on the loop, is
timed by the clock of the loop's thread; the turn of the loop that it needs comes on top, as `measure_turn` finds it.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from pathlib import Path
from time import thread_time_ns
from typing import Any

WATCHDOG = "hub watchdog"
TURNS = 100
TURN_SECONDS = 0.02


class Meter:
    """What was timed up to now."""

    def __init__(self) -> None:
        self.nanoseconds = 0
        self.steps = 0

    def time(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that counts here whenever it is called."""

        def timed(*arguments: Any) -> Any:
            began = thread_time_ns()
            try:
                return function(*arguments)
            finally:
                self.nanoseconds += thread_time_ns() - began

        return timed


class Timed:
    """A coroutine whose steps count."""

    def __init__(self, meter: Meter, coroutine: Coroutine[Any, Any, None]) -> None:
        self._meter = meter
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, None]:
        send, throw = self._meter.time(self._coroutine.send), self._meter.time(self._coroutine.throw)
        resume: Callable[[], Any] = partial(send, None)
        while True:
            self._meter.steps += 1
            try:
                waited = resume()
            except StopIteration:
                return
            try:
                resume = partial(send, (yield waited))
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's
                resume = partial(throw, error)


def watch() -> Meter:
    """Count what lookouts take that begin from now on; what they hand over each second is theirs, too."""
    from hub.node.slowness import Lookout

    meter, lookout, run = Meter(), Lookout, Lookout.run
    lookout.run = lambda self: Timed(meter, run(self))  # type: ignore[assignment,method-assign,return-value]
    lookout.ranked = meter.time(Lookout.ranked)  # type: ignore[method-assign]
    lookout.measured = meter.time(Lookout.measured)  # type: ignore[method-assign]
    return meter


def read_watchdog() -> int:
    """What the watchdog's thread has run up to now, in nanoseconds; in the kernel as well."""
    threads = [thread.native_id for thread in threading.enumerate() if thread.name == WATCHDOG]
    stats = [Path(f"/proc/self/task/{thread}/schedstat").read_text(encoding="ascii") for thread in threads]
    return sum(int(stat.split()[0]) for stat in stats)


async def measure_turn() -> float:
    """What a turn of the event loop takes that only a timer is for, in nanoseconds; what else comes up counts, too."""
    began = thread_time_ns()
    for _ in range(TURNS):
        await asyncio.sleep(TURN_SECONDS)
    return (thread_time_ns() - began) / TURNS
