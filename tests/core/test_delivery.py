from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.delivery import (
    ANSWERED,
    AWAITED,
    CLOSED,
    GONE,
    LEFT,
    MAX_MARKS,
    RECEIVED,
    UNCONFIRMED,
    UNKNOWN,
    Drain,
    Trail,
    fate_of,
)
from tests import strategies  # noqa: F401 - loads the profile

#: What is handed over before a look, and what is acknowledged before it, as far as anything is outstanding.
LOOKS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=3 * MAX_MARKS)


def looked(looks: list[tuple[int, int]]) -> list[tuple[float | None, float | None]]:
    """What a trail says at each look, and when the oldest that is outstanding was there for the first time."""
    trail, total, acknowledged, seen = Trail(), 0, 0, []
    results = []
    for now, (more, less) in enumerate(looks):
        total += more
        seen += [float(now)] * more
        acknowledged = min(total, acknowledged + less)
        results.append(
            (trail.look(total, acknowledged, float(now)), seen[acknowledged] if acknowledged < total else None)
        )
    return results


@given(LOOKS)
def test_it_says_when_the_oldest_that_is_outstanding_was_seen_first(looks):
    for told, true in looked(looks[:MAX_MARKS]):
        assert true == told


@given(LOOKS)
def test_however_many_looks_there_are_nothing_is_thought_older_than_it_is(looks):
    for told, true in looked(looks):
        assert (told is None) == (true is None)
        assert told is None or true is None or told >= true


def test_what_nobody_acknowledges_grows_old_and_the_trail_stays_short():
    trail = Trail()
    assert {0.0} == {trail.look(10 + now, 0, float(now)) for now in range(100 * MAX_MARKS)}
    assert len(trail._marks) <= MAX_MARKS
    # With the first of it acknowledged, what came next counts, within a pause or a few.
    told = trail.look(10 + 100 * MAX_MARKS, 11, 100.0 * MAX_MARKS)
    assert told is not None
    assert told >= 1.0


def test_when_all_is_acknowledged_nothing_is_remembered():
    trail = Trail()
    trail.look(10, 0, 1.0)
    assert trail.look(12, 12, 2.0) is None
    assert 3.0 == trail.look(13, 12, 3.0)


def test_only_what_a_buffer_is_emptier_by_has_left_it():
    drain = Drain()
    assert [0, 0, 40, 40, 40, 140] == [drain.look(filled) for filled in (50, 100, 60, 60, 100, 0)]


@pytest.mark.parametrize(
    ("parting", "answer", "fate"),
    [
        (CLOSED, ANSWERED, RECEIVED),
        (CLOSED, AWAITED, None),
        (CLOSED, GONE, UNCONFIRMED),
        (CLOSED, None, UNKNOWN),
        # It has confirmed what it has processed, or it is no more: no answer to us says anything else.
        *((LEFT, answer, UNCONFIRMED) for answer in (ANSWERED, AWAITED, GONE, None)),
        *((None, answer, UNKNOWN) for answer in (ANSWERED, AWAITED, GONE, None)),
    ],
)
def test_what_became_of_what_was_never_confirmed(parting, answer, fate):
    assert fate_of(parting, answer) == fate
