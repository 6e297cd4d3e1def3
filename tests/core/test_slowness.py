from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hub.core.slowness import (
    CALM,
    CAUSES,
    HANDLER,
    KEPT,
    MAX_CLOSED,
    PROCESS,
    QUEUE,
    RELEASE,
    Episode,
    Evidence,
    Slowness,
)
from tests import strategies  # noqa: F401 - loads the profile

LOOK = 0.125
THRESHOLD = 0.5


def slow(seconds: float, subject: int = 1, **more) -> Evidence:
    return Evidence(subject=subject, seconds=seconds, threshold=THRESHOLD, consumer="chat", **more)


def looks(slowness: Slowness, values: list[float], begin: float = 100.0, cause: str = HANDLER) -> list[Episode]:
    """One look after the other at one connection; gives what changed, one entry a change."""
    changed = []
    for number, value in enumerate(values):
        changed += slowness.look(cause, [slow(value)], begin + number * LOOK)
    return changed


# --- one episode --------------------------------------------------------------------------------------------------


def test_it_opens_once_when_the_threshold_is_passed_and_says_since_when():
    slowness = Slowness()
    assert [] == slowness.look(HANDLER, [slow(THRESHOLD)], 100.0)
    [episode] = slowness.look(HANDLER, [slow(0.625)], 100.125)
    assert (HANDLER, "chat", 99.5, 0.625, True) == (
        episode.cause, episode.evidence.consumer, episode.since, episode.worst, episode.open,
    )  # fmt: skip
    assert [] == slowness.look(HANDLER, [slow(0.75)], 100.25)
    assert [episode] == list(slowness)


def test_it_closes_once_when_all_has_been_well_for_long_enough():
    slowness = Slowness()
    [episode] = slowness.look(HANDLER, [slow(2.0)], 100.0)
    assert [] == slowness.look(HANDLER, [], 101.0)
    assert [] == slowness.look(HANDLER, [], 101.0 + CALM - LOOK)
    assert [episode] == slowness.look(HANDLER, [], 101.0 + CALM)
    assert not episode.open
    assert (98.0, 3.0, []) == (episode.since, episode.lasted(500.0), list(slowness))


def test_half_slow_is_not_recovered():
    slowness = Slowness()
    [episode] = slowness.look(HANDLER, [slow(2.0)], 100.0)
    for number in range(100):
        assert [] == slowness.look(HANDLER, [slow(RELEASE * THRESHOLD)], 101.0 + number)
    assert episode.open


def test_half_slow_opens_nothing():
    slowness = Slowness()
    assert [] == looks(slowness, [RELEASE * THRESHOLD] * 100)


def test_the_worst_moment_is_kept_with_its_evidence():
    slowness = Slowness()
    slowness.look(HANDLER, [slow(1.0, details={"line": 1})], 100.0)
    slowness.look(HANDLER, [slow(3.0, details={"line": 3})], 102.0)
    slowness.look(HANDLER, [slow(2.0, details={"line": 2})], 103.0)
    [episode] = slowness
    assert (3.0, {"line": 3}) == (episode.worst, episode.details)


def test_details_that_came_later_outlive_evidence_without_any():
    slowness = Slowness()
    [episode] = slowness.look(HANDLER, [slow(1.0)], 100.0)
    episode.details["line"] = 7
    slowness.look(HANDLER, [slow(2.0)], 101.0)
    assert {"line": 7} == episode.details


def test_causes_and_subjects_are_told_apart():
    slowness = Slowness()
    both = [slow(1.0, 1), slow(1.0, 2), slow(1.0, PROCESS)]
    opened = slowness.look(HANDLER, both, 100.0) + slowness.look(QUEUE, both, 100.0)
    assert 6 == len({(episode.cause, episode.evidence.subject) for episode in opened}) == len(list(slowness))
    assert {1, 2, PROCESS} == set(slowness.of(HANDLER))


def test_a_connection_takes_its_episodes_with_it():
    slowness = Slowness()
    slowness.look(HANDLER, [slow(1.0, 1), slow(1.0, 2)], 100.0)
    slowness.look(QUEUE, [slow(1.0, 1)], 100.0)
    closed = slowness.end(1, 101.0)
    assert {HANDLER, QUEUE} == {episode.cause for episode in closed}
    assert [2.0, 2.0] == [episode.lasted(999.0) for episode in closed]
    assert [] == slowness.end(1, 102.0)
    assert [2] == [episode.evidence.subject for episode in slowness]


# --- the ranked list ----------------------------------------------------------------------------------------------


def test_the_list_begins_with_the_worst_open_one_and_is_cut():
    slowness = Slowness()
    slowness.look(HANDLER, [slow(9.0, 4)], 99.0)
    slowness.end(4, 100.0)
    slowness.look(HANDLER, [slow(1.0, 1), slow(3.0, 2), slow(2.0, 3)], 100.0)
    assert [2, 3, 1, 4] == [episode.evidence.subject for episode in slowness.ranked(10)]
    assert [2, 3] == [episode.evidence.subject for episode in slowness.ranked(2)]


def test_closed_ones_leave_the_list_and_open_ones_stay():
    slowness = Slowness()
    slowness.look(HANDLER, [slow(1.0, 1), slow(1.0, 2)], 100.0)
    slowness.end(1, 100.0)
    slowness.expire(100.0 + KEPT)
    assert 2 == len(slowness.ranked(10))
    slowness.expire(100.5 + KEPT)
    assert [2] == [episode.evidence.subject for episode in slowness.ranked(10)]


def test_no_more_closed_ones_are_kept_than_there_is_room_for():
    slowness = Slowness()
    for number in range(1, MAX_CLOSED + 100):
        slowness.look(HANDLER, [slow(1.0, number)], float(number))
        slowness.end(number, float(number))
    assert MAX_CLOSED == len(slowness.ranked(10 * MAX_CLOSED))


# --- whatever comes -----------------------------------------------------------------------------------------------

seconds = st.integers(0, 12).map(lambda eighths: eighths / 8)


@given(st.lists(seconds, max_size=200))
def test_flapping_opens_no_more_episodes_than_hysteresis_allows(values):
    slowness = Slowness()
    changed = looks(slowness, values)
    opened, closed = (len(changed) + 1) // 2, len(changed) // 2
    # Open and closed in turn, and between them the calm that closing takes.
    assert opened == len({id(episode) for episode in changed})
    assert opened - closed == len(list(slowness))
    assert closed * CALM <= len(values) * LOOK


@given(st.lists(st.dictionaries(st.tuples(st.sampled_from(CAUSES), st.integers(0, 3)), seconds, max_size=6)))
def test_never_two_open_of_one_subject_and_cause_and_the_gauge_is_the_open_ones(moments):
    slowness = Slowness()
    gauge: Counter[str] = Counter()
    for number, moment in enumerate(moments):
        now = 100.0 + number * LOOK
        for cause in CAUSES:
            evidence = [slow(value, subject) for (of, subject), value in moment.items() if of == cause]
            for episode in slowness.look(cause, evidence, now):
                gauge[cause] += 1 if episode.open else -1
        keys = [(episode.cause, episode.evidence.subject) for episode in slowness]
        assert len(keys) == len(set(keys))
        assert +gauge == Counter(cause for cause, _ in keys)
        assert all(episode.open and episode.worst > THRESHOLD for episode in slowness)


@given(st.lists(seconds, max_size=100))
def test_an_episode_lasts_at_least_as_long_as_its_worst_moment_and_no_worse_one_was_seen(values):
    for episode in looks(Slowness(), values):
        assert max(values) >= episode.worst > THRESHOLD
        assert episode.lasted(100.0 + (len(values) - 1) * LOOK) >= episode.worst
