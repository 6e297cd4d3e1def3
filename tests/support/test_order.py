from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.order import long_first


def pieces(items, workers):
    """As `xdist.scheduler.worksteal` hands them out at the beginning."""
    items = list(items)
    for worker in range(workers):
        size = len(items) // (workers - worker)
        yield items[:size]
        del items[:size]


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        (1, ["abcdef123456789"]),
        (2, ["ace1234", "bdf56789"]),
        (3, ["ace12", "bdf34", "56789"]),
        (4, ["ace", "bdf1", "2345", "6789"]),
    ],
)
def test_what_is_long_stands_at_the_beginnings_of_the_first_two_pieces(workers, expected):
    ordered = long_first("1a2b3c4d5e6f789", "abcdef", workers)
    assert expected == ["".join(piece) for piece in pieces(ordered, workers)]


@settings(deadline=None)
@given(st.lists(st.integers(), unique=True), st.data(), st.integers(1, 9))
def test_nothing_is_lost_or_doubled_and_the_others_stay_in_their_order(items, data, workers):
    long = [item for item in items if data.draw(st.booleans())]
    ordered = long_first(items, long, workers)
    assert sorted(items) == sorted(ordered)
    assert [item for item in items if item not in long] == [item for item in ordered if item not in long]
