"""A wall clock that a test can move: everything in this process that asks for the time of day sees it jump."""

import time

_real = time.time
_shift = [0.0]


def wall() -> float:
    """Seconds since the epoch, as the jumping clock has it."""
    return _real() + _shift[0]


def jump(seconds: float) -> None:
    """Move the clock to so many seconds away from the true time."""
    _shift[0] = seconds


time.time = wall
