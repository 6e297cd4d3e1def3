"""The client library against real Daphne and uvicorn, with the hub and without."""

import asyncio
import os
import re
import signal
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosedOK

from hub.client import connect
from tests.client.scripted import WAIT
from tests.support.servers import DAPHNE, UVICORN

pytestmark = [pytest.mark.server]

NUL = "\0"
MESSAGES: list[str | bytes] = ["a", NUL, NUL + "{", NUL + '{"type":"heartbeat","count":0}', NUL * 2, b"\0{", "ü" * 999]


@pytest.fixture(params=[DAPHNE, UVICORN], ids=str)
def server(request, start_server):
    return start_server(request.param, "tests.client.application:application")


def soon():
    while True:
        yield 0.05


async def negotiated(socket):
    async with asyncio.timeout(WAIT):
        while not socket.negotiated:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("route", ["bare", "echo"])
@pytest.mark.parametrize("subprotocols", [None, ["one"], ["two", "one"]])
async def test_the_same_conversation_with_the_hub_and_without(server, route, subprotocols):
    async with connect(f"{server.ws_url}/ws/{route}/?a=1&b=%00", subprotocols=subprotocols) as socket:
        assert (subprotocols[0] if subprotocols else None) == socket.subprotocol
        if route == "echo":
            await negotiated(socket)
        for message in MESSAGES:
            await socket.send(message)
        assert MESSAGES == [await socket.recv() for _ in MESSAGES]
        await socket.send("query")
        query = "query a=1&b=%00"
        assert (query if route == "echo" else query + "&_hub=1") == await socket.recv()
        assert (route == "echo") == socket.negotiated
        # Several heartbeats, answered each.
        await asyncio.sleep(1.3)
        await socket.send(["in ", "fragments"])
        assert "in fragments" == await socket.recv()
        assert (1, True) == (socket.connections, socket.connected)


async def test_a_flood_arrives_whole_and_in_order_at_a_client_that_reads_slowly(server):
    async with connect(f"{server.ws_url}/ws/echo/", max_queue=10) as socket:
        await socket.send("flood 3000")
        heard = []
        for _ in range(3000):
            heard.append(await socket.recv())
            if len(heard) % 1000 == 0:
                await asyncio.sleep(0.5)
        assert [str(number) for number in range(3000)] == heard
        assert 1 == socket.connections


def resident():
    """Memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
async def test_a_program_that_takes_nothing_for_long_is_there_all_the_time_and_needs_no_memory(server):
    async with connect(f"{server.ws_url}/ws/echo/?member=ann") as socket, connect(f"{server.ws_url}/ws/echo/") as other:
        await negotiated(socket)
        await negotiated(other)
        before, states = resident(), set()
        # 128 MiB: more than all buffers on the way hold.
        await socket.send("bulk 4000")
        for _ in range(40):
            await asyncio.sleep(0.1)
            await other.send("look ann")
            states.add((await other.recv()).split()[0])
        # Ten heartbeat intervals, four times what makes a server look dead, five times what makes a client stale.
        assert {"online"} == states
        assert (1, True) == (socket.connections, socket.connected)
        assert resident() - before < 32 << 20
        assert list(range(4000)) == [int((await socket.recv(decode=True)).split()[0]) for _ in range(4000)]
        assert 1 == socket.connections


async def test_a_server_that_restarts_finds_everything_in_order(server):
    def resume(context):
        context.send("resumed")

    async with connect(f"{server.ws_url}/ws/echo/", reconnect_delays=soon, resume=resume) as socket:
        await negotiated(socket)
        await asyncio.to_thread(server.stop)
        async with asyncio.timeout(WAIT):
            while socket.connected:  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.01)
        for number in range(100):
            await socket.send(f"waited {number}")
        await asyncio.to_thread(server.start)
        expected = ["resumed", *(f"waited {number}" for number in range(100))]
        assert expected == [await asyncio.wait_for(socket.recv(), WAIT) for _ in expected]
        await negotiated(socket)
        assert 2 == socket.connections


async def test_a_server_that_hangs_is_left_and_found_again(server):
    async with connect(f"{server.ws_url}/ws/echo/", reconnect_delays=soon, open_timeout=1) as socket:
        await negotiated(socket)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(WAIT):
                while socket.connected:  # noqa: ASYNC110 - no event tells it
                    await asyncio.sleep(0.01)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await socket.send("back")
        assert "back" == await asyncio.wait_for(socket.recv(), WAIT)


async def test_the_consumers_own_close_codes_arrive(server):
    socket = await connect(f"{server.ws_url}/ws/echo/")
    await socket.send("close 1000")
    with pytest.raises(ConnectionClosedOK):
        await asyncio.wait_for(socket.recv(), WAIT)
    async with connect(f"{server.ws_url}/ws/echo/", reconnect_delays=soon) as again:
        await again.send("close 4999")
        async with asyncio.timeout(WAIT):
            while again.connections == 1:  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.01)
        await again.send("again")
        assert "again" == await asyncio.wait_for(again.recv(), WAIT)


@pytest.mark.parametrize("kind", [DAPHNE, UVICORN], ids=str)
async def test_the_hub_counts_heartbeats_and_finds_nothing_garbled(start_server, kind):
    site = start_server(kind)
    async with connect(f"{site.ws_url}/ws/demo/acme/telemetry/") as socket:
        await negotiated(socket)
        await socket.send("no reading")
        await socket.wait_closed()
        assert 4400 == socket.close_code

    def metric(name):
        found = re.findall(rf"^{name}\{{.*\}} (\S+)$", httpx.get(f"{site.url}/metrics").text, re.MULTILINE)
        return sum(map(float, found))

    assert metric("ws_heartbeats_total") >= 1
    assert 0 == metric("ws_control_frames_garbled_total")
    assert 0 == metric("hub_faults_total")
