from __future__ import annotations

import asyncio
import functools
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, get_ident

import pytest
from asgiref.sync import SyncToAsync
from channels.generic.websocket import AsyncWebsocketConsumer

from hub import MonitoredConsumerMixin
from hub.clock import SYSTEM
from hub.core.loop import LATE
from hub.instrument import watchdog as module
from hub.instrument.stacks import stack_of
from hub.instrument.watchdog import UNKNOWN_WHO, Samples, SyncProbe, Watchdog, label_of
from tests.support.until import until


@pytest.fixture
async def watchdog() -> AsyncIterator[Watchdog]:
    made = Watchdog(asyncio.get_running_loop(), SYSTEM.monotonic, lambda: False)
    made.start()
    yield made
    made.stop()
    await asyncio.to_thread(made._thread.join, 5)


def wait_until(condition, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def hold_up(seconds: float) -> None:
    time.sleep(seconds)  # here


# --- the loop -----------------------------------------------------------------------------------------------------


async def test_what_blocks_the_loop_is_seen_from_outside(watchdog):
    watchdog.due = time.monotonic()
    hold_up(0.4)
    who, where = watchdog.blocked()
    assert UNKNOWN_WHO == who
    assert "hold_up" == where["function"]
    assert "tests/instrument/test_watchdog.py" == where["file"]


async def test_a_loop_that_is_back_in_time_is_left_alone(watchdog):
    for _ in range(15):
        watchdog.due = time.monotonic() + 0.02
        await asyncio.sleep(0.02)
    assert (UNKNOWN_WHO, {}) == watchdog.blocked()


async def test_a_loop_that_promised_nothing_is_not_late(watchdog):
    hold_up(0.3)
    assert (UNKNOWN_WHO, {}) == watchdog.blocked()


async def test_a_verdict_is_given_once(watchdog):
    watchdog.due = time.monotonic()
    hold_up(0.3)
    watchdog.due = None
    assert watchdog.blocked()[1]
    assert (UNKNOWN_WHO, {}) == watchdog.blocked()


async def test_it_ends_when_it_is_told_to(watchdog):
    watchdog.stop()
    await asyncio.to_thread(watchdog._thread.join, 5)
    assert not watchdog._thread.is_alive()


def test_it_ends_with_its_loop():
    async def begin() -> Watchdog:
        made = Watchdog(asyncio.get_running_loop(), SYSTEM.monotonic, lambda: False)
        made.start()
        return made

    watchdog = asyncio.run(begin())
    watchdog._thread.join(5)
    assert not watchdog._thread.is_alive()


async def test_a_fault_of_its_own_is_counted_and_it_goes_on(watchdog, faults, monkeypatch):
    monkeypatch.setattr(module, "stack_of", lambda _: 1 / 0)
    watchdog.due = time.monotonic()
    hold_up(0.4)
    assert faults["watchdog"] > 1
    assert watchdog._thread.is_alive()


# --- while the loop rests ---


def nothing_stirs() -> bool:
    return False


async def test_a_loop_that_rests_is_left_alone_until_its_time_is_over(watchdog):
    began = time.monotonic()
    due = await watchdog.rest(0.4, nothing_stirs)
    assert 0.4 <= due - began < 0.5
    assert due <= time.monotonic()
    assert (UNKNOWN_WHO, {}) == watchdog.blocked()


async def test_it_is_woken_when_something_stirs(watchdog):
    stirs: list[bool] = []
    asyncio.get_running_loop().call_later(0.3, stirs.append, True)
    began = time.monotonic()
    due = await watchdog.rest(60.0, lambda: bool(stirs))
    assert began + 0.3 <= due <= time.monotonic()


async def test_what_blocks_a_loop_that_rests_is_seen_and_how_long(watchdog):
    asyncio.get_running_loop().call_later(0.35, hold_up, 0.7)
    due = await watchdog.rest(60.0, nothing_stirs)
    late = time.monotonic() - due
    # However late it was seen: since its turn began.
    assert 0.69 <= late
    assert "hold_up" == watchdog.blocked()[1]["function"]


async def test_a_loop_whose_turns_nobody_sees_is_not_late_for_having_rested(watchdog):
    watchdog._turns._selector = None
    began = time.monotonic()
    due = await watchdog.rest(60.0, nothing_stirs)
    # It can't be left alone, and is asked at each look.
    assert began < due <= time.monotonic()
    assert time.monotonic() - due < LATE


async def test_while_it_rests_the_shared_thread_is_asked_nothing():
    watchdog = Watchdog(asyncio.get_running_loop(), SYSTEM.monotonic, lambda: True)
    watchdog.start()
    await until(lambda: bool(watchdog.probe._waits))
    await watchdog.rest(0.2, nothing_stirs)
    watchdog.probe.waits()
    await watchdog.rest(0.5, nothing_stirs)
    assert len(watchdog.probe.waits()) <= 1
    watchdog.stop()


async def test_a_rest_that_is_cancelled_is_over(watchdog):
    rest = asyncio.create_task(watchdog.rest(60.0, nothing_stirs))
    await asyncio.sleep(0.2)
    rest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rest
    assert None is watchdog._rest


def test_the_place_seen_most_often_wins():
    samples = Samples()
    for _ in range(3):
        samples.add((None, "often"), [sys._getframe()])
    samples.add((None, "once"), [sys._getframe()])
    assert "often" == samples.verdict()[0][1]


# --- whose code ---


class Base:
    """Handlers that several consumers have in common."""

    @staticmethod
    def common() -> str:
        return label_of(stack_of(get_ident()))


class Chat(MonitoredConsumerMixin, Base, AsyncWebsocketConsumer):
    hub_consumer = "chat"

    def own(self) -> str:
        return label_of(stack_of(get_ident()))

    @functools.lru_cache  # noqa: B019 - any decorator
    def decorated(self) -> str:
        return label_of(stack_of(get_ident()))

    def through_common(self) -> str:
        return self.common()


class Ticker(MonitoredConsumerMixin, Base, AsyncWebsocketConsumer):
    hub_consumer = "ticker"


@pytest.mark.parametrize("method", ["own", "decorated", "through_common"])
def test_a_consumer_is_known_by_its_code_on_the_stack(method):
    assert "chat" == getattr(Chat(), method)()


def test_code_that_several_consumers_have_in_common_says_nothing():
    assert "" == Ticker().common() == label_of([]) == label_of(stack_of(get_ident()))


# --- the shared thread --------------------------------------------------------------------------------------------


class Holder:
    """Keeps the shared thread busy."""

    def __init__(self) -> None:
        self._begun, self._release = Event(), Event()
        self._done: Future[None] | None = None

    def occupy(self) -> None:
        self._begun.set()
        self._release.wait(10)

    def hold(self) -> None:
        self._done = SyncToAsync.single_thread_executor.submit(self.occupy)
        self._begun.wait(5)

    def let_go(self) -> None:
        self._release.set()
        if self._done is not None:
            self._done.result(5)


@pytest.fixture
def holder() -> Iterator[Holder]:
    made = Holder()
    yield made
    made.let_go()


def answered(probe: SyncProbe) -> None:
    wait_until(lambda: probe._answer is not None and probe._answer.done())
    probe.look(wanted=False)


def test_an_idle_thread_answers_at_once():
    probe = SyncProbe(SYSTEM.monotonic)
    assert not probe.look(wanted=True)
    answered(probe)
    [wait] = probe.waits()
    assert 0 <= wait < 1
    assert [] == probe.waits()
    assert 0.0 == probe.waiting(time.monotonic())


def test_nothing_is_asked_while_nobody_wants_to_know():
    probe = SyncProbe(SYSTEM.monotonic)
    for _ in range(3):
        assert not probe.look(wanted=False)
    assert None is probe._answer
    assert [] == probe.waits()


def test_it_is_known_whether_any_call_waits_for_the_thread(holder):
    assert not SyncProbe.calls_wait()
    holder.hold()
    assert not SyncProbe.calls_wait(), "it runs, and nobody waits"
    waiting = SyncToAsync.single_thread_executor.submit(int)
    assert SyncProbe.calls_wait()
    holder.let_go()
    waiting.result(5)
    assert not SyncProbe.calls_wait()


def test_one_no_op_waits_at_a_time_and_the_holder_is_seen(holder):
    probe = SyncProbe(SYSTEM.monotonic)
    probe.look(wanted=True)
    answered(probe)
    probe.waits()
    holder.hold()
    probe.look(wanted=True)
    waiting = probe._answer
    time.sleep(2 * LATE)
    assert probe.look(wanted=True)
    assert waiting is probe._answer
    assert probe.waiting(time.monotonic()) >= 2 * LATE
    who, where = probe.samples.verdict()
    assert (UNKNOWN_WHO, "occupy") == (who, where["function"])
    assert [] == probe.waits()
    holder.let_go()
    answered(probe)
    [wait] = probe.waits()
    assert wait >= 2 * LATE


def test_a_thread_that_is_shut_down_is_no_fault(monkeypatch):
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    probe = SyncProbe(SYSTEM.monotonic)
    with monkeypatch.context() as patch:
        patch.setattr(SyncToAsync, "single_thread_executor", closed)
        assert not probe.look(wanted=True)
    assert 0.0 == probe.waiting(time.monotonic())
