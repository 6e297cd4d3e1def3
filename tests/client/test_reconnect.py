"""When to come back."""

from itertools import islice

from hub.client.reconnect import BUSY_CODES, FINAL_CODES, FIRST_DELAY, LONGEST_DELAY, full_jitter
from hub.feed import wire


def test_waits_are_spread_over_the_whole_of_a_bound_that_doubles_up_to_the_longest():
    bounds = [FIRST_DELAY * 2**attempt for attempt in range(5)] + [LONGEST_DELAY] * 5
    runs = [list(islice(full_jitter(), 10)) for _ in range(2000)]
    for attempt, bound in enumerate(bounds):
        waits = [run[attempt] for run in runs]
        assert 0 <= min(waits) < 0.1 * bound
        assert 0.9 * bound < max(waits) <= bound


def test_the_hubs_own_codes_mean_what_they_say():
    assert {wire.CLOSE_NOT_LOGGED_IN, wire.CLOSE_NOT_ALLOWED} <= FINAL_CODES
    assert wire.CLOSE_FLOOD in BUSY_CODES
    again = {wire.CLOSE_FLOOD, wire.CLOSE_TOO_SLOW, wire.CLOSE_RESTART, wire.CLOSE_TRY_LATER, wire.CLOSE_INTERNAL_ERROR}
    assert not again & FINAL_CODES
    assert not {1001, 1005, 1006, 1011, 1012, 1013} & FINAL_CODES
