"""
What makes each rule of the pack fire: clients that behave so, a consumer that is told to, a Redis that goes away.

What a rule needs to be quick (windows of seconds, not minutes) is `SHORTENED`; thresholds are the pack's own wherever a
test can reach them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from tests.alerting.messages import EVIL
from tests.presence.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.redis import RedisServer
    from tests.support.servers import Server

#: The second one can be written in a URL.
TENANTS = ("acme", EVIL.removesuffix(" \ud800"))
#: Seconds that a client may wait until it is let in.
PATIENCE = 60.0
_WINDOW = {"window": 10, "keep": 1}
#: What the settings change of the pack, so that a test need not take hours.
SHORTENED: dict[str, dict[str, Any]] = {
    "connection_failures": _WINDOW,
    "handler_errors": _WINDOW,
    "handler_errors_many": {"window": 20, "above": 30, "keep": 1},
    "handler_errors_doubled": {"window": 8, "offset": 8, "keep": 1},
    "latency_medium": {**_WINDOW, "for": 1},
    "latency_high": {**_WINDOW, "for": 1},
    "latency_critical": {**_WINDOW, "for": 1},
    "message_slow": _WINDOW,
    "inbound_backlog": {"for": 1, "keep": 1},
    "layer_backlog": {"above": 1000, "keep": 1},
    "layer_filling": {"keep": 1},
    "frames_dropped": _WINDOW,
    "frames_lost_untold": _WINDOW,
    "mass_disconnect": _WINDOW,
    "presence_lost": {"keep": 1},
    "loop_blocked": {"keep": 5},
    "slow_consumer": {"keep": 2},
    "slow_for_long": {"for": 5, "keep": 1},
    "traffic_risen": {"window": 8, "offset": 8, "least": 200, "keep": 1},
}


class Scene:
    """One rule's consumer on a site, its clients, and the Redis of its layer."""

    def __init__(self, rule: str, site: Server, redis: RedisServer) -> None:
        self.rule = rule
        self.redis = redis
        self._url = f"{site.ws_url}/trouble/{rule}/"

    @asynccontextmanager
    async def client(self, tenant: str = TENANTS[0], query: str = "") -> AsyncIterator[ClientConnection]:
        url = f"{self._url}?tenant={quote(tenant)}{query}"
        async with await _connected(url) as client:
            yield client

    async def tell(self, tenant: str, *orders: str) -> None:
        """Give a client orders, and wait for what becomes of them."""
        async with self.client(tenant) as client:
            for order in orders:
                await client.send(order)
            for _ in orders:
                await client.recv()

    async def crowd(
        self, count: int, each: Callable[[str], Awaitable[None]], tenants: tuple[str, ...], at_once: int = 10
    ) -> None:
        """So many clients of each tenant, some of them at a time."""
        free = asyncio.Semaphore(at_once)

        async def one(tenant: str) -> None:
            async with free:
                await each(tenant)

        await asyncio.gather(*(one(tenant) for _ in range(count) for tenant in tenants))


async def _connected(url: str) -> ClientConnection:
    """A connection, as soon as the server finds time for it: Daphne drops whom it keeps waiting for five seconds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await connect(url, compression=None, open_timeout=30, ping_interval=None)
            except (InvalidMessage, OSError):
                await asyncio.sleep(0.5)


async def _refused(scene: Scene, tenant: str) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        async with scene.client(tenant, "&refuse=1"):
            pass


async def _fails(scene: Scene, tenant: str) -> None:
    with pytest.raises(ConnectionClosed, match="1011"):
        await scene.tell(tenant, "fail")


async def refuse(scene: Scene) -> None:
    await scene.crowd(60, lambda tenant: _refused(scene, tenant), TENANTS[:1])


def fail(count: int) -> Provocation:
    async def provoke(scene: Scene) -> None:
        await scene.crowd(count, lambda tenant: _fails(scene, tenant), TENANTS)

    return provoke


def late(seconds: float) -> Provocation:
    """Everybody's messages take so long."""

    async def provoke(scene: Scene) -> None:
        await asyncio.gather(*(scene.tell(TENANTS[0], f"wait {seconds}") for _ in range(25)))

    return provoke


async def wait_long(scene: Scene) -> None:
    await asyncio.gather(*(scene.tell(tenant, "wait 5.5") for tenant in TENANTS))


async def queue_up(scene: Scene) -> None:
    """Of each connection as many messages are read as wait for their turn; what the server keeps nobody sees."""
    await scene.crowd(20, lambda tenant: scene.tell(tenant, "wait 5", *["echo"] * 64), TENANTS, at_once=40)


def publish(messages: int) -> Provocation:
    """Members of a group take nothing out of their queues for a while, and so many messages are put in."""

    async def provoke(scene: Scene) -> None:
        async with AsyncExitStack() as stack:
            members = [await stack.enter_async_context(scene.client(tenant, "&member=1")) for tenant in TENANTS]
            for member in members:
                await member.send("hold")
            await scene.tell(TENANTS[0], f"publish {messages}")
            await asyncio.sleep(6.0)
            await scene.tell(TENANTS[0], "release")
            for member in members:
                await member.recv()
            # Until they have taken out what waits.
            await asyncio.sleep(2.0)

    return provoke


async def lose_redis(scene: Scene) -> None:
    """The Redis of the layer starts anew while a message waits in it: with it is gone who was in which group."""
    async with AsyncExitStack() as stack:
        member = await stack.enter_async_context(scene.client(query="&member=1"))
        await member.send("wait 8")
        await scene.tell(TENANTS[1], "publish 20")
        await asyncio.sleep(1.5)
        await asyncio.to_thread(scene.redis.restart)
        await asyncio.sleep(8)


async def break_off(scene: Scene) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(scene.client()) for _ in range(30)]
        await asyncio.sleep(2)
        for client in clients:
            client.transport.abort()


async def fall_silent(scene: Scene) -> None:
    """Clients that gave signs of life give none any more, and stay connected."""
    async with AsyncExitStack() as stack:
        for tenant in 12 * TENANTS:
            client = await stack.enter_async_context(scene.client(tenant, query="&_hub=1"))
            visitor = await Visitor(client, negotiated=True).begin()
            stack.push_async_callback(visitor.close)
            await visitor.heartbeat()
            visitor.beating = False
        await asyncio.sleep(6)


async def block(scene: Scene) -> None:
    await scene.tell(TENANTS[0], "block 9")


def slow(seconds: float) -> Provocation:
    async def provoke(scene: Scene) -> None:
        await asyncio.gather(*(scene.tell(tenant, f"wait {seconds}") for tenant in TENANTS))

    return provoke


async def chat(scene: Scene) -> None:
    await scene.tell(TENANTS[0], *["echo"] * 1500)


Provocation = Callable[[Scene], Coroutine[Any, Any, None]]
#: By rule.
PROVOCATIONS: dict[str, Provocation] = {
    "connection_failures": refuse,
    "handler_errors": fail(15),
    "handler_errors_many": fail(35),
    "handler_errors_doubled": fail(10),
    "latency_medium": late(1.2),
    "latency_high": late(2.2),
    "latency_critical": late(3.2),
    "message_slow": wait_long,
    "inbound_backlog": queue_up,
    "layer_backlog": publish(800),
    "layer_filling": publish(90),
    "frames_dropped": publish(150),
    "frames_lost_untold": lose_redis,
    "mass_disconnect": break_off,
    "presence_lost": fall_silent,
    "loop_blocked": block,
    "slow_consumer": slow(4.0),
    "slow_for_long": slow(9.0),
    "traffic_risen": chat,
}
_CROWDS = (
    "connection_failures", "handler_errors", "handler_errors_many", "handler_errors_doubled", "mass_disconnect",
    "traffic_risen",
)  # fmt: skip
#: Who is silent is told by tenant: others of the same one would outnumber them.
_SILENT = ("presence_lost",)
_ALONE = ("loop_blocked",)
#: One after the other, as small machines can't do all at once. What is slow comes first: crowds may block the loop for
#: a moment, which then explains it for a minute.
PHASES = (tuple(rule for rule in PROVOCATIONS if rule not in _CROWDS + _SILENT + _ALONE),
          _CROWDS, _SILENT, _ALONE)  # fmt: skip
