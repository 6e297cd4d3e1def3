"""Missed heartbeats of connections that presence does not know: counted as those of members are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.control import Heartbeat, Negotiated
from hub.core.evidence import Presence
from hub.core.heartbeats import SLICE, Heartbeats
from hub.core.ledger import Connection, Ledger
from hub.core.policy import Policy
from tests import strategies  # noqa: F401 - loads the profile

POLICY = Policy(interval=30.0, timeout=300.0, grace=5.0)


class House:
    """Connections that live through the same, each looked after by somebody else, with a clock that a test moves."""

    def __init__(self, *keepers: Heartbeats | Presence) -> None:
        self.now = 1000.0
        self.keepers = keepers
        self.probed = [0 for _ in keepers]
        self.connections = [self.open(number) for number in range(len(keepers))]

    def open(self, number: int) -> Connection:
        ledger = Ledger()
        connection = ledger.open("chat", self.now, lambda: "")
        ledger.accept(connection, self.now)
        connection.heard_at, connection.policy = self.now, POLICY
        if isinstance(self.keepers[number], Presence):
            connection.member = ("ann", "")

        def probe() -> None:
            self.probed[number] += 1

        connection.control = Negotiated(probe)
        self.keepers[number].join(connection, self.now)
        return connection

    @property
    def missed(self) -> list[int]:
        return [connection.counts.heartbeats_missed for connection in self.connections if connection.counts]

    def wait(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.now += 1
            for keeper in self.keepers:
                list(keeper.expire(self.now))

    def beat(self) -> None:
        for connection in self.connections:
            connection.heard_at = self.now
            assert connection.control is not None
            connection.control.heartbeat(Heartbeat(0), self.now)

    def hear(self) -> None:
        for connection in self.connections:
            connection.heard_at = self.now

    def read(self, *, value: bool) -> None:
        for connection in self.connections:
            connection.reading = value

    def resume(self) -> None:
        for keeper in self.keepers:
            keeper.resume(self.now)


@pytest.fixture
def house() -> House:
    return House(Heartbeats())


def test_one_after_one_and_a_half_intervals_and_one_after_each_further_one_with_a_probe_each(house):
    house.wait(44)
    assert ([0], [0]) == (house.missed, house.probed)
    house.wait(2)
    assert ([1], [1]) == (house.missed, house.probed)
    house.wait(60)
    assert ([3], [3]) == (house.missed, house.probed)
    house.beat()
    house.wait(44)
    assert ([3], [3]) == (house.missed, house.probed)
    house.wait(2)
    assert ([4], [4]) == (house.missed, house.probed)


def test_any_frame_counts_as_life(house):
    for _ in range(10):
        house.wait(40)
        house.hear()
    assert ([0], [0]) == (house.missed, house.probed)


def test_nothing_is_missed_while_nobody_reads_but_the_client_hears_that_somebody_is_there(house):
    house.read(value=False)
    house.wait(310)
    assert house.missed == [0]
    assert 9 <= house.probed[0] <= 11
    house.read(value=True)
    house.wait(44)
    assert house.missed == [0]
    house.wait(10)
    assert house.missed == [1]


def test_a_process_that_slept_holds_nothing_against_anyone(house):
    house.now += 500
    house.resume()
    house.wait(44)
    assert ([0], [0]) == (house.missed, house.probed)


def test_a_plain_connection_has_none_and_one_that_ended_is_let_go():
    heartbeats, ledger = Heartbeats(), Ledger()
    connection = ledger.open("chat", 0.0, lambda: "")
    heartbeats.join(connection, 0.0)
    assert len(heartbeats) == 0
    heartbeats.close(connection, 0.0)
    connection.control = Negotiated(lambda: None)
    heartbeats.join(connection, 0.0)
    assert len(heartbeats) == 1
    heartbeats.close(connection, 1.0)
    assert len(heartbeats) == 0


def test_many_are_looked_at_in_slices():
    heartbeats, ledger = Heartbeats(), Ledger()
    for _ in range(3 * SLICE):
        connection = ledger.open("chat", 0.0, lambda: "")
        connection.control = Negotiated(lambda: None)
        heartbeats.join(connection, 0.0)
    assert 3 == sum(1 for _ in heartbeats.expire(1.0))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("wait"), st.integers(1, 100)),
            st.tuples(st.sampled_from(["beat", "hear", "park", "unpark", "resume"]), st.none()),
        ),
        max_size=30,
    )
)
def test_whatever_happens_as_many_are_missed_as_of_a_member(story):
    house = House(Heartbeats(), Presence("node"))
    for event, seconds in story:
        match event:
            case "wait":
                house.wait(seconds)
            case "park" | "unpark":
                house.read(value=event == "unpark")
            case _:
                getattr(house, event)()
        alone, of_a_member = house.missed
        assert alone == of_a_member, story
