"""
Threads of alerting's own, so that neither a hanging receiver nor a slow database ever holds up a login or a scrape.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connections

Params = ParamSpec("Params")
Result = TypeVar("Result")


class Threads:
    """
    Some threads. The connection of a single one to the database lives as long as the host's settings let connections
    live; one of several ends with its call, as calls are rare there and nobody would be left to end it.

    Args:
        count: How many; one means a call at a time.
        name: Of the threads, for people.
    """

    def __init__(self, count: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(count, name)
        self._let_go = close_old_connections if count == 1 else connections.close_all

    async def run(self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> Result:
        """Run a function in one of them."""
        call = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, _call, call, self._let_go)

    def begin(self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs) -> None:
        """Have a function run in one of them, which says itself what becomes of it."""
        # The interpreter may be ending: what waits in the outbox is sent by the next process.
        with suppress(RuntimeError):
            self._pool.submit(_call, partial(function, *args, **kwargs), self._let_go)

    def end(self, last: Callable[[], object] = connections.close_all) -> None:
        """Begin nothing new, but for one last call."""
        # The interpreter may be ending too: then nothing begins any more at all.
        with suppress(RuntimeError):
            self._pool.submit(_finish, last)
        self._pool.shutdown(wait=False)


def _call(call: Callable[[], Result], let_go: Callable[[], object]) -> Result:
    close_old_connections()
    try:
        return call()
    finally:
        let_go()


def _finish(last: Callable[[], object]) -> None:
    try:
        last()
    finally:
        connections.close_all()
