"""
The watchdog: a thread that looks at the event loop from outside, and at the thread that all sync code shares.

The loop tells it when it will be back (`Watchdog.due`). While it is late, the watchdog samples its stack: the line
that holds it up most often is the one that blocks it. The shared thread is asked for a no-op, one at a time: how long
that waits is how long any sync code waits, and while it waits, the thread's stack says at what.

While there is nothing to look for, the loop rests (`Watchdog.rest`), and the shared thread is asked nothing: then the
watchdog alone looks whether anything stirs, and wakes the loop if it does. To wake up is nearly all that this costs, so
it does as seldom as it may.
"""

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from types import FrameType

from asgiref.sync import SyncToAsync

from hub.core.events import Detail
from hub.core.ledger import Connection
from hub.core.loop import LATE
from hub.faults import record_fault
from hub.instrument.busy import BUSY
from hub.instrument.mixin import MonitoredConsumerMixin
from hub.instrument.stacks import place, stack_of
from hub.instrument.turns import Turns

#: Seconds between two looks.
PERIOD = 0.1
#: The same while the loop rests: what begins then and takes too long is looked at soon enough.
RESTING = 0.15
#: The same while something is blocked.
SAMPLING = 0.02
#: Samples of one blockage.
MAX_SAMPLES = 500

UNKNOWN_WHO = (None, "")
#: A connection, if it is known, and the label of a consumer.
Who = tuple[Connection | None, str]


class Samples:
    """What was seen of a thread while it was blocked: the place where it was most often."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[Who, tuple[tuple[str, Detail], ...]]] = Counter()

    def add(self, who: Who, frames: list[FrameType]) -> None:
        """One look at the thread's stack."""
        if self._seen.total() < MAX_SAMPLES:
            self._seen[who, tuple(place(frames).items())] += 1

    def verdict(self) -> tuple[Who, dict[str, Detail]]:
        """Who was seen most often, and where; nobody and nothing without samples."""
        if not self._seen:
            return UNKNOWN_WHO, {}
        (who, where), _ = self._seen.most_common(1)[0]
        return who, dict(where)


class SyncProbe:
    """
    The measured wait for the shared sync thread.

    Args:
        monotonic: The clock.

    Attributes:
        asked_at: When the no-op that waits was handed over; None while none does.
        samples: What the thread did while it waited.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._answer: Future[tuple[float, int]] | None = None
        self._thread: int | None = None
        self._waits: list[float] = []
        self.asked_at: float | None = None
        self.samples = Samples()

    def look(self, *, wanted: bool) -> bool:
        """Take the answer if it is there, ask again if ``wanted``; returns whether the thread is busy."""
        answer = self._answer
        if answer is not None and answer.done():
            self._take(answer)
        if self._answer is None:
            if wanted:
                self._ask()
            return False
        late = self.asked_at is not None and self._monotonic() - self.asked_at > LATE
        if late:
            self._sample()
        return late

    @staticmethod
    def calls_wait() -> bool:
        """Whether any call waits for the thread, as far as its executor tells; callable from any thread."""
        calls = getattr(SyncToAsync.single_thread_executor, "_work_queue", None)
        return calls is None or not calls.empty()

    def _ask(self) -> None:
        self.samples, self.asked_at = Samples(), self._monotonic()
        try:
            self._answer = SyncToAsync.single_thread_executor.submit(self._noop)
        except RuntimeError:
            # The executor has been shut down: the process is going.
            self.asked_at = None

    def _noop(self) -> tuple[float, int]:
        return self._monotonic(), threading.get_ident()

    def _take(self, answer: "Future[tuple[float, int]]") -> None:
        self._answer = None
        asked_at, self.asked_at = self.asked_at, None
        if asked_at is not None and not answer.cancelled():
            answered_at, self._thread = answer.result()
            self._waits.append(answered_at - asked_at)

    def _sample(self) -> None:
        frames = stack_of(self._thread)
        if frames:
            self.samples.add((None, label_of(frames)), frames)

    def waiting(self, now: float) -> float:
        """How long the no-op has waited that still does, in seconds; zero if none does."""
        answer, asked_at = self._answer, self.asked_at
        return 0.0 if answer is None or asked_at is None or answer.done() else now - asked_at

    def waits(self) -> list[float]:
        """The waits measured since the last call, in seconds; of one that still lasts, nothing yet."""
        # In two steps, that nothing is lost that the other thread adds in between.
        count = len(self._waits)
        taken = self._waits[:count]
        del self._waits[:count]
        return taken


class Watchdog:
    """
    Looks at one event loop; made in it, `start` begins to look.

    Args:
        loop: The loop.
        monotonic: The clock.
        wanted: Says whether the shared sync thread is to be probed.

    Attributes:
        due: When the loop has promised to be back, in monotonic seconds; None: it promises nothing.
        probe: Of the shared sync thread.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, monotonic: Callable[[], float], wanted: Callable[[], bool]
    ) -> None:
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._monotonic = monotonic
        self._wanted = wanted
        # Held until it is to stop: waiting for a lock wakes up at a fraction of what waiting for an event costs.
        self._going = threading.Lock()
        self._going.acquire()
        self._samples = Samples()
        #: While the loop rests: what is to wake it, and what says whether anything stirs.
        self._rest: tuple[asyncio.Future[float], Callable[[], bool]] | None = None
        self._turns = Turns(loop, monotonic)
        #: How many there had been when it was known to wait and nothing stirred.
        self._still = -1
        self.due: float | None = None
        self.probe = SyncProbe(monotonic)
        self._thread = threading.Thread(target=self._run, name="hub watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; the thread ends by itself."""
        if self._going.locked():
            self._going.release()

    def _run(self) -> None:
        pause = PERIOD
        while not self._going.acquire(timeout=pause) and not self._loop.is_closed():
            try:
                pause = RESTING if self._rests() else SAMPLING if self._look(wanted=self._wanted()) else PERIOD
            except Exception as error:  # noqa: BLE001 - the border: a watchdog that dies would be missed by nobody
                record_fault("watchdog", error)

    async def rest(self, seconds: float, stirs: Callable[[], bool]) -> float:
        """
        Called by the loop when it has nothing to look for: wait until anything stirs, or the loop does anything at all.

        Args:
            seconds: To wait at most.
            stirs: Says whether anything stirs; called in the watchdog's thread.

        Returns:
            When the loop should have been back, in monotonic seconds.
        """
        woken: asyncio.Future[float] = self._loop.create_future()
        until = self.due = self._monotonic() + seconds
        timer = self._loop.call_later(seconds, _wake, woken, until)
        self._turns.watch()
        self._rest = woken, stirs
        try:
            return min(until, await woken)
        finally:
            self._rest = None
            self._turns.leave()
            timer.cancel()

    def _rests(self) -> bool:
        """Whether the loop rests and is to go on so; if it is not to, it is woken."""
        rest = self._rest
        if rest is None:
            return False
        woken, stirs = rest
        # The number first: whatever it does meanwhile is seen at the next look.
        turns, began_at, seen = self._turns.number, self._turns.began_at, self._turns.seen
        if began_at is None:
            if turns == self._still:
                return True
            if not stirs():
                self._still = turns
                return True
        # From now on it is late if it does not come; what holds it up does so since its turn began, if that is known.
        self._rest, self.due = None, began_at if seen and began_at is not None else self._monotonic()
        with suppress(RuntimeError):
            # Unless it has been closed just now.
            self._loop.call_soon_threadsafe(_wake, woken, self.due)
        return False

    def _look(self, *, wanted: bool) -> bool:
        """Returns whether anything is blocked."""
        busy = self.probe.look(wanted=wanted)
        due = self.due
        if due is None or self._monotonic() - due < LATE:
            return busy
        frames = stack_of(self._loop_thread)
        if frames:
            self._samples.add(self._at_work(frames), frames)
        return True

    def _at_work(self, frames: list[FrameType]) -> Who:
        """Whose turn it is on the loop."""
        task = asyncio.current_task(self._loop)
        for entry in list(BUSY):
            if task is not None and entry.task is task:
                return entry.connection, entry.connection.consumer
        return None, label_of(frames)

    def blocked(self) -> tuple[Who, dict[str, Detail]]:
        """Called by the loop when it is back: who held it up, and where, as far as it was seen."""
        samples, self._samples = self._samples, Samples()
        return samples.verdict()


def _wake(woken: "asyncio.Future[float]", due: float) -> None:
    if not woken.done():
        woken.set_result(due)


def label_of(frames: list[FrameType]) -> str:
    """The label of the monitored consumer whose code is on a stack, the innermost; empty where nothing says whose."""
    labels = _labels()
    for frame in reversed(frames):
        code = frame.f_code
        known = labels.get((code.co_filename, code.co_qualname.rpartition(".")[0]), ())
        if len(known) == 1:
            return next(iter(known))
    return ""


def _labels() -> dict[tuple[str | None, str], set[str]]:
    """By file and name of a class, the labels of the monitored consumers that are it, or are made of it."""
    labels: dict[tuple[str | None, str], set[str]] = {}
    for consumer in _monitored(MonitoredConsumerMixin):
        for base in consumer.__mro__:
            place_of = getattr(sys.modules.get(base.__module__), "__file__", None), base.__qualname__
            labels.setdefault(place_of, set()).add(consumer._hub_label)  # noqa: SLF001 - our own mixin's
    return labels


def _monitored(cls: type[MonitoredConsumerMixin]) -> Iterator[type[MonitoredConsumerMixin]]:
    for consumer in cls.__subclasses__():
        yield consumer
        yield from _monitored(consumer)
