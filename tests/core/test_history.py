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
    """Series of two lengths, recorded and left alone, against a list of the ones used last."""

    ROOM = 3 * Ring(2, 1.0, LENGTH).nbytes

    def __init__(self) -> None:
        super().__init__()
        self.history = History(self.ROOM, 2)
        self.now = 100
        self.used: dict[str, int] = {}

    @rule(seconds=st.integers(1, 4))
    def pass_time(self, seconds):
        self.now += seconds

    @rule(key=st.sampled_from("abcdE"), point=st.tuples(eighths, point_values))
    def record(self, key, point):
        self.history.record(key, self.now, point, step=1.0, length=self.size(key) * LENGTH)
        if key not in self.used and not self.make_room(self.size(key)):
            return
        self.used.pop(key, None)
        self.used[key] = self.now

    def size(self, key: str) -> int:
        return 2 if key.isupper() else 1

    def make_room(self, size: int) -> bool:
        while sum(map(self.size, self.used)) + size > 3:
            oldest = next(iter(self.used))
            if self.used[oldest] >= self.now - 1:
                return False
            del self.used[oldest]
        return True

    @rule()
    def record_what_is_larger_than_everything(self):
        self.history.record("huge", self.now, (1.0, 2.0), step=1.0, length=LENGTH * 4)

    @invariant()
    def the_limit_holds_and_the_series_used_last_are_kept(self):
        kept = [key for key in "abcdE" if key in self.history]
        assert sorted(self.used) == sorted(kept)
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


def record_once(history: History, key: str, at: float) -> None:
    history.record(key, at, (1.0, 2.0), step=1.0, length=LENGTH)


def test_what_is_no_longer_recorded_makes_room_and_is_counted():
    history = History(Ring(2, 1.0, LENGTH).nbytes, 2)
    for key, at in (("a", 1.0), ("b", 3.0), ("c", 5.0)):
        record_once(history, key, at)
    assert (2, True, False) == (history.evicted, "c" in history, "a" in history)


def test_what_is_in_use_is_not_let_go_of_for_a_new_series():
    history = History(2 * Ring(2, 1.0, LENGTH).nbytes, 2)
    for second in range(4):
        for key in ("whole", "a", "b", "c"):
            record_once(history, key, 100.0 + second)
    assert ["whole", "a"] == [key for key in ("whole", "a", "b", "c") if key in history]
    assert len(history.points("whole")[1]) == 4
    assert history.evicted == 8


def test_what_is_larger_than_the_limit_is_not_kept_and_drives_out_nobody_in_use():
    history = History(Ring(2, 1.0, LENGTH).nbytes, 2)
    record_once(history, "a", 1.0)
    history.record("huge", 1.0, (1.0, 2.0), step=1.0, length=LENGTH * 2)
    assert (True, False) == ("a" in history, "huge" in history)
