"""What each layer loses, counted by reason for the connection that misses it; to the last message."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from channels.exceptions import ChannelFull

from hub.core.events import Event
from hub.core.ledger import Connection, Counts
from hub.instrument.layers.losses import CONNECTION, losses
from hub.instrument.state import Instruments
from tests.instrument.layer_pairs import KINDS, OURS, close, maker


def opened(shared: Instruments, tenant: str = "acme") -> Connection:
    """An open connection, without a server."""
    connection = shared.ledger.open("chat", shared.clock.monotonic(), lambda: tenant)
    shared.ledger.accept(connection, shared.clock.monotonic())
    return connection


async def joined(layer: Any, connection: Connection, *groups: str) -> str:
    """The channel that a connection's consumer gets."""
    token = CONNECTION.set(connection)
    channel: str = await layer.new_channel()
    CONNECTION.reset(token)
    for group in groups:
        await layer.group_add(group, channel)
    return channel


def end(shared: Instruments, connection: Connection) -> None:
    if connection.link is not None:
        connection.link.ended()
    shared.ledger.end(connection, shared.clock.monotonic(), error=False)


def lost(shared: Instruments) -> dict[str, dict[str, int]]:
    """By consumer and reason."""
    return {row.consumer: dict(row.lost) for row in shared.ledger if row.lost}


async def drained(layer: Any, channel: str, seconds: float = 0.2) -> int:
    """How many messages a channel gives until it falls silent."""
    count = 0
    while True:
        try:
            await asyncio.wait_for(layer.receive(channel), seconds)
        except TimeoutError:
            return count
        count += 1


def details(events: list[Event]) -> list[dict[str, Any]]:
    losses().flush()
    return [{"consumer": event.consumer, **event.details} for event in events if event.kind == "frames.dropped"]


@pytest.fixture
def make(request):
    def made(kind: str, **config: Any) -> Any:
        url = "" if kind == "memory" else request.getfixturevalue("redis_server").url
        return maker(kind, OURS, url)(**config)

    return made


WITH_CAPACITY = ("memory", "core")


@pytest.mark.parametrize("kind", WITH_CAPACITY)
async def test_a_full_channel_is_counted_where_its_sender_is_told(kind, shared, events, make):
    layer = make(kind, capacity=3)
    channel = await joined(layer, opened(shared))
    for _ in range(3):
        await layer.send(channel, {"type": "x"})
    for _ in range(2):
        with pytest.raises(ChannelFull):
            await layer.send(channel, {"type": "x"})
    assert {"chat": {"channel_full": 2}} == lost(shared)
    assert [{"consumer": "chat", "reason": "channel_full", "messages": 2, "channel": channel}] == details(events)
    assert 3 == await drained(layer, channel)
    await close(layer)


async def test_a_group_over_capacity_loses_a_message_for_each_full_connection(shared, events, make):
    layer = make("memory", capacity=2)
    connections = [opened(shared) for _ in range(50)]
    channels = [await joined(layer, connection, "room") for connection in connections]
    for channel in channels[:20]:
        await layer.send(channel, {"type": "x"})
    for _ in range(3):
        await layer.group_send("room", {"type": "x"})
    # 20 had room for one of three, 30 for two.
    assert {"chat": {"over_capacity": 20 * 2 + 30}} == lost(shared)
    [told] = details(events)
    assert {"consumer": "chat", "reason": "over_capacity", "messages": 70, "group": "room", "channels": 50} == told
    assert 20 + 3 * 50 == 70 + sum([await drained(layer, channel, 0.01) for channel in channels])


async def test_a_full_process_loses_a_group_s_message_for_all_of_its_connections(shared, events, make):
    # In Redis the capacity is that of a process: one key over, and both connections have lost the message.
    full, roomy = make("core", capacity=2), make("core", capacity=2)
    channels = [await joined(full, opened(shared), "room") for _ in range(2)]
    channels += [await joined(roomy, opened(shared, "globex"), "room") for _ in range(3)]
    for _ in range(2):
        await full.send(channels[0], {"type": "x"})
    await roomy.group_send("room", {"type": "x"})
    assert {"chat": {"over_capacity": 2}} == lost(shared)
    assert [("acme", {"over_capacity": 2}), ("globex", {})] == [(row.tenant, row.lost) for row in shared.ledger]
    assert [2, 0, 1, 1, 1] == [
        await drained(full if index < 2 else roomy, channel) for index, channel in enumerate(channels)
    ]
    assert [{"consumer": "chat", "reason": "over_capacity", "messages": 2, "group": "room", "channels": 2}] == details(
        events
    )
    await close(full)
    await close(roomy)


async def test_a_channel_of_another_process_is_lost_for_an_unknown_consumer(shared, make):
    layer = make("core", capacity=1)
    elsewhere = f"specific.{'f' * 32}!channel"
    await layer.group_add("room", elsewhere)
    for _ in range(3):
        await layer.group_send("room", {"type": "x"})
    with pytest.raises(ChannelFull):
        await layer.send(elsewhere, {"type": "x"})
    assert {"unknown": {"over_capacity": 2, "channel_full": 1}} == lost(shared)
    await close(layer)


async def test_a_script_that_is_not_what_it_was_still_gives_numbers(shared, make, monkeypatch):
    monkeypatch.setattr("hub.instrument.layers.redis.telling", lambda script: None)
    layer = make("core", capacity=1)
    channels = [await joined(layer, opened(shared), "room") for _ in range(2)]
    await layer.group_send("room", {"type": "x"})
    await layer.group_send("room", {"type": "x"})
    assert {"chat": {"over_capacity": 2}} == lost(shared)
    # With another process in the group nobody can tell whose connections it was.
    await layer.group_add("room", f"specific.{'f' * 32}!channel")
    await layer.group_send("room", {"type": "x"})
    assert {"chat": {"over_capacity": 2}, "unknown": {"over_capacity": 1}} == lost(shared)
    assert 1 == await drained(layer, channels[0])
    await close(layer)


@pytest.mark.slow
@pytest.mark.parametrize("kind", WITH_CAPACITY)
async def test_what_expires_before_the_next_send_is_counted(kind, shared, events, make):
    layer = make(kind, expiry=1)
    channel = await joined(layer, opened(shared))
    for _ in range(3):
        await layer.send(channel, {"type": "x"})
    if kind == "core":
        # Redis removes the key by itself if nobody sends: keep it alive.
        await layer.connection(0).persist(layer._hub_own_key())
    await asyncio.sleep(2.1)
    if kind == "core":
        await layer.send(channel, {"type": "x"})
    else:
        await layer.group_send("room", {"type": "x"})
    assert {"chat": {"expired": 3}} == lost(shared)
    assert [{"consumer": "chat", "reason": "expired", "messages": 3, "channel": channel}] == details(events)
    await close(layer)


@pytest.mark.slow
async def test_what_expires_before_a_group_send_is_counted_for_each_connection(shared, make):
    layer = make("core", expiry=1)
    channels = [await joined(layer, opened(shared), "room") for _ in range(3)]
    await layer.group_send("room", {"type": "x"})
    await layer.send(channels[0], {"type": "x"})
    await layer.connection(0).persist(layer._hub_own_key())
    await asyncio.sleep(2.1)
    await layer.group_send("room", {"type": "x"})
    assert {"chat": {"expired": 4}} == lost(shared)
    await close(layer)


@pytest.mark.slow
async def test_what_has_expired_in_memory_waits_no_more_though_nobody_has_removed_it(shared, make):
    layer = make("memory", expiry=1)
    channel = await joined(layer, opened(shared))
    await layer.send(channel, {"type": "x"})
    depth = await layer.hub_depth()
    assert (1, channel) == (depth.messages, depth.channel)
    await asyncio.sleep(1.1)
    depth = await layer.hub_depth()
    assert (0, 0.0, None) == (depth.messages, depth.fullest, depth.oldest)
    await close(layer)


@pytest.mark.slow
async def test_what_redis_removes_by_itself_is_found_at_the_next_look(shared, make):
    layer = make("core", expiry=2)
    channel = await joined(layer, opened(shared))
    for _ in range(3):
        await layer.send(channel, {"type": "x"})
    assert {"type": "x"} == await layer.receive(channel)
    depth = await layer.hub_depth()
    for _ in range(4):
        depth = await layer.hub_depth()
        await asyncio.sleep(1.0)
    # Whose they were went with them.
    assert {"unknown": {"expired": 2}} == lost(shared)
    assert 0 == depth.messages
    for _ in range(3):
        await layer.hub_depth()
    assert {"unknown": {"expired": 2}} == lost(shared)
    await close(layer)


@pytest.mark.slow
async def test_what_is_taken_in_time_never_counts_as_removed(shared, make):
    layer = make("core", expiry=1)
    channel = await joined(layer, opened(shared))
    until = time.monotonic() + 3.5
    while time.monotonic() < until:
        await layer.send(channel, {"type": "x"})
        await layer.hub_depth()
        await layer.receive(channel)
        await asyncio.sleep(0.3)
    assert {} == lost(shared)
    await close(layer)


async def test_a_full_buffer_loses_its_oldest(shared, events, make):
    layer = make("core", capacity=5)
    slow, quick = await joined(layer, opened(shared)), await joined(layer, opened(shared, "globex"))
    taking = asyncio.create_task(drained(layer, quick, 1.0))
    for _ in range(8):
        await layer.send(slow, {"type": "x"})
        await asyncio.sleep(0.05)
    assert 0 == await taking
    assert [("acme", {"buffer_overflow": 3}), ("globex", {})] == [(row.tenant, row.lost) for row in shared.ledger]
    assert [{"consumer": "chat", "reason": "buffer_overflow", "messages": 3, "channel": slow}] == details(events)
    assert 5 == await drained(layer, slow)
    await close(layer)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_waits_for_a_connection_that_ends_is_lost_in_its_teardown(kind, shared, events, make):
    layer = make(kind)
    ending, other = opened(shared), opened(shared, "globex")
    channel, another = await joined(layer, ending), await joined(layer, other)
    for _ in range(4):
        await layer.send(channel, {"type": "x"})
    # Takes them out of Redis, for the process.
    assert 0 == await drained(layer, another)
    end(shared, ending)
    assert [("acme", {"teardown": 4}), ("globex", {})] == [(row.tenant, row.lost) for row in shared.ledger]
    # What is sent from now on has nobody to miss it.
    await layer.send(channel, {"type": "x"})
    assert 0 == await drained(layer, another)
    assert {"chat": {"teardown": 4}} == lost(shared)
    assert [{"consumer": "chat", "reason": "teardown", "messages": 4, "channel": channel}] == details(events)
    await close(layer)


async def test_of_ended_connections_nobody_misses_anything_however_long_ago_they_ended(shared, make, monkeypatch):
    monkeypatch.setattr("hub.instrument.layers.losses.MAX_ENDED", 3)
    layer = make("memory", capacity=2, expiry=0.05)
    gone = [opened(shared) for _ in range(6)]
    for connection in gone:
        await joined(layer, connection, "room")
    for connection in gone:
        end(shared, connection)
    stranger = await layer.new_channel()
    await layer.group_add("room", stranger)
    for _ in range(3):
        await layer.group_send("room", {"type": "x"})
    await asyncio.sleep(0.1)
    await layer.group_send("room", {"type": "x"})
    # Those of a consumer that nobody monitors are somebody's: one did not fit, two expired.
    assert {"unknown": {"over_capacity": 1, "expired": 2}} == lost(shared)
    await close(layer)


async def test_what_was_in_redis_when_its_connection_ended_is_lost_when_it_comes(shared, make):
    layer = make("core")
    ending, other = opened(shared), opened(shared, "globex")
    channel, another = await joined(layer, ending), await joined(layer, other)
    for _ in range(4):
        await layer.send(channel, {"type": "x"})
    end(shared, ending)
    assert {} == lost(shared)
    await layer.send(channel, {"type": "x"})
    assert 0 == await drained(layer, another)
    assert {"chat": {"teardown": 4}} == lost(shared)
    await close(layer)


@pytest.mark.slow
@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_receive_takes_along_what_waits(kind, turns, shared, make):
    layer, sender = make(kind), make(kind)
    ending, other = opened(shared), opened(shared, "globex")
    channel, another = await joined(layer, ending), await joined(layer, other)
    pumping = asyncio.create_task(drained(layer, another, 1.0))
    await asyncio.sleep(0.1)
    receiving = asyncio.create_task(layer.receive(channel))
    await asyncio.sleep(0.1)
    for _ in range(3):
        await (layer if kind == "memory" else sender).send(channel, {"type": "x"})
    if kind == "pubsub":
        # What has not reached the process by then, nobody there can know of.
        await asyncio.sleep(0.3)
    # In the very turn of the loop in which the message was handed over, or a few turns later.
    await until(lambda: receiving.done() or waiting(layer, channel) > 0)
    for _ in range(turns):
        await asyncio.sleep(0)
    receiving.cancel()
    given: Any
    [given] = await asyncio.gather(receiving, return_exceptions=True)
    end(shared, ending)
    await pumping
    assert 3 - isinstance(given, dict) == lost(shared)["chat"]["teardown"]
    await close(layer)
    await close(sender)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - every turn of the loop counts
        await asyncio.sleep(0)


def waiting(layer: Any, channel: str) -> int:
    """Messages in the queue of a channel, in this process."""
    if hasattr(layer, "receive_buffer"):
        queue = layer.receive_buffer.get(channel)
    elif hasattr(layer, "_get_layer"):
        queue = layer._get_layer().channels.get(channel)
    else:
        queue = layer.channels.get(channel)
    return 0 if queue is None else int(queue.qsize())


# --- groups -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rejoin", [False, True])
async def test_an_expired_message_takes_its_connection_out_of_its_groups_in_memory(rejoin, setup, make):
    shared = setup(REJOIN_GROUPS=rejoin)
    layer = make("memory", expiry=0.1)
    channel = await joined(layer, opened(shared), "room", "lobby")
    gone = opened(shared, "globex")
    stale = await joined(layer, gone, "room")
    await layer.send(channel, {"type": "x"})
    await layer.send(stale, {"type": "x"})
    end(shared, gone)
    await asyncio.sleep(0.2)
    await layer.group_send("room", {"type": "y"})
    # A connection that has ended fell out of nothing.
    assert [("acme", {"expired": 1, "group_lost": 2}), ("globex", {"teardown": 1})] == [
        (row.tenant, row.lost) for row in shared.ledger
    ]
    assert rejoin == (channel in layer.groups["room"])
    assert rejoin == (channel in layer.groups["lobby"])
    assert (1 if rejoin else 0) == await drained(layer, channel, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("kind", WITH_CAPACITY)
@pytest.mark.parametrize("rejoin", [False, True])
async def test_a_membership_that_grows_too_old_is_lost(kind, rejoin, setup, make):
    shared = setup(REJOIN_GROUPS=rejoin)
    layer = make(kind, group_expiry=1)
    channel = await joined(layer, opened(shared), "room")
    await asyncio.sleep(2.1)
    await layer.group_send("room", {"type": "x"})
    # In memory it is put back before the message is sent, in Redis at the next look.
    await layer.hub_depth()
    assert {"chat": {"group_lost": 1}} == lost(shared)
    await layer.group_send("room", {"type": "x"})
    expected = 0 if not rejoin else 2 if kind == "memory" else 1
    assert expected == await drained(layer, channel)
    assert {"chat": {"group_lost": 1}} == lost(shared)
    await close(layer)


@pytest.mark.slow
async def test_a_membership_is_renewed_in_time_where_it_may_be(setup, make):
    shared = setup(REJOIN_GROUPS=True)
    layer = make("core", group_expiry=2)
    channel = await joined(layer, opened(shared), "room")
    for _ in range(6):
        await asyncio.sleep(0.7)
        await layer.hub_depth()
        await layer.group_send("room", {"type": "x"})
    assert {} == lost(shared)
    assert 6 == await drained(layer, channel)
    await close(layer)


@pytest.mark.parametrize("rejoin", [False, True])
async def test_a_redis_that_forgot_everything_is_a_gap_and_its_groups_are_lost(rejoin, setup, make, redis_server):
    shared = setup(REJOIN_GROUPS=rejoin)
    events: list[Event] = []
    shared.listeners.append(events.append)
    layer = make("core")
    channel = await joined(layer, opened(shared), "room", "lobby")
    await layer.send(channel, {"type": "x"})
    assert 1 == (await layer.hub_depth()).messages
    await layer.connection(0).flushall()
    assert 0 == (await layer.hub_depth()).messages
    assert {"chat": {"group_lost": 2}} == lost(shared)
    assert {"": 1} == losses().gaps
    assert {"consumer": "unknown", "reason": "unknown", "layer": "", "messages": None, "waiting": 1} in details(events)
    await layer.group_send("room", {"type": "x"})
    assert (1 if rejoin else 0) == await drained(layer, channel)
    await layer.hub_depth()
    assert {"": 1} == losses().gaps
    await close(layer)


@pytest.mark.slow
async def test_who_was_taken_out_of_a_group_by_another_process_is_no_loss(setup, make):
    shared = setup(REJOIN_GROUPS=True)
    layer, other = make("core", group_expiry=2), make("core", group_expiry=2)
    channel = await joined(layer, opened(shared), "room")
    await other.group_discard("room", channel)
    await asyncio.sleep(1.1)
    await layer.hub_depth()
    await asyncio.sleep(1.1)
    await layer.hub_depth()
    await layer.group_send("room", {"type": "x"})
    assert {} == lost(shared)
    assert 0 == await drained(layer, channel)
    await close(layer)
    await close(other)


@pytest.mark.slow
async def test_who_leaves_has_lost_nothing(shared, make):
    for kind in WITH_CAPACITY:
        layer = make(kind, group_expiry=1)
        channel = await joined(layer, opened(shared), "room")
        await layer.group_discard("room", channel)
        await asyncio.sleep(2.1)
        await layer.group_send("room", {"type": "x"})
        await layer.hub_depth()
        await close(layer)
    assert {} == lost(shared)


# --- pub/sub ----------------------------------------------------------------------------------------------------------


async def test_an_interrupted_subscription_is_a_gap_of_unknown_size(shared, events, make, redis_server):
    layer = make("pubsub")
    channel = await joined(layer, opened(shared), "room")
    await layer.group_send("room", {"type": "x"})
    assert {"type": "x"} == await layer.receive(channel)
    assert {} == losses().gaps
    redis_server.restart()
    sender = make("pubsub")
    received = 0
    for _ in range(100):
        await sender.group_send("room", {"type": "x"})
        received = await drained(layer, channel, 0.1)
        if received:
            break
    assert received
    # How many of those it was nobody can know: no reason has a number.
    assert {} == lost(shared)
    assert {"": 1} == losses().gaps
    [told] = details(events)
    assert {"consumer": "unknown", "reason": "unknown", "layer": "", "messages": None, "channels": 1} == told
    await close(layer)
    await close(sender)


# --- waiting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_how_long_a_message_waited_is_known_and_nothing_is_added_to_it(kind, shared, make):
    layer = make(kind)
    connection = opened(shared)
    channel = await joined(layer, connection)
    await layer.send(channel, {"type": "x"})
    await asyncio.sleep(0.3)
    assert {"type": "x"} == await layer.receive(channel)
    link = connection.link
    assert link is not None
    assert 1 == link.undispatched()
    await asyncio.sleep(0.5)
    counts = Counts()
    link.dispatched(counts, 0.2)
    assert 0 == link.undispatched()
    assert 1 == counts.layer_wait.count
    # Of pub/sub the time on its way through Redis is missing.
    assert 0.35 <= counts.layer_wait.sum < 3.0
    await close(layer)


async def test_a_sender_s_clock_that_runs_ahead_makes_no_negative_wait(shared, make):
    layer = make("memory", expiry=60)
    connection = opened(shared)
    channel = await joined(layer, connection)
    await layer.send(channel, {"type": "x"})
    queue = layer.channels[channel]
    queue._queue[0] = (queue._queue[0][0] + 10.0, queue._queue[0][1])
    await layer.receive(channel)
    counts = Counts()
    assert connection.link is not None
    connection.link.dispatched(counts, 0.0)
    assert 0.0 == counts.layer_wait.sum


# --- depth ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_the_depth_of_a_layer(kind, shared, make):
    layer = make(kind, capacity=10)
    channel, another = await joined(layer, opened(shared)), await joined(layer, opened(shared))
    empty = await layer.hub_depth()
    assert (0, None, 0.0) == (empty.messages, empty.oldest, empty.fullest)
    for _ in range(8):
        await layer.send(channel, {"type": "x"})
    await layer.send(another, {"type": "x"})
    await asyncio.sleep(0.3)
    depth = await layer.hub_depth()
    assert 9 == depth.messages
    assert 0.15 < depth.oldest < 3.0
    expected = {"memory": (10, 0.8, channel), "core": (10, 0.9, ""), "pubsub": (None, 0.0, "")}
    assert expected[kind] == (depth.capacity, depth.fullest, depth.channel)
    assert 1 == await drained(layer, another)
    depth = await layer.hub_depth()
    assert 8 == depth.messages
    assert expected[kind][0] is None or (0.8, channel) == (depth.fullest, depth.channel)
    await close(layer)


# --- what was lost of late ----------------------------------------------------------------------------------------


async def test_what_was_lost_of_late_is_remembered_with_its_place(shared, make):
    layer = make("memory", capacity=1)
    one, other = opened(shared), opened(shared)
    channels = [await joined(layer, one, "room"), await joined(layer, other, "room")]
    for _ in range(3):
        await layer.group_send("room", {"type": "x"})
    with pytest.raises(ChannelFull):
        await layer.send(channels[0], {"type": "x"})
    assert [] == losses().recent()
    losses().flush()
    over, full = losses().recent()
    assert ("over_capacity", "chat", "acme", "room", 4) == (*over[:4], over.messages)
    assert ("", 2, "", 2) == (over.channel, over.channels, over.connection, over.connections)
    assert ("channel_full", "", 1, channels[0], 1) == (
        full.reason, full.group, full.messages, full.channel, full.channels,
    )  # fmt: skip
    assert (str(one.number), 1) == (full.connection, full.connections)
    assert abs(full.at - time.time()) < 5
    assert full.since <= full.at


def test_a_gap_is_remembered_without_a_number(shared):
    losses().record_gap("default", waiting=3)
    [gap] = losses().recent()
    assert ("unknown", "unknown", "", None, "default") == (
        gap.reason,
        gap.consumer,
        gap.tenant,
        gap.messages,
        gap.layer,
    )


def test_names_of_groups_and_channels_are_redacted(shared):
    losses().record("expired", "ann@example.com", group="room of bob@example.com")
    losses().flush()
    [row] = losses().recent()
    assert ("[e-mail]", "room of [e-mail]") == (row.channel, row.group)


# --- what waits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_a_connection_s_link_says_since_when_what_waits_and_in_which_groups(kind, shared, make):
    layer = make(kind)
    layer.hub_alias = "default"
    connection = opened(shared)
    channel = await joined(layer, connection, "b", "a")
    link = connection.link
    assert link is not None
    assert link.oldest() is None
    before = shared.clock.wall()
    for _ in range(3):
        await layer.send(channel, {"type": "x"})
    if kind == "core":
        # Somebody else of this process takes them out of Redis: what is still there belongs to all.
        other = await joined(layer, opened(shared))
        await layer.send(other, {"type": "x"})
        await layer.receive(other)
    async with asyncio.timeout(5):
        while link.waits().get("waiting") != 3:  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.01)
    oldest = link.oldest()
    assert oldest is not None
    assert before - 0.1 <= oldest <= shared.clock.wall()
    waits = link.waits()
    assert ("default", channel, "a, b") == (waits["layer"], waits["channel"], waits["groups"])
    assert (kind == "pubsub") == ("unknown" in waits)
    await layer.receive(channel)
    assert 2 == link.waits()["waiting"]
    await close(layer)


async def test_of_many_groups_some_are_named(shared, make):
    layer = make("memory")
    connection = opened(shared)
    await joined(layer, connection, *"edcba")
    assert connection.link is not None
    assert "a, b, c, and 2 more" == connection.link.waits()["groups"]


async def test_a_layer_that_can_t_say_what_waits_is_a_fault_and_no_wait(shared, make, monkeypatch):
    layer = make("memory")
    connection = opened(shared)
    await joined(layer, connection)
    monkeypatch.setattr(layer, "hub_oldest", lambda _: 1 / 0)
    faults: Counter[str] = Counter()
    monkeypatch.setattr("hub.faults.FAULTS", faults)
    assert connection.link is not None
    assert connection.link.oldest() is None
    assert {"channel layer": 1} == faults


async def test_the_queue_of_the_process_in_redis_says_how_long_it_waits(shared, make):
    layer = make("core")
    channel = await joined(layer, opened(shared))
    await layer.hub_depth()
    assert not layer.hub_asking()
    before = time.time()
    await layer.send(channel, {"type": "x"})
    await layer.send(channel, {"type": "x"})
    await layer.hub_depth()
    since, until = layer.hub_queue.longest(time.time())
    assert before <= since <= until <= time.time()
    assert 2 == layer.hub_queue.messages
    await asyncio.sleep(0.05)
    await layer.receive(channel)
    since, until = layer.hub_queue.longest(time.time())
    assert until - since >= 0.05
    assert layer.hub_queue.longest(time.time()) is None
    receiving = asyncio.create_task(drained(layer, channel, 0.2))
    await asyncio.sleep(0.1)
    assert layer.hub_asking()
    await receiving
    await close(layer)
