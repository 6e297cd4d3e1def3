"""Events to operators: each wanted one exactly once and in order, across disconnects, or an explicit gap."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.core.errors import CursorError
from hub.feed import wire
from hub.feed.service import RECENT, REPLAY_BATCH
from tests.feed.stage import ids, of_type, stage

EVENTS = ["events"]


async def test_a_new_operator_sees_the_recent_events_then_each_new_one():
    async with stage() as on:
        for _ in range(RECENT + 50):
            await on.happen()
        operator = on.operator()
        [_, snapshot] = await operator.ask(type="subscribe", topics=EVENTS)
        assert ids([snapshot]) == list(range(51, RECENT + 51))
        await on.happen()
        assert ids(await operator.read()) == [RECENT + 51]


async def test_all_operators_get_the_same():
    async with stage() as on:
        operators = [on.operator() for _ in range(5)]
        for operator in operators:
            await operator.ask(type="subscribe", topics=EVENTS)
        for _ in range(20):
            await on.happen()
        heard = [await operator.read() for operator in operators]
        assert len(heard[0]) == 20
        assert all(each == heard[0] for each in heard)


async def test_who_comes_back_gets_exactly_what_was_missed_and_no_snapshot_of_events():
    async with stage() as on:
        operator = on.operator()
        await operator.ask(type="subscribe", topics=EVENTS)
        await on.happen()
        await operator.read()
        operator.leave()
        for _ in range(3 * REPLAY_BATCH):
            await on.happen()
        back = on.operator()
        await back.ask(type="resume", cursor=operator.cursor)
        answers = await back.ask(type="subscribe", topics=EVENTS)
        assert [message["type"] for message in answers] == ["result"] + ["event"] * 3 * REPLAY_BATCH
        assert ids(answers) == list(range(2, 3 * REPLAY_BATCH + 2))


async def test_more_missed_events_than_the_buffer_holds_are_replayed_all_the_same():
    async with stage(feed_buffer_events=20) as on:
        start = on.service.cursor
        for _ in range(500):
            await on.happen()
        operator = on.operator()
        await operator.ask(type="resume", cursor=start)
        answers = await operator.ask(type="subscribe", topics=EVENTS)
        assert ids(answers) == list(range(1, 501))
        assert operator.session.close_code is None


async def test_a_replay_waits_for_a_slow_reader_and_live_events_follow_it():
    async with stage(feed_buffer_events=REPLAY_BATCH + 10) as on:
        start = on.service.cursor
        for _ in range(1000):
            await on.happen()
        operator = on.operator()
        await operator.ask(type="resume", cursor=start)
        operator.say('{"type": "subscribe", "topics": ["events"]}')
        await on.service.settle(operator.session)
        heard: list[dict[str, Any]] = []
        while len(heard) < 1501:
            heard += await operator.read(limit=7)
            if operator.session.replaying and len(heard) < 800:
                await on.happen()
                await on.happen()
            assert len(operator.session._outbox) <= REPLAY_BATCH + 1
            if not operator.session.pending:
                break
        newest = await on.bus.newest()
        assert ids(heard) == list(range(1, newest + 1))
        await on.happen()
        assert ids(await operator.read()) == [newest + 1]


async def test_a_new_subscription_ends_a_replay():
    async with stage() as on:
        start = on.service.cursor
        for _ in range(500):
            await on.happen()
        operator = on.operator()
        await operator.ask(type="subscribe", topics=EVENTS)
        operator.say(f'{{"type": "resume", "cursor": "{start}"}}')
        await on.service.settle(operator.session)
        operator.say('{"type": "subscribe", "topics": ["events"]}')
        await on.service.settle(operator.session)
        messages = await operator.read()
        assert messages[-1]["topic"] == "events"
        assert not operator.session.replaying
        await on.happen()
        assert ids(await operator.read()) == [501]


async def test_resuming_where_nothing_was_missed_sends_nothing():
    async with stage() as on:
        await on.happen()
        operator = on.operator()
        await operator.ask(type="resume", cursor=on.service.cursor)
        assert [message["type"] for message in await operator.ask(type="subscribe", topics=EVENTS)] == ["result"]


# --- cursors that can't be resumed from -----------------------------------------------------------------------------


async def expect_gap(on, cursor, reason):
    await on.tick()
    operator = on.operator()
    await operator.ask(type="resume", ref="back", cursor=cursor)
    answers = await operator.ask(type="subscribe", ref="all")
    gap = next(message for message in answers if message["type"] == "gap")
    assert gap == {"type": "gap", "reason": reason, "since": cursor, "cursor": on.service.cursor, "missed": None}
    after = answers[answers.index(gap) + 1 :]
    assert {message["topic"] for message in after} == set(wire.TOPICS)
    assert {message["type"] for message in after} == {"snapshot"}
    before = await on.bus.newest()
    await on.happen()
    assert ids(await operator.read()) == [before + 1]


async def test_a_cursor_of_another_boot_gives_a_gap():
    async with stage() as on:
        await expect_gap(on, "deadbeef-1", "epoch")


async def test_a_cursor_from_the_future_gives_a_gap():
    async with stage() as on:
        await on.happen()
        await expect_gap(on, f"{on.bus.epoch}-2", "future")
        await expect_gap(on, f"{on.bus.epoch}-{10**17}", "future")


async def test_a_cursor_beyond_the_number_kept_gives_a_gap():
    async with stage(event_retention=10) as on:
        for _ in range(12):
            await on.happen()
        await expect_gap(on, f"{on.bus.epoch}-1", "expired")


async def test_a_cursor_beyond_the_time_kept_gives_a_gap():
    async with stage(event_retention_seconds=60.0) as on:
        await on.happen()
        await on.happen()
        on.clock.now += 61.0
        await expect_gap(on, f"{on.bus.epoch}-1", "expired")


async def test_a_cursor_that_expires_in_the_middle_of_a_replay_gives_a_gap():
    async with stage(event_retention=300) as on:
        start = on.service.cursor
        for _ in range(300):
            await on.happen()
        operator = on.operator()
        await operator.ask(type="resume", cursor=start)
        operator.say('{"type": "subscribe", "topics": ["events"]}')
        await on.service.settle(operator.session)
        for _ in range(300):
            await on.happen()
        heard = await operator.read()
        assert ids(of_type(heard, "event")) == list(range(1, REPLAY_BATCH + 1))
        [gap] = of_type(heard, "gap")
        assert (gap["reason"], gap["since"]) == ("expired", f"{on.bus.epoch}-{REPLAY_BATCH}")


@pytest.mark.parametrize(
    "cursor", ["x", "-", "-1", "a-", "a-b", "a-1.5", "a-\u0661", "a-" + "9" * 19, "a--1", " ", "a-1 "]
)
async def test_a_cursor_that_is_none_is_an_error_and_the_recent_events_are_shown(cursor):
    async with stage() as on:
        await on.happen()
        operator = on.operator()
        await operator.ask(type="resume", ref="back", cursor=cursor)
        answers = await operator.ask(type="subscribe", topics=EVENTS)
        if cursor == "a--1":
            assert of_type(answers, "gap")
            return
        assert [message.get("error", {}) and message["error"]["code"] for message in of_type(answers, "result")] == [
            None,
            "invalid",
        ]
        assert ids(of_type(answers, "snapshot")) == [1]


async def test_operators_are_told_when_the_log_moved_on_without_the_service(monkeypatch):
    async with stage() as on:
        operator = on.operator()
        await operator.ask(type="subscribe", topics=EVENTS)
        read = on.bus.read

        async def expired_once(after, limit=1000):
            monkeypatch.setattr(on.bus, "read", read)
            raise CursorError("expired", str(after))

        monkeypatch.setattr(on.bus, "read", expired_once)
        await on.happen()
        [gap, snapshot, *_] = await operator.read()
        assert (gap["type"], gap["reason"], snapshot["topic"]) == ("gap", "expired", "events")


# --- any schedule ---------------------------------------------------------------------------------------------------

TENANTS = ["", "acme", "globex"]
STEPS = st.one_of(
    st.tuples(
        st.just("happen"),
        st.sampled_from(TENANTS),
        st.sampled_from(["connection.opened", "handler.error"]),
        st.booleans(),
    ),
    st.tuples(st.just("read"), st.integers(1, 50)),
    st.tuples(st.just("burst"), st.integers(1, 30)),
    st.tuples(st.just("disconnect")),
    st.tuples(st.just("sleep"), st.sampled_from([0.5, 5.0, 45.0])),
    st.tuples(st.just("tick")),
)


@given(
    steps=st.lists(STEPS, max_size=60),
    tenants=st.sampled_from([None, ["acme"], ["acme", ""]]),
    severities=st.sampled_from([None, ["error"]]),
    buffer=st.sampled_from([1, 5, 1000]),
    retention=st.sampled_from([3, 20, 1000]),
)
@example(
    # The bus is ahead of the service while somebody comes back: the replay is first, the live event the second.
    steps=[
        ("read", 50),
        ("happen", "", "handler.error", False),
        ("disconnect",),
        ("read", 50),
        ("happen", "", "handler.error", True),
        ("read", 50),
    ],
    tenants=None,
    severities=None,
    buffer=1000,
    retention=1000,
)
@settings(max_examples=80, deadline=None)
def test_each_wanted_event_is_seen_exactly_once_and_in_order_or_lies_in_an_explicit_gap(
    steps, tenants, severities, buffer, retention
):
    asyncio.run(run_schedule(steps, tenants, severities, buffer, retention))


async def run_schedule(steps, tenants, severities, buffer, retention):
    wanted = {"topics": ["events", "totals"]}
    wanted |= {"tenants": tenants} if tenants else {}
    wanted |= {"severities": severities} if severities else {}
    async with stage(feed_buffer_events=buffer, event_retention=retention, event_retention_seconds=60.0) as on:
        run = Run(on, wanted)
        await run.connect()
        for step in steps:
            await run.step(*step)
        await run.finish()
        run.check()


class Run:
    """One operator that comes, reads, goes and comes back; and what should have been seen."""

    def __init__(self, on, wanted):
        self.on = on
        self.wanted = wanted
        self.happened = []
        self.seen = []
        self.gaps = []
        self.cursor = None
        self.operator = None

    async def step(self, name, *args):
        await getattr(self, name)(*args)
        if self.operator is not None and self.operator.session.closing:
            # Too slow: the connection ends, and the client comes back.
            await self.disconnect()

    async def connect(self):
        self.operator = self.on.operator()
        if self.cursor is not None:
            self.operator.say(f'{{"type": "resume", "cursor": "{self.cursor}"}}')
        self.operator.say(json.dumps({"type": "subscribe", **self.wanted}))
        await self.on.service.settle(self.operator.session)

    async def disconnect(self):
        self.operator.leave()
        await self.connect()

    async def happen(self, tenant, kind, deliver):
        # Not delivered at once: the bus is ahead of the service, and a replay may come first.
        number = await self.on.happen(kind, tenant=tenant, deliver=deliver)
        tenants, severities = self.wanted.get("tenants"), self.wanted.get("severities")
        if (tenants is None or tenant in tenants) and (severities is None or kind == "handler.error"):
            self.happened.append(number)

    async def burst(self, count):
        for index in range(count):
            await self.happen(TENANTS[index % 3], "handler.error", deliver=True)

    async def sleep(self, seconds):
        self.on.clock.now += seconds

    async def tick(self):
        await self.on.tick()

    async def read(self, limit):
        for message in await self.operator.read(limit):
            self.take(message)

    def take(self, message):
        if message["type"] == "gap":
            since, to = (int(message[name].rpartition("-")[2]) for name in ("since", "cursor"))
            self.gaps.append(range(since + 1, to + 1))
        elif message["type"] == "event":
            self.seen += ids([message])
        elif message.get("topic") == "events":
            # "Forget what you knew of it": what the snapshot shows stands for what is shown again.
            if self.cursor is None:
                self.gaps.append(range(1, int(message["cursor"].rpartition("-")[2]) + 1))
        else:
            return
        if message["type"] != "gap":
            self.cursor = message["cursor"]

    async def finish(self):
        await self.on.delivered()
        for _ in range(20):
            await self.read(1_000_000)
            if not self.operator.session.closing:
                return
            await self.disconnect()
        raise AssertionError("the operator never catches up")

    def check(self):
        assert self.seen == sorted(set(self.seen)), "in order, none twice"
        assert set(self.seen) <= set(self.happened), "none that is not wanted"
        in_gaps = {number for gap in self.gaps for number in gap}
        assert set(self.happened) - set(self.seen) - in_gaps == set(), "none is missing without a word"
