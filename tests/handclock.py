"""A clock that moves only when a test moves it."""

from __future__ import annotations


class HandClock:
    """A `hub.clock.Clock`; the wall clock reads a million seconds more than the monotonic one."""

    def __init__(self, start: float = 1000.0) -> None:
        self.now = start

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + 1_000_000.0

    def advance(self, seconds: float) -> None:
        self.now += seconds
