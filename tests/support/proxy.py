"""A way to a server on which answers take their time, as a network does that is in trouble."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from tests.support.processes import LOCALHOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Proxy:
    """
    Passes bytes on.

    Attributes:
        port: Where it listens.
        delay: Seconds that each answer takes longer from now on.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.delay = 0.0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has come."""
        answers, requests = await asyncio.open_connection(LOCALHOST, self._target)
        for source, sink, slow in ((reader, requests, False), (answers, writer, True)):
            task = asyncio.create_task(self._pass_on(source, sink, slow=slow))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, slow: bool) -> None:
        try:
            while some := await source.read(65_536):
                if slow:
                    await asyncio.sleep(self.delay)
                sink.write(some)
        except OSError:
            return
        finally:
            sink.close()

    async def close(self) -> None:
        """Let go of everybody."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    """A proxy of a port of this machine."""
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy.accept, LOCALHOST, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 1.0)
