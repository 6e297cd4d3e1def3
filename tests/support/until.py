"""Waiting for what will be true in a moment, with a generous deadline and not a wink longer than it takes."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """
    Return as soon as a condition holds.

    Raises:
        TimeoutError: It does not, after so many seconds.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a condition of a test's own has no event
            await asyncio.sleep(0.005)
