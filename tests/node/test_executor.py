from __future__ import annotations

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections

from hub.node.executor import run_in_thread


async def test_work_runs_in_a_thread_of_the_hub_and_its_result_comes_back():
    assert await run_in_thread(lambda a, b: (threading.current_thread().name.startswith("hub"), a, b), 1, b=2) == (
        True,
        1,
        2,
    )


async def test_an_exception_comes_back_too():
    with pytest.raises(ZeroDivisionError):
        await run_in_thread(lambda: 1 / 0)


async def test_the_shared_sync_thread_is_left_to_the_tenants():
    released = threading.Event()
    tenant = asyncio.create_task(sync_to_async(released.wait)(20))
    assert await asyncio.wait_for(run_in_thread(lambda: "done"), 10) == "done"
    released.set()
    assert await tenant


async def test_the_loop_goes_on_meanwhile():
    released = threading.Event()
    work = asyncio.create_task(run_in_thread(released.wait, 20))
    await asyncio.sleep(0.01)
    assert not work.done()
    released.set()
    assert await asyncio.wait_for(work, 10)


@pytest.mark.django_db(transaction=True)
async def test_a_broken_connection_is_gone_before_the_next_work():
    def break_it() -> None:
        connection.ensure_connection()
        connection.errors_occurred = True
        connection.is_usable = gone  # type: ignore[method-assign]

    def gone() -> bool:
        del connection.is_usable
        return False

    def is_open() -> bool:
        return connection.connection is not None

    # Twice as many as there are threads: each has its turn.
    for _ in range(4):
        await run_in_thread(break_it)
        assert [False] * 4 == list(await asyncio.gather(*(run_in_thread(is_open) for _ in range(4))))
    await asyncio.gather(*(run_in_thread(connections.close_all) for _ in range(4)))
