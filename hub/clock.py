"""
The clock: the one place that reads the time. Everything else is handed a clock, or the time itself.
"""

import time
from collections.abc import Callable
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


def processor_time_of(thread: int) -> Callable[[], int | None]:
    """
    Tells what a running thread has run up to now, in nanoseconds of processor time; None where that is not known.

    Args:
        thread: Its identifier.
    """
    if not hasattr(time, "pthread_getcpuclockid"):
        return lambda: None
    clock = time.pthread_getcpuclockid(thread)

    def processor_time() -> int | None:
        try:
            return time.clock_gettime_ns(clock)
        except OSError:
            # The thread is no more.
            return None

    return processor_time
