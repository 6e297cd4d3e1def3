from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hub.core.history import History, Ring
from tests.strategies import eighths

LENGTH = 5

point_values = st.none() | eighths
points = st.tuples(st.integers(0, 40), st.tuples(point_values, point_values))


def expected_of(recorded: dict[int, tuple], newest: int | None, step: float = 1.0) -> tuple[list, list]:
    """What a dictionary of the last `LENGTH` slots says, from its first known point on."""
    if newest is None:
        return [], [[], []]
    slots = range(max(0, newest - LENGTH + 1), newest + 1)
    rows = [recorded.get(slot, (None, None)) for slot in slots]
    first = next((index for index, row in enumerate(rows) if row != (None, None)), len(rows))
    kept = list(slots)[first:]
    return [slot * step for slot in kept], [[row[column] for row in rows[first:]] for column in range(2)]


@given(st.lists(points), st.sampled_from([0.5, 1.0, 10.0]))
def test_a_ring_is_a_dictionary_of_its_last_steps(recorded, step):
    ring, model, newest = Ring(2, step, LENGTH), {}, None
    nbytes = ring.nbytes
    for slot, point in recorded:
        ring.record(slot * step + step / 3, point)
        if newest is None or slot > newest - LENGTH:
            newest = max(newest if newest is not None else slot, slot)
            model[slot] = point
            model = {kept: point for kept, point in model.items() if kept > newest - LENGTH}
        assert expected_of(model, newest, step) == ring.points()
        assert nbytes == ring.nbytes


def test_an_empty_ring_has_columns_and_no_points():
    assert Ring(3, 1.0, LENGTH).points() == ([], [[], [], []])


def test_the_memory_of_a_ring_is_its_numbers():
    assert Ring(13, 1.0, 3600).nbytes == 13 * 3600 * 8


def test_a_step_without_a_point_is_unknown_not_what_stood_there_a_round_ago():
    ring = Ring(1, 1.0, 3)
    for at in (0, 1, 2, 5):
        ring.record(at, [float(at)])
    assert ring.points() == ([5.0], [[5.0]])
    ring.record(7, [7.0])
    assert ring.points() == ([5.0, 6.0, 7.0], [[5.0, None, 7.0]])


class HistoryMachine(RuleBasedStateMachine):
    """Series of several lengths, recorded in any order, against a list of the ones used last."""

    ROOM = 3 * Ring(2, 1.0, LENGTH).nbytes

    def __init__(self) -> None:
        super().__init__()
        self.history = History(self.ROOM, 2)
        self.order: list[str] = []
        self.lengths: dict[str, int] = {}

    @rule(key=st.sampled_from("abcde"), slot=st.integers(0, 30), point=st.tuples(eighths, point_values))
    def record(self, key, slot, point):
        length = LENGTH * (1 + (key == "e"))
        self.history.record(key, slot, point, step=1.0, length=length)
        if key in self.order:
            self.order.remove(key)
        self.order.append(key)
        self.lengths[key] = length
        while sum(self.lengths[kept] for kept in self.order) > 3 * LENGTH:
            self.order.pop(0)

    @rule(slot=st.integers(0, 30))
    def record_what_is_larger_than_everything(self, slot):
        self.history.record("huge", slot, (1.0, 2.0), step=1.0, length=LENGTH * 4)

    @invariant()
    def the_limit_holds_and_the_series_used_last_are_kept(self):
        kept = [key for key in "abcde" if key in self.history]
        assert sorted(self.order) == kept
        assert "huge" not in self.history
        assert self.history.nbytes <= self.ROOM
        assert self.history.nbytes == sum(self.history._rings[key].nbytes for key in kept)


TestHistoryIsBounded = HistoryMachine.TestCase
TestHistoryIsBounded.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)


def test_a_series_that_is_not_kept_has_no_points():
    assert History(10_000, 2).points("a") == (1.0, [], [[], []])


def test_a_series_says_its_step():
    history = History(10_000, 2)
    history.record("a", 20.0, (1.0, None), step=10.0, length=LENGTH)
    assert history.points("a") == (10.0, [20.0], [[1.0], [None]])


def test_what_was_let_go_is_counted():
    history = History(Ring(2, 1.0, LENGTH).nbytes, 2)
    for key in "abc":
        history.record(key, 1.0, (1.0, 2.0), step=1.0, length=LENGTH)
    assert (2, True, False) == (history.evicted, "c" in history, "a" in history)
