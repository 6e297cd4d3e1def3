from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.loop import BLOCKED, LATE, MAX_MARKS, QUICK, LoopClock

BEGIN = 1000.0
THRESHOLD = 0.5


@pytest.fixture
def clock() -> LoopClock:
    return LoopClock(BEGIN)


def test_while_the_loop_is_free_all_time_counts(clock):
    for tick in range(1, 20):
        clock.look(BEGIN + tick / 8, LATE, QUICK)
    assert 2.0 == clock.taken(BEGIN, BEGIN + 2.0)


def test_of_a_delay_only_the_delay_is_lost_and_of_a_blocked_loop_all_since_the_last_look(clock):
    clock.look(BEGIN + 0.5, 0.125)
    assert 0.375 == clock.taken(BEGIN, BEGIN + 0.5)
    clock.look(BEGIN + 2.5, 1.5)
    assert 0.125 < BLOCKED < 1.5
    assert 0.375 == clock.taken(BEGIN, BEGIN + 2.5)
    assert 1.375 == clock.taken(BEGIN, BEGIN + 3.5), "it runs again, whether or not anybody has looked"


def test_a_turn_counts_as_a_quick_one_however_long_it_takes(clock):
    turn, now = 0.2, BEGIN
    for _ in range(20):
        now += 2 * turn
        clock.look(now, turn, turn)
    assert 0.0 < clock.taken(BEGIN, now) <= 40 * QUICK
    clock.look(now + 4 * QUICK, 0.0, 2 * QUICK)
    assert pytest.approx(2 * QUICK) == clock.taken(now, now + 4 * QUICK)


def test_saturated_in_turns_of_300_ms_nobody_s_answer_takes_too_long_that_takes_ten_of_them(clock):
    for number in range(1, 6):
        clock.look(BEGIN + 0.6 * number, 0.3, 0.3)
    assert clock.taken(BEGIN, BEGIN + 3.0) < THRESHOLD


def test_what_is_lost_before_or_after_a_time_is_none_of_its(clock):
    clock.look(BEGIN + 4.5, 0.0)
    clock.look(BEGIN + 5.0, 0.5)
    assert (2.0, 0.25, 1.0) == (
        clock.taken(BEGIN, BEGIN + 2.0), clock.taken(BEGIN + 4.25, BEGIN + 4.75), clock.taken(BEGIN + 5, BEGIN + 6),
    )  # fmt: skip


def test_rest_counts_as_a_look(clock):
    clock.rest(BEGIN + 5.0)
    clock.look(BEGIN + 6.0, 0.5)
    assert 5.0 == clock.taken(BEGIN, BEGIN + 6.0)


def test_it_forgets(clock):
    for number in range(1, 2 * MAX_MARKS):
        clock.look(BEGIN + number, 1.0)
    assert MAX_MARKS == len(clock._marks)
    assert 0.0 == clock.taken(BEGIN + MAX_MARKS + 10, BEGIN + 2 * MAX_MARKS - 1)
    assert 1.0 == clock.taken(BEGIN, BEGIN + 1.0), "what was lost then is forgotten"


LOOKS = st.lists(
    st.tuples(st.floats(0.001, 5.0), st.floats(0.0, 6.0), st.floats(0.0, 5.0)), min_size=1, max_size=50
)  # fmt: skip


@given(LOOKS, st.floats(-1.0, 100.0), st.floats(0.0, 100.0))
def test_it_never_runs_backwards_nor_faster_than_time(looks, since, lasts):
    clock, now = LoopClock(BEGIN), BEGIN
    for passed, late, turn in looks:
        now += passed
        clock.look(now, late, turn)
    taken = clock.taken(BEGIN + since, BEGIN + since + lasts)
    assert -1e-6 <= taken <= lasts + 1e-6
