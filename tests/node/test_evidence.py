from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from hub.core.events import Detail
from hub.core.ledger import Connection, Counts
from hub.core.loop import BLOCKED, LoopClock
from hub.core.slowness import CLIENT, HANDLER, LAYER, QUEUE, Slowness
from hub.instrument.busy import DEFAULT_THRESHOLD
from hub.node.evidence import MAX_CHAINS, Found, Gatherer, details_of

BEGIN = 1000.0


class Backlog:
    """An inbox in which messages have waited since these times."""

    def __init__(self, *arrived: float) -> None:
        self.arrived = list(arrived)

    def oldest(self) -> float | None:
        return min(self.arrived, default=None)

    def waiting(self) -> int:
        return len(self.arrived)


class Waits:
    """A channel layer in which a message has waited since then."""

    def __init__(self, oldest: float | None) -> None:
        self.since = oldest

    def oldest(self) -> float | None:
        return self.since

    def waits(self) -> dict[str, Detail]:
        return {"layer": "default", "waiting": 3}

    def dispatched(self, counts: Counts, seconds: float) -> None:
        """Nobody counts here."""

    def undispatched(self) -> int:
        return 0

    def ended(self) -> None:
        """Nobody minds."""


class Entry:
    """A consumer at work, and the task that it runs in."""

    def __init__(self, number: int = 1, started_at: float = BEGIN, threshold: float = DEFAULT_THRESHOLD) -> None:
        self.connection = Connection(number, "chat", BEGIN, lambda: "north")
        self.task: asyncio.Task[Any] | None = None
        self.inbox: Backlog | None = None
        self.started_at = started_at
        self.threshold = threshold
        self.close_after: float | None = None
        self.closings = 0

    def close_slow_client(self) -> None:
        self.closings += 1


@pytest.fixture
async def running() -> AsyncIterator[Any]:
    """Start what a consumer waits for: ``await running(entry, awaitable)``."""
    tasks: list[asyncio.Task[Any]] = []

    async def start(entry: Entry, awaitable: Any) -> Entry:
        async def receive() -> None:
            await awaitable

        entry.task = asyncio.create_task(receive())
        tasks.append(entry.task)
        for _ in range(5):
            await asyncio.sleep(0)
        return entry

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def episodes() -> Slowness:
    return Slowness()


@pytest.fixture
def clock() -> LoopClock:
    return LoopClock(BEGIN)


@pytest.fixture
def gatherer(episodes, clock) -> Gatherer:
    return Gatherer(episodes, clock)


def seconds(found: Found, cause: str) -> list[float]:
    return [evidence.seconds for evidence in found.evidence[cause]]


# --- handlers -----------------------------------------------------------------------------------------------------


async def test_a_handler_within_its_threshold_is_no_evidence(gatherer, running):
    entry = await running(Entry(), asyncio.sleep(60))
    assert [] == seconds(gatherer.look([entry], BEGIN + DEFAULT_THRESHOLD, 0.0), HANDLER)


async def test_a_handler_beyond_it_is(gatherer, running):
    entry = await running(Entry(7), asyncio.sleep(60))
    found = gatherer.look([entry], BEGIN + 0.625, 0.0)
    [evidence] = found.evidence[HANDLER]
    assert (7, 0.625, DEFAULT_THRESHOLD, "chat", "7") == (
        evidence.subject, evidence.seconds, evidence.threshold, evidence.consumer, evidence.connection,
    )  # fmt: skip
    assert {7: entry} == found.entries
    assert [] == seconds(found, CLIENT) == seconds(found, QUEUE)


async def test_between_two_messages_nothing_is_slow(gatherer, running):
    entry = await running(Entry(started_at=0.0), asyncio.sleep(60))
    assert [] == seconds(gatherer.look([entry], BEGIN + 60, 0.0), HANDLER)


async def test_an_open_episode_is_looked_at_before_its_threshold_is_passed_again(gatherer, episodes, running):
    entry = await running(Entry(), asyncio.sleep(60))
    episodes.look(HANDLER, gatherer.look([entry], BEGIN + 1.0, 0.0).evidence[HANDLER], BEGIN + 1.0)
    entry.started_at = BEGIN + 1.0
    assert [0.375] == seconds(gatherer.look([entry], BEGIN + 1.375, 0.0), HANDLER)


async def test_a_blocked_loop_counts_for_no_handler(gatherer, clock, running):
    innocent = await running(Entry(), asyncio.sleep(60))
    clock.look(BEGIN + 0.125, 0.0)
    clock.look(BEGIN + 5.125, 4.9)
    assert [] == seconds(gatherer.look([innocent], BEGIN + 5.125, 0.0), HANDLER)
    assert [] == seconds(gatherer.look([innocent], BEGIN + 5.25, 0.0), HANDLER)
    # It has had 0.125 seconds before and 0.5 since.
    assert [0.625] == seconds(gatherer.look([innocent], BEGIN + 5.625, 0.0), HANDLER)


async def test_of_a_small_delay_only_the_delay_is_taken_off(gatherer, clock, running):
    entry = await running(Entry(), asyncio.sleep(60))
    clock.look(BEGIN + 0.5, 0.125)
    assert 0.125 < BLOCKED
    assert [0.625] == seconds(gatherer.look([entry], BEGIN + 0.75, 0.0), HANDLER)


async def test_no_more_chains_are_followed_than_one_look_may(gatherer, running):
    first = await running(Entry(), asyncio.sleep(60))
    entries = [Entry(number) for number in range(1, 2 * MAX_CHAINS)]
    for entry in entries:
        entry.task = first.task
    assert MAX_CHAINS == len(seconds(gatherer.look(entries, BEGIN + 1.0, 0.0), HANDLER))


async def test_what_was_known_to_be_slow_stays_so_though_nobody_has_time_to_look(gatherer, episodes, running):
    first = await running(Entry(), asyncio.sleep(60))
    entries = [Entry(number) for number in range(1, 2 * MAX_CHAINS)]
    for entry in entries:
        entry.task = first.task
    now = BEGIN + 1.0
    for expected in (MAX_CHAINS, len(entries), len(entries)):
        evidence = gatherer.look(entries, now, 0.0).evidence[HANDLER]
        episodes.look(HANDLER, evidence, now)
        assert expected == len(evidence) == len(episodes.of(HANDLER))
        now += 0.125


# --- at work, or at sending ---------------------------------------------------------------------------------------


@pytest.fixture
def course(gatherer, monkeypatch) -> Any:
    """Look at one consumer eight times a second while it is at all of this: ``course(entry, HANDLER, CLIENT, ...)``."""

    def looks(entry: Entry, *causes: str) -> list[tuple[str, float]]:
        told: list[tuple[str, float]] = []
        for number, cause in enumerate(causes, start=1):
            monkeypatch.setattr(gatherer, "_cause", lambda _, cause=cause: cause)
            found = gatherer.look([entry], BEGIN + 0.125 * number, 0.125)
            told += [(each, taken) for each in (HANDLER, CLIENT) for taken in seconds(found, each)] or [("", 0.0)]
        return told

    return looks


def test_a_handler_that_has_only_just_come_to_send_is_a_slow_handler(course):
    *_, sending, again = course(Entry(), *[HANDLER] * 8, CLIENT, HANDLER)
    assert (HANDLER, 1.125) == sending
    assert (HANDLER, 1.25) == again


def test_a_handler_whose_first_look_found_it_sending_is_one_too(course):
    assert (HANDLER, 0.625) == course(Entry(), CLIENT, CLIENT, CLIENT, HANDLER, HANDLER)[-1]


def test_a_send_that_is_slow_by_itself_is_so_whatever_was_before(course):
    *_, before, beyond = course(Entry(), *[HANDLER] * 8, *[CLIENT] * 6)
    assert (HANDLER, 1.625) == before
    assert (CLIENT, 0.625) == beyond


def test_what_the_handler_does_after_a_slow_send_is_no_slow_handler(course):
    assert (CLIENT, 1.125) == course(Entry(), *[CLIENT] * 8, HANDLER)[-1]


def test_many_sends_that_wait_a_little_are_a_slow_client(course):
    assert (CLIENT, 1.5) == course(Entry(), *[CLIENT, CLIENT, HANDLER] * 4)[-1]


def test_the_next_dispatch_has_a_course_of_its_own(course, gatherer):
    entry = Entry()
    course(entry, *[HANDLER] * 8)
    entry.started_at = BEGIN + 1.0
    assert (CLIENT, 0.625) == course(entry, *[CLIENT] * 13)[-1]
    entry.started_at = 0.0
    gatherer.look([entry], BEGIN + 2.0)
    assert not gatherer._courses


# --- the shared thread --------------------------------------------------------------------------------------------


async def test_whoever_waits_for_the_shared_thread_is_innocent_until_it_has_it(gatherer, running):
    release, begun = [threading.Event(), threading.Event()], [threading.Event(), threading.Event()]

    def work(number: int) -> None:
        begun[number].set()
        release[number].wait(10)

    holder = await running(Entry(1), sync_to_async(work)(0))
    await asyncio.to_thread(begun[0].wait, 5)
    waiting = await running(Entry(2), sync_to_async(work)(1))
    for now in (BEGIN + 1.0, BEGIN + 1.125, BEGIN + 2.0):
        assert [1] == [one.subject for one in gatherer.look([holder, waiting], now, 0.0).evidence[HANDLER]]
    release[0].set()
    await asyncio.to_thread(begun[1].wait, 5)
    assert [] == seconds(gatherer.look([waiting], BEGIN + 2.125, 0.0), HANDLER)
    assert [0.625] == seconds(gatherer.look([waiting], BEGIN + 2.625, 0.0), HANDLER)
    assert "work" == details_of(HANDLER, waiting)["function"]
    release[1].set()


async def test_whoever_waits_for_a_thread_of_a_pool_is_not(gatherer, running):
    release = threading.Event()
    entry = await running(Entry(), sync_to_async(release.wait, thread_sensitive=False)(10))
    assert [1.0] == seconds(gatherer.look([entry], BEGIN + 1.0, 0.0), HANDLER)
    release.set()


# --- queues -------------------------------------------------------------------------------------------------------


def test_messages_that_wait_are_a_queue(gatherer):
    entry = Entry(started_at=BEGIN + 0.9)
    entry.inbox = Backlog(BEGIN + 0.25, BEGIN + 0.5)
    assert [0.75] == seconds(gatherer.look([entry], BEGIN + 1.0, 0.0), QUEUE)
    entry.inbox.arrived.clear()
    assert [] == seconds(gatherer.look([entry], BEGIN + 1.0, 0.0), QUEUE)


async def test_behind_a_slow_handler_they_are_its_fault_also_when_it_has_ended(gatherer, running):
    entry = await running(Entry(), asyncio.sleep(60))
    entry.inbox = Backlog(BEGIN)
    assert [] == seconds(gatherer.look([entry], BEGIN + 2.0, 0.0), QUEUE)
    entry.started_at = BEGIN + 2.0
    assert [] == seconds(gatherer.look([entry], BEGIN + 2.125, 0.0), QUEUE)
    assert [0.375] == seconds(gatherer.look([entry], BEGIN + 2.375, 0.0), QUEUE)


def test_a_blocked_loop_counts_for_no_queue(gatherer, clock):
    entry = Entry(started_at=0.0)
    entry.inbox = Backlog(BEGIN)
    clock.look(BEGIN + 5.0, 4.9)
    assert [] == seconds(gatherer.look([entry], BEGIN + 5.0, 0.0), QUEUE)


async def in_turn(entry: Entry, tasks: list[asyncio.Task[None]]) -> Entry:
    """A consumer that takes one quick message after the other, and lets the loop run in between."""

    async def receive() -> None:
        while True:  # noqa: ASYNC110 - it waits for nothing
            await asyncio.sleep(0)

    entry.task, entry.started_at = asyncio.create_task(receive()), 0.0
    entry.inbox = Backlog(BEGIN)
    tasks.append(entry.task)
    await asyncio.sleep(0)
    return entry


@pytest.mark.parametrize(("consumers", "opens_at"), [(1, 0.625), (2, 1.125), (50, None)])
async def test_consumers_that_take_turns_wait_for_each_other_and_each_for_itself_as_long_as_its_share_is(
    gatherer, consumers, opens_at
):
    tasks: list[asyncio.Task[None]] = []
    entries = [await in_turn(Entry(number), tasks) for number in range(consumers)]
    slow_at = next(
        (tick / 8 for tick in range(1, 41)
         if max(seconds(gatherer.look(entries, BEGIN + tick / 8, 0.125), QUEUE), default=0.0) > DEFAULT_THRESHOLD),
        None,
    )  # fmt: skip
    assert opens_at == slow_at
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_whoever_waits_for_something_else_is_not_in_turn(gatherer, running):
    tasks: list[asyncio.Task[None]] = []
    waiting = await running(Entry(0, started_at=BEGIN + 0.5), asyncio.sleep(60))
    waiting.inbox = Backlog(BEGIN)
    entries = [waiting, *[await in_turn(Entry(number), tasks) for number in range(1, 50)]]
    for tick in range(1, 5):
        assert [] == seconds(gatherer.look(entries, BEGIN + tick / 8, 0.125), QUEUE)[1:]
    assert [0.625] == seconds(gatherer.look(entries, BEGIN + 0.625, 0.125), QUEUE)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


# --- channel layers -----------------------------------------------------------------------------------------------


def waits_in_layer(since: float, started_at: float = 0.0) -> Entry:
    entry = Entry(started_at=started_at)
    entry.connection.link = Waits(since)
    return entry


def test_a_message_that_waits_in_the_layer_while_no_handler_takes_long_is_evidence(gatherer):
    entry = waits_in_layer(BEGIN, started_at=BEGIN + 0.5)
    found = gatherer.look([entry], BEGIN + 0.625, 0.0)
    assert [0.625] == seconds(found, LAYER)
    assert [] == seconds(found, HANDLER) == seconds(found, QUEUE)
    assert {1: entry} == found.entries


def test_an_empty_layer_is_none(gatherer):
    entry = Entry(started_at=0.0)
    entry.connection.link = Waits(None)
    assert [] == seconds(gatherer.look([entry], BEGIN + 5.0, 0.0), LAYER)


def test_messages_in_the_layer_behind_a_slow_dispatch_wait_for_it_and_not_for_the_layer(gatherer):
    entry = waits_in_layer(BEGIN, started_at=BEGIN)
    found = gatherer.look([entry], BEGIN + 5.0, 0.0)
    assert ([5.0], []) == (seconds(found, HANDLER), seconds(found, LAYER))
    # It is over: what is still there after that waits for the small steps that follow.
    entry.started_at = BEGIN + 5.125
    assert [] == seconds(gatherer.look([entry], BEGIN + 5.125, 0.0), LAYER)
    assert [0.625] == seconds(gatherer.look([entry], BEGIN + 5.625, 0.0), LAYER)


def test_a_consumer_that_was_between_two_messages_at_a_look_is_excused_all_the_same(gatherer):
    entry = waits_in_layer(BEGIN, started_at=BEGIN)
    gatherer.look([entry], BEGIN + 5.0, 0.0)
    gatherer.look([], BEGIN + 5.125, 0.0)
    entry.started_at = 0.0
    assert [] == seconds(gatherer.look([entry], BEGIN + 5.25, 0.0), LAYER)


def test_a_blocked_loop_counts_for_no_layer(gatherer, clock):
    clock.look(BEGIN + 5.0, 4.9)
    assert [] == seconds(gatherer.look([waits_in_layer(BEGIN)], BEGIN + 5.0, 0.0), LAYER)


def test_what_has_left_is_forgotten(gatherer):
    entry = Entry()
    gatherer.look([entry], BEGIN + 5.0, 0.0)
    assert gatherer._held
    gatherer.look([], BEGIN + 5.125, 0.0)
    assert gatherer._held, "what waits behind it comes to dispatch in a moment"
    gatherer.look([], BEGIN + 5.625, 0.0)
    assert not gatherer._held
    assert not gatherer._excused


# --- what is told of it -------------------------------------------------------------------------------------------


async def test_the_details_say_where_and_how_many_wait(running):
    entry = await running(Entry(), asyncio.sleep(60))
    details = details_of(HANDLER, entry)
    assert ("receive", "tests/node/test_evidence.py") == (details["function"], details["file"])
    assert "waiting" not in details
    entry.inbox = Backlog(BEGIN)
    assert 1 == details_of(HANDLER, entry)["waiting"]
    entry.connection.inbound_type = "chat.say"
    assert "chat.say" == details_of(HANDLER, entry)["message"]


async def test_where_a_consumer_waits_that_is_not_in_send_is_no_matter_of_its_client(running):
    entry = await running(Entry(), asyncio.sleep(60))
    assert {} == details_of(CLIENT, entry)
