"""
The benchmarked server's back door, some HTTP paths ahead of the application.

`/-/memory` collects garbage and answers with the resident size; `/-/processor` answers with the processor time of the
process, all threads; `/-/own-time` with that of watchdog and lookout, and `/-/turn` with that of a turn of the loop;
`/-/delay` answers with the longest delay of the event loop since it was asked before (and begins to watch when asked
for the first time). WebSocket scopes pass untouched.
"""

import asyncio
import gc
import json
from time import perf_counter, process_time

import psutil

from benchmarks.apps import Application, Receive, Scope, Send
from benchmarks.own_time import Meter, measure_turn, read_watchdog

WATCH_INTERVAL = 0.001


class Control:
    def __init__(self, application: Application, meter: Meter | None = None) -> None:
        self.application = application
        self._meter = meter or Meter()
        self._watch: asyncio.Task[None] | None = None
        self._longest = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/-/"):
            await _answer(send, await self._read(scope["path"]))
        else:
            await self.application(scope, receive, send)

    async def _read(self, path: str) -> dict[str, float]:
        if path == "/-/memory":
            return {"rss": _read_memory()}
        if path == "/-/processor":
            return {"seconds": process_time()}
        if path == "/-/own-time":
            return {"watchdog": read_watchdog(), "lookout": self._meter.nanoseconds, "steps": self._meter.steps}
        if path == "/-/turn":
            return {"nanoseconds": await measure_turn()}
        if path == "/-/delay":
            return {"delay": self._read_delay()}
        raise ValueError(f"no such path here: {path}")

    def _read_delay(self) -> float:
        if self._watch is None:
            self._watch = asyncio.create_task(self._watch_loop())
        longest, self._longest = self._longest, 0.0
        return longest

    async def _watch_loop(self) -> None:
        # A sleep that ends late ends late for everybody on this loop.
        while True:
            before = perf_counter()
            await asyncio.sleep(WATCH_INTERVAL)
            self._longest = max(self._longest, perf_counter() - before - WATCH_INTERVAL)


def _read_memory() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


async def _answer(send: Send, body: dict[str, float]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
