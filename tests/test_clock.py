from __future__ import annotations

import time

from hub.clock import SYSTEM, Clock
from tests.handclock import HandClock


def test_the_system_clock_is_the_machine_s():
    before = time.monotonic(), time.time()
    read = SYSTEM.monotonic(), SYSTEM.wall()
    after = time.monotonic(), time.time()
    assert before[0] <= read[0] <= after[0]
    assert before[1] <= read[1] <= after[1]


def test_a_clock_in_the_hand_is_a_clock():
    clock = HandClock(5.0)
    as_clock: Clock = clock
    clock.advance(2.5)
    assert (7.5, 1_000_007.5) == (as_clock.monotonic(), as_clock.wall())
