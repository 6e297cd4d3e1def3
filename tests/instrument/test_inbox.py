from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.instrument.inbox import LAST, YIELD_MESSAGES, YIELD_SECONDS, Inbox, Message, payload_size
from tests import strategies  # noqa: F401 - loads the profile
from tests.handclock import HandClock

Handler = Callable[[Message], Awaitable[None]]


class Done(Exception):
    """Ends a run."""


def frame(number: int, text: str = "") -> Message:
    return {"type": "websocket.receive", "number": number, "text": text}


def layer_message(number: int) -> Message:
    return {"type": "chat.say", "number": number}


DISCONNECT: Message = {"type": "websocket.disconnect", "code": 1000}


class Tap:
    """A source that hands out messages as fast as it is asked, then waits for ever or raises."""

    def __init__(self, messages: Iterable[Message], then: BaseException | None = None, *, polite: bool = False) -> None:
        self.messages = list(messages)
        self.then = then
        self.polite = polite
        self.taken = 0

    async def __call__(self) -> Message:
        if self.polite:
            await asyncio.sleep(0)
        if self.taken < len(self.messages):
            self.taken += 1
            return self.messages[self.taken - 1]
        if self.then is not None:
            raise self.then
        await asyncio.Event().wait()
        raise AssertionError


def make_inbox(
    max_messages: int = 64, max_bytes: int = 1 << 20, monotonic: Callable[[], float] = time.monotonic
) -> Inbox:
    return Inbox(monotonic, max_messages, max_bytes)


def arrived(message: Message, now: float) -> int:
    return LAST if message["type"] == "websocket.disconnect" else payload_size(message)


async def run(inbox: Inbox, handler: Handler, client: Tap, layer: Tap | None = None) -> None:
    async def dispatch(message: Message, arrived_at: float, size: int) -> float:
        await handler(message)
        return inbox.monotonic()

    await inbox.run(dispatch, client, arrived, layer)


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def spare_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


class Log:
    """A handler that notes what it gets, and raises `Done` after so many messages."""

    def __init__(self, stop_after: int, *, polite: bool = False) -> None:
        self.seen: list[Message] = []
        self.stop_after = stop_after
        self.polite = polite

    async def __call__(self, message: Message) -> None:
        self.seen.append(message)
        if self.polite:
            await asyncio.sleep(0)
        if len(self.seen) == self.stop_after:
            raise Done

    @property
    def sources(self) -> str:
        return "".join("l" if message["type"] == "chat.say" else "c" for message in self.seen)


class Gate:
    """A handler in which each message waits to be let go."""

    def __init__(self) -> None:
        self.entered = 0
        self._gate = asyncio.Semaphore(0)

    async def __call__(self, message: Message) -> None:
        self.entered += 1
        await self._gate.acquire()

    async def let_go(self, messages: int = 1) -> None:
        for _ in range(messages):
            self._gate.release()
        await settle()


# --- order and turns ----------------------------------------------------------------------------------------------


@given(st.integers(0, 80), st.integers(0, 20), st.booleans(), st.booleans(), st.integers(1, 70))
def test_every_message_is_dispatched_once_and_in_the_order_of_its_source(client, layer, polite_taps, polite, limit):
    async def both() -> None:
        log = Log(client + layer, polite=polite)
        taps = (
            Tap(map(frame, range(client)), polite=polite_taps),
            Tap(map(layer_message, range(layer)), polite=polite_taps),
        )
        with pytest.raises(Done):
            await asyncio.wait_for(run(make_inbox(limit), log, *taps), 10)
        seen: dict[str, list[int]] = {"websocket.receive": [], "chat.say": []}
        for message in log.seen:
            seen[message["type"]].append(message["number"])
        assert {"websocket.receive": list(range(client)), "chat.say": list(range(layer))} == seen

    if client + layer:
        asyncio.run(both())


async def test_a_flood_of_the_client_does_not_starve_the_layer():
    log = Log(1000)
    with pytest.raises(Done):
        await run(make_inbox(), log, Tap(map(frame, range(100_000))), Tap(map(layer_message, range(20))))
    assert log.sources.count("l") == 20
    # At most the messages between two yields pass before the layer's next one has been read.
    assert max(map(len, log.sources.rstrip("c").split("l"))) <= YIELD_MESSAGES


async def test_with_handlers_that_wait_the_two_sources_take_turns():
    log = Log(60, polite=True)
    with pytest.raises(Done):
        await run(make_inbox(), log, Tap(map(frame, range(1000))), Tap(map(layer_message, range(20))))
    assert max(map(len, log.sources.rstrip("c").split("l"))) <= 2


async def test_a_flood_of_the_layer_does_not_starve_the_client():
    log = Log(60, polite=True)
    with pytest.raises(Done):
        await run(make_inbox(), log, Tap(map(frame, range(20))), Tap(map(layer_message, range(1000))))
    assert log.sources.count("c") == 20


async def test_a_connection_without_a_layer_has_one_source():
    log = Log(3)
    with pytest.raises(Done):
        await run(make_inbox(), log, Tap(map(frame, range(3))))
    assert [0, 1, 2] == [message["number"] for message in log.seen]


# --- back-pressure ------------------------------------------------------------------------------------------------


async def test_the_reader_parks_when_its_queue_is_full_and_goes_on_at_half():
    gate, tap = Gate(), Tap(map(frame, range(100)))
    task = asyncio.create_task(run(make_inbox(max_messages=8), gate, tap))
    await settle()
    assert (8, 1) == (tap.taken, gate.entered)
    waiting = []
    for _ in range(12):
        await gate.let_go()
        waiting.append(tap.taken - gate.entered)
    # Seven wait beside the one that is handled; at four it reads until eight wait again.
    assert [6, 5, 8, 7, 6, 5, 8, 7, 6, 5, 8, 7] == waiting
    task.cancel()


async def test_the_reader_parks_at_its_limit_of_bytes_too():
    gate, tap = Gate(), Tap(frame(number, "x" * 40) for number in range(100))
    task = asyncio.create_task(run(make_inbox(max_bytes=100), gate, tap))
    await settle()
    assert (3, 1) == (tap.taken, gate.entered)
    await gate.let_go()
    # 40 of 100 bytes wait: half is free, so that it reads up to the limit again.
    assert (5, 2) == (tap.taken, gate.entered)
    task.cancel()


async def test_a_message_larger_than_the_limit_passes_alone():
    log = Log(4)
    with pytest.raises(Done):
        await asyncio.wait_for(run(make_inbox(max_bytes=10), log, Tap(frame(n, "x" * 1000) for n in range(4))), 10)
    assert len(log.seen) == 4


async def test_a_limit_of_one_message_still_moves():
    log = Log(50)
    with pytest.raises(Done):
        await asyncio.wait_for(run(make_inbox(max_messages=1), log, Tap(map(frame, range(50)))), 10)


async def test_of_the_layer_one_message_is_read_and_none_while_that_is_handled():
    gate, layer = Gate(), Tap(map(layer_message, range(10)))
    task = asyncio.create_task(run(make_inbox(), gate, Tap([]), layer))
    for expected in (1, 2, 3):
        await settle()
        assert (expected, expected) == (layer.taken, gate.entered)
        await gate.let_go()
    task.cancel()


async def test_while_a_client_message_is_handled_one_of_the_layer_waits():
    gate, layer = Gate(), Tap(map(layer_message, range(10)))
    task = asyncio.create_task(run(make_inbox(), gate, Tap([frame(0)]), layer))
    await settle()
    assert (1, 1) == (layer.taken, gate.entered)
    task.cancel()


# --- fairness -----------------------------------------------------------------------------------------------------


class Bystander:
    """Another task of the loop, that notes how far the handler was whenever it had its turn."""

    def __init__(self, log: Log) -> None:
        self.turns: list[int] = []
        self._log = log

    async def __call__(self) -> None:
        while True:
            self.turns.append(len(self._log.seen))
            await asyncio.sleep(0)

    @property
    def longest_wait(self) -> int:
        return max(b - a for a, b in zip(self.turns, [*self.turns[1:], len(self._log.seen)], strict=True))


async def watched(log: Log, inbox: Inbox, tap: Tap) -> Bystander:
    bystander = Bystander(log)
    task = asyncio.create_task(bystander())
    with pytest.raises(Done):
        await run(inbox, log, tap)
    task.cancel()
    return bystander


async def test_others_have_their_turn_after_so_many_messages():
    log = Log(20 * YIELD_MESSAGES)
    clock = HandClock()
    bystander = await watched(log, make_inbox(10_000, monotonic=clock.monotonic), Tap(map(frame, range(10_000))))
    assert bystander.longest_wait == YIELD_MESSAGES


async def test_others_have_their_turn_after_so_much_time():
    clock = HandClock()
    log = Log(200)

    class Slow(Log):
        async def __call__(self, message: Message) -> None:
            clock.advance(YIELD_SECONDS * 0.4)
            await super().__call__(message)

    log = Slow(200)
    bystander = await watched(log, make_inbox(10_000, monotonic=clock.monotonic), Tap(map(frame, range(10_000))))
    assert bystander.longest_wait == 3


# --- ends ---------------------------------------------------------------------------------------------------------


async def test_a_reader_stops_at_disconnect_even_if_the_server_repeats_it_for_ever():
    tap = Tap([frame(0), *[DISCONNECT] * 1000])
    log = Log(2)
    with pytest.raises(Done):
        await asyncio.wait_for(run(make_inbox(), log, tap), 10)
    assert ([frame(0), DISCONNECT], 2) == (log.seen, tap.taken)


async def test_after_a_disconnect_the_layer_is_still_served():
    log = Log(4)
    layer = Tap(map(layer_message, range(3)))
    with pytest.raises(Done):
        await asyncio.wait_for(run(make_inbox(), log, Tap([DISCONNECT]), layer), 10)


@pytest.mark.parametrize("error", [ConnectionError("gone"), asyncio.CancelledError(), ValueError("bad")])
async def test_what_the_client_s_source_raises_comes_after_what_it_gave(error):
    log = Log(99)
    with pytest.raises(type(error)) as raised:
        await asyncio.wait_for(run(make_inbox(), log, Tap(map(frame, range(5)), then=error)), 10)
    assert (raised.value, 5) == (error, len(log.seen))


async def test_what_the_layer_raises_comes_after_what_it_gave():
    log = Log(99)
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(
            run(make_inbox(), log, Tap([]), Tap(map(layer_message, range(3)), ConnectionError())), 10
        )
    assert len(log.seen) == 3


async def test_a_source_that_breaks_while_a_handler_runs_waits_for_its_turn():
    gate = Gate()
    task = asyncio.create_task(run(make_inbox(), gate, Tap([frame(0)], then=ConnectionError())))
    await settle()
    assert not task.done()
    await gate.let_go()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(task, 10)


async def test_what_was_read_and_never_dispatched_is_reported_by_source():
    inbox, log = make_inbox(max_messages=5), Log(2, polite=True)
    with pytest.raises(Done):
        await run(inbox, log, Tap(map(frame, range(99))), Tap(map(layer_message, range(9))))
    client, layer = inbox.undispatched()
    handled = [message["number"] for message in log.seen if message["type"] == "websocket.receive"]
    assert list(range(len(handled), len(handled) + len(client))) == [message["number"] for message in client]
    assert (True, True) == (1 <= len(client) <= 5, len(layer) <= 1)


async def test_an_error_of_a_source_is_no_message_that_was_lost():
    inbox = make_inbox()
    with pytest.raises(Done):
        await run(inbox, Log(1, polite=True), Tap([frame(0), frame(1)], then=ConnectionError()))
    assert [[frame(1)]] == inbox.undispatched()


async def idle() -> tuple[Handler, Tap, Tap]:
    return Log(99), Tap([]), Tap([])


async def in_a_handler() -> tuple[Handler, Tap, Tap]:
    return Gate(), Tap([frame(0)]), Tap([])


async def parked() -> tuple[Handler, Tap, Tap]:
    return Gate(), Tap(map(frame, range(1000))), Tap(map(layer_message, range(10)))


async def in_a_flood() -> tuple[Handler, Tap, Tap]:
    return Log(10**9), Tap([frame(0)] * 10**6), Tap(map(layer_message, range(10)))


@pytest.mark.parametrize("turns", [0, 1, 2, 20])
@pytest.mark.parametrize("state", [idle, in_a_handler, parked, in_a_flood])
async def test_cancelling_leaves_no_task_behind(state, turns):
    task = asyncio.create_task(run(make_inbox(), *await state()))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert set() == spare_tasks()


@pytest.mark.parametrize("end", [Done(), asyncio.CancelledError(), KeyError("x")])
async def test_an_end_by_the_handler_leaves_no_task_behind(end):
    async def fail(message: Message) -> None:
        raise end

    with pytest.raises(type(end)):
        await run(make_inbox(), fail, Tap(map(frame, range(1000))), Tap(map(layer_message, range(10))))
    assert set() == spare_tasks()


async def test_the_dispatcher_sleeps_while_there_is_nothing_and_wakes_for_each():
    queue: asyncio.Queue[Message] = asyncio.Queue()
    log = Log(3)

    async def dispatch(message: Message, arrived_at: float, size: int) -> float:
        await log(message)
        return time.monotonic()

    task = asyncio.create_task(make_inbox().run(dispatch, queue.get, arrived, None))
    for number in range(3):
        await settle()
        assert number == len(log.seen)
        queue.put_nowait(frame(number))
    with pytest.raises(Done):
        await asyncio.wait_for(task, 10)


class Traced(dict[str, Any]):
    """A message of which can be told whether anybody still has it."""


async def test_an_inbox_that_waits_holds_on_to_no_message():
    clients: asyncio.Queue[Message] = asyncio.Queue()
    layers: asyncio.Queue[Message] = asyncio.Queue()
    log: list[weakref.ref[Message]] = []

    async def dispatch(message: Message, arrived_at: float, size: int) -> float:
        log.append(weakref.ref(message))
        return time.monotonic()

    task = asyncio.create_task(make_inbox().run(dispatch, clients.get, arrived, layers.get))
    for queue, message in ((clients, frame(0)), (layers, layer_message(1)), (clients, frame(2))):
        queue.put_nowait(Traced(message))
        await settle()
    assert [None, None, None] == [known() for known in log]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_each_message_comes_with_the_time_of_its_arrival_and_its_size():
    clock = HandClock()
    given_over: list[tuple[float, int]] = []

    async def dispatch(message: Message, arrived_at: float, size: int) -> float:
        given_over.append((arrived_at, size))
        clock.advance(5)
        if len(given_over) == 2:
            raise Done
        return clock.monotonic()

    with pytest.raises(Done):
        await make_inbox(monotonic=clock.monotonic).run(dispatch, Tap([frame(0, "abc"), frame(1)]), arrived, None)
    assert [(1000.0, 3), (1000.0, 0)] == given_over


@pytest.mark.parametrize(
    ("message", "size"),
    [
        ({"text": "abc"}, 3),
        ({"bytes": b"abcd"}, 4),
        ({"text": None, "bytes": b"a"}, 1),
        ({}, 0),
        ({"bytes": None}, 0),
        ({"text": ""}, 0),
    ],
)
def test_the_size_of_a_payload(message, size):
    assert size == payload_size(message)
