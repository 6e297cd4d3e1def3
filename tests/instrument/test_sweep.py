from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Event
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.db import aclose_old_connections
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import OperationalError, connection, connections

from hub import MonitoredConsumerMixin
from hub.instrument import mixin
from hub.instrument.sweep import Sweep
from tests.handclock import HandClock
from tests.instrument.peer import Peer

pytestmark = pytest.mark.django_db(transaction=True)

INTERVAL = 1.0


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def thread():
    """A thread of its own, with connections of its own."""
    with ThreadPoolExecutor(1) as executor:
        yield executor
        executor.submit(connections.close_all).result()


@pytest.fixture
async def fresh(clock: HandClock) -> Sweep:
    """A sweep with nothing to do yet: it has run once, and nothing was opened since."""
    made = Sweep(INTERVAL, clock.monotonic)
    if made.due():
        await swept(made)
    return made


async def swept(sweep: Sweep) -> None:
    """Sweep, and see it done: the thread takes calls in their order."""
    sweep.start()
    await sync_to_async(nothing)()


def nothing() -> None:
    """Only takes its turn."""


def query() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 7")
        return cursor.fetchone()[0]


def break_connection() -> None:
    """What a database that went away leaves behind: the error of a query, swallowed, on a connection of no more use."""
    with suppress(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")
    assert connection.errors_occurred
    connection.is_usable = gone  # type: ignore[method-assign]


def gone() -> bool:
    """Not usable, once."""
    del connection.is_usable
    return False


def is_open() -> bool:
    return connection.connection is not None


# --- when it is due -----------------------------------------------------------------------------------------------


async def test_without_connections_it_is_never_due(fresh, clock):
    for _ in range(5):
        assert not fresh.due()
        clock.advance(10)


@pytest.mark.parametrize("where", ["the shared sync thread", "another thread"])
async def test_opening_a_connection_makes_it_due_and_so_does_each_query(fresh, thread, where):
    async def run_query() -> None:
        await (
            sync_to_async(query)() if where == "the shared sync thread" else asyncio.wrap_future(thread.submit(query))
        )

    for _ in range(3):
        await run_query()
        assert fresh.due()
        await swept(fresh)
        assert not fresh.due()


async def test_an_idle_second_with_an_open_connection_makes_it_due(fresh, clock, thread):
    thread.submit(query).result()
    await swept(fresh)
    clock.advance(INTERVAL * 0.9)
    assert not fresh.due()
    clock.advance(INTERVAL * 0.2)
    assert fresh.due()


async def test_an_idle_second_after_all_connections_were_closed_does_not(fresh, clock, thread):
    thread.submit(query).result()
    await swept(fresh)
    thread.submit(connections.close_all).result()
    clock.advance(INTERVAL * 5)
    assert not fresh.due()


async def test_a_query_that_fails_makes_it_due_too(fresh, thread):
    def fail() -> None:
        with pytest.raises(OperationalError), connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")

    thread.submit(query).result()
    await swept(fresh)
    thread.submit(fail).result()
    assert fresh.due()


async def test_a_query_while_the_sweep_runs_makes_the_next_one_due(fresh, thread):
    await sync_to_async(query)()
    fresh.start()
    thread.submit(query).result()
    await sync_to_async(nothing)()
    assert fresh.due()


async def test_a_connection_that_is_opened_again_is_watched_once(fresh, thread):
    def open_again() -> int:
        connection.close()
        query()
        return sum(getattr(wrapper, "__self__", None) is fresh for wrapper in connection.execute_wrappers)

    assert [1, 1, 1] == [thread.submit(open_again).result() for _ in range(3)]


async def test_a_thread_that_ended_leaves_no_connection_behind(fresh):
    before = len(fresh._connections)
    with ThreadPoolExecutor(1) as executor:
        executor.submit(query).result()
        executor.submit(connections.close_all).result()
    gc.collect()
    assert len(fresh._connections) == before


async def test_a_connection_that_was_open_before_the_hub_is_watched_too(clock):
    # Django served HTTP before the first WebSocket came: the shared sync thread has its connection already.
    await sync_to_async(query)()
    late = Sweep(INTERVAL, clock.monotonic)
    if late.due():
        await swept(late)
    await sync_to_async(query)()
    assert late.due()


@pytest.fixture
async def busy():
    """The shared sync thread is busy until it is released."""
    released = Event()
    working = asyncio.create_task(sync_to_async(released.wait)())
    await asyncio.sleep(0)
    yield released
    released.set()
    await working


async def test_one_that_waits_for_its_turn_does_for_all_but_not_for_ever(fresh, clock, thread, busy):
    thread.submit(query).result()
    assert fresh.due()
    fresh.start()
    thread.submit(query).result()
    assert not fresh.due()
    clock.advance(INTERVAL * 1.1)
    assert fresh.due()
    fresh.start()
    busy.set()
    await sync_to_async(nothing)()
    thread.submit(query).result()
    assert fresh.due()


# --- what it does -------------------------------------------------------------------------------------------------


async def test_it_closes_what_a_swallowed_error_has_broken(fresh):
    await sync_to_async(query)()
    await sync_to_async(break_connection)()
    await swept(fresh)
    assert not await sync_to_async(is_open)()
    assert await sync_to_async(query)() == 7


async def test_it_comes_before_whatever_the_thread_is_asked_for_from_then_on(fresh, monkeypatch):
    order: list[str] = []
    monkeypatch.setattr("hub.instrument.sweep.close_old_connections", partial(order.append, "sweep"))
    await sync_to_async(query)()
    asked = asyncio.ensure_future(sync_to_async(order.append)("later"))
    fresh.start()
    await sync_to_async(order.append)("handler")
    await asked
    # A task of its own would have come last: it begins only with the next turn of the loop.
    assert order == ["sweep", "handler", "later"]


async def test_what_goes_wrong_there_is_a_fault_of_nobody_s(fresh, monkeypatch, faults):
    monkeypatch.setattr("hub.instrument.sweep.close_old_connections", lambda: 1 / 0)
    await swept(fresh)
    assert faults == {"sweep": 1}
    assert await sync_to_async(query)() == 7
    assert fresh.due()


async def test_it_leaves_the_variables_of_whoever_starts_it_alone(fresh):
    await sync_to_async(nothing)()
    before = dict(copy_context().items())
    fresh.start()
    assert dict(copy_context().items()) == before


# --- under a consumer ---------------------------------------------------------------------------------------------


class Echo(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    async def connect(self):
        await sync_to_async(query)()
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "query":
            text_data = str(await sync_to_async(query)())
        elif text_data == "break":
            await sync_to_async(break_connection)()
        elif text_data == "open?":
            text_data = str(await sync_to_async(is_open)())
        await self.send(text_data)


class Unthrottled(Echo):
    hub_sweep = False


class Hops:
    """Counts how often Channels' sweep hopped to the shared sync thread."""

    def __init__(self, monkeypatch) -> None:
        self.count = 0
        real = aclose_old_connections

        async def counted() -> None:
            self.count += 1
            await real()

        monkeypatch.setattr("channels.consumer.aclose_old_connections", counted)
        start = Sweep.start

        def counted_start(made: Sweep) -> None:
            self.count += 1
            start(made)

        monkeypatch.setattr(Sweep, "start", counted_start)


@pytest.fixture
def hops(monkeypatch) -> Hops:
    return Hops(monkeypatch)


@pytest.fixture
def own_sweep(monkeypatch, clock) -> None:
    """A sweep of this test's own, on its clock, in place of the process's."""
    made = Sweep(INTERVAL, clock.monotonic)
    monkeypatch.setattr(mixin, "shared_sweep", lambda interval: made)


async def converse(consumer: type, *texts: str) -> list[str]:
    peer = Peer(consumer.as_asgi())  # type: ignore[attr-defined]
    await peer.connect()
    answers = [await peer.ask(text) for text in texts]
    await peer.disconnect()
    return answers


async def test_the_throttle_takes_the_hop_away(shared, hops, own_sweep):
    await converse(Echo, *["hello"] * 20)
    # The first of all, and once after the query of connect.
    assert hops.count == 2


async def test_no_handler_waits_for_it_while_the_thread_is_busy(shared, own_sweep, clock):
    peer = Peer(Echo.as_asgi())
    await peer.connect()
    assert await peer.ask("query") == "7"
    released = Event()
    working = asyncio.create_task(sync_to_async(released.wait)())
    await asyncio.sleep(0)
    assert await peer.ask("hello") == "hello"
    released.set()
    await working
    await peer.disconnect()


async def test_every_dispatch_hops_without_it(shared, hops, own_sweep):
    await converse(Unthrottled, *["hello"] * 20)
    # Connect, twenty messages, disconnect.
    assert hops.count == 22


async def test_the_setting_switches_it_off_for_all(setup, hops, own_sweep):
    setup(SWEEP=False)
    await converse(Echo, *["hello"] * 20)
    assert hops.count == 22


async def test_a_query_on_every_message_sweeps_before_each_next_one(shared, hops, own_sweep):
    await converse(Echo, *["query"] * 10)
    # The first of all, after the query of connect, and after each of the others.
    assert hops.count == 12


async def test_an_idle_second_sweeps_before_the_next_message(shared, hops, own_sweep, clock):
    peer = Peer(Echo.as_asgi())
    await peer.connect()
    for text in ("query", "hello"):
        await peer.ask(text)
    before = hops.count
    for _ in range(3):
        clock.advance(INTERVAL * 1.1)
        for _ in range(2):
            await peer.ask("hello")
    assert before + 3 == hops.count
    await peer.disconnect()


@pytest.mark.parametrize("consumer", [Echo, Unthrottled])
async def test_a_connection_that_a_query_broke_is_closed_before_the_next_message(shared, own_sweep, consumer):
    assert ["True", "break", "False", "7"] == await converse(consumer, "open?", "break", "open?", "query")
