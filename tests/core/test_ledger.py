from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from hub.core.control import Heartbeat, Negotiated
from hub.core.delivery import CLOSED, LEFT, RECEIVED, UNCONFIRMED, UNKNOWN
from hub.core.ledger import (
    CODE_ABNORMAL,
    CODE_INTERNAL_ERROR,
    CODE_NORMAL,
    ENDED,
    Connection,
    Counts,
    Ledger,
    increment,
)
from tests.strategies import counts

anything = counts(st.just(""), st.just(""))


def copy(row: Counts) -> Counts:
    return Counts.unpack(row.pack())


def total(*rows: Counts) -> Counts:
    merged = Counts()
    for row in rows:
        merged.add(row)
    return merged


def opened(ledger: Ledger, consumer: str = "chat", tenant: str = "north", now: float = 100.0) -> Connection:
    return ledger.open(consumer, now, lambda: tenant)


def accepted(ledger: Ledger, now: float = 100.0) -> Connection:
    connection = opened(ledger, now=now)
    assert ledger.accept(connection, now)
    return connection


# --- the algebra of counts ----------------------------------------------------------------------------------------


@given(anything, anything)
def test_adding_counts_is_commutative(one, other):
    assert total(one, other).pack() == total(other, one).pack()


@given(anything, anything, anything)
def test_adding_counts_is_associative(a, b, c):
    assert total(total(a, b), c).pack() == total(a, total(b, c)).pack()


@given(anything)
def test_empty_counts_change_nothing(row):
    assert row.pack() == total(row, Counts()).pack() == total(Counts(), row).pack()


@given(anything, anything)
def test_adding_leaves_the_other_as_it_was(mine, other):
    before = other.pack()
    mine.add(other)
    mine.add(other)
    assert before == other.pack()


@given(anything, anything)
def test_since_is_the_inverse_of_adding(earlier, later):
    assert later.pack() == total(earlier, later).since(earlier).pack()


@given(counts())
def test_packed_counts_come_back_the_same(row):
    back = Counts.unpack(row.pack())
    assert row.pack() == back.pack()
    assert row.same(back)
    assert (row.consumer, row.tenant) == (back.consumer, back.tenant)


@given(anything)
def test_packed_counts_are_a_copy(row):
    packed = row.pack()
    before = Counts.unpack(row.pack()).pack()
    row.active += 1
    row.latency.observe(0.2)
    increment(row.received, "more")
    assert before == packed


@given(anything, anything)
def test_same_means_that_nothing_lies_between(earlier, more):
    later = total(earlier, more)
    assert later.same(earlier) == (Counts().pack() == later.since(earlier).pack())


def test_a_histogram_alone_makes_counts_differ():
    before = Counts()
    after = copy(before)
    after.latency.observe(0.1)
    assert not after.same(before)


def test_what_has_arrived_waits_until_it_is_handled_or_lost():
    row = Counts()
    row.arrived = 7
    row.received = {"text": 2, "binary": 1}
    row.inbound_lost = 3
    assert row.waiting == 1


# --- the life of a connection -------------------------------------------------------------------------------------


def test_connections_are_numbered():
    ledger = Ledger()
    assert [1, 2, 3] == [opened(ledger).number for _ in range(3)]


def test_opening_counts_nothing_and_asks_for_no_tenant():
    ledger = Ledger()
    ledger.open("chat", 1.0, lambda: 1 / 0)  # type: ignore[arg-type,return-value]  # it must not be called
    assert [] == list(ledger)


def test_the_tenant_is_asked_for_once_and_not_before_the_accept():
    asked = []

    def tenant_of() -> str:
        asked.append("now")
        return "north"

    ledger = Ledger()
    connection = ledger.open("chat", 1.0, tenant_of)
    early = ledger.settle(connection)
    assert ("", []) == (early.tenant, asked)
    ledger.accept(connection, 1.0)
    assert ledger.settle(connection) is ledger.settle(connection) is not early
    assert ("north", ["now"]) == (ledger.settle(connection).tenant, asked)


def test_a_stranger_adds_no_tenant_to_the_ledger():
    ledger = Ledger()
    for number in range(10):
        refused, failed = opened(ledger, tenant=f"stranger {number}"), opened(ledger, tenant=f"stranger {number}")
        ledger.reject(refused)
        for connection in (refused, failed):
            ledger.disconnect(connection, 1006)
            ledger.end(connection, 101.0, error=False)
    assert {("chat", "")} == set(ledger.counts)
    assert {"rejected": 10, "timeout": 10} == ledger.counts["chat", ""].failures


def test_what_arrived_before_the_accept_counts_where_the_connection_counts():
    ledger = Ledger()
    connection = opened(ledger)
    connection.early += 2
    ledger.accept(connection, 100.0)
    assert (2, 0) == (ledger.settle(connection).arrived, connection.early)
    assert 2 == ledger.settle(connection).arrived


def test_connections_of_a_consumer_and_tenant_share_their_counts():
    ledger = Ledger()
    one, two, other = opened(ledger), opened(ledger), opened(ledger, tenant="south")
    for connection in (one, two, other):
        ledger.accept(connection, 100.0)
    assert ledger.settle(one) is ledger.settle(two)
    assert ledger.settle(one) is not ledger.settle(other)
    assert {("chat", "north"), ("chat", "south")} == set(ledger.counts)


def test_a_clean_life():
    ledger = Ledger()
    connection = accepted(ledger, now=100.0)
    row = ledger.settle(connection)
    assert (1, 1, 1) == (row.accepted, row.active, ledger.active)
    ledger.disconnect(connection, 1001)
    assert ledger.end(connection, 107.5, error=False)
    assert (1, 0, {"1001": 1}, {}) == (row.accepted, row.active, row.disconnects, row.failures)
    assert (1, 7.5) == (row.duration.count, row.duration.sum)
    assert ENDED == connection.state


def test_accepting_twice_counts_once():
    ledger = Ledger()
    connection = accepted(ledger)
    assert not ledger.accept(connection, 101.0)
    assert (1, 1) == (ledger.settle(connection).accepted, ledger.active)
    assert connection.accepted_at == 100.0


def test_ending_twice_counts_once():
    ledger = Ledger()
    connection = accepted(ledger)
    assert ledger.end(connection, 101.0, error=True)
    assert not ledger.end(connection, 102.0, error=True)
    assert ledger.active == 0
    assert {"1011": 1} == ledger.settle(connection).disconnects


def test_a_rejected_connection_is_one_failure_even_if_its_consumer_then_raises():
    ledger = Ledger()
    connection = opened(ledger)
    assert ledger.reject(connection)
    assert not ledger.reject(connection)
    ledger.end(connection, 101.0, error=True)
    assert {"rejected": 1} == ledger.settle(connection).failures


def test_closing_after_accept_is_no_rejection():
    ledger = Ledger()
    connection = accepted(ledger)
    assert not ledger.reject(connection)
    assert {} == ledger.settle(connection).failures


def failure_of_never_accepted(*, error: bool) -> dict[str, int]:
    ledger = Ledger()
    connection = opened(ledger)
    ledger.end(connection, 101.0, error=error)
    return ledger.settle(connection).failures


def test_a_connection_that_is_never_accepted_fails_with_a_reason():
    assert {"error": 1} == failure_of_never_accepted(error=True)
    assert {"timeout": 1} == failure_of_never_accepted(error=False)


def code_of(*steps: tuple[str, int | None], error: bool = False) -> int | None:
    ledger = Ledger()
    connection = accepted(ledger)
    for step, code in steps:
        getattr(ledger, step)(connection, code)
    ledger.end(connection, 101.0, error=error)
    assert {str(connection.code): 1} == ledger.settle(connection).disconnects
    return connection.code


def test_the_first_code_of_either_side_counts():
    assert code_of(("close", 4001), ("disconnect", 1005)) == 4001
    assert code_of(("disconnect", 1001), ("close", 4001)) == 1001
    assert code_of(("close", 4001), ("close", 4002)) == 4001
    assert code_of(("disconnect", 1001), ("disconnect", 1006)) == 1001


def test_a_close_without_a_code_is_normal_and_a_disconnect_without_one_is_not():
    assert code_of(("close", None)) == CODE_NORMAL
    assert code_of(("disconnect", None)) == CODE_ABNORMAL
    assert code_of(("disconnect", None), ("close", 1000)) == CODE_ABNORMAL


def test_an_end_without_a_close_has_a_code_too():
    assert code_of(error=True) == CODE_INTERNAL_ERROR
    assert code_of(error=False) == CODE_ABNORMAL
    assert code_of(("close", 4001), error=True) == 4001


def test_a_connection_is_closing_once_either_side_has_closed():
    ledger = Ledger()
    ours, theirs = accepted(ledger), accepted(ledger)
    assert (False, False) == (ours.closing, theirs.closing)
    ledger.close(ours, 1000)
    ledger.disconnect(theirs, None)
    assert (True, True) == (ours.closing, theirs.closing)


def test_the_ledger_may_grow_while_it_is_read():
    ledger = Ledger()
    ledger.settle(opened(ledger))
    for _ in ledger:
        ledger.settle(opened(ledger, "new"))
    assert len(ledger.counts) == 2


# --- conservation, whatever happens in whatever order ---------------------------------------------------------------


class LedgerMachine(RuleBasedStateMachine):
    """Any number of connections to which anything happens in any order, also twice and after the end."""

    connections = Bundle("connections")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.now = 100.0
        self.all: list[Connection] = []
        self.ended: set[int] = set()

    @rule(target=connections, consumer=st.sampled_from("xy"), tenant=st.sampled_from(["", "t"]))
    def open(self, consumer, tenant):
        connection = self.ledger.open(consumer, self.now, lambda: tenant)
        self.all.append(connection)
        return connection

    @rule(seconds=st.integers(0, 10_000))
    def pass_time(self, seconds):
        self.now += seconds

    @rule(connection=connections)
    def accept(self, connection):
        self.ledger.accept(connection, self.now)

    @rule(connection=connections)
    def reject(self, connection):
        self.ledger.reject(connection)

    @rule(connection=connections, code=st.sampled_from([None, 1000, 4001]))
    def close(self, connection, code):
        if connection.accepted_at:
            self.ledger.close(connection, code)

    @rule(connection=connections, code=st.sampled_from([None, 1001, 1006]))
    def disconnect(self, connection, code):
        self.ledger.disconnect(connection, code)

    @rule(connection=connections, handled=st.booleans())
    def arrive(self, connection, handled):
        row = self.ledger.settle(connection)
        row.arrived += 1
        if handled:
            increment(row.received, "text")

    @rule(connection=connections, error=st.booleans())
    def end(self, connection, error):
        self.ledger.end(connection, self.now, error=error)
        self.ended.add(connection.number)

    @rule(connection=consumes(connections))
    def forget(self, connection):
        """Nothing more happens to it until the end of the test."""

    @invariant()
    def every_connection_is_somewhere(self):
        for row in self.ledger:
            disconnects = sum(row.disconnects.values())
            assert row.active >= 0
            assert row.waiting >= 0
            assert row.accepted == row.active + disconnects
            assert disconnects == row.duration.count
        assert self.ledger.active == sum(c.accepted_at > 0 and c.number not in self.ended for c in self.all)

    def teardown(self):
        for connection in self.all:
            self.ledger.end(connection, self.now, error=False)
        accepted = sum(row.accepted for row in self.ledger)
        failures = sum(sum(row.failures.values()) for row in self.ledger)
        assert self.ledger.active == 0
        # Refusing and then accepting is against ASGI; only then is a connection both.
        both = sum(c.accepted_at > 0 and c.failure is not None for c in self.all)
        assert len(self.all) == accepted + failures - both


TestLedgerConserves = LedgerMachine.TestCase
TestLedgerConserves.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


# --- sent = confirmed + in flight + lost + unknown ----------------------------------------------------------------


def speaking(ledger: Ledger, tenant: str = "north") -> tuple[Connection, Negotiated]:
    """An open connection whose client has answered the hello."""
    connection = opened(ledger, tenant=tenant)
    ledger.accept(connection, 100.0)
    control = connection.control = Negotiated(lambda: None)
    control.heartbeat(Heartbeat(0), 100.0)
    return connection, control


def test_who_closed_first_decides_how_a_connection_parts():
    ledger = Ledger()
    ours, theirs, refused = accepted(ledger), accepted(ledger), accepted(ledger)
    ledger.close(ours, 4001)
    ledger.disconnect(ours, 1005)
    ledger.disconnect(theirs, 1001)
    ledger.close(theirs, 4001)
    ledger.close(refused, 1)
    ledger.reopen(refused)
    assert (CLOSED, LEFT, None) == (ours.parting, theirs.parting, refused.parting)
    ledger.disconnect(refused, 1012, None)
    assert (None, 1012, True) == (refused.parting, refused.code, refused.closing)


def test_of_a_client_that_confirms_nothing_nothing_is_counted():
    ledger = Ledger()
    plain, silent = accepted(ledger), accepted(ledger)
    silent.control = Negotiated(lambda: None)
    silent.control.frames_sent = 3
    for connection in (plain, silent):
        ledger.record_delivery(connection)
        assert ledger.record_fate(connection, UNCONFIRMED) == 0
    row = ledger.settle(plain)
    assert (0, 0, 0, {}) == (row.confirmed, row.in_flight, row.unknown, row.lost)


def test_what_has_been_decided_stays_decided():
    ledger = Ledger()
    connection, control = speaking(ledger)
    control.frames_sent = 5
    control.confirm(2, 101.0)
    assert ledger.record_fate(connection, UNCONFIRMED) == 3
    assert ledger.record_fate(connection, UNCONFIRMED) == 0
    row = ledger.settle(connection)
    assert (2, 0, 0, {"unconfirmed": 3}) == (row.confirmed, row.in_flight, row.unknown, row.lost)


class DeliveryMachine(RuleBasedStateMachine):
    """Clients that confirm frames, looked at whenever anybody likes, until their connections have ended."""

    connections = Bundle("connections")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.sent: dict[str, int] = {"north": 0, "south": 0}
        self.lost: dict[int, int] = {}
        self.all: list[tuple[Connection, Negotiated]] = []

    @rule(target=connections, tenant=st.sampled_from(["north", "south"]))
    def open(self, tenant):
        self.all.append(speaking(self.ledger, tenant))
        return self.all[-1]

    @rule(one=connections, frames=st.integers(0, 5))
    def send(self, one, frames):
        connection, control = one
        control.frames_sent += frames
        self.sent[self.ledger.settle(connection).tenant] += frames

    @rule(one=connections, share=st.floats(0, 1))
    def confirm(self, one, share):
        connection, control = one
        control.confirm(control.frames_confirmed + int(share * control.in_flight), 101.0)
        self.ledger.record_delivery(connection)

    @rule(one=connections)
    def look(self, one):
        self.ledger.record_delivery(one[0])

    @rule(one=consumes(connections), fate=st.sampled_from([RECEIVED, UNCONFIRMED, UNKNOWN]))
    def end(self, one, fate):
        connection, control = one
        self.ledger.end(connection, 102.0, error=False)
        self.lost[connection.number] = self.ledger.record_fate(connection, fate)
        assert control.in_flight == 0

    @invariant()
    def every_frame_is_somewhere(self):
        for connection, control in self.all:
            undecided = control.frames_sent - control.frames_confirmed if control.fate in (UNCONFIRMED, UNKNOWN) else 0
            assert control.frames_sent == control.frames_confirmed + control.in_flight + undecided
            assert self.lost.get(connection.number, 0) == (undecided if control.fate == UNCONFIRMED else 0)
            self.ledger.record_delivery(connection)
        for row in self.ledger:
            lost = row.lost.get(UNCONFIRMED, 0)
            assert min(row.confirmed, row.in_flight, row.unknown, lost) >= 0
            assert self.sent[row.tenant] == row.confirmed + row.in_flight + lost + row.unknown

    def teardown(self):
        for connection, _ in self.all:
            self.ledger.record_fate(connection, UNKNOWN)
        assert sum(row.in_flight for row in self.ledger) == 0


TestDeliveryConserves = DeliveryMachine.TestCase
TestDeliveryConserves.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
