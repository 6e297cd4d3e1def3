"""
What makes each rule of the pack fire: clients that behave so, a consumer that is told to, a Redis that goes away.

What a rule needs to be quick (windows of seconds, not minutes) is `SHORTENED`; thresholds are the pack's own wherever a
test can reach them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
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

#: Every rule has two of its own. What can't be written in a URL is missing.
HOSTILE = EVIL.removesuffix(" \ud800")
#: Seconds that a client may wait until it is let in.
PATIENCE = 60.0
#: Seconds of silence after which nothing more will come, however late the loop is.
SILENCE = 3.0
#: Handshakes of a crowd: a small machine would not answer more in time.
AT_ONCE = 10
_WINDOW = {"window": 10, "keep": 1}
#: Seconds of a window that is compared with the one before.
COMPARED = 8
_CHANGE = {"window": COMPARED, "offset": COMPARED, "keep": 1}
#: What the settings change of the pack, so that a test need not take hours.
SHORTENED: dict[str, dict[str, Any]] = {
    "connection_failures": {"window": 20, "keep": 1},
    "handler_errors": _WINDOW,
    "handler_errors_many": {"window": 20, "above": 30, "keep": 1},
    "handler_errors_doubled": _CHANGE,
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
    "traffic_risen": {**_CHANGE, "least": 200},
}


def tenants_of(rule: str) -> tuple[str, str]:
    """The tenants of a rule's clients: neither the demo nor another rule has any of theirs."""
    return f"{rule} inc.", f"{rule} {HOSTILE}"


class Scene:
    """One rule's consumer on a site, its clients, and the Redis of its layer."""

    def __init__(self, rule: str, site: Server, redis: RedisServer) -> None:
        self.redis = redis
        self.tenants = tenants_of(rule)
        self._url = f"{site.ws_url}/trouble/{rule}/"

    @asynccontextmanager
    async def client(self, tenant: str = "", query: str = "") -> AsyncIterator[ClientConnection]:
        url = f"{self._url}?tenant={quote(tenant or self.tenants[0])}{query}"
        async with await _connected(url) as client:
            yield client

    async def tell(self, *orders: str) -> None:
        """Give a client orders, and wait for what becomes of them."""
        async with self.client() as client:
            await _obey(client, *orders)

    @asynccontextmanager
    async def crowd(self, count: int, query: str = "") -> AsyncIterator[list[ClientConnection]]:
        """So many clients of each tenant: what they do is done at once, however long it took to let them in."""
        async with AsyncExitStack() as stack:

            async def one(tenant: str) -> ClientConnection:
                async with free:
                    return await stack.enter_async_context(self.client(tenant, query))

            free = asyncio.Semaphore(AT_ONCE)
            yield await asyncio.gather(*(one(tenant) for _ in range(count) for tenant in self.tenants))


async def _obey(client: ClientConnection, *orders: str) -> None:
    for order in orders:
        await client.send(order)
    for _ in orders:
        await client.recv()


async def _listen(client: ClientConnection) -> None:
    """Until nothing more comes: what a member leaves in its queue waits there for a minute."""
    with suppress(TimeoutError):
        while True:
            await asyncio.wait_for(client.recv(), SILENCE)


async def _connected(url: str) -> ClientConnection:
    """A connection, as soon as the server finds time for it: Daphne drops whom it keeps waiting for five seconds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await connect(url, compression=None, open_timeout=30, ping_interval=None)
            except (InvalidMessage, OSError):
                await asyncio.sleep(0.5)


async def refuse(scene: Scene) -> None:
    async def refused() -> None:
        with pytest.raises(InvalidStatus, match="403"):
            async with free, scene.client(query="&refuse=1"):
                pass

    free = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(refused() for _ in range(60)))


def fail(count: int) -> Provocation:
    async def fails(client: ClientConnection) -> None:
        # Daphne says 1011, uvicorn nothing.
        with pytest.raises(ConnectionClosed):
            await _obey(client, "fail")

    async def provoke(scene: Scene) -> None:
        async with scene.crowd(count) as clients:
            await asyncio.gather(*map(fails, clients))

    return provoke


def late(seconds: float) -> Provocation:
    """Everybody's messages take so long."""

    async def provoke(scene: Scene) -> None:
        async with scene.crowd(13) as clients:
            await asyncio.gather(*(_obey(client, f"wait {seconds}") for client in clients))

    return provoke


async def queue_up(scene: Scene) -> None:
    """Of each connection as many messages are read as wait for their turn; what the server keeps nobody sees."""
    async with scene.crowd(20) as clients:
        waiting = [asyncio.create_task(_obey(client, "hold", *["echo"] * 64)) for client in clients]
        await asyncio.sleep(6)
        await scene.tell("release")
        await asyncio.gather(*waiting)


def publish(messages: int, members_each: int = 1) -> Provocation:
    """Members of a group take nothing out of their queues for a while, and so many messages are put in."""

    async def provoke(scene: Scene) -> None:
        async with scene.crowd(members_each, query="&member=1") as members:
            holding = [asyncio.create_task(_obey(member, "hold")) for member in members]
            await scene.tell(f"publish {messages}")
            await asyncio.sleep(6.0)
            await scene.tell("release")
            await asyncio.gather(*holding)
            await asyncio.gather(*map(_listen, members))

    return provoke


async def lose_redis(scene: Scene) -> None:
    """The Redis of the layer starts anew while a message waits in it: with it is gone who was in which group."""
    async with AsyncExitStack() as stack:
        member = await stack.enter_async_context(scene.client(query="&member=1"))
        await member.send("wait 8")
        await scene.tell("publish 20")
        await asyncio.sleep(1.5)
        await asyncio.to_thread(scene.redis.restart)
        await asyncio.sleep(8)


async def break_off(scene: Scene) -> None:
    async with scene.crowd(15) as clients:
        await asyncio.sleep(2)
        for client in clients:
            client.transport.abort()


async def fall_silent(scene: Scene) -> None:
    """Clients that gave signs of life give none any more, and stay connected."""
    async with scene.crowd(12, query="&_hub=1") as clients, AsyncExitStack() as stack:
        for client in clients:
            visitor = await Visitor(client, negotiated=True).begin()
            stack.push_async_callback(visitor.close)
            await visitor.heartbeat()
            visitor.beating = False
        await asyncio.sleep(6)


async def block(scene: Scene) -> None:
    await scene.tell("block 9")


def slow(seconds: float) -> Provocation:
    async def provoke(scene: Scene) -> None:
        async with scene.crowd(1) as clients:
            await asyncio.gather(*(_obey(client, f"wait {seconds}") for client in clients))

    return provoke


async def chat(scene: Scene) -> None:
    async with scene.crowd(10) as clients:
        await asyncio.gather(*(_obey(client, *["echo"] * 75) for client in clients))


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
    "message_slow": slow(5.5),
    "inbound_backlog": queue_up,
    "layer_backlog": publish(80, members_each=10),
    "layer_filling": publish(90),
    "frames_dropped": publish(150),
    "frames_lost_untold": lose_redis,
    "mass_disconnect": break_off,
    "presence_lost": fall_silent,
    "loop_blocked": block,
    "slow_consumer": slow(8.0),
    "slow_for_long": slow(14.0),
    "traffic_risen": chat,
}
#: While the loop is blocked nothing else can be provoked, and for some time it explains whatever is slow.
_LAST = ("loop_blocked",)
PHASES = (tuple(rule for rule in PROVOCATIONS if rule not in _LAST), _LAST)
