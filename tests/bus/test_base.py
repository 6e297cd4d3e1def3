from __future__ import annotations

import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.bus.base import MAX_ID_DIGITS, format_cursor, parse_cursor
from hub.core.errors import CursorError
from tests import strategies  # noqa: F401 - loads the profile

epochs = st.text(string.hexdigits + "-", min_size=1, max_size=12)
ids = st.integers(0, 10**MAX_ID_DIGITS - 1)


@given(epochs, ids)
def test_a_cursor_comes_back_the_same(epoch, event_id):
    assert event_id == parse_cursor(format_cursor(epoch, event_id), epoch)


@given(epochs, epochs, ids)
def test_a_cursor_of_another_log_is_refused_as_such(one, other, event_id):
    if one == other:
        return
    with pytest.raises(CursorError) as refused:
        parse_cursor(format_cursor(one, event_id), other)
    assert refused.value.reason == "epoch"


@pytest.mark.parametrize(
    "nonsense",
    ["", "-", "beef", "beef-", "-1", "beef-x", "beef-1.5", "beef-+1", "beef- 1", "beef-٣", "beef-" + "9" * 19, "\0"],
)
def test_nonsense_is_no_cursor_and_the_remedy_says_what_one_is(nonsense):
    with pytest.raises(ValueError, match="is not a cursor; send one that the feed gave you, such as beef-1"):
        parse_cursor(nonsense, "beef")


@given(st.text(max_size=60))
def test_whatever_comes_is_an_id_or_one_of_two_errors(text):
    with suppress(ValueError, CursorError):
        assert parse_cursor(text, "beef") >= 0


def test_a_huge_cursor_is_not_repeated_in_the_error():
    with pytest.raises(ValueError, match="is not a cursor") as refused:
        parse_cursor("x" * 100_000, "beef")
    assert len(str(refused.value)) < 250
