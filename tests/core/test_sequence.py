from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.sequence import DOUBLE, GAP, KINDS, MAX_JUMP, MAX_STRETCHES, REORDERED, RESTARTED, UNKNOWN, Sequence
from tests import strategies  # noqa: F401 - loads the profile

#: Few numbers, so that they meet; what is lost, doubled and out of order is all in there.
arrivals = st.lists(st.integers(-20, 40), max_size=120)


def kinds(numbers: list[int]) -> Counter[str]:
    """What was out of line, in all."""
    sequence, found = Sequence(), Counter[str]()
    for number in numbers:
        found.update(dict(sequence.take(number)))
    return found


@given(arrivals)
def test_what_never_came_and_what_came_again_is_known_to_the_last_frame(numbers):
    found = kinds(numbers)
    line = range(min(numbers, default=0), max(numbers, default=-1) + 1)
    assert found[GAP] - found[REORDERED] == len(line) - len(set(numbers))
    assert found[DOUBLE] == len(numbers) - len(set(numbers))
    assert not found[UNKNOWN] + found[RESTARTED]


@given(arrivals)
def test_late_is_what_comes_for_the_first_time_after_a_higher_number(numbers):
    late = sum(
        number < max(numbers[:index]) and number not in numbers[:index]
        for index, number in enumerate(numbers) if index
    )  # fmt: skip
    assert late == kinds(numbers)[REORDERED]


@given(st.integers(-(10**9), 10**9), st.integers(0, 100))
def test_a_line_may_begin_anywhere(first, length):
    assert not kinds(list(range(first, first + length)))


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ([1, 2, 5, 6], {GAP: 2}),
        ([1, 3, 2, 4], {GAP: 1, REORDERED: 1}),
        ([1, 2, 2, 3], {DOUBLE: 1}),
        ([1, 3, 2, 2], {GAP: 1, REORDERED: 1, DOUBLE: 1}),
        ([5, 2, 3], {GAP: 3, REORDERED: 2}),
        ([1, 1 + MAX_JUMP + 1, 1 + MAX_JUMP + 2], {RESTARTED: 1}),
        ([MAX_JUMP + 5, 1, 2, 2], {RESTARTED: 1, DOUBLE: 1}),
        ([1, 1 + MAX_JUMP], {GAP: MAX_JUMP - 1}),
    ],
)
def test_examples(numbers, found):
    assert kinds(numbers) == found


def test_so_many_stretches_are_remembered_and_of_the_others_nobody_claims_to_know():
    evens = list(range(0, 2 * (MAX_STRETCHES + 3), 2))
    found = kinds([*evens, 1, 2, 3, 5, 7, 7])
    # The first two are forgotten: the odd number in them, and the even one between them, could be either.
    assert found == {GAP: MAX_STRETCHES + 2, UNKNOWN: 3, REORDERED: 2, DOUBLE: 1}


@given(st.lists(st.integers(-(10**4), 10**4), max_size=300))
def test_whatever_comes_its_memory_is_bounded_and_its_words_are_known(numbers):
    sequence = Sequence()
    for number in numbers:
        assert {kind for kind, frames in sequence.take(number) if frames > 0} <= set(KINDS)
        assert len(sequence._missing) <= MAX_STRETCHES
