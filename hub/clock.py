"""
The clock: the one place that reads the time. Everything else is handed a clock, or the time itself.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Seconds that never go back; comparable within this process only."""

    def wall(self) -> float:
        """Seconds since the Unix epoch; may jump."""


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)


SYSTEM: Clock = SystemClock()
#: Seconds of processor time that the calling thread has used up to now.
processor_time = time.thread_time
