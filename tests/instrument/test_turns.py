from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from hub.instrument.turns import Turns


@pytest.fixture
async def turns() -> AsyncIterator[Turns]:
    made = Turns(asyncio.get_running_loop(), time.monotonic)
    made.watch()
    yield made
    made.leave()


def selector() -> Any:
    loop: Any = asyncio.get_running_loop()
    return loop._selector


async def asked_meanwhile(turns: Turns) -> float | None:
    """Asked by another thread, while this loop waits for its answer."""

    def ask() -> float | None:
        time.sleep(0.05)
        return turns.began_at

    return await asyncio.to_thread(ask)


async def test_a_loop_that_waits_for_something_to_happen_is_in_no_turn(turns):
    assert None is await asked_meanwhile(turns)
    assert None is not turns.began_at


def wait_in_a_selector() -> None:
    with selectors.DefaultSelector() as another:
        another.select(0.2)


@pytest.mark.parametrize("work", [partial(time.sleep, 0.2), wait_in_a_selector])
@pytest.mark.parametrize("in_task", [True, False])
async def test_a_loop_that_something_holds_up_is_be_it_in_c_or_in_another_selector(turns, work, in_task):
    await asyncio.sleep(0.01)
    began, seen = time.monotonic(), list[float | None]()
    asking = threading.Timer(0.05, lambda: seen.append(turns.began_at))
    asking.start()
    if in_task:
        work()
    else:
        asyncio.get_running_loop().call_soon(work)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    asking.join()
    [began_at] = seen
    assert began_at is not None
    assert abs(began_at - began) < 0.05


async def test_each_turn_is_another_one(turns):
    numbers = []
    for _ in range(3):
        numbers.append(turns.number)
        await asyncio.sleep(0)
    assert [numbers[0] + further for further in range(3)] == numbers


async def test_nothing_stands_before_the_selector_but_while_it_is_watched():
    turns = Turns(asyncio.get_running_loop(), time.monotonic)
    assert "select" not in vars(selector())
    turns.watch()
    assert "select" in vars(selector())
    turns.leave()
    assert "select" not in vars(selector())
    turns.leave()


async def test_what_somebody_else_puts_before_it_stays():
    turns = Turns(asyncio.get_running_loop(), time.monotonic)
    turns.watch()
    ours, calls = selector().select, []

    def another(timeout: float | None = None) -> Any:
        calls.append(timeout)
        return ours(timeout)

    selector().select = another
    turns.leave()
    await asyncio.sleep(0)
    assert calls
    assert another is selector().select
    del selector().select


async def test_what_the_selector_raises_is_raised():
    made: Any = Turns(asyncio.get_running_loop(), time.monotonic)

    class Broken:
        def select(self, timeout: float | None) -> Any:
            raise OSError(timeout)

    made._selector = broken = Broken()
    made.watch()
    with pytest.raises(OSError, match="7"):
        broken.select(7)
    assert None is not made.began_at


class Slotted:
    __slots__ = ()

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is None
        return []


@pytest.mark.parametrize("of", [None, Slotted()])
async def test_a_loop_that_cannot_be_watched_is_always_in_a_turn(of):
    turns: Any = Turns(asyncio.get_running_loop(), time.monotonic)
    turns._selector = of
    turns.watch()
    assert None is not await asked_meanwhile(turns)
    turns.leave()
