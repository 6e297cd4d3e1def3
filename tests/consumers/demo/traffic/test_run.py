"""Where traffic may go, and a run against a server that comes and goes."""

import asyncio
from dataclasses import replace

import pytest
from websockets.asyncio.server import serve

from consumers.demo.tenants import TENANTS
from consumers.demo.traffic.profiles import PROFILES, Wave
from consumers.demo.traffic.run import Run, is_loopback
from hub.core.control import encode

LIVELY = replace(PROFILES["calm"], arrival=0.2, tempo=20, visit=1.0, away=0.1)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:8000", "ws://127.9.9.9", "ws://[::1]:8000", "ws://localhost:8000"])
def test_this_machine(url):
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url", ["ws://10.0.0.1", "wss://example.com", "ws://localhost.example.com", "ws://0.0.0.0", "x"]
)
def test_other_machines(url):
    assert not is_loopback(url)


class Peer:
    """A WebSocket server that counts what arrives, and says it back."""

    def __init__(self):
        self.opened = self.received = 0

    async def __call__(self, connection):
        self.opened += 1
        async for message in connection:
            self.received += 1
            await connection.send(message)


@pytest.mark.slow
async def test_a_run_counts_what_its_peer_counts():
    peer = Peer()
    async with serve(peer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        profile = replace(LIVELY, kill_share=0)
        tally = await Run(f"ws://127.0.0.1:{port}", profile, TENANTS, seed=1).run(3, print, every=1)
    assert tally.opened == peer.opened > profile.visitors
    assert tally.sent == peer.received
    assert 0 < tally.received <= tally.sent
    assert tally.active == 0
    assert sum(tally.closed.values()) == tally.opened
    assert set(tally.closed) == {1000}


@pytest.mark.slow
async def test_a_frozen_page_does_not_count_what_the_hub_says():
    async def greet(connection):
        await connection.send(encode("hello"))
        await connection.send("said by the consumer")
        await connection.wait_closed()

    async with serve(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        run = Run(f"ws://127.0.0.1:{port}", replace(LIVELY, kill_share=0, visit=2), TENANTS, seed=1)
        run.visitors = [visitor for visitor in run.visitors if visitor.kind == "sleeper"]
        tally = await run.run(2, print, every=1)
    assert tally.opened >= len(run.visitors) >= 1
    assert tally.received == tally.opened


@pytest.mark.slow
async def test_waves_strike_and_pass():
    waves = (
        Wave("hang_up", share=0.5, every=0.5),
        Wave("kill", share=0.5, every=0.5),
        Wave("flood", share=0.1, every=0.5),
    )
    profile = replace(LIVELY, visit=60, waves=waves)
    async with serve(Peer(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        tally = await Run(f"ws://127.0.0.1:{port}", profile, TENANTS, seed=1).run(3, print, every=1)
    assert tally.closed[1001] > 0
    assert tally.closed[1006] > 0
    assert tally.active == 0


@pytest.mark.slow
async def test_visitors_come_back_after_a_restart():
    async with serve(Peer(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        run = Run(f"ws://127.0.0.1:{port}", LIVELY, TENANTS, seed=1)
        running = asyncio.create_task(run.run(None, print, every=1))
        await asyncio.sleep(1)
        assert run.tally.opened > 0
    # Everybody tries again within some seconds, nobody at a known moment.
    for _ in range(300):
        await asyncio.sleep(0.1)
        if run.tally.unanswered:
            break
    assert run.tally.unanswered > 0
    assert run.tally.active == 0

    opened = run.tally.opened
    async with serve(Peer(), "127.0.0.1", port):
        for _ in range(200):
            await asyncio.sleep(0.1)
            if run.tally.opened > opened + 5:
                break
        run.stop()
        await running
    assert run.tally.opened > opened + 5


async def test_a_visitor_with_a_fault_ends_the_run():
    run = Run("ws://127.0.0.1:1", LIVELY, TENANTS, seed=1)
    run.visitors[0].path = lambda: 1 / 0  # type: ignore[assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        await run.run(5, print, every=1)
