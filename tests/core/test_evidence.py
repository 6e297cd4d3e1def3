"""One node's members: every transition by itself, then anything at all against a model that is obviously right."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hub.core.control import Heartbeat, Negotiated
from hub.core.evidence import Presence
from hub.core.ledger import ANONYMOUS, Connection, Ledger
from hub.core.policy import Policy
from hub.core.presence import IDLE, ONLINE, STALE, Diff, Entry, Key
from tests import strategies  # noqa: F401 - loads the profile

POLICY = Policy(interval=30.0, timeout=300.0, grace=5.0)


class House:
    """A ledger, its connections and their presence, with a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.ledger = Ledger()
        self.presence = Presence("node")
        self.presence.wall_offset = 1_000_000.0
        self.probed: list[Connection] = []

    def open(
        self, member="ann", *, tenant="north", negotiated=True, groups=(), policy=POLICY, name="", consumer="chat"
    ) -> Connection:
        connection = self.ledger.open(consumer, self.now, lambda: tenant)
        self.ledger.accept(connection, self.now)
        connection.heard_at, connection.member, connection.policy = self.now, (member, name), policy
        connection.groups = frozenset(groups)
        if negotiated:
            connection.control = Negotiated(lambda: self.probed.append(connection))
        self.presence.join(connection, self.now)
        return connection

    def hear(self, connection: Connection) -> None:
        connection.heard_at = self.now

    def beat(self, connection: Connection, **fields) -> None:
        connection.heard_at = self.now
        connection.control.heartbeat(Heartbeat(0, **fields), self.now)

    def close(self, connection: Connection, code: int | None = 1000) -> None:
        if code is not None:
            self.ledger.disconnect(connection, code)
        self.ledger.end(connection, self.now, error=False)
        self.presence.close(connection, self.now)

    def wait(self, seconds: float, step: float = 1.0) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + step, until)
            self.sweep()

    def sweep(self) -> None:
        for _ in self.presence.expire(self.now):
            pass

    def state(self, member="ann", tenant="north") -> str | None:
        entry = self.presence.entries.get((tenant, member))
        return None if entry is None else entry.state

    def entry(self, member="ann", tenant="north") -> Entry:
        entry = self.presence.entry((tenant, member), self.now)
        assert entry is not None
        return entry


@pytest.fixture
def house() -> House:
    return House()


# --- silence ------------------------------------------------------------------------------------------------------


def test_a_negotiated_client_goes_stale_then_away_and_comes_back(house):
    connection = house.open()
    for seconds, expected in ((60, ONLINE), (1, STALE), (239, STALE), (1, None), (1000, None)):
        house.wait(seconds)
        assert expected == house.state()
    house.hear(connection)
    house.wait(1)
    assert house.state() == ONLINE


def test_a_plain_client_goes_idle_and_never_away(house):
    connection = house.open(negotiated=False)
    for seconds, expected in ((300, ONLINE), (1, IDLE), (100_000, IDLE)):
        house.wait(seconds, step=50 if seconds > 1000 else 1)
        assert expected == house.state()
    assert house.entry().heard_by == "connection"
    house.hear(connection)
    house.wait(1)
    assert (house.state(), house.entry().heard_by) == (ONLINE, "frame")


@pytest.mark.parametrize("every", [29.0, 30.0, 59.0])
def test_whoever_gives_signs_of_life_stays_online(house, every):
    connection = house.open()
    for _ in range(50):
        house.wait(every)
        house.hear(connection)
        assert house.state() == ONLINE


def test_a_member_is_in_the_best_state_of_its_connections(house):
    silent, talking = house.open(), house.open()
    for _ in range(10):
        house.wait(30)
        house.hear(talking)
    assert (house.state(), house.entry().connections) == (ONLINE, 2)
    house.wait(61)
    assert (house.state(), house.entry().connections) == (STALE, 1)
    house.hear(silent)
    house.wait(1)
    assert (house.state(), house.entry().connections) == (ONLINE, 2)


def test_idle_is_better_than_stale(house):
    house.open(policy=Policy(1.0, 50.0, 5.0), negotiated=False)
    house.open(policy=Policy(30.0, 90.0, 5.0))
    house.wait(70)
    assert house.state() == IDLE


def test_nobody_reads_so_silence_says_nothing(house):
    connection = house.open()
    house.wait(55)
    connection.reading = False
    house.wait(10_000, step=10)
    assert house.state() == ONLINE
    connection.reading = True
    house.wait(60)
    assert house.state() == ONLINE
    house.wait(1.5)
    assert house.state() == STALE


def test_a_stale_client_does_not_get_better_by_not_being_read(house):
    connection = house.open()
    house.wait(61)
    connection.reading = False
    house.wait(1000, step=10)
    connection.reading = True
    house.wait(10)
    assert house.state() == STALE


def test_a_process_that_slept_has_heard_nothing_that_it_could_hold_against_anyone(house):
    connection, stale = house.open(), house.open("bob")
    house.wait(50)
    house.hear(connection)
    house.wait(11)
    assert (house.state(), house.state("bob")) == (ONLINE, STALE)
    house.now += 10_000
    house.presence.resume(house.now)
    house.sweep()
    assert (house.state(), house.state("bob")) == (ONLINE, STALE)
    house.wait(61)
    assert (house.state(), house.state("bob")) == (STALE, STALE)
    house.wait(240)
    assert (house.state(), house.state("bob")) == (None, None)
    assert stale.control.missed


# --- missed heartbeats --------------------------------------------------------------------------------------------


def test_missed_heartbeats_are_counted_once_each_and_probed(house):
    connection = house.open()
    missed = []
    for seconds in (45, 1, 29, 1, 30, 30):
        house.wait(seconds)
        missed.append(connection.counts.heartbeats_missed)
    assert missed == [0, 1, 1, 2, 3, 4]
    assert house.probed == [connection] * 4
    house.beat(connection)
    house.wait(46)
    assert (connection.counts.heartbeats_missed, connection.control.missed) == (5, 1)


def test_any_frame_is_a_sign_of_life(house):
    connection = house.open()
    for _ in range(10):
        house.wait(40)
        house.hear(connection)
    assert (connection.counts.heartbeats_missed, house.probed) == (0, [])


def test_a_plain_client_misses_nothing(house):
    connection = house.open(negotiated=False)
    house.wait(1000)
    assert connection.counts.heartbeats_missed == 0


# --- the end ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1005, 4000])
def test_after_a_clean_close_a_member_lingers_for_the_grace(house, code):
    connection = house.open()
    house.close(connection, code)
    assert (house.state(), house.entry().connections, house.entry().heard_by) == (ONLINE, 0, "close")
    house.wait(4)
    assert house.state() == ONLINE
    house.wait(1)
    assert house.state() is None


def test_without_a_grace_it_leaves_at_once(house):
    house.close(house.open(policy=Policy(30.0, 300.0, 0.0)))
    assert house.state() is None


def test_a_reload_is_no_leave_and_join(house):
    first = house.open()
    house.presence.take_diff()
    house.wait(2)
    house.close(first)
    house.wait(2)
    house.open()
    house.wait(100)
    diffs = house.presence.take_diff()
    assert ([], 1) == (diffs.gone, len(diffs.entries))
    assert house.entry().joined_at == 1_001_000.0


@pytest.mark.parametrize("code", [1006, None])
@pytest.mark.parametrize("negotiated", [True, False])
def test_what_broke_off_lingers_as_long_as_its_silence_allows(house, code, negotiated):
    connection = house.open(negotiated=negotiated)
    house.wait(10)
    house.hear(connection)
    house.close(connection, code)
    for seconds, expected in ((60, ONLINE), (1, STALE), (239, STALE), (1, None)):
        house.wait(seconds)
        assert expected == house.state()
    assert not house.presence._owners


def test_what_broke_off_is_known_also_where_the_code_does_not_tell(house):
    ann = house.open()
    ann.broken = True
    house.close(ann, 1005)
    house.wait(POLICY.stale_after + 1)
    assert house.state() == STALE
    house.wait(POLICY.timeout)
    assert house.state() is None


@pytest.mark.parametrize("code", [None, 1000, 1006])
def test_somebody_who_is_known_by_one_connection_is_not_waited_for(house, code):
    member = f"{ANONYMOUS}1"
    house.close(house.open(member, negotiated=False), code)
    house.wait(POLICY.grace - 1)
    assert house.state(member) == ONLINE
    house.wait(2)
    assert house.state(member) is None


def test_a_client_that_comes_back_and_leaves_properly_is_gone_though_it_had_broken_off(house):
    house.close(house.open(), 1006)
    house.wait(2)
    second = house.open()
    house.wait(1)
    house.close(second)
    house.wait(6)
    assert house.state() is None


def test_a_tab_that_breaks_off_beside_another_leaves_nothing_behind(house):
    first, second = house.open(), house.open()
    house.close(first, 1006)
    house.close(second)
    house.wait(6)
    assert house.state() is None


def test_what_broke_off_yields_when_the_member_is_connected_elsewhere(house):
    house.close(house.open(), 1006)
    house.presence.yield_to_others(("north", "ann"), house.now)
    house.presence.yield_to_others(("north", "nobody"), house.now)
    house.wait(5)
    assert house.state() is None


def test_what_breaks_off_while_the_member_is_connected_elsewhere_lingers_for_the_grace(house):
    connection = house.open()
    house.presence.elsewhere = lambda key: key == ("north", "ann")
    house.close(connection, 1006)
    house.wait(4)
    assert house.state() == ONLINE
    house.wait(1)
    assert house.state() is None


def test_a_client_that_was_away_already_leaves_no_trace(house):
    connection = house.open()
    house.wait(301)
    house.close(connection)
    assert (house.state(), house.presence._owners) == (None, {})


def test_what_ends_between_two_slices_of_a_sweep_is_forgotten_once(house):
    connections = [house.open(str(number)) for number in range(500)]
    house.now += 301
    sweep = house.presence.expire(house.now)
    next(sweep)
    for connection in connections:
        house.close(connection)
    assert [None] == list(sweep)
    house.wait(6)
    assert not house.presence._owners


# --- what is known of a member ------------------------------------------------------------------------------------


def test_evidence_is_kept(house):
    connection = house.open(name="Ann", groups=["b", "a"])
    assert (house.entry().heard_by, house.entry().heard_at) == ("accept", 1_001_000.0)
    house.now += 3
    house.beat(connection, hidden=True, lag=0.25, echo=house.now - 0.5, held=0.25)
    entry = house.entry()
    assert ("heartbeat", 1_001_003.0, True, 0.25, 0.25) == (
        entry.heard_by, entry.heard_at, entry.hidden, entry.rtt, entry.lag,
    )  # fmt: skip
    house.now += 3
    connection.control.frames_sent = 2
    connection.heard_at = house.now
    connection.control.confirm(2, house.now)
    assert house.entry().heard_by == "confirm"
    house.now += 3
    house.hear(connection)
    assert (house.entry().heard_by, house.entry().groups, house.entry().name) == ("frame", ("a", "b"), "Ann")


@pytest.mark.parametrize(
    ("tabs", "expected"),
    [([True], True), ([True, True], True), ([True, False], False), ([True, None], None), ([None], None)],
)
def test_hidden_is_whose_pages_all_are(house, tabs, expected):
    for hidden in tabs:
        house.open().control.hidden = hidden
    assert house.entry().hidden is expected


def test_groups_follow_the_connections(house):
    first, second = house.open(groups=["a"]), house.open(groups=["b"])
    assert house.entry().groups == ("a", "b")
    second.groups = frozenset({"c"})
    house.presence.regroup(second, house.now)
    assert house.presence.entries["north", "ann"].groups == ("a", "c")
    house.close(first)
    house.wait(6)
    assert house.presence.entries["north", "ann"].groups == ("c",)
    house.presence.regroup(first, house.now)


def test_since_when_the_fleet_has_a_member_is_kept(house):
    house.presence.known_since = {("north", "ann"): 77.0}.get
    house.open()
    house.open("bob")
    assert [77.0, 1_001_000.0] == [house.entry(name).joined_at for name in ("ann", "bob")]


def test_a_connection_without_a_member_is_none_of_its_business(house):
    connection = house.ledger.open("chat", house.now, lambda: "north")
    house.presence.join(connection, house.now)
    house.presence.close(connection, house.now)
    assert (house.presence.entries, house.presence.take_diff()) == ({}, None)


def test_heartbeats_change_nothing_that_would_have_to_be_told(house):
    connection = house.open()
    house.presence.take_diff()
    for _ in range(20):
        house.wait(30)
        house.beat(connection, hidden=False, lag=0.1)
        list(house.presence.refresh(house.now))
    assert house.presence.take_diff() is None


def test_the_gauge_counts_by_state_and_returns_to_zero(house):
    house.open()
    broken = house.open("bob")
    house.close(broken, 1006)
    house.wait(61)
    assert house.presence.counts == {"north": {ONLINE: 0, IDLE: 0, STALE: 2}}
    house.wait(300)
    assert house.presence.counts == {"north": {ONLINE: 0, IDLE: 0, STALE: 0}}


def test_a_digest_says_all_there_is_in_a_version_of_its_own(house):
    house.open()
    first = house.presence.take_diff()
    house.open("bob")
    digest = house.presence.take_digest()
    assert (0, 1, None, 2) == (first.base, first.version, digest.base, digest.version)
    assert {"ann", "bob"} == {entry.member for entry in digest.entries}
    assert house.presence.take_diff() is None


# --- anything at all ----------------------------------------------------------------------------------------------

SHORT = Policy(interval=2.0, timeout=10.0, grace=3.0)


@dataclass
class Simple:
    """A connection as the specification words it, judged from scratch at each look."""

    connection: Connection
    key: Key
    negotiated: bool
    heard_at: float
    state: str = ONLINE
    judged: float = 0.0
    counts_from: float = 0.0
    ended_at: float | None = None
    grace_from: float | None = None
    gone: bool = False

    def look(self, now: float, resumed_at: float) -> None:
        if self.gone:
            return
        if self.ended_at is None and not self.connection.reading:
            self.counts_from = now
            return
        if self.grace_from is not None:
            self.gone = self.state == "offline" or now - max(self.grace_from, resumed_at) >= SHORT.grace
            return
        silence = now - max(self.heard_at, self.counts_from, resumed_at)
        if self.ended_at is None and not self.negotiated:
            state = IDLE if silence > SHORT.timeout else ONLINE
        elif silence > SHORT.timeout:
            state = "offline"
        else:
            state = STALE if silence > SHORT.stale_after else ONLINE
        order = [ONLINE, IDLE, STALE, "offline"]
        if self.heard_at > self.judged or order.index(state) > order.index(self.state):
            self.state = state
        self.judged = self.heard_at
        self.gone = self.ended_at is not None and self.state == "offline"


@dataclass
class Copy:
    """What somebody who hears every diff knows."""

    version: int = 0
    entries: dict[Key, Entry] = field(default_factory=dict)

    def take(self, diff: Diff | None) -> None:
        if diff is None:
            return
        if diff.base is None:
            self.entries.clear()
        else:
            assert diff.base == self.version
        self.version = diff.version
        self.entries.update({entry.key: entry for entry in diff.entries})
        for key in diff.gone:
            self.entries.pop(key, None)


class Anything(RuleBasedStateMachine):
    """Joins, signs of life, parked readers, ends, sleeps: members are those of the simple model, and all is told."""

    @initialize()
    def begin(self) -> None:
        self.house = House()
        self.model: list[Simple] = []
        self.copy = Copy()
        self.resumed_at = 0.0

    def open_ones(self) -> list[Simple]:
        return [simple for simple in self.model if simple.ended_at is None]

    def is_kept(self, key: Key) -> bool:
        return any(simple.key == key and simple.state != "offline" for simple in self.open_ones())

    @rule(member=st.sampled_from("ab"), tenant=st.sampled_from(["", "t"]), negotiated=st.booleans())
    def join(self, member: str, tenant: str, negotiated: bool) -> None:
        key = (tenant, member)
        for simple in self.model:
            if simple.key == key and simple.ended_at is not None and simple.grace_from is None:
                simple.grace_from = self.house.now
        connection = self.house.open(member, tenant=tenant, negotiated=negotiated, policy=SHORT)
        simple = Simple(connection, key, negotiated, self.house.now)
        simple.look(self.house.now, self.resumed_at)
        self.model.append(simple)

    @precondition(lambda self: self.open_ones())
    @rule(data=st.data(), what=st.sampled_from(["frame", "heartbeat"]))
    def hear(self, data: st.DataObject, what: str) -> None:
        simple = data.draw(st.sampled_from(self.open_ones()))
        if not simple.connection.reading:
            return
        simple.heard_at = self.house.now
        if what == "heartbeat" and simple.negotiated:
            self.house.beat(simple.connection)
        else:
            self.house.hear(simple.connection)

    @precondition(lambda self: self.open_ones())
    @rule(data=st.data())
    def park_or_go_on(self, data: st.DataObject) -> None:
        connection = data.draw(st.sampled_from(self.open_ones())).connection
        connection.reading = not connection.reading
        self.wait(0.0)

    @precondition(lambda self: self.open_ones())
    @rule(data=st.data(), clean=st.booleans())
    def close(self, data: st.DataObject, clean: bool) -> None:
        simple = data.draw(st.sampled_from(self.open_ones()))
        if not simple.connection.reading:
            simple.counts_from = self.house.now
        simple.ended_at = self.house.now
        if clean or self.is_kept(simple.key):
            simple.grace_from = self.house.now
        simple.look(self.house.now, self.resumed_at)
        self.house.close(simple.connection, 1000 if clean else 1006)

    @rule(quarters=st.integers(1, 80))
    def let_time_pass(self, quarters: int) -> None:
        for _ in range(quarters):
            self.wait(0.25)

    @rule(seconds=st.integers(4, 100))
    def sleep(self, seconds: int) -> None:
        self.house.now += seconds
        self.resumed_at = self.house.now
        self.house.presence.resume(self.house.now)
        self.wait(0.0)

    def wait(self, seconds: float) -> None:
        self.house.now += seconds
        self.house.sweep()
        for simple in self.model:
            simple.look(self.house.now, self.resumed_at)

    @rule(digest=st.booleans())
    def tell(self, digest: bool) -> None:
        self.copy.take(self.house.presence.take_digest() if digest else self.house.presence.take_diff())
        assert {key: entry[3:5] for key, entry in self.copy.entries.items()} == {
            key: entry[3:5] for key, entry in self.house.presence.entries.items()
        }

    @invariant()
    def no_ghost_and_no_lost_member(self) -> None:
        expected: dict[Key, str] = {}
        for simple in self.model:
            if not simple.gone and simple.state != "offline":
                best = [simple.state, expected.get(simple.key, simple.state)]
                expected[simple.key] = min(best, key=[ONLINE, IDLE, STALE].index)
        assert expected == {key: entry.state for key, entry in self.house.presence.entries.items()}
        assert len(expected) == sum(sum(states.values()) for states in self.house.presence.counts.values())
        # Nothing is kept of what is gone.
        owners = self.house.presence._owners.values()
        assert sum(len(owner.evidence) for owner in owners) == sum(not simple.gone for simple in self.model)


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
