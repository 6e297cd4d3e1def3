"""
Sends that are cancelled while they wait for a client that does not read: such a frame counts if the client gets it.

Every server but Daphne, whose send never waits, serves one connection of this process over TCP.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from socket import socket
from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from websockets.asyncio.client import ClientConnection, connect

from hub import MonitoredConsumerMixin, monitor
from hub.core.control import PARAMETER, is_control
from hub.instrument.servers import handed_over
from tests.instrument.conftest import only_row
from tests.instrument.test_control import heartbeat
from tests.support.servers import (
    HYPERCORN,
    UVICORN,
    UVICORN_LEGACY,
    UVICORN_WSPROTO,
    ServerKind,
    require_server,
)
from tests.support.tcp import tcp_pair

pytestmark = pytest.mark.slow

EVERY_SERVER = pytest.mark.parametrize("kind", [UVICORN, UVICORN_LEGACY, UVICORN_WSPROTO, HYPERCORN], ids=str)
#: Many of these fit into no buffer on the way.
CHARACTERS = 100_000


class Flooder(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """``<times> <at once>``: sends until its sends are cancelled, so many times; then says that this was all."""

    cancelled: asyncio.Event

    async def receive(self, text_data: str = "", bytes_data: bytes | None = None) -> None:
        times, at_once = map(int, text_data.split())
        for _ in range(times):
            with suppress(TimeoutError):
                await self.send_for(0.2, at_once)
        self.cancelled.set()
        await self.send("end")

    async def send_for(self, seconds: float, at_once: int) -> None:
        while True:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(self.send("x" * CHARACTERS) for _ in range(at_once)))


async def serve(kind: ServerKind, application: Any, ours: socket) -> None:
    """Serve one connection, as far as it has come."""
    if kind is HYPERCORN:
        await serve_with_hypercorn(application, ours)
        return
    state = import_module("uvicorn.server").ServerState()
    config = import_module("uvicorn").Config(application, ws=kind.websocket_implementation, log_level="critical")
    loop = asyncio.get_running_loop()
    with warnings.catch_warnings():
        # Its legacy implementation, and what that is made of, say that they will go.
        warnings.simplefilter("ignore")
        config.load()
        await loop.connect_accepted_socket(lambda: config.ws_protocol_class(config, state, {}), ours)


async def serve_with_hypercorn(application: Any, ours: socket) -> None:
    require_server(HYPERCORN)
    wrappers, config, tcp_server, worker_context = (
        import_module(f"hypercorn.{name}")
        for name in ("app_wrappers", "config", "asyncio.tcp_server", "asyncio.worker_context")
    )
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection(sock=ours)
    context = worker_context.WorkerContext(None)
    wrapper = wrappers.ASGIWrapper(application)
    server = tcp_server.TCPServer(wrapper, loop, config.Config(), context, {}, reader, writer)
    SERVING.append(loop.create_task(server.run()))


#: Tasks of servers, which nobody else keeps.
SERVING: list[asyncio.Task[None]] = []


@asynccontextmanager
async def flooded(kind: ServerKind, order: str, query: str = "", beats: int = 0) -> AsyncIterator[ClientConnection]:
    """A connection whose consumer has sent, and whose client begins to read; until then it gave signs of life."""
    cancelled = asyncio.Event()
    application = monitor(type("Flooder", (Flooder,), {"cancelled": cancelled}).as_asgi())  # type: ignore[attr-defined]
    with tcp_pair() as (ours, theirs):
        await serve(kind, application, ours)
        theirs.setblocking(False)
        uri = f"ws://127.0.0.1/?{query}"
        async with connect(uri, sock=theirs, compression=None, max_queue=1, ping_interval=None) as client:
            if query:
                assert is_control(str(await client.recv()))
                await client.send(heartbeat())
            await client.send(order)
            for _ in range(beats):
                await asyncio.sleep(0.02)
                await client.send(heartbeat())
            async with asyncio.timeout(20):
                await cancelled.wait()
            yield client
    while SERVING:
        await SERVING.pop()


async def count_frames(client: ClientConnection) -> int:
    """How many frames of the consumer come, the last one included."""
    frames = 0
    async with asyncio.timeout(20):
        async for frame in client:
            frames += not is_control(str(frame))
            if frame == "end":
                break
    return frames


@EVERY_SERVER
async def test_a_frame_counts_as_sent_if_the_client_gets_it(shared, kind):
    async with flooded(kind, "3 1") as client:
        frames = await count_frames(client)
    row = only_row(shared)
    assert (row.sent, row.sent_bytes) == ({"text": frames}, CHARACTERS * (frames - 1) + len("end"))


@EVERY_SERVER
async def test_and_is_confirmed_as_any_other(shared, kind):
    async with flooded(kind, "3 1", PARAMETER) as client:
        frames = await count_frames(client)
        row = only_row(shared)
        await client.send(heartbeat(frames))
        async with asyncio.timeout(10):
            while row.heartbeats < 2:  # noqa: ASYNC110 - numbers wake nobody
                await asyncio.sleep(0.01)
        assert (row.sent["text"], row.confirmed, row.in_flight, row.garbled) == (frames, frames, 0, 0)


@pytest.mark.parametrize("kind", [UVICORN, UVICORN_WSPROTO, HYPERCORN], ids=str)
async def test_also_of_sends_of_which_one_waits_for_the_other(shared, kind):
    """Not on uvicorn's legacy implementation, where a second one that waits fails an assertion."""
    async with flooded(kind, "3 2") as client:
        frames = await count_frames(client)
    assert only_row(shared).sent == {"text": frames}


@EVERY_SERVER
async def test_control_frames_keep_nobody_from_sending_who_waits_for_the_client(shared, faults, kind):
    async with flooded(kind, "3 1", PARAMETER, beats=20) as client:
        await count_frames(client)
    assert faults == {}


async def cancelled(waiting: Any) -> BaseException:
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


async def test_where_nothing_is_known_of_the_server_it_has_the_frame():
    assert not handed_over(await cancelled(asyncio.Event().wait()))
    assert handed_over(await cancelled(asyncio.sleep(1)))
    assert handed_over(asyncio.CancelledError())
