"""
The books of frames to clients on real servers: sent = confirmed + in flight + lost + unknown, to the last frame.

The host counts what its server has taken, the client what it took; the hub has to say the same, however a connection
ends, and to call unknown what its server does not tell.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect as connect_plainly

from hub.client import connect
from hub.client.opening import MAX_QUEUE
from tests.layers.stage import APPLICATION, handled, metric
from tests.support.processes import ROOT
from tests.support.servers import DAPHNE, HYPERCORN, SERVER_KINDS, UVICORN, UVICORN_WSPROTO, Server

pytestmark = [pytest.mark.server, pytest.mark.slow]

EVERY_SERVER = pytest.mark.parametrize("server_kind", [*SERVER_KINDS, HYPERCORN], ids=str)
#: They don't tell whether their close frame was answered.
FORGETFUL = (UVICORN_WSPROTO, HYPERCORN)
EVERY_LOOP = pytest.mark.parametrize("consumer", ["ticker", "wrapped-ticker"])
#: A server says at last what it knows of an answer.
LAST = 15.0


@dataclass(frozen=True)
class Books:
    """What the hub says of frames to clients that confirm them."""

    sent: int = 0
    confirmed: int = 0
    in_flight: int = 0
    lost: int = 0
    unknown: int = 0


def books(server: Server) -> Books:
    """As the metrics have it."""
    return Books(
        sent=metric([server], "ws_messages_sent_total").total(),
        confirmed=metric([server], "ws_frames_confirmed_total").total(),
        in_flight=metric([server], "ws_frames_in_flight").total(),
        lost=metric([server], "ws_frames_dropped_total", "reason")["unconfirmed",],
        unknown=metric([server], "ws_frames_unknown_total").total(),
    )


async def settled(server: Server, expected: Books, seconds: float = 5.0) -> None:
    """Wait for what has to be in the books, and see that it stays there."""
    await until(lambda: books(server) == expected, seconds, lambda: books(server))
    await asyncio.sleep(0.3)
    assert books(server) == expected
    # By the host's own count, and with nothing lost otherwise.
    assert handled([server]).total() == expected.sent
    assert set(metric([server], "ws_frames_dropped_total", "reason")) <= {("unconfirmed",)}


async def until(found: Callable[[], bool], seconds: float, say: Callable[[], object]) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(found):
        assert time.monotonic() < deadline, await asyncio.to_thread(say)
        await asyncio.sleep(0.05)


@asynccontextmanager
async def ticking(server: Server, order: str, consumer: str = "ticker") -> AsyncIterator[Any]:
    """A client of ours that has ordered frames, and answered the hello before."""
    async with connect(f"{server.ws_url}/acme/{consumer}/", reconnect_delays=None) as client:
        async with asyncio.timeout(20):
            while not client.negotiated:  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.01)
        await client.send(order)
        yield client


async def take(client: Any, frames: int, first: int = 0) -> None:
    for number in range(first, first + frames):
        assert int(await client.recv()) == number


@EVERY_SERVER
@EVERY_LOOP
async def test_a_client_that_leaves_has_lost_what_it_did_not_take(start_server, server_kind, consumer):
    server = start_server(server_kind, APPLICATION)
    async with ticking(server, "10 1 stay", consumer) as client:
        await take(client, 4)
        await settled(server, Books(sent=10, confirmed=4, in_flight=6))
        await take(client, 3, 4)
        # Nobody waits for the confirm that is due soon: it goes out with the close.
    await settled(server, Books(sent=10, confirmed=7, lost=3))


# Hypercorn refuses nothing: it takes frames for a client that has left, and forgets them.
@pytest.mark.parametrize("server_kind", SERVER_KINDS, ids=str)
async def test_also_if_its_consumer_sends_meanwhile_and_learns_of_it_by_a_refusal(start_server, server_kind):
    server = start_server(server_kind, APPLICATION)
    async with ticking(server, "1000000 2000 stay") as client:
        await take(client, 50)
    await until(lambda: not metric([server], "ws_connections_active").total(), LAST, lambda: books(server))
    found, sent = await asyncio.to_thread(books, server), handled([server]).total()
    assert found == Books(sent=sent, confirmed=50, lost=sent - 50)


@pytest.mark.parametrize("server_kind", SERVER_KINDS, ids=str)
async def test_channels_own_loop_never_reads_what_such_a_client_confirmed_last(start_server, server_kind):
    server = start_server(server_kind, APPLICATION)
    async with ticking(server, "1000000 2000 stay", "wrapped-ticker") as client:
        await take(client, 50)
    await until(lambda: not metric([server], "ws_connections_active").total(), LAST, lambda: books(server))
    found, sent = await asyncio.to_thread(books, server), handled([server]).total()
    assert found == Books(sent=sent, confirmed=found.confirmed, lost=sent - found.confirmed)
    assert found.confirmed in {0, 50}


@EVERY_SERVER
@EVERY_LOOP
async def test_a_client_that_answers_the_consumer_s_close_has_received_all(start_server, server_kind, consumer):
    server = start_server(server_kind, APPLICATION)
    async with ticking(server, "10 1 close", consumer) as client:
        await client.wait_closed()
        assert client.close_code == 4001
    if server_kind in FORGETFUL:
        await settled(server, Books(sent=10, unknown=10), LAST)
    else:
        await settled(server, Books(sent=10, confirmed=10), LAST)


@pytest.mark.timeout(180)
@EVERY_SERVER
async def test_a_client_that_does_not_answer_it_has_lost_what_it_did_not_confirm(start_server, server_kind):
    server = start_server(server_kind, APPLICATION)
    async with reader(server, "5 10 stay") as process:
        await until(lambda: books(server).confirmed == 5, 5.0, lambda: books(server))
        process.send_signal(signal.SIGSTOP)
        await order(server, "10 10 close")
        # The server waits for the answer, and gives up.
        expected = Books(sent=15, confirmed=5, lost=10)
        if server_kind in FORGETFUL:
            expected = Books(sent=15, confirmed=5, unknown=10)
        if server_kind is HYPERCORN:
            # It waits for as long as the connection stands.
            process.kill()
        await settled(server, expected, 60.0)


@EVERY_SERVER
async def test_a_client_that_is_killed(start_server, server_kind):
    server = start_server(server_kind, APPLICATION)
    async with reader(server, "5 10 stay") as process:
        await until(lambda: books(server).confirmed == 5, 5.0, lambda: books(server))
        process.send_signal(signal.SIGSTOP)
        await order(server, "20 10 stay")
        await settled(server, Books(sent=25, confirmed=5, in_flight=20))
        process.kill()
        await settled(server, Books(sent=25, confirmed=5, lost=20))


@EVERY_SERVER
@pytest.mark.parametrize("end", ["fail", "cancel"])
async def test_of_a_consumer_that_ends_by_itself_nobody_knows_what_its_client_got(start_server, server_kind, end):
    server = start_server(server_kind, APPLICATION)
    async with ticking(server, f"10 1 {end}") as client:
        await asyncio.sleep(0.5)
    assert client is not None
    found = await asyncio.to_thread(books, server)
    assert (10, 0, 0, 10) == (found.sent, found.in_flight, found.lost, found.confirmed + found.unknown)
    assert found.unknown > 0


@pytest.mark.parametrize("server_kind", [DAPHNE, UVICORN], ids=str)
async def test_plain_clients_are_in_none_of_the_numbers(start_server, server_kind):
    server = start_server(server_kind, APPLICATION)
    async with connect_plainly(f"{server.ws_url}/acme/ticker/") as client:
        await client.send("10 1 stay")
        await take(client, 4)
    await settled(server, Books(sent=10))


@pytest.mark.parametrize("server_kind", [DAPHNE, UVICORN], ids=str)
async def test_all_of_it_at_once(start_server, server_kind):
    server = start_server(server_kind, APPLICATION)
    took: Counter[str] = Counter()

    async def one(number: int) -> None:
        end = ("leave", "leave", "close", "abort")[number % 4]
        # Who takes nothing reads no more than it keeps for later, and so may never come to the close frame.
        frames = MAX_QUEUE // 2 if end == "close" else 100
        took["sent"] += frames
        async with ticking(server, f"{frames} 50 {end}") as client:
            if end == "close":
                await client.wait_closed()
                took["received"] += frames
                return
            await take(client, number)
            # By then all is sent, and what was taken confirmed.
            await asyncio.sleep(3)
            took["taken"] += number
            if end == "abort":
                client.transport.abort()

    async with asyncio.TaskGroup() as group:
        for number in range(40):
            group.create_task(one(number))
    sent, confirmed = took["sent"], took["taken"] + took["received"]
    await settled(server, Books(sent=sent, confirmed=confirmed, lost=sent - confirmed), LAST)


@pytest.mark.long
@pytest.mark.timeout(420)
@pytest.mark.parametrize("server_kind", [DAPHNE, UVICORN], ids=str)
async def test_a_million_frames(start_server, server_kind):
    server = start_server(server_kind, APPLICATION)
    clients, frames, left = 20, 50_000, 1000
    began = time.monotonic()
    sent = asyncio.Event()

    async def one() -> None:
        async with ticking(server, f"{frames} 20 stay") as client:
            await take(client, frames - left)
            # What a consumer sends to a client that has left is lost as after_close, or not sent at all.
            await sent.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(one())
        await until(lambda: handled([server]).total() == clients * frames, 300.0, lambda: handled([server]))
        sent.set()
    confirmed = clients * (frames - left)
    await settled(server, Books(sent=clients * frames, confirmed=confirmed, lost=clients * left), LAST)
    print(f"{server_kind}: {books(server)} in {time.monotonic() - began:.0f} s")


# --- clients in a process of their own ----------------------------------------------------------------------------


@asynccontextmanager
async def reader(server: Server, first: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A client of ours that reads all that comes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.slow.reader", f"{server.ws_url}/acme/ticker/", first, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"reads\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def order(server: Server, said: str) -> None:
    """Let all tickers of the server do what they would for a client that says so."""
    # A server may keep whoever closes waiting for the answer.
    async with httpx.AsyncClient(timeout=60) as client:
        assert (await client.get(f"{server.url}/order/{said.replace(' ', '/')}/")).status_code == 200
