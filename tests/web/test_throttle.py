"""Brakes for whoever guesses passwords."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from hub.web.throttle import Throttle

KEY, OTHER = ("ops", "10.0.0.1"), ("ops", "10.0.0.2")


def test_so_many_attempts_then_a_wait_that_ends():
    throttle = Throttle(attempts=3, window=60.0, keys=100)
    assert [throttle.admit(KEY, now) for now in (0.0, 10.0, 20.0, 30.0, 59.0)] == [0.0, 0.0, 0.0, 30.0, 1.0]
    assert throttle.admit(OTHER, 30.0) == 0.0
    assert [throttle.admit(KEY, now) for now in (60.0, 61.0, 70.0)] == [0.0, 9.0, 0.0]


def test_success_forgets():
    throttle = Throttle(attempts=1, window=60.0, keys=100)
    assert throttle.admit(KEY, 0.0) == 0.0
    assert throttle.admit(KEY, 1.0) == 59.0
    throttle.forgive(KEY)
    throttle.forgive(OTHER)
    assert throttle.admit(KEY, 2.0) == 0.0


def test_memory_is_bounded_and_the_newest_stay():
    throttle = Throttle(attempts=1, window=60.0, keys=10)
    for number in range(10_000):
        throttle.admit((str(number), ""), 0.0)
    assert len(throttle) == 10
    assert throttle.admit(("9999", ""), 1.0) > 0


def test_a_blocked_key_that_keeps_trying_stays_blocked():
    throttle = Throttle(attempts=1, window=60.0, keys=2)
    throttle.admit(KEY, 0.0)
    for number in range(100):
        throttle.admit((str(number), ""), 1.0)
        assert throttle.admit(KEY, 1.0) > 0


def test_many_at_once_gain_nothing():
    throttle = Throttle(attempts=10, window=60.0, keys=100)
    with ThreadPoolExecutor(16) as pool:
        waits = list(pool.map(lambda _: throttle.admit(KEY, 0.0), range(200)))
    assert waits.count(0.0) == 10


@given(gaps=st.lists(st.floats(0.0, 20.0), max_size=100))
def test_no_window_ever_holds_more_than_the_attempts_allowed(gaps):
    throttle, now, admitted = Throttle(attempts=5, window=30.0, keys=10), 0.0, []
    for gap in gaps:
        now += gap
        wait = throttle.admit(KEY, now)
        if wait == 0.0:
            admitted.append(now)
        else:
            assert 0 < wait <= 30.0
    assert all(later - first >= 30.0 for first, later in zip(admitted, admitted[5:], strict=False))
