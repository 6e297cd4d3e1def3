"""
What waits in a channel layer, on real servers and on each layer: seen as such beside a healthy member of the same
group, and told apart from a slow handler, a queue and a blocked loop.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from channels_redis.core import RedisChannelLayer

from tests.feed.site import log_in
from tests.slow.conftest import running
from tests.slow.stage import Stage, line_of
from tests.slow.test_causes import assert_in_time
from tests.support.processes import LOCALHOST
from tests.support.proxy import proxy_to
from tests.support.redis import make_redis
from tests.support.servers import DAPHNE, UVICORN, Server, ServerKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(180)]

LAYERS = ("memory", "core", "pubsub")


@contextmanager
def layered_site(kind: ServerKind, prepared: Path, folder: Path, layer: str, url: str = "") -> Iterator[Server]:
    env = {"DJANGO_SETTINGS_MODULE": "tests.slow.settings", "LAYER": layer, "LAYER_REDIS_URL": url}
    with running(kind, prepared, folder, **env) as server:
        yield server


@pytest.fixture(
    scope="module",
    params=[(kind, layer) for kind in (DAPHNE, UVICORN) for layer in LAYERS],
    ids=lambda pair: "-".join(map(str, pair)),
)
def layered(request, prepared_site, tmp_path_factory) -> Iterator[tuple[Server, str]]:
    """Each server on each layer, shared by a module's tests."""
    kind, layer = request.param
    folder = tmp_path_factory.mktemp("layer")
    with make_redis(folder) as redis, layered_site(kind, prepared_site, folder, layer, redis.url) as server:
        yield server, layer


@pytest.fixture(scope="module")
def cookies(layered):
    return log_in(layered[0], "ops")


@asynccontextmanager
async def staged(server: Server, cookies: Any) -> AsyncIterator[Stage]:
    async with Stage(server, cookies) as made:
        yield made
    assert made.faults() == ""


@pytest.fixture
async def stage(layered, cookies) -> AsyncIterator[Stage]:
    async with staged(layered[0], cookies) as made:
        yield made


@pytest.mark.parametrize("consumer", ["room", "wrapped_room"])
async def test_messages_that_wait_in_the_layer_for_one_small_step_after_the_other_are_the_layer_s(
    stage, layered, consumer
):
    _, layer = layered
    await stage.client(consumer)
    await stage.client("room_twin")
    await stage.twin()
    publisher = await stage.client("slow")
    await publisher.send("publish 12")
    opened = await stage.hear("slow.opened", "layer", consumer)
    assert_in_time(opened)
    details = opened["details"]
    assert ("acme", "default", "acme") == (opened["tenant"], details["layer"], details["groups"])
    assert details["waiting"] >= 1
    assert details["oldest_seconds"] > 0.5
    assert "specific." in details["channel"]
    assert ("room.step", "look_up", line_of("waits here")) == (
        details["message"], details["function"], details["line"],
    )  # fmt: skip
    assert ("pub/sub" in details.get("unknown", "")) == (layer == "pubsub")
    row = await stage.open_row(opened["connection"])
    assert ("layer", consumer) == (row["cause"], row["consumer"])
    labels = ('cause="layer"', f'consumer="{consumer}"')
    [name] = [
        name for name in stage.numbers()
        if name.startswith("ws_slow_consumers") and all(label in name for label in labels)
    ]  # fmt: skip
    assert 1.0 == stage.numbers()[name]
    await stage.hear("slow.closed", "layer", consumer)
    assert 0.0 == stage.numbers()[name]
    assert stage.causes() == {(consumer, "layer")}


async def test_messages_in_the_layer_behind_a_slow_handler_are_its_fault(stage):
    await stage.client("room_twin")
    member = await stage.client("room")
    publisher = await stage.client("slow")
    await member.send("wait 1.5")
    await publisher.send("publish 2")
    await stage.hear("slow.closed", "handler", "room")
    assert stage.causes() == {("room", "handler")}


async def test_messages_in_the_layer_while_the_loop_is_blocked_are_the_loop_s(stage):
    await stage.client("room_twin")
    await stage.client("room")
    publisher = await stage.client("slow")
    await publisher.send("publish 2")
    await publisher.send("block 1.2")
    await stage.hear("slow.closed", "loop", "slow")
    assert stage.causes() == {("slow", "loop")}


async def test_a_queue_and_a_layer_that_wait_for_the_same_consumer_are_two(stage):
    await stage.client("room_twin")
    member = await stage.client("room")
    publisher = await stage.client("slow")
    for _ in range(8):
        await member.send("wait 0.2")
    await publisher.send("publish 6")
    for cause in ("queue", "layer"):
        await stage.hear("slow.opened", cause, "room")
    for cause in ("queue", "layer"):
        await stage.hear("slow.closed", cause, "room")
    assert stage.causes() == {("room", "queue"), ("room", "layer")}


# --- the queue that a Redis layer keeps for a whole process -------------------------------------------------------


@asynccontextmanager
async def on_redis(kind: ServerKind, prepared: Path, folder: Path, url: str) -> AsyncIterator[Stage]:
    """An operator at a site of its own; started and stopped beside this loop, in which its proxy runs."""
    site = layered_site(kind, prepared, folder, "core", url)
    server = await asyncio.to_thread(site.__enter__)
    try:
        async with staged(server, await asyncio.to_thread(log_in, server, "ops")) as made:
            yield made
    finally:
        await asyncio.to_thread(site.__exit__, None, None, None)


@pytest.mark.parametrize("kind", [DAPHNE, UVICORN], ids=str)
async def test_answers_of_redis_that_come_late_are_an_episode_of_the_process_and_of_no_consumer(
    kind, prepared_site, tmp_path, redis_server
):
    elsewhere = RedisChannelLayer(hosts=[redis_server.url])
    async with (
        proxy_to(redis_server.port) as proxy,
        on_redis(kind, prepared_site, tmp_path, f"redis://{LOCALHOST}:{proxy.port}/0") as stage,
    ):
        await stage.client("room_twin")
        proxy.delay = 1.0
        for _ in range(3):
            await elsewhere.group_send("acme", {"type": "room.step", "seconds": 0.0})
            await asyncio.sleep(0.3)
        opened = await stage.hear("slow.opened", "layer", "unknown")
        details = opened["details"]
        assert ("default", True, "") == (details["layer"], details["asking"], opened["connection"])
        assert 0.8 <= details["seconds"] <= 3.0
        proxy.delay = 0.0
        await stage.hear("slow.closed", "layer", "unknown")
        assert stage.causes() == {("unknown", "layer")}
    await elsewhere.close_pools()


@pytest.mark.parametrize("kind", [DAPHNE, UVICORN], ids=str)
async def test_small_steps_of_all_that_take_from_redis_leave_its_queue_waiting_and_a_slow_handler_does_not(
    kind, prepared_site, tmp_path, redis_server
):
    elsewhere = RedisChannelLayer(hosts=[redis_server.url])
    async with on_redis(kind, prepared_site, tmp_path, redis_server.url) as stage:
        # Nobody else: whoever is idle would take messages for all.
        member = await stage.client("room")
        await member.send("wait 2.5")
        for _ in range(2):
            await elsewhere.group_send("acme", {"type": "room.step", "seconds": 0.2})
        await stage.hear("slow.closed", "handler", "room")
        assert stage.causes() == {("room", "handler")}
        stage.told.clear()
        for _ in range(20):
            await elsewhere.group_send("acme", {"type": "room.step", "seconds": 0.2})
        opened = await stage.hear("slow.opened", "layer", "unknown")
        assert opened["details"]["waiting"] is not None
        await stage.hear("slow.closed", "layer", "unknown")
        assert stage.causes() == {("unknown", "layer")}
    await elsewhere.close_pools()
