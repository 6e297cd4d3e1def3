from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import ConfigurationError
from hub.core.hours import DAYS, MINUTES_OF_DAY, Hours
from tests import strategies  # noqa: F401 - loads the profile

DAY = 60 * MINUTES_OF_DAY


def local(zone: str, now: float) -> tuple[int, float]:
    """A week that begins at zero, in every zone."""
    return int(now // DAY) % 7, now % DAY / 60


def at(day: str, hour: int, minute: int = 0) -> float:
    return DAYS.index(day) * DAY + hour * 3600 + minute * 60


@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        ("Mon-Fri 09:00-17:00 UTC", at("Mon", 9), True),
        ("Mon-Fri 09:00-17:00 UTC", at("Mon", 8, 59), False),
        ("Mon-Fri 09:00-17:00 UTC", at("Fri", 17), False),
        ("Mon-Fri 09:00-17:00 UTC", at("Sat", 12), False),
        ("Sat,Sun 00:00-24:00 UTC", at("Sun", 23, 59), True),
        ("Fri-Mon 00:00-24:00 UTC", at("Sun", 3), True),
        ("Fri-Mon 00:00-24:00 UTC", at("Wed", 3), False),
        # Over midnight they are those of the day on which they began.
        ("Sun 22:00-06:00 UTC", at("Mon", 5, 59), True),
        ("Sun 22:00-06:00 UTC", at("Sun", 5), False),
        ("Wed 00:00-00:00 UTC", at("Wed", 12), True),
    ],
)
def test_hours_are_open_within_and_closed_without(text, moment, expected):
    assert expected == Hours.parse(text).open(moment, local)


def test_the_zone_is_asked_for_by_its_name():
    asked = []

    def remember(zone: str, now: float) -> tuple[int, float]:
        asked.append((zone, now))
        return 0, 600.0

    assert Hours.parse("Mon 09:00-17:00 America/Argentina/Buenos_Aires").open(5.0, remember)
    assert [("America/Argentina/Buenos_Aires", 5.0)] == asked


@given(st.sets(st.integers(0, 6), min_size=1), st.integers(0, 1439), st.integers(0, 1440))
def test_what_is_written_is_read_again(days, start, end):
    hours = Hours(frozenset(days), start, end, "Europe/Berlin")
    assert hours == Hours.parse(str(hours))


@pytest.mark.parametrize(
    "text",
    [None, 9, "", "09:00-17:00", "Mon 9-17 UTC", "Mon 09:00-25:00 UTC", "Mon 24:00-25:00 UTC", "Mon 09:60-10:00 UTC",
     "Mo 09:00-17:00 UTC", "Mon-Tue-Wed 09:00-17:00 UTC", "Mon, 09:00-17:00 UTC", "Mon 09:00-17:00"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_remedy(text):
    with pytest.raises(ConfigurationError, match="write 'Mon-Fri"):
        Hours.parse(text)
