from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from hub.bus.base import Payload
from hub.bus.memory import MemoryBus
from hub.conf import Config
from hub.core.control import Heartbeat, Negotiated
from hub.core.heartbeats import SLICE
from hub.core.ledger import Connection
from hub.core.policy import Policy
from hub.core.presence import ONLINE, STALE, Diff
from hub.core.roster import News
from hub.instrument.state import Instruments
from hub.node.node import Node
from hub.node.presence import ASK, DIGEST_SECONDS, MAX_PENDING, NEWS, NodePresence, attach
from tests.handclock import HandClock
from tests.support.until import until

POLICY = Policy(interval=30.0, timeout=300.0, grace=5.0)


@pytest.fixture(autouse=True)
def faults(monkeypatch) -> Counter[str]:
    fresh: Counter[str] = Counter()
    monkeypatch.setattr("hub.faults.FAULTS", fresh)
    return fresh


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def node(clock):
    made = Node(Instruments(Config(), clock), MemoryBus(clock.monotonic, 100, 60.0))
    attach(made)
    yield made
    await asyncio.sleep(0)
    await made.stop()


@pytest.fixture
def presence(node) -> NodePresence:
    found: NodePresence = node.part(NodePresence)
    return found


@pytest.fixture
def told(node) -> list[Payload]:
    """What travels on the bus."""
    received: list[Payload] = []
    node.bus.listen(NEWS, received.append)
    return received


def accept(node: Node, member="ann", *, policy=POLICY, negotiated=True, groups=()) -> Connection:
    shared = node.instruments
    connection = shared.ledger.open("chat", shared.clock.monotonic(), lambda: "north")
    connection.member_of = lambda: ((member, ""), frozenset(groups))
    connection.policy = policy
    if negotiated:
        connection.control = Negotiated(lambda: None)
    shared.accepted(connection)
    return connection


def end(node: Node, connection: Connection, code: int = 1000) -> None:
    node.instruments.ledger.disconnect(connection, code)
    node.instruments.ended(connection, None)


def state(presence: NodePresence, member="ann") -> str | None:
    entry = presence.members.entries.get(("north", member))
    return None if entry is None else entry.state


async def test_joins_travel_together_within_a_moment(node, presence, told):
    for member in ("ann", "bob"):
        accept(node, member)
    assert told == []
    await until(lambda: bool(told), seconds=1)
    [packed] = told
    news = News.unpack(packed)
    assert (node.name, node.boot, 0, 1) == (news.node, news.boot, news.diff.base, news.diff.version)
    assert ["ann", "bob"] == [entry.member for entry in news.diff.entries]


async def test_whoever_asks_sees_what_has_not_been_told_yet(node, presence):
    heard: list[Diff] = []
    presence.listeners.append(lambda news: heard.append(news.diff))
    accept(node)
    presence.flush()
    presence.flush()
    assert len(heard) == 1


async def test_a_connection_without_a_member_is_not_seen(node, presence, told):
    connection = node.instruments.ledger.open("chat", 1000.0, lambda: "north")
    node.instruments.accepted(connection)
    end(node, connection)
    assert (presence._timer, presence.members.entries) == (None, {})


async def test_time_passes_with_each_sweep(node, presence, clock, told):
    connection = accept(node)
    for seconds, expected in ((60, ONLINE), (1, STALE), (240, None)):
        clock.advance(seconds)
        await presence.sweep()
        assert expected == state(presence)
    assert connection.counts.heartbeats_missed


async def test_heartbeats_of_those_whom_presence_does_not_know_are_missed_too(node, presence, clock, told):
    shared, probed = node.instruments, []
    connection = shared.ledger.open("quiet", clock.monotonic(), lambda: "north")
    connection.policy, connection.control = POLICY, Negotiated(lambda: probed.append(clock.monotonic()))
    shared.accepted(connection)
    for seconds, missed in ((45, 0), (1, 1), (28, 1), (2, 2), (30, 3)):
        clock.advance(seconds)
        await presence.sweep()
        assert (missed, missed) == (connection.counts.heartbeats_missed, len(probed))
    end(node, connection)
    clock.advance(300)
    await presence.sweep()
    assert (3, 0, {}) == (connection.counts.heartbeats_missed, len(presence.heartbeats), presence.members.entries)
    assert [] == [news for news in told if news["entries"]]


async def test_heartbeats_put_nothing_on_the_bus(node, presence, clock, told):
    connections = [accept(node, str(number)) for number in range(50)]
    presence.flush()
    await until(lambda: bool(told))
    for _ in range(29):
        clock.advance(1)
        for connection in connections:
            connection.heard_at = clock.monotonic()
            connection.control.heartbeat(Heartbeat(0), clock.monotonic())
        await presence.sweep()
    await asyncio.sleep(0.1)
    assert len(told) == 1


async def test_a_digest_comes_by_itself_with_the_evidence_of_now(node, presence, clock, told):
    connection = accept(node)
    await until(lambda: len(told) == 1)
    clock.advance(DIGEST_SECONDS)
    connection.heard_at = clock.monotonic()
    await presence.sweep()
    await until(lambda: len(told) == 2)
    diff = News.unpack(told[1]).diff
    assert (None, clock.wall()) == (diff.base, diff.entries[0].heard_at)
    await presence.sweep()
    await asyncio.sleep(0.05)
    assert len(told) == 2


@pytest.mark.parametrize(("name", "answered"), [(None, True), ("its own", True), ("another:1", False)])
async def test_a_digest_comes_when_asked_for_but_not_too_often(node, presence, clock, told, name, answered):
    for _ in range(3):
        await node.bus.broadcast(ASK, {"node": node.name if name == "its own" else name})
        await presence.sweep()
    await asyncio.sleep(0.05)
    assert told == []
    clock.advance(1)
    await presence.sweep()
    await until(lambda: len(told) >= answered)
    await asyncio.sleep(0.05)
    assert answered == len(told)


async def test_groups_may_change(node, presence):
    connection = accept(node, groups=["a"])
    connection.groups = frozenset({"b"})
    presence.regroup(connection)
    assert presence.members.entries["north", "ann"].groups == ("b",)


async def test_connections_of_another_thread_are_seen_on_the_nodes_loop(node, presence):
    connection = await asyncio.to_thread(accept, node)
    await until(lambda: state(presence) == ONLINE)
    await asyncio.to_thread(end, node, connection)
    await until(lambda: presence.members.entries["north", "ann"].connections == 0)


# --- real time ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def live():
    """A node with the real clock."""
    made = Node(Instruments(Config()), MemoryBus(asyncio.get_running_loop().time, 100, 60.0))
    attach(made)
    yield made
    await made.stop()


async def test_short_times_are_swept_in_short_steps(live, faults):
    presence = live.part(NodePresence)
    connection = accept(live, policy=Policy(interval=0.2, timeout=0.6, grace=0.1))
    accept(live, "bob", policy=Policy(interval=0.2, timeout=0.6, grace=0.1), negotiated=False)
    await until(lambda: state(presence) == STALE, seconds=3)
    await until(lambda: state(presence) is None, seconds=3)
    connection.heard_at = live.clock.monotonic()
    await until(lambda: state(presence) == ONLINE, seconds=3)
    end(live, connection)
    await until(lambda: state(presence) is None, seconds=3)
    assert (state(presence, "bob"), faults) == ("idle", {})


async def test_a_loop_that_was_blocked_holds_nothing_against_anyone(live):
    presence = live.part(NodePresence)
    connection = accept(live, policy=Policy(interval=0.2, timeout=0.4, grace=0.1))
    await until(lambda: presence._period < 0.1)
    await asyncio.sleep(0.1)
    connection.heard_at = live.clock.monotonic()
    began = live.clock.monotonic()
    while live.clock.monotonic() < began + 2:
        pass
    seen: set[str] = set()
    presence.listeners.append(lambda news: seen.update(entry.state for entry in news.diff.entries))
    await asyncio.sleep(0.2)
    assert (set(), ONLINE) == (seen, state(presence))


@pytest.mark.parametrize("digest", [False, True])
async def test_a_process_that_slept_in_the_middle_of_a_sweep_holds_nothing_against_anyone(
    node, presence, clock, digest
):
    for number in range(SLICE + 1):
        accept(node, str(number))
    presence._digest_at = clock.monotonic() - (DIGEST_SECONDS if digest else 0)
    clock.advance(1)
    presence._notice(1)
    asyncio.get_running_loop().call_soon(clock.advance, 500)
    await presence.sweep()
    clock.advance(1)
    await presence.sweep()
    assert {"online": SLICE + 1, "idle": 0, "stale": 0} == presence.members.counts["north"]
    clock.advance(400)
    presence._notice(400)
    await presence.sweep()
    assert {"online": 0, "idle": 0, "stale": 0} == presence.members.counts["north"]


# --- faults -------------------------------------------------------------------------------------------------------


async def test_a_bus_that_is_away_costs_what_a_digest_heals(node, presence, told, monkeypatch, faults):
    broadcast = node.bus.broadcast

    async def away(topic: str, payload: Payload) -> None:
        raise ConnectionError("the bus is away")

    monkeypatch.setattr(node.bus, "broadcast", away)
    accept(node)
    await until(lambda: faults["presence bus"] == 1)
    monkeypatch.setattr(node.bus, "broadcast", broadcast)
    accept(node, "bob")
    await until(lambda: len(told) == 1)
    assert News.unpack(told[0]).diff.base == 1
    await presence.tell_all()
    await until(lambda: len(told) == 2)
    assert {"ann", "bob"} == {entry.member for entry in News.unpack(told[1]).diff.entries}


async def test_what_waits_for_the_bus_is_bounded(node, presence):
    for number in range(MAX_PENDING + 10):
        presence._tell(Diff(number, number + 1, [], []))
    assert len(presence._pending) == MAX_PENDING


async def test_a_listener_that_fails_stops_nobody(node, presence, told, faults):
    presence.listeners.append(lambda news: 1 // 0)
    accept(node)
    await until(lambda: len(told) == 1)
    assert faults == {"presence listener": 1}


async def test_a_sweep_that_fails_is_not_the_last_one(live, monkeypatch, faults):
    presence = live.part(NodePresence)
    monkeypatch.setattr(presence, "_period", 0.01)
    sweep, failures = presence.sweep, iter([True])

    async def failing() -> None:
        if next(failures, False):
            raise ValueError("a fault of the hub")
        await sweep()

    monkeypatch.setattr(presence, "sweep", failing)
    await until(lambda: presence.sweep_seconds > 0)
    assert faults == {"presence sweep": 1}


async def test_a_node_that_ends_watches_nothing_any_more(clock):
    bus = MemoryBus(clock.monotonic, 100, 60.0)
    node = Node(Instruments(Config(), clock), bus)
    attach(node)
    accept(node)
    await asyncio.sleep(0)
    await node.stop()
    assert ([], {ASK: []}) == (node.instruments.watchers, bus._listeners)
