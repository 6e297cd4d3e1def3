"""What every bus is held to. A new one joins `BUSES`; nothing here knows which one it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.bus.base import Bus, Entry, Payload
from hub.bus.memory import MemoryBus
from hub.core.errors import CursorError
from tests import strategies  # noqa: F401 - loads the profile
from tests.handclock import HandClock

MakeBus = Callable[..., Bus]

#: By name: a factory that takes a clock and the two bounds of retention.
BUSES: dict[str, MakeBus] = {
    "memory": lambda clock, max_events=100, max_age=60.0: MemoryBus(clock.monotonic, max_events, max_age),
}


@pytest.fixture(params=BUSES)
def make_bus(request) -> MakeBus:
    return BUSES[request.param]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def bus(make_bus, clock):
    made = make_bus(clock)
    yield made
    await made.close()


async def append(bus: Bus, *payloads: str) -> list[Entry]:
    return [await bus.append({"text": payload}) for payload in payloads]


# --- the log ------------------------------------------------------------------------------------------------------


async def test_ids_grow_by_one_and_payloads_come_back(bus):
    entries = await append(bus, "a", "b", "c")
    assert [1, 2, 3] == [entry.id for entry in entries]
    assert entries == await bus.read(0)
    assert ["a", "b", "c"] == [entry.payload["text"] for entry in await bus.read(0)]


async def test_an_empty_log_has_nothing_to_read(bus):
    assert [] == await bus.read(0)
    assert (0, 1) == (await bus.newest(), await bus.oldest())


async def test_reading_goes_on_after_a_cursor(bus):
    entries = await append(bus, "a", "b", "c", "d")
    assert [entries[1:], entries[3:], []] == [await bus.read(after) for after in (1, 3, 4)]


async def test_a_limit_gives_the_oldest_first(bus):
    entries = await append(bus, "a", "b", "c", "d")
    assert entries[1:3] == await bus.read(1, limit=2)


async def test_a_cursor_from_the_future_is_refused(bus):
    await append(bus, "a")
    with pytest.raises(CursorError) as refused:
        await bus.read(2)
    assert refused.value.reason == "future"


async def test_beyond_the_number_kept_the_oldest_go(make_bus, clock):
    bus = make_bus(clock, max_events=3)
    entries = await append(bus, *"abcde")
    assert entries[2:] == await bus.read(2)
    assert (5, 3) == (await bus.newest(), await bus.oldest())
    with pytest.raises(CursorError) as refused:
        await bus.read(1)
    assert refused.value.reason == "expired"


async def test_beyond_the_age_kept_the_oldest_go(make_bus, clock):
    bus = make_bus(clock, max_age=10.0)
    await append(bus, "a")
    clock.advance(6)
    [younger] = await append(bus, "b")
    clock.advance(6)
    assert [younger] == await bus.read(1)
    with pytest.raises(CursorError) as refused:
        await bus.read(0)
    assert refused.value.reason == "expired"


async def test_ids_and_cursors_live_on_when_all_events_are_gone(make_bus, clock):
    bus = make_bus(clock, max_age=10.0)
    await append(bus, "a", "b")
    clock.advance(11)
    assert [] == await bus.read(2)
    assert (2, 3) == (await bus.newest(), await bus.oldest())
    with pytest.raises(CursorError):
        await bus.read(1)
    assert [3] == [entry.id for entry in await append(bus, "c")]


steps = st.lists(st.sampled_from(["append", "wait a second", "read"]) | st.integers(-1, 30), max_size=30)


@given(steps, st.integers(1, 5), st.integers(1, 4))
@pytest.mark.parametrize("name", BUSES)
def test_the_log_is_a_list_of_what_is_kept(name, steps, max_events, max_age):
    async def run() -> None:
        clock = HandClock()
        bus = BUSES[name](clock, max_events=max_events, max_age=float(max_age))
        log: list[tuple[float, Entry]] = []
        for step in steps:
            if step == "append":
                log.append((clock.now, await bus.append({})))
            elif step == "wait a second":
                clock.advance(1)
            kept = [entry for at, entry in log[-max_events:] if at >= clock.now - max_age]
            after = step if isinstance(step, int) else len(log) - len(kept)
            assert expected(log, kept, after) == await observed(bus, after)

    asyncio.run(run())


def expected(log: list, kept: list[Entry], after: int) -> list[Entry] | str:
    if after > len(log):
        return "future"
    return "expired" if after < len(log) - len(kept) else [entry for entry in kept if entry.id > after]


async def observed(bus: Bus, after: int) -> list[Entry] | str:
    try:
        return await bus.read(after)
    except CursorError as error:
        return error.reason


# --- waiting ------------------------------------------------------------------------------------------------------


async def test_waiting_ends_with_the_next_event_for_all_who_wait(bus):
    await append(bus, "a")
    waiting = [asyncio.create_task(bus.wait(1)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert [False] * 3 == [task.done() for task in waiting]
    await append(bus, "b")
    await asyncio.wait_for(asyncio.gather(*waiting), 5)


async def test_waiting_for_what_is_there_already_does_not_wait(bus):
    await append(bus, "a")
    await asyncio.wait_for(bus.wait(0), 5)


async def test_giving_up_waiting_harms_nobody(bus):
    given_up, patient = asyncio.create_task(bus.wait(0)), asyncio.create_task(bus.wait(0))
    await asyncio.sleep(0.01)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    await append(bus, "a")
    await asyncio.wait_for(patient, 5)


# --- snapshots ----------------------------------------------------------------------------------------------------


async def test_the_newest_snapshot_of_each_node_counts(bus):
    await bus.publish("one", {"n": 1}, 10.0)
    await bus.publish("two", {"n": 2}, 10.0)
    await bus.publish("one", {"n": 3}, 10.0)
    assert [2, 3] == sorted(snapshot["n"] for snapshot in await bus.snapshots())


async def test_a_snapshot_counts_until_its_lease_ends(bus, clock):
    await bus.publish("one", {"n": 1}, 10.0)
    clock.advance(6)
    await bus.publish("two", {"n": 2}, 10.0)
    clock.advance(3.5)
    assert [1, 2] == sorted(snapshot["n"] for snapshot in await bus.snapshots())
    clock.advance(1)
    assert [2] == [snapshot["n"] for snapshot in await bus.snapshots()]


async def test_a_node_that_was_silent_comes_back_with_its_next_snapshot(bus, clock):
    await bus.publish("one", {"n": 1}, 10.0)
    clock.advance(11)
    assert [] == await bus.snapshots()
    await bus.publish("one", {"n": 2}, 10.0)
    assert [{"n": 2}] == await bus.snapshots()


async def test_a_node_that_withdraws_is_gone_at_once(bus):
    await bus.publish("one", {"n": 1}, 10.0)
    await bus.publish("two", {"n": 2}, 10.0)
    await bus.withdraw("one")
    await bus.withdraw("never there")
    assert [{"n": 2}] == await bus.snapshots()


# --- leases -------------------------------------------------------------------------------------------------------


async def test_one_holder_at_a_time(bus):
    assert await bus.acquire("evaluator", "one", 10.0) == 1
    assert await bus.acquire("evaluator", "two", 10.0) is None


async def test_leases_of_other_names_are_apart(bus):
    assert await bus.acquire("evaluator", "one", 10.0) == 1
    assert await bus.acquire("sweeper", "two", 10.0) == 1


async def test_renewing_keeps_the_epoch_and_prolongs_the_lease(bus, clock):
    for _ in range(3):
        assert await bus.acquire("evaluator", "one", 10.0) == 1
        clock.advance(8)
    assert await bus.acquire("evaluator", "two", 10.0) is None


async def test_a_lease_that_ended_goes_to_the_next_with_a_higher_epoch(bus, clock):
    assert await bus.acquire("evaluator", "one", 10.0) == 1
    clock.advance(10.5)
    assert await bus.acquire("evaluator", "two", 10.0) == 2
    assert await bus.acquire("evaluator", "one", 10.0) is None


async def test_a_holder_that_was_late_gets_a_new_epoch_too(bus, clock):
    # Somebody may have held the lease in between; what was written under the old epoch must be refused.
    assert await bus.acquire("evaluator", "one", 10.0) == 1
    clock.advance(10.5)
    assert await bus.acquire("evaluator", "one", 10.0) == 2


async def test_a_released_lease_is_free_at_once_and_its_epoch_grows_all_the_same(bus):
    assert await bus.acquire("evaluator", "one", 10.0) == 1
    await bus.release("evaluator", "one")
    assert await bus.acquire("evaluator", "two", 10.0) == 2
    await bus.release("evaluator", "two")
    assert await bus.acquire("evaluator", "two", 10.0) == 3


async def test_nobody_releases_the_lease_of_another(bus):
    await bus.acquire("evaluator", "one", 10.0)
    await bus.release("evaluator", "two")
    await bus.release("never taken", "two")
    assert await bus.acquire("evaluator", "two", 10.0) is None


claims = st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 6)), max_size=30)


@given(claims)
@pytest.mark.parametrize("name", BUSES)
def test_epochs_never_fall_and_never_belong_to_two(name, claims):
    async def run() -> None:
        clock = HandClock()
        bus = BUSES[name](clock)
        holders: dict[int, str] = {}
        for holder, release, pause in claims:
            if release:
                await bus.release("evaluator", holder)
            else:
                epoch = await bus.acquire("evaluator", holder, 5.0)
                if epoch is not None:
                    assert holder == holders.setdefault(epoch, holder)
                    assert max(holders) == epoch
            clock.advance(pause)

    asyncio.run(run())


# --- broadcasts ---------------------------------------------------------------------------------------------------


async def heard(received: list[Payload], count: int) -> list[Payload]:
    """What was received, once it is so much."""
    async with asyncio.timeout(10):
        while len(received) < count:  # noqa: ASYNC110 - a bus need not say when it delivers
            await asyncio.sleep(0.001)
    return received


async def test_all_who_listen_hear_a_broadcast_in_its_senders_order(bus):
    one: list[Payload] = []
    two: list[Payload] = []
    bus.listen("presence", one.append)
    bus.listen("presence", two.append)
    for number in range(20):
        await bus.broadcast("presence", {"number": number})
    expected = [{"number": number} for number in range(20)]
    assert expected == await heard(one, 20) == await heard(two, 20)


async def test_nobody_hears_another_topic_or_what_was_told_before(bus):
    late: list[Payload] = []
    other: list[Payload] = []
    bus.listen("other", other.append)
    await bus.broadcast("presence", {"number": 1})
    bus.listen("presence", late.append)
    await bus.broadcast("presence", {"number": 2})
    assert [{"number": 2}] == await heard(late, 1)
    assert other == []


async def test_whoever_has_ended_hears_nothing_more(bus):
    ended: list[Payload] = []
    going_on: list[Payload] = []
    end = bus.listen("presence", ended.append)
    bus.listen("presence", going_on.append)
    end()
    end()
    await bus.broadcast("presence", {"number": 1})
    assert [{"number": 1}] == await heard(going_on, 1)
    assert ended == []


async def test_a_listener_that_fails_or_ends_meanwhile_keeps_nothing_from_the_others(bus, monkeypatch):
    faults: Counter[str] = Counter()
    monkeypatch.setattr("hub.faults.FAULTS", faults)
    received: list[Payload] = []

    def fail(payload: Payload) -> None:
        end()
        raise ValueError("a listener's fault")

    end = bus.listen("presence", fail)
    bus.listen("presence", received.append)
    for number in range(2):
        await bus.broadcast("presence", {"number": number})
    assert [{"number": 0}, {"number": 1}] == await heard(received, 2)
    assert faults == {"bus presence": 1}


async def test_a_broadcast_is_neither_an_event_nor_a_snapshot(bus):
    await bus.broadcast("presence", {"number": 1})
    assert (0, []) == (await bus.newest(), await bus.snapshots())
