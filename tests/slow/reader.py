"""
A negotiated client in a process of its own, so that it can be stopped: reads all that comes.

``python -m tests.slow.reader <url> <what to say first>``; prints a line when the first frame has come.
"""

from __future__ import annotations

import asyncio
import sys

from hub.client import connect


async def read(url: str, first: str) -> None:
    async with connect(url) as socket:
        await socket.send(first)
        await socket.recv()
        print("reads", flush=True)
        async for _ in socket:
            pass


if __name__ == "__main__":
    asyncio.run(read(sys.argv[1], sys.argv[2]))
