from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

from asgiref.sync import sync_to_async

from hub.core.redaction import MAX_LENGTH
from hub.instrument import stacks
from hub.instrument.stacks import (
    MAX_DEPTH,
    await_chain,
    consumer_in,
    current_frame,
    dispatched,
    place,
    running_calls,
    spot_of,
    stack,
    thread_call,
    token_of,
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
    found = place(stack(current_frame(thread.ident)))
    assert "wait" == found["function"]
    assert not any(spot_of(frame).own for frame in stack(current_frame(thread.ident)))
    thread.join()


def test_a_thread_that_is_gone_has_no_frame():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    assert current_frame(thread.ident) is current_frame(None) is None
    assert [] == stack(None)


# --- calls that run in threads ------------------------------------------------------------------------------------


async def test_a_call_is_known_by_the_chain_that_waits_for_it_and_by_the_thread_that_runs_it():
    release, begun = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(10)

    async with Pending(outer(sync_to_async(work)())) as task:
        await asyncio.to_thread(begun.wait, 10)
        async with Pending(outer(sync_to_async(int)())) as second:
            call, waiting = thread_call(await_chain(task)), thread_call(await_chain(second))
            assert call is not None
            assert waiting is not None
            running = running_calls()
            assert "work" in names(running[call[0]])
            assert call[0] == token_of(running[call[0]])
            assert (True, True, False) == (call[1], waiting[1], waiting[0] in running)
            release.set()
            await asyncio.wait({task, second})


async def test_a_call_of_another_thread_says_so():
    release = threading.Event()
    async with Pending(sync_to_async(release.wait, thread_sensitive=False)(10)) as task:
        call = thread_call(await_chain(task))
        release.set()
        await task
    assert call is not None
    assert call[1] is False


async def test_a_chain_that_waits_for_something_else_is_no_call():
    async with Pending(outer(asyncio.sleep(60))) as task:
        assert None is thread_call(await_chain(task))
    assert None is token_of([])


def test_a_consumer_is_found_on_the_stack_and_nothing_else_is():
    class Consumer:
        _hub_label = "chat"

        def handle(self) -> Any:
            return other(self)

    def other(_: object) -> Any:
        return consumer_in(stack(sys._getframe()))

    consumer = Consumer()
    assert consumer is consumer.handle()
    assert None is consumer_in(stack(sys._getframe()))


async def test_nothing_is_dispatched_in_a_chain_without_a_consumer():
    async with Pending(outer(asyncio.sleep(60))) as task:
        assert None is dispatched(await_chain(task))
        assert not stacks.sends(await_chain(task))
