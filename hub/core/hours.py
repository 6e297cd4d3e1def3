"""
Hours of the week in a time zone, such as ``Mon-Fri 09:00-17:00 Europe/Berlin``.

Time zones and calendars are not the core's: whoever asks hands over a `Local` that knows them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from hub.core.errors import ConfigurationError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MINUTES_OF_DAY = 24 * 60

#: From a zone's name and a wall-clock time to the weekday there, Monday is 0, and the minutes since midnight.
#: It raises `ConfigurationError` for a zone that does not exist.
Local = Callable[[str, float], tuple[int, float]]

_FORM = re.compile(r"\s*([A-Za-z,-]+)\s+(\d\d):(\d\d)-(\d\d):(\d\d)\s+([A-Za-z0-9_+/-]+)\s*")
_REMEDY = (
    "write 'Mon-Fri 09:00-17:00 Europe/Berlin'; days are Mon to Sun, single (Mon,Thu) or from-to, 24:00 is midnight"
)


@dataclass(frozen=True, slots=True)
class Hours:
    """
    When a day's hours begin and end, on some days of the week.

    Attributes:
        days: On which they begin; Monday is 0.
        start: Minutes since midnight.
        end: The first minute that is not in it; before or at ``start`` it is one of the next day.
        zone: Name of the time zone.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: str

    def open(self, now: float, local: Local) -> bool:
        """Whether a wall-clock time lies within."""
        day, minute = local(self.zone, now)
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        return (day in self.days and minute >= self.start) or ((day - 1) % 7 in self.days and minute < self.end)

    @classmethod
    def parse(cls, text: object) -> "Hours":
        """
        Hours from their text.

        Raises:
            ConfigurationError: It can't be read; says what is wrong, and the remedy.
        """
        found = _FORM.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ConfigurationError(f"{text!r} are no hours; {_REMEDY}")
        days, *clock, zone = found.groups()
        (hour, minute), (last_hour, last_minute) = map(int, clock[:2]), map(int, clock[2:])
        start, end = hour * 60 + minute, last_hour * 60 + last_minute
        if max(start, end) > MINUTES_OF_DAY or start == MINUTES_OF_DAY or max(minute, last_minute) > 59:  # noqa: PLR2004
            raise ConfigurationError(f"{text!r}: there is no such time of day; {_REMEDY}")
        return cls(_days(days, text), start, end, zone)

    def __str__(self) -> str:
        days = ",".join(DAYS[day] for day in sorted(self.days))
        return f"{days} {self.start // 60:02}:{self.start % 60:02}-{self.end // 60:02}:{self.end % 60:02} {self.zone}"


def _days(text: str, whole: object) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        ends = part.split("-")
        if len(ends) > 2 or any(end not in DAYS for end in ends):  # noqa: PLR2004 - from and to
            raise ConfigurationError(f"{whole!r}: {part!r} are no days of the week; {_REMEDY}")
        first, last = DAYS.index(ends[0]), DAYS.index(ends[-1])
        days.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return frozenset(days)
