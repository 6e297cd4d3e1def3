from __future__ import annotations

import threading
import time

from hub.clock import SYSTEM, Clock, processor_time_of
from tests.handclock import HandClock
from tests.support.until import until


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


async def test_the_processor_time_of_a_thread_stands_still_while_it_waits():
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    assert thread.ident is not None
    has_run = processor_time_of(thread.ident)
    seen = [has_run()]

    def stands_still() -> bool:
        seen.append(has_run())
        return seen[-1] == seen[-2] is not None

    await until(stands_still)
    go_on.set()
    thread.join()
    await until(lambda: has_run() is None)


def test_where_the_system_does_not_tell_it_is_unknown(monkeypatch):
    monkeypatch.delattr(time, "pthread_getcpuclockid", raising=False)
    assert None is processor_time_of(threading.get_ident())()
