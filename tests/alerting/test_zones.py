from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hub.alerting.zones import local
from hub.core.errors import ConfigurationError
from hub.core.hours import Hours

OFFICE = Hours.parse("Mon-Fri 09:00-17:00 Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        # Winter, an hour ahead; summer, two hours ahead.
        ("2026-01-12T08:00", True),
        ("2026-01-12T07:59", False),
        ("2026-07-13T07:00", True),
        ("2026-07-13T15:00", False),
        ("2026-07-12T10:00", False),
    ],
)
def test_hours_are_those_of_the_zone_in_summer_and_winter(moment, expected):
    assert expected == OFFICE.open(at(moment), local)


def test_the_weekday_is_that_of_the_zone():
    assert (0, 30.0) == local("Pacific/Auckland", at("2026-07-12T12:30"))
    assert (6, 750.0) == local("UTC", at("2026-07-12T12:30"))


@pytest.mark.parametrize("zone", ["Europe/Bonn", "", "../etc/passwd", "Mars"])
def test_a_zone_that_there_is_not_is_said_with_the_remedy(zone):
    with pytest.raises(ConfigurationError, match="Europe/Berlin"):
        local(zone, 0.0)
