from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async

from hub.core.redaction import MAX_LENGTH
from hub.instrument import stacks
from hub.instrument.stacks import (
    MAX_DEPTH,
    RunningCalls,
    ThreadCall,
    await_chain,
    dispatched,
    place,
    ready,
    spot_of,
    stack_of,
    thread_call,
)


async def settled() -> None:
    """Let whatever was started come to where it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


def names(frames: list[Any]) -> list[str]:
    return [frame.f_code.co_name for frame in frames]


async def outer(waiting: Any) -> None:
    await inner(waiting)


async def inner(waiting: Any) -> None:
    await waiting


class Pending:
    """A task that waits, until the end of the test."""

    def __init__(self, coroutine: Any) -> None:
        self.task = asyncio.ensure_future(coroutine)

    async def __aenter__(self) -> Any:
        await settled()
        return self.task

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


# --- where a task waits -------------------------------------------------------------------------------------------


async def test_a_task_that_waits_for_nothing_but_its_turn_is_ready():
    async def turns() -> None:
        while True:  # noqa: ASYNC110 - it waits for nothing
            await asyncio.sleep(0)

    waited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    taking, waiting = asyncio.create_task(turns()), asyncio.ensure_future(asyncio.wait_for(waited, 60))
    for _ in range(3):
        await asyncio.sleep(0)
    assert (True, False, False) == (ready(taking), ready(waiting), ready(None))
    taking.cancel()
    waited.set_result(None)
    await waiting
    await asyncio.gather(taking, return_exceptions=True)


async def test_the_chain_of_a_task_is_followed_to_where_it_waits():
    async with Pending(outer(asyncio.sleep(60))) as task:
        frames = await_chain(task)
    assert ["outer", "inner", "sleep"] == names(frames)


async def test_the_chain_goes_on_in_the_task_that_is_waited_for():
    async with Pending(inner(asyncio.sleep(60))) as other, Pending(outer(other)) as task:
        assert ["outer", "inner", "inner", "sleep"] == names(await_chain(task))


async def test_a_chain_is_followed_into_a_generator():
    class Awaitable:
        def __await__(self):
            yield from asyncio.get_running_loop().create_future()

    async with Pending(outer(Awaitable())) as task:
        assert ["outer", "inner", "__await__"] == names(await_chain(task))


async def test_a_task_that_is_done_or_none_waits_nowhere():
    task = asyncio.ensure_future(asyncio.sleep(0))
    await task
    assert [] == await_chain(task) == await_chain(None)


async def test_tasks_that_wait_for_each_other_do_not_go_on_for_ever():
    tasks: list[asyncio.Task[None]] = []

    async def first() -> None:
        await tasks[1]

    async def second() -> None:
        await asyncio.shield(tasks[0])

    tasks += [asyncio.ensure_future(first()), asyncio.ensure_future(second())]
    await settled()
    assert len(await_chain(tasks[0])) <= 4
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_chain_without_end_is_cut():
    async def deeper(depth: int) -> None:
        await (deeper(depth - 1) if depth else asyncio.sleep(60))

    async with Pending(deeper(MAX_DEPTH + 50)) as task:
        assert MAX_DEPTH == len(await_chain(task))


# --- which place that is ------------------------------------------------------------------------------------------


async def test_the_place_is_the_innermost_frame_of_the_host_and_the_chain_begins_with_the_host():
    async with Pending(outer(asyncio.sleep(60))) as task:
        frames = await_chain(task)
        found = place(frames)
    assert {"file": "tests/instrument/test_stacks.py", "line": frames[1].f_lineno, "function": "inner"} == {
        name: found[name] for name in ("file", "line", "function")
    }
    [first, second, third] = str(found["waits"]).split(" > ")
    assert (first.split()[1], second.split()[1], third.split()[1]) == ("outer", "inner", "sleep")


async def test_without_a_frame_of_the_host_the_innermost_one_is_the_place():
    async with Pending(asyncio.sleep(60)) as task:
        assert "sleep" == place(await_chain(task))["function"]


def test_no_frames_are_no_place():
    assert {} == place([])


async def test_a_long_chain_keeps_the_hosts_last_frames_and_the_innermost():
    async def deeper(depth: int) -> None:
        await (deeper(depth - 1) if depth else inner(asyncio.sleep(60)))

    async with Pending(deeper(30)) as task:
        shown = str(place(await_chain(task))["waits"]).split(" > ")
    assert stacks.SHOWN == len(shown)
    assert ["inner", "sleep"] == [one.split()[1] for one in shown[-2:]]
    assert len(" > ".join(shown)) <= MAX_LENGTH


def test_the_machines_folders_stay_here():
    frame = sys._getframe()
    assert "/" not in str(spot_of(frame)).split("tests/instrument/test_stacks.py", maxsplit=1)[0]


def test_python_s_own_modules_are_not_the_hosts():
    thread = threading.Thread(target=threading.Event().wait, args=(0.5,))
    thread.start()
    found = place(stack_of(thread.ident))
    assert "wait" == found["function"]
    assert not any(spot_of(frame).own for frame in stack_of(thread.ident))
    thread.join()


def test_a_thread_that_is_gone_has_no_frame():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    assert [] == stack_of(thread.ident) == stack_of(None)


def test_the_stack_of_a_thread_is_seen_from_the_outside_in():
    assert [test_the_stack_of_a_thread_is_seen_from_the_outside_in.__code__, stack_of.__code__] == [
        frame.f_code for frame in stack_of(threading.get_ident())
    ][-2:]


@pytest.mark.parametrize("enabled", [True, False])
def test_a_look_at_threads_leaves_the_collector_as_it_was(enabled):
    if not enabled:
        gc.disable()
    try:
        RunningCalls()
        assert enabled == gc.isenabled()
    finally:
        gc.enable()


def test_a_process_copied_in_the_middle_of_a_look_can_look_and_collects():
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            RunningCalls()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if not child:
                signal.alarm(10)
                RunningCalls()
                os._exit(0 if gc.isenabled() else 1)
            assert 0 == os.waitpid(child, 0)[1]
    finally:
        stop.set()
        thread.join()


# --- calls that run in threads ------------------------------------------------------------------------------------


async def test_a_call_is_known_by_the_chain_that_waits_for_it_and_by_the_thread_that_runs_it():
    release, begun = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(10)

    async with Pending(outer(sync_to_async(work)())) as task:
        await asyncio.to_thread(begun.wait, 10)
        async with Pending(outer(sync_to_async(work)())) as second:
            call, waiting = called(task), called(second)
            running = RunningCalls()
            assert names(running.frames_of(call))[0] == "thread_handler"
            assert "work" in names(running.frames_of(call))
            assert (True, False, True) == (call.shared, call.waits, call.runs)
            assert (True, True, False) == (waiting.shared, waiting.waits, waiting.runs)
            assert [] == running.frames_of(waiting)
            release.set()
            await asyncio.wait({task, second})


async def test_a_call_whose_thread_is_done_with_it_neither_waits_nor_runs():
    release = threading.Event()
    async with Pending(sync_to_async(release.wait)(10)) as task:
        call = called(task)
        release.set()
        await task
    assert (False, False) == (call.waits, call.runs)


async def test_a_call_of_another_thread_says_so():
    release = threading.Event()
    async with Pending(sync_to_async(release.wait, thread_sensitive=False)(10)) as task:
        call = called(task)
        release.set()
        await task
    assert call.shared is False


class Callable:
    """Something that can be called, and is no function."""

    def method(self, release: threading.Event) -> None:
        release.wait(10)

    def __call__(self, release: threading.Event) -> None:
        self.method(release)


@pytest.mark.parametrize("function", [Callable.method, Callable().method, partial(Callable().method), Callable()])
async def test_whatever_is_called_is_found_in_its_thread(function):
    release = threading.Event()
    arguments = (None, release) if function is Callable.method else (release,)
    async with Pending(outer(database_sync_to_async(function)(*arguments))) as task:
        call = called(task)
        async with asyncio.timeout(10):
            while "method" not in names(RunningCalls().frames_of(call)):  # noqa: ASYNC110 - a thread has no event
                await asyncio.sleep(0.001)
        assert call.runs
        release.set()
        await task


async def test_what_is_not_written_in_python_has_no_frames_of_its_own():
    async with Pending(sync_to_async(time.sleep)(0.05)) as task:
        call = called(task)
        assert None is call.code
        assert [] == RunningCalls().frames_of(call)
        await task


async def test_a_chain_that_waits_for_something_else_is_no_call():
    async with Pending(outer(asyncio.sleep(60))) as task:
        assert None is thread_call(await_chain(task))


async def test_the_tasks_of_another_loop_are_left_alone():
    tasks, known, release = [], threading.Event(), threading.Event()

    async def other() -> None:
        tasks.append(asyncio.current_task())
        known.set()
        await asyncio.to_thread(release.wait, 10)

    thread = threading.Thread(target=asyncio.run, args=(other(),))
    thread.start()
    await asyncio.to_thread(known.wait, 10)
    assert [] == await_chain(tasks[0])
    release.set()
    await asyncio.to_thread(thread.join, 10)


async def test_nothing_is_dispatched_in_a_chain_without_a_consumer():
    async with Pending(outer(asyncio.sleep(60))) as task:
        assert None is dispatched(await_chain(task))
        assert not stacks.sends(await_chain(task))


def called(task: asyncio.Task[Any]) -> ThreadCall:
    """The call in a thread that a task waits for."""
    call = thread_call(await_chain(task))
    assert call is not None
    return call
