"""
The watchdog beside threads that never rest: its process lives.

Looking at frames that other threads run is what could take a host's process down, so this runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import subprocess
import sys
import threading
import time
from itertools import count
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from hub.clock import SYSTEM
from hub.instrument import watchdog as module
from hub.instrument.busy import BUSY
from hub.instrument.stacks import RunningCalls
from hub.instrument.watchdog import Watchdog
from hub.node.evidence import details_of, holder

SECONDS = 20


class Noisy:
    """Garbage whose finalizer lets other threads go on."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        time.sleep(0)


def descend(self: Any, depth: int = 5) -> Any:
    """Frames that come and go, each with variables to be looked at."""
    return descend([self, depth], depth - 1) if depth else self


class Known:
    """As much of a connection as is asked for."""

    inbound_type = None
    consumer = "known"


class Entry:
    """As much of an observer as the lookout asks for."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.connection = Known()
        self.inbox = None


async def work(until: float) -> None:
    """One consumer: calls in the shared thread, one after the other."""
    while time.monotonic() < until:
        await sync_to_async(descend)(None)


async def look(until: float) -> int:
    """The lookout, as often as it can."""
    looks = 0
    while time.monotonic() < until:
        holder(BUSY)
        for entry in BUSY:
            details_of("handler", entry)
        RunningCalls()
        looks += 1
        await asyncio.sleep(0)
    return looks


async def main(seconds: float) -> int:
    until = time.monotonic() + seconds
    watchdogs = [Watchdog(asyncio.get_running_loop(), SYSTEM.monotonic, lambda: True) for _ in range(2)]
    for watchdog in watchdogs:
        watchdog.due = 0.0
        watchdog.start()
    threads = [threading.Thread(target=churn, args=(until,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    tasks = [asyncio.ensure_future(work(until)) for _ in range(5)]
    BUSY.update(Entry(task) for task in tasks)  # type: ignore[misc]  # as much of it as is asked for
    looks = await look(until)
    await asyncio.gather(*tasks)
    samples = sum(sum(watchdog._samples._seen.values()) for watchdog in watchdogs)
    for watchdog in watchdogs:
        watchdog.stop()
    return min(looks, samples)


def churn(until: float) -> None:
    for turn in count():
        descend(None)
        if turn % 500 == 0:
            Noisy()
        if time.monotonic() > until:
            return


def hammer(seconds: float) -> None:
    """What the process does: every thread steps aside as often as it can while it is looked at."""
    faulthandler.enable()
    module.SAMPLING = module.LATE = 0.0005
    module.MAX_SAMPLES = sys.maxsize
    sys.setswitchinterval(1e-5)
    gc.set_threshold(50)
    seen = asyncio.run(main(seconds))
    sys.stdout.write(f"{seen}\n")


@pytest.mark.slow
def test_a_process_whose_threads_are_looked_at_without_pause_lives():
    done = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import hammer; hammer({SECONDS})"],
        capture_output=True, text=True, timeout=20 * SECONDS, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr[-4000:]
    assert int(done.stdout) > 100
