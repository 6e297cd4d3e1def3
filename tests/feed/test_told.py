from __future__ import annotations

import pytest

from hub.feed.told import Told
from hub.fleet.view import REMOVED_KEPT


@pytest.fixture
def told() -> Told[list[int]]:
    return Told([])


def test_who_knows_nothing_is_told_everything(told):
    assert [] == told.since(-1, "a", [], 5)
    assert [1] == told.since(-1, "a", [1], 5)


def test_what_is_the_same_is_not_told_again(told):
    assert [1] == told.since(4, "a", [1], 5)
    assert None is told.since(5, "a", [1], 6)
    assert [1] == told.since(4, "a", [1], 6)
    assert [2] == told.since(6, "a", [2], 7)


def test_each_scope_has_a_story_of_its_own(told):
    told.since(4, "a", [1], 5)
    assert [1] == told.since(5, "b", [1], 6)
    assert None is told.since(5, "a", [1], 6)


def test_that_there_is_nothing_any_more_is_told_and_then_forgotten(told):
    told.since(-1, "a", [1], 5)
    assert [] == told.since(5, "a", [], 6)
    assert None is told.since(6, "a", [], 6 + REMOVED_KEPT)
    assert 1 == len(told)
    assert None is told.since(6, "a", [], 7 + REMOVED_KEPT)
    assert 0 == len(told)


def test_nothing_is_remembered_where_there_is_nothing(told):
    for name in range(100):
        told.since(-1, name, [], 5)
    assert 0 == len(told)
