"""
Threads of the hub's own for database work and encoding.

The shared sync thread is the tenants': a query of the hub's there would make every consumer wait.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

Params = ParamSpec("Params")
Result = TypeVar("Result")

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
