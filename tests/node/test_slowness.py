from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from asgiref.sync import SyncToAsync
from channels.layers import channel_layers
from msgspec.structs import replace

from hub.bus.memory import MemoryBus
from hub.clock import SYSTEM
from hub.conf import Config
from hub.core.control import Heartbeat, Negotiated
from hub.core.events import Event
from hub.core.ledger import UNKNOWN, Connection
from hub.core.slowness import CALM, CLIENT, HANDLER, LAYER, LOOP, PROCESS, SYNC_THREAD
from hub.core.snapshot import NodeSnapshot, SlowRow
from hub.instrument import busy
from hub.instrument.busy import DEFAULT_THRESHOLD, SENT
from hub.instrument.state import Instruments
from hub.node import slowness as module
from hub.node.node import Node
from hub.node.slowness import RANKED, RENEWED, Lookout, attach
from tests.handclock import HandClock
from tests.node.test_evidence import Backlog, Entry, Waits
from tests.node.test_queues import Layer, put
from tests.support.until import until

LENIENCE = 1.0
"""A busy machine may be later than promised; a hub that does not look may not."""


@pytest.fixture(autouse=True)
def faults(monkeypatch) -> Counter[str]:
    fresh: Counter[str] = Counter()
    monkeypatch.setattr("hub.faults.FAULTS", fresh)
    return fresh


@pytest.fixture(autouse=True)
def register(monkeypatch) -> set[Any]:
    """Nothing is in dispatch but what this test puts there."""
    fresh: set[Any] = set()
    monkeypatch.setattr(busy, "BUSY", fresh)
    monkeypatch.setattr(module, "BUSY", fresh)
    return fresh


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def shared(clock) -> Instruments:
    return Instruments(Config(events_per_second=2), clock)


@pytest.fixture
def events(shared) -> list[Event]:
    sent: list[Event] = []
    shared.listeners.append(sent.append)
    return sent


@pytest.fixture
async def lookout(shared, clock) -> AsyncIterator[Lookout]:
    """One that looks only when it is told to."""
    node = Node(shared, MemoryBus(clock.monotonic, 100, 60.0))
    made = Lookout(node)
    shared.watchers.append(made)
    node.rank_slow = made.ranked
    yield made
    await node.stop()


def connected(shared: Instruments, entry: Entry | None = None) -> Connection:
    connection = shared.ledger.open("chat", shared.clock.monotonic(), lambda: "north")
    shared.accepted(connection)
    if entry is not None:
        entry.connection = connection
        entry.started_at = shared.clock.monotonic()
    return connection


def slow(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind.startswith("slow.")]


async def at_work(shared: Instruments, register: set[Any]) -> Entry:
    """A consumer that waits in its handler."""
    entry = Entry()
    connected(shared, entry)
    entry.task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    register.add(entry)
    return entry


def look(lookout: Lookout, clock: HandClock, seconds: float, late: float = 0.0) -> None:
    clock.advance(seconds)
    lookout.look(clock.now, late)


# --- an episode on its way ----------------------------------------------------------------------------------------


async def test_an_episode_is_counted_and_told_when_it_opens_and_when_it_closes(
    lookout, shared, clock, events, register
):
    entry = await at_work(shared, register)
    [counts] = shared.ledger
    look(lookout, clock, 0.75)
    [opened] = slow(events)
    assert ("slow.opened", "warning", "north", "chat", str(entry.connection.number)) == (
        opened.kind, opened.severity, opened.tenant, opened.consumer, opened.connection,
    )  # fmt: skip
    assert (HANDLER, 0.75, clock.wall() - 0.75) == tuple(opened.details[name] for name in ("cause", "seconds", "since"))
    assert "sleep" == opened.details["function"]
    assert ({HANDLER: 1}, {HANDLER: 1}) == (counts.slow, counts.slow_episodes)

    entry.started_at = 0.0
    register.clear()
    look(lookout, clock, 0.25)
    look(lookout, clock, CALM)
    [_, closed] = slow(events)
    assert ("slow.closed", "info", 1.0) == (closed.kind, closed.severity, closed.details["lasted"])
    assert opened.details["line"] == closed.details["line"]
    assert ({HANDLER: 0}, {HANDLER: 1}) == (counts.slow, counts.slow_episodes)
    entry.task.cancel()


MEMBER = ("ann@example.com", "Ann")


@pytest.mark.parametrize(("allowed", "told"), [(False, None), (True, ("[e-mail]", "Ann"))])
async def test_who_is_connected_is_told_if_the_settings_allow_it_and_redacted(
    lookout, shared, clock, events, register, allowed, told
):
    shared.config = replace(shared.config, slow_members=allowed)
    entry = await at_work(shared, register)
    entry.connection.member = MEMBER
    look(lookout, clock, 0.75)
    shared.ended(entry.connection, None)
    for event in slow(events):
        assert told == (("member" in event.details and (event.details["member"], event.details["name"])) or None)
    [row] = [SlowRow(*packed) for packed in lookout.ranked()]
    assert (told or ("", "")) == (row.member, row.name)
    entry.task.cancel()


async def test_whoever_blocks_the_loop_is_known_by_its_member(lookout, shared, clock, events):
    shared.config = replace(shared.config, slow_members=True)
    connection = connected(shared)
    connection.member = ("7", "Bob")
    lookout.watchdog._samples.add((connection, "chat"), [sys._getframe()])
    look(lookout, clock, 2.0, late=1.5)
    [opened] = slow(events)
    assert ("7", "Bob") == (opened.details["member"], opened.details["name"])


async def test_who_is_connected_nowhere_or_to_nobody_s_knowledge_is_not_told(lookout, shared, clock, events, register):
    shared.config = replace(shared.config, slow_members=True)
    entry = await at_work(shared, register)
    look(lookout, clock, 2.0, late=1.5)
    assert {"slow.opened"} == {event.kind for event in slow(events)}
    assert not any("member" in event.details for event in slow(events))
    entry.task.cancel()


async def test_a_connection_that_ends_takes_its_episodes_with_it(lookout, shared, clock, events, register):
    entry = await at_work(shared, register)
    look(lookout, clock, 1.0)
    shared.ended(entry.connection, None)
    assert ["slow.opened", "slow.closed"] == [event.kind for event in slow(events)]
    assert [0] == [counts.slow[HANDLER] for counts in shared.ledger]
    entry.task.cancel()


async def test_a_wave_is_a_few_events_and_a_summary(lookout, shared, clock, events, register):
    entries = [await at_work(shared, register) for _ in range(5)]
    look(lookout, clock, 1.0)
    assert 2 == len(slow(events))
    [summary] = [event for event in shared.limiter.summaries(0.0) if event.kind == "slow.opened"]
    assert (3, "north", "chat") == (summary.count, summary.tenant, summary.consumer)
    assert [5] == [counts.slow[HANDLER] for counts in shared.ledger]
    for entry in entries:
        entry.task.cancel()


# --- clients ------------------------------------------------------------------------------------------------------


@pytest.fixture
def sent() -> Iterator[dict[Connection, Any]]:
    SENT.clear()
    yield SENT
    SENT.clear()


def sent_to(shared: Instruments, entry: Entry) -> Negotiated:
    """Its client speaks control frames, and was sent one frame that it has not confirmed."""
    control = entry.connection.control = Negotiated(lambda: None)
    control.heartbeat(Heartbeat(0), shared.clock.monotonic())
    control.frames_sent = 1
    SENT[entry.connection] = entry  # type: ignore[assignment]
    return control


async def test_a_client_that_is_behind_is_told_with_what_is_known_of_it_and_closed_when_it_has_caught_up(
    lookout, shared, clock, events, sent
):
    entry = Entry()
    connected(shared, entry)
    control = sent_to(shared, entry)
    look(lookout, clock, 0.125)
    look(lookout, clock, 0.5)
    assert [] == slow(events)
    look(lookout, clock, 0.125)
    [opened] = slow(events)
    assert (CLIENT, 0.625, 1, 0.625) == tuple(
        opened.details[name] for name in ("cause", "seconds", "frames_behind", "oldest_seconds")
    )
    assert ("chat", "north", str(entry.connection.number)) == (opened.consumer, opened.tenant, opened.connection)
    assert "unsent_bytes" in str(opened.details["unknown"])
    assert [CLIENT] == [SlowRow(*packed).cause for packed in lookout.ranked()]
    assert [{CLIENT: 1}] == [counts.slow for counts in shared.ledger]
    control.confirm(1, clock.monotonic())
    look(lookout, clock, 0.125)
    look(lookout, clock, CALM)
    assert ["slow.opened", "slow.closed"] == [event.kind for event in slow(events)]
    assert [{CLIENT: 0}] == [counts.slow for counts in shared.ledger]
    assert {} == sent


async def test_a_slow_handler_and_its_slow_client_are_two_episodes_each_with_its_own_evidence(
    lookout, shared, clock, events, register, sent
):
    entry = await at_work(shared, register)
    sent_to(shared, entry)
    look(lookout, clock, 0.125)
    look(lookout, clock, 0.625)
    by_cause = {event.details["cause"]: event.details for event in slow(events)}
    assert {HANDLER, CLIENT} == set(by_cause)
    assert "sleep" == by_cause[HANDLER]["function"]
    assert "frames_behind" not in by_cause[HANDLER]
    assert 1 == by_cause[CLIENT]["frames_behind"]
    assert "line" not in by_cause[CLIENT]
    shared.ended(entry.connection, None)
    assert 4 == len(slow(events)) or shared.limiter.summaries(0.0)
    assert [{HANDLER: 0, CLIENT: 0}] == [counts.slow for counts in shared.ledger]
    entry.task.cancel()


async def test_only_a_slow_client_is_closed_and_only_where_its_consumer_says_so(lookout, shared, clock, sent):
    strict, lenient = Entry(), Entry()
    strict.close_after = 0.25
    for entry in (strict, lenient):
        connected(shared, entry)
        sent_to(shared, entry)
    look(lookout, clock, 0.125)
    look(lookout, clock, 0.375)
    assert 0 == strict.closings, "it is behind, but not slow yet"
    look(lookout, clock, 0.25)
    assert (1, 0) == (strict.closings, lenient.closings)


async def test_a_client_that_is_behind_when_the_next_node_begins_is_not_looked_at_by_it(sent):
    node = await made_node()
    entry = Entry()
    connected(node.instruments, entry)
    sent_to(node.instruments, entry)
    attach(node)
    assert {} == sent
    await asyncio.sleep(0)
    await node.stop()


# --- channel layers -----------------------------------------------------------------------------------------------


async def test_what_waits_in_the_layer_is_told_with_what_the_layer_says_of_it(lookout, shared, clock, events, register):
    entry = await at_work(shared, register)
    entry.connection.link = Waits(clock.wall())
    clock.advance(0.5)
    entry.started_at = clock.now
    look(lookout, clock, 0.125)
    [opened] = slow(events)
    assert (LAYER, 0.625, "default", 3, "sleep", str(entry.connection.number)) == (
        *(opened.details[name] for name in ("cause", "seconds", "layer", "waiting", "function")), opened.connection,
    )  # fmt: skip
    entry.connection.link = None
    entry.started_at = 0.0
    look(lookout, clock, 0.125)
    look(lookout, clock, CALM)
    assert "slow.closed" == slow(events)[-1].kind
    assert [{LAYER: 0}] == [counts.slow for counts in shared.ledger]
    entry.task.cancel()


async def test_what_waits_in_the_queue_of_the_process_is_an_episode_of_the_process(lookout, clock, events, monkeypatch):
    layer = Layer()
    monkeypatch.setattr(channel_layers, "backends", {"default": layer})
    ahead = clock.wall() - clock.monotonic()
    monkeypatch.setattr("tests.node.test_queues.AHEAD", ahead)
    put(layer, clock.now, clock.now)
    look(lookout, clock, 0.75)
    [opened] = slow(events)
    assert (LAYER, 0.75, "default", 7, True, UNKNOWN, "") == (
        *(opened.details[name] for name in ("cause", "seconds", "layer", "waiting", "asking")), opened.consumer,
        opened.connection,
    )  # fmt: skip
    assert {PROCESS} == set(lookout.episodes.of(LAYER))


# --- the process itself -------------------------------------------------------------------------------------------


async def test_a_blocked_loop_that_nobody_could_look_at_says_so(lookout, clock, events):
    look(lookout, clock, 2.0, late=1.5)
    [opened] = slow(events)
    assert (LOOP, 1.5, UNKNOWN, "") == (
        opened.details["cause"], opened.details["seconds"], opened.consumer, opened.connection,
    )  # fmt: skip
    assert "unknown" in str(opened.details["waits"])
    look(lookout, clock, 0.1)
    look(lookout, clock, CALM)
    assert "slow.closed" == slow(events)[-1].kind
    assert 3 == lookout.loop_lag.count


async def test_whoever_blocks_the_loop_is_named(lookout, shared, clock, events):
    connection = connected(shared)
    lookout.watchdog._samples.add((connection, "chat"), [sys._getframe()])
    look(lookout, clock, 2.0, late=1.5)
    [opened] = slow(events)
    assert ("chat", "north", str(connection.number)) == (opened.consumer, opened.tenant, opened.connection)
    assert "test_whoever_blocks_the_loop_is_named" == opened.details["function"]


async def test_a_small_delay_of_the_loop_is_no_episode(lookout, clock, events):
    look(lookout, clock, 0.5, late=0.4)
    assert [] == slow(events)


async def test_the_wait_for_the_shared_thread_is_an_episode_of_the_process(lookout, clock, events):
    lookout.watchdog.probe._waits += [0.001, 2.0]
    look(lookout, clock, 0.1)
    [opened] = slow(events)
    assert (SYNC_THREAD, 2.0) == (opened.details["cause"], opened.details["seconds"])
    assert 2 == lookout.sync_wait.count
    assert {PROCESS} == set(lookout.episodes.of(SYNC_THREAD))


async def test_the_shared_thread_is_asked_only_while_somebody_is_connected(lookout, shared):
    assert not lookout._wanted()
    connections = [connected(shared), connected(shared)]
    assert lookout._wanted()
    for connection in connections:
        shared.ended(connection, None)
    assert not lookout._wanted()


# --- what the fleet is told ---------------------------------------------------------------------------------------


async def test_the_worst_travel_with_the_snapshot(lookout, shared, clock, register):
    entry = await at_work(shared, register)
    look(lookout, clock, 0.75)
    clock.advance(0.25)
    snapshot = NodeSnapshot.unpack((await lookout._node.snapshot()).pack())
    [row] = [SlowRow(*packed) for packed in snapshot.slow]
    assert (HANDLER, "chat", "north", str(entry.connection.number)) == row[:4]
    assert (clock.wall() - 1.0, 0.75, 0.5, None, None) == row[4:9]
    assert "sleep" == row.details["function"]
    entry.task.cancel()


async def test_where_it_waits_is_looked_up_anew(lookout, shared, clock, register):
    entry = await at_work(shared, register)
    look(lookout, clock, 0.75)
    entry.task.cancel()

    async def elsewhere() -> None:
        await asyncio.get_running_loop().create_future()

    entry.task = asyncio.create_task(elsewhere())
    await asyncio.sleep(0)
    [row] = [SlowRow(*packed) for packed in lookout.ranked()]
    assert "elsewhere" == row.details["function"]
    entry.task.cancel()


async def test_of_many_some_are_looked_up_anew_each_second_and_in_the_end_all(
    lookout, shared, clock, register, monkeypatch
):
    entries = [await at_work(shared, register) for _ in range(2 * RENEWED + 3)]
    look(lookout, clock, 1.0)
    looked_up: list[Any] = []
    monkeypatch.setattr(lookout, "_complete", looked_up.append)
    lookout.ranked()
    assert RENEWED == len(set(looked_up)) == len(looked_up)
    for _ in range(2):
        lookout.ranked()
    assert set(lookout._entries) == set(looked_up)
    for entry in entries:
        entry.task.cancel()


async def test_what_is_forgotten_is_forgotten_everywhere(lookout, shared, clock, register):
    entry = await at_work(shared, register)
    look(lookout, clock, 1.0)
    shared.ended(entry.connection, None)
    assert 1 == len(lookout.ranked()) == len(lookout._rows)
    clock.advance(3600)
    assert [] == lookout.ranked()
    assert 0 == len(lookout._rows) == len(lookout._entries)
    entry.task.cancel()


async def test_the_list_is_cut(lookout, shared, clock, register):
    entries = [await at_work(shared, register) for _ in range(RANKED + 10)]
    look(lookout, clock, 1.0)
    assert RANKED == len(lookout.ranked())
    for entry in entries:
        entry.task.cancel()


# --- its life -----------------------------------------------------------------------------------------------------


async def made_node(**settings: Any) -> Node:
    shared = Instruments(Config(**settings), SYSTEM)
    return Node(shared, MemoryBus(SYSTEM.monotonic, 100, 60.0))


async def test_it_looks_by_itself_and_ends_with_its_node(faults):
    node = await made_node()
    attach(node)
    lookout = node.part(Lookout)
    assert [lookout] == node.instruments.watchers
    await until(lambda: lookout.loop_lag.count >= 2)
    assert lookout.watchdog._thread.is_alive()
    await node.stop()
    await asyncio.to_thread(lookout.watchdog._thread.join, 5)
    assert not lookout.watchdog._thread.is_alive()
    assert [] == node.instruments.watchers
    assert Counter() == faults


@pytest.fixture
async def resting(events_of_real_time) -> AsyncIterator[Lookout]:
    """One that has found nothing to look for."""
    node = await made_node()
    node.instruments.listeners.append(events_of_real_time.append)
    attach(node)
    lookout = node.part(Lookout)
    await until(lambda: lookout._quiet)
    yield lookout
    await node.stop()


@pytest.fixture
def events_of_real_time(sent) -> list[Event]:
    """Beside it, nothing was sent to anybody."""
    assert not sent
    return []


async def opened_in_time(events: list[Event], cause: str) -> Event:
    await until(lambda: bool(slow(events)))
    [opened] = slow(events)
    assert ("slow.opened", cause) == (opened.kind, opened.details["cause"])
    since = opened.details["since"]
    assert isinstance(since, float)
    late = opened.at - since - DEFAULT_THRESHOLD
    assert late < 0.25 + LENIENCE
    return opened


async def test_while_there_is_nothing_to_look_for_it_rests(resting):
    looks = resting.loop_lag.count
    await asyncio.sleep(1.0)
    assert resting.loop_lag.count <= looks + 2


async def test_a_handler_wakes_it(resting, events_of_real_time, register):
    entry = Entry()
    entry.connection = connected(resting._shared)
    entry.task = asyncio.create_task(asyncio.sleep(60))
    register.add(entry)
    began = entry.started_at = SYSTEM.monotonic()
    opened = await opened_in_time(events_of_real_time, HANDLER)
    assert abs(SYSTEM.wall() - SYSTEM.monotonic() + began - opened.details["since"]) < LENIENCE
    entry.task.cancel()


async def test_what_was_sent_wakes_it(resting, events_of_real_time):
    entry = Entry()
    connected(resting._shared, entry)
    began = SYSTEM.wall()
    sent_to(resting._shared, entry)
    opened = await opened_in_time(events_of_real_time, CLIENT)
    assert abs(began - opened.details["since"]) < LENIENCE


async def test_a_loop_that_is_blocked_meanwhile_is_told_at_once_and_by_whom(resting, events_of_real_time):
    asyncio.get_running_loop().call_later(0.35, time.sleep, 0.9)
    await until(lambda: bool(slow(events_of_real_time)))
    [opened] = slow(events_of_real_time)
    assert LOOP == opened.details["cause"]
    assert 0.65 < opened.details["seconds"] < 0.9 + LENIENCE


async def test_whoever_waits_for_the_shared_thread_wakes_it(resting, events_of_real_time):
    connection = connected(resting._shared)
    executor = SyncToAsync.single_thread_executor
    held, waiting = executor.submit(time.sleep, 1.2), executor.submit(int)
    await opened_in_time(events_of_real_time, SYNC_THREAD)
    held.result(5)
    waiting.result(5)
    resting._shared.ended(connection, None)


async def test_a_loop_that_is_saturated_makes_no_consumer_slow(resting, events_of_real_time, register):
    """Turns of 0.3 s: in each one a quick message is dispatched, and ten wait all the time."""
    entry = Entry(started_at=0.0)
    entry.connection = connected(resting._shared)
    entry.inbox = Backlog(SYSTEM.monotonic())

    async def quick_messages() -> None:
        while True:  # noqa: ASYNC110 - it has its turns
            await asyncio.sleep(0)

    entry.task = asyncio.create_task(quick_messages())
    register.add(entry)
    until_then = SYSTEM.monotonic() + 3.0
    while SYSTEM.monotonic() < until_then:
        time.sleep(0.3)  # noqa: ASYNC251 - the other one that is at work
        await asyncio.sleep(0)
    assert {LOOP} >= {event.details["cause"] for event in slow(events_of_real_time)}
    entry.task.cancel()


async def test_a_fault_in_one_look_is_counted_and_the_next_one_comes(monkeypatch, faults):
    node = await made_node()
    attach(node)
    monkeypatch.setattr(node.part(Lookout), "look", lambda *_: 1 / 0)
    await until(lambda: faults["slowness"] >= 2)
    await node.stop()


async def test_switched_off_it_is_not_there():
    node = await made_node(slow_detection=False)
    attach(node)
    assert [] == node.instruments.watchers
    assert [] == node.rank_slow()
    with pytest.raises(KeyError):
        node.part(Lookout)


async def test_the_next_node_begins_with_nothing_slow():
    node = await made_node()
    attach(node)
    node.instruments.ledger.row("chat", "north").slow[HANDLER] = 3
    second = Node(node.instruments, node.bus)
    attach(second)
    assert [second.part(Lookout)] == node.instruments.watchers
    assert {} == node.instruments.ledger.row("chat", "north").slow
    await asyncio.sleep(0)
    await node.stop()
    await second.stop()
