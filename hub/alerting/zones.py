"""The time of day in time zones: what `hub.core.hours` asks for."""

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hub.core.errors import ConfigurationError


def local(zone: str, now: float) -> tuple[int, float]:
    """
    The weekday in a time zone, Monday is 0, and the minutes since midnight there.

    Args:
        zone: Its name in the IANA database, such as ``Europe/Berlin``.
        now: Wall-clock time, in seconds.

    Raises:
        ConfigurationError: There is no such zone.
    """
    there = datetime.fromtimestamp(now, UTC).astimezone(_zone(zone))
    return there.weekday(), there.hour * 60 + there.minute + there.second / 60


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(f"there is no time zone {name!r}; write one such as Europe/Berlin or UTC") from error
