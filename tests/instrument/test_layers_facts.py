"""What the instrumented layers stand on in Channels, channels_redis and redis-py: read these when one fails."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer
from channels_redis.core import BoundedQueue, RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer, RedisPubSubLoopLayer, RedisSingleShardConnection
from redis.asyncio.client import PubSub

from hub.instrument.layers import redis as ours
from tests.test_facts import fingerprint


@pytest.mark.parametrize(
    ("function", "known", "stands_on_it"),
    [
        (InMemoryChannelLayer.send, "38be0d39d791", "Queues.setdefault, Item"),
        (
            InMemoryChannelLayer.receive,
            "1d1aee64f237",
            "MemoryInstruments.receive: no pause between the queue and its return",
        ),
        (vars(InMemoryChannelLayer)["_clean_expired"], "3a838f3dcd75", "Queues.popped, Members.pop"),
        (InMemoryChannelLayer.group_add, "e9d82ef7948b", "Groups.setdefault"),
        (InMemoryChannelLayer.group_send, "9796d9ad3a6e", "MemoryInstruments.send: its tasks inherit the group's name"),
        (BoundedQueue.put_nowait, "0bce8f21a164", "Buffer.put_nowait"),
        (RedisChannelLayer.send, "7d2388c9d86a", "WatchedClient.zremrangebyscore"),
        (RedisChannelLayer.receive, "bc85c7f63d41", "RedisInstruments.receive, Buffers"),
        (RedisChannelLayer.receive_single, "1269abd57943", "RedisInstruments.receive_single: it holds the key's lock"),
        (RedisChannelLayer._brpop_with_clean, "e1f8eb451651", "WatchedClient.bzpopmin"),
        (RedisChannelLayer.group_send, "3b9255587634", "WatchedClient.eval, WatchedPipeline"),
        (RedisChannelLayer._map_channel_keys_to_connection, "a33bc704a432", "RedisInstruments.hub_over_capacity"),
        (RedisPubSubChannelLayer._get_layer, "4febe230a90a", "PubSubInstruments._get_layer"),
        (RedisPubSubLoopLayer._subscribe_to_channel, "246e94f952ff", "Queues.__setitem__"),
        (RedisPubSubLoopLayer.receive, "9ed7804b0008", "Queues.__delitem__, LoopInstruments.receive"),
        (RedisSingleShardConnection._ensure_redis, "7a992d603f56", "WatchedShard"),
        (RedisSingleShardConnection._receive_message, "44f4aa3a5829", "WatchedQueue"),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_what_we_stand_on_is_what_it_was(function, known, stands_on_it):
    name = f"{function.__module__}.{function.__qualname__}"
    assert known == fingerprint(function), (
        f"{name} has changed: read it, adapt {stands_on_it} in hub/instrument/layers/, then note its new fingerprint"
    )


def test_the_script_for_groups_can_be_completed():
    source = inspect.getsource(RedisChannelLayer.group_send)
    script = source.split('group_send_lua = """')[1].split('"""')[0]
    completed = ours.telling(script)
    assert completed, "the script is another one: losses are counted, but nobody can tell whose they are"
    assert completed.count("hub_over") == 3


def test_redis_py_calls_on_connect_for_each_connection_after_the_first():
    source = inspect.getsource(PubSub.connect)
    assert source.index("get_connection()") < source.index("register_connect_callback(self.on_connect)"), (
        "on_connect is called for the first connection as well now: see WatchedPubSub"
    )


async def test_an_asyncio_queue_takes_and_gives_by_two_methods():
    seen: list[Any] = []

    class Queue(asyncio.Queue[int]):
        def _put(self, item: int) -> None:
            seen.append(("put", item))
            super()._put(item)

        def _get(self) -> int:
            item: int = super()._get()
            seen.append(("get", item))
            return item

    queue = Queue()
    queue.put_nowait(1)
    await queue.get()
    assert [("put", 1), ("get", 1)] == seen, "asyncio.Queue has changed: see the queues of hub/instrument/layers/"


async def test_in_memory_an_expired_message_takes_its_channel_out_of_all_groups():
    layer = InMemoryChannelLayer(expiry=-1)
    await layer.group_add("room", "channel")
    await layer.send("channel", {"type": "x"})
    await layer.group_send("other", {"type": "x"})
    assert {} == layer.groups["room"], "Channels leaves it in its groups now: REJOIN_GROUPS may go, for this layer"


async def test_core_counts_keys_and_not_connections_in_its_log(redis_server, caplog):
    caplog.set_level("INFO", "channels_redis.core")
    layer = RedisChannelLayer(hosts=[redis_server.url], capacity=1)
    for number in range(2):
        await layer.group_add("room", f"specific.x!{number}")
    for _ in range(2):
        await layer.group_send("room", {"type": "x"})
    assert [(1, 2, "room")] == [record.args for record in caplog.records], "it counts connections now"
    await layer.flush()


async def test_pubsub_s_hooks_are_never_called(redis_server):
    called: list[str] = []

    def note(*_: Any) -> None:
        called.append("called")

    layer = RedisPubSubChannelLayer(hosts=[redis_server.url], on_disconnect=note, on_reconnect=note)
    channel = await layer.new_channel()
    redis_server.restart()
    await asyncio.sleep(0.5)
    await layer.send(channel, {"type": "x"})
    assert [] == called, "channels_redis calls its hooks now: WatchedPubSub may go"
    await layer.flush()
