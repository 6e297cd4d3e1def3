"""The limit that keeps a profile harmless: so many messages a second, whoever sends them."""

from __future__ import annotations

import asyncio


class Pace:
    """Lets ``rate`` messages a second through, and a burst of half a second's worth; the others wait their turn."""

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate
        self._next = 0.0

    async def wait(self) -> None:
        """Return when it is the caller's turn."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now - 0.5) + self._interval
        if self._next > now:
            await asyncio.sleep(self._next - now)
