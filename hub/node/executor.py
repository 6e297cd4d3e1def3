"""
Threads of the hub's own for database work and encoding.

The shared sync thread is the tenants': a query of the hub's there would make every consumer wait.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from threading import Event
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

Params = ParamSpec("Params")
Result = TypeVar("Result")
Item = TypeVar("Item")

#: Seconds of a pause between two pieces of work: enough for a thread that waits for the interpreter to get it.
BREATH = 0.0001

_NEVER = Event()
_POOL = ThreadPoolExecutor(max_workers=2, thread_name_prefix="hub")


async def run_in_thread(function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
    """Run a function that uses the database, or much time, in one of the hub's threads."""
    return await asyncio.get_running_loop().run_in_executor(_POOL, partial(_run, function, *args, **kwargs))


def _run(function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
    close_old_connections()
    try:
        return function(*args, **kwargs)
    finally:
        close_old_connections()


def breathing(items: Iterable[Item], size: int) -> Iterator[Item]:
    """
    The same items, with a pause after each ``size`` of them, for long work in one of the hub's threads.

    Whoever computes without a pause keeps the interpreter for 5 ms at a time (`sys.getswitchinterval`), and the event
    loop waits that long each time it wakes. Let a piece be a millisecond of work.
    """
    iterator = iter(items)
    while piece := list(islice(iterator, size)):
        yield from piece
        _NEVER.wait(BREATH)
