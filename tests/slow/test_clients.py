"""
Clients that don't keep up, on real servers, with healthy ones of the same consumer beside them: seen by what they
confirm, or by what waits for them once the buffers are full, and by nothing else.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import async_playwright
from websockets.exceptions import ConnectionClosed

from hub.client import connect
from hub.instrument.observer import LINGER
from tests.slow.conftest import running
from tests.slow.stage import PROMISED, THRESHOLD, line_of
from tests.slow.test_causes import LENIENCE, assert_in_time
from tests.support.browser import FLAGS
from tests.support.require import require
from tests.support.servers import DAPHNE, HYPERCORN, UVICORN, require_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]


@pytest.fixture(scope="module", params=[DAPHNE, UVICORN, HYPERCORN], ids=str)
def site(request, prepared_site, tmp_path_factory):
    """One server more: how a client shows that it is slow differs from server to server."""
    with running(require_server(request.param), prepared_site, tmp_path_factory.mktemp("slow")) as server:
        yield server


STREAM = """
async (url) => {
  const { HubSocket } = await import("/client/hubsocket.js");
  window.socket = new HubSocket(url);
  window.socket.onopen = () => window.socket.send("stream 50");
  await new Promise((resolve) => { window.socket.onmessage = resolve; });
}
"""


def assert_since(opened: Any, stopped_at: float) -> None:
    """By one clock of this machine: from when the client should have been behind to the operator."""
    late = opened["heard_at"] - stopped_at - THRESHOLD
    print(f"{opened['consumer']}: {late * 1000:.0f} ms after its client was {THRESHOLD:g} s behind")
    assert late <= PROMISED + LENIENCE


@asynccontextmanager
async def reading(client: Any) -> AsyncIterator[None]:
    """It reads all that comes."""

    async def read() -> None:
        async for _ in client:
            pass

    task = asyncio.create_task(read())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_client_whose_process_is_stopped_is_seen_and_its_twin_is_not(stage):
    await stage.twin()
    await stage.reader("twin")
    stopped = await stage.reader("slow")
    await asyncio.sleep(1.0)
    assert set() == stage.causes()
    stopped_at = stopped.stop()
    opened = await stage.hear("slow.opened", "client", "slow")
    assert_in_time(opened)
    assert_since(opened, stopped_at)
    details = opened["details"]
    assert "acme" == opened["tenant"]
    assert details["frames_behind"] >= 15
    assert details["oldest_seconds"] >= THRESHOLD
    assert details["kernel_bytes"] is not None
    assert "confirmations" not in str(details["unknown"])
    [name] = [name for name in stage.numbers() if name.startswith("ws_slow_consumers") and 'consumer="slow"' in name]
    assert 'cause="client"' in name
    assert 1.0 == stage.numbers()[name]
    # Nodes publish once a second: what is read then is up to a second old.
    await asyncio.sleep(2.5)
    row = await stage.open_row(opened["connection"])
    assert ("client", "slow", "acme") == (row["cause"], row["consumer"], row["tenant"])
    assert row["details"]["frames_behind"] > details["frames_behind"]
    # As of the last tick, which is up to a second ago.
    assert row["seconds"] > max(1.0, details["oldest_seconds"])
    stopped.go_on()
    closed = await stage.hear("slow.closed", "client", "slow")
    assert closed["details"]["lasted"] >= THRESHOLD
    assert 0.0 == stage.numbers()[name]
    assert stage.causes() == {("slow", "client")}


async def test_a_client_that_takes_one_small_frame_a_second_of_ten_is_seen_until_it_has_caught_up(stage):
    await stage.reader("twin", "stream 10")
    async with connect(f"{stage.site.ws_url}/acme/slow/") as throttled:
        await throttled.send("stream 10")
        for _ in range(3):
            await throttled.recv()
            await asyncio.sleep(1.0)
        opened = await stage.hear("slow.opened", "client", "slow")
        assert_in_time(opened)
        async with reading(throttled):
            await stage.hear("slow.closed", "client", "slow")
    assert stage.causes() == {("slow", "client")}


async def test_a_plain_client_that_does_not_read_is_seen_once_the_buffers_are_full(stage):
    await stage.reader("twin", "pour 20")
    client = await stage.client("slow", max_queue=1, close_timeout=0.5)
    await client.send("pour 50")
    opened = await stage.hear("slow.opened", "client", "slow")
    assert_in_time(opened)
    details = opened["details"]
    assert details["kernel_bytes"] > 0
    assert "confirmations: plain client" in details["unknown"]
    assert ("time in send" in details["unknown"]) == (stage.site.name == "daphne")
    async with reading(client):
        await stage.hear("slow.closed", "client", "slow")
    assert stage.causes() == {("slow", "client")}


async def test_a_plain_client_that_does_not_read_at_a_low_rate_is_unknown(stage):
    client = await stage.client("slow", max_queue=1, close_timeout=0.5)
    await client.send("stream 50")
    await asyncio.sleep(2.0)
    assert set() == stage.causes()


async def test_a_slow_handler_and_a_slow_client_are_told_apart(stage):
    await stage.twin()
    await stage.reader("twin")
    stopped = await stage.reader("impatient")
    client = await stage.client("slow")
    await client.send("wait 2")
    stopped.stop()
    handler = await stage.hear("slow.opened", "handler", "slow")
    assert handler["details"]["line"] == line_of("waits here")
    opened = await stage.hear("slow.opened", "client", "impatient")
    assert_in_time(opened, 0.2)
    assert "line" not in opened["details"]
    stopped.go_on()
    await stage.hear("slow.closed", "handler", "slow")
    await stage.hear("slow.closed", "client", "impatient")
    assert stage.causes() == {("slow", "handler"), ("impatient", "client")}


async def test_both_at_one_connection_are_two_episodes_and_a_slow_handler_alone_is_one(stage):
    healthy = await stage.reader("slow")
    async with connect(f"{stage.site.ws_url}/beta/slow/") as client:
        await client.send("stream 50")
        async with reading(client):
            await client.send("wait 1.5")
            await stage.hear("slow.opened", "handler", "slow")
            await stage.hear("slow.closed", "handler", "slow")
        assert stage.causes() == {("slow", "handler")}
        stage.told.clear()
        await client.send("wait 3")
        began = time.time()
        handler = await stage.hear("slow.opened", "handler", "slow")
        opened = await stage.hear("slow.opened", "client", "slow")
        assert time.time() - began < 3.0
        assert handler["connection"] == opened["connection"]
        assert handler["details"]["line"] == line_of("waits here")
        assert "line" not in opened["details"]
        async with reading(client):
            await stage.hear("slow.closed", "handler", "slow")
            await stage.hear("slow.closed", "client", "slow")
    assert healthy.process.returncode is None


async def take_slowly(client: Any) -> None:
    """One frame of six, until it raises."""
    async with asyncio.timeout(10):
        while True:
            await client.recv()
            await asyncio.sleep(0.3)


async def ended(stage: Any, count: float) -> None:
    """All connections of the strict consumer are gone, each counted as closed with 1013."""
    async with asyncio.timeout(3 * LINGER):
        gauge = 'ws_connections_active{consumer="strict",tenant="acme"}'
        while stage.samples(gauge).get(gauge):  # noqa: ASYNC110 - another process has no event of ours
            await asyncio.sleep(0.2)
    name = 'ws_disconnects_total{code="1013",consumer="strict",tenant="acme"}'
    assert count == stage.samples("ws_disconnects_total")[name]


async def test_a_slow_client_is_closed_where_its_consumer_says_so_also_when_it_takes_nothing_at_all(stage):
    async with connect(f"{stage.site.ws_url}/acme/strict/", reconnect_delays=None) as client:
        await client.send("stream 20")
        await stage.hear("slow.opened", "client", "strict")
        with pytest.raises(ConnectionClosed) as closed:
            await take_slowly(client)
    assert closed.value.rcvd is not None
    assert 1013 == closed.value.rcvd.code
    await stage.hear("slow.closed", "client", "strict")
    await ended(stage, 1.0)
    stage.told.clear()
    deaf = await stage.client("strict", max_queue=1, close_timeout=0.5)
    await deaf.send("pour 50")
    await stage.hear("slow.opened", "client", "strict")
    await stage.hear("slow.closed", "client", "strict")
    await ended(stage, 2.0)


@pytest.mark.browser
async def test_a_page_whose_main_thread_is_busy_is_seen_until_it_is_free(stage):
    await stage.reader("twin")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=require("chromium"), args=list(FLAGS))
        page = await browser.new_page()
        await page.goto(f"{stage.site.url}/login/")
        await page.evaluate(STREAM, f"{stage.site.ws_url}/acme/slow/")
        await asyncio.sleep(1.0)
        assert set() == stage.causes()
        busy_at = time.time()
        busy = asyncio.create_task(page.evaluate("() => { const end = Date.now() + 2500; while (Date.now() < end); }"))
        opened = await stage.hear("slow.opened", "client", "slow")
        assert not busy.done()
        assert_in_time(opened)
        assert_since(opened, busy_at)
        assert opened["details"]["frames_behind"] > 0
        await busy
        await stage.hear("slow.closed", "client", "slow")
        await browser.close()
    assert stage.causes() == {("slow", "client")}
