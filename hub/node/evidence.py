"""
Evidence of slowness: what is in dispatch at the moment, told apart by cause.

What one thing causes is not blamed on another: time counts by the loop's own clock (`hub.core.loop`), waiting for the
shared sync thread counts for no consumer but the one that holds it, a handler that waits for its client is no slow
handler, nor is a client slow because the handler has only just come to send; and messages are no slow queue and no
slow channel layer while they wait behind a slow dispatch, or for other consumers that have their turns of the loop.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from types import FrameType

from hub.core.events import Detail
from hub.core.loop import LoopClock
from hub.core.redaction import redact
from hub.core.slowness import CLIENT, HANDLER, LAYER, QUEUE, RELEASE, Evidence, Slowness
from hub.instrument.busy import AtWork
from hub.instrument.inbox import kind_of
from hub.instrument.stacks import RunningCalls, await_chain, dispatched, place, ready, sends, thread_call

#: Await chains that one look may follow: some microseconds each.
MAX_CHAINS = 200


@dataclass(slots=True)
class Found:
    """What one look has found, by cause, and what it was found at."""

    evidence: dict[str, list[Evidence]] = field(default_factory=lambda: {HANDLER: [], CLIENT: [], QUEUE: [], LAYER: []})
    entries: dict[int, AtWork] = field(default_factory=dict)

    def add(self, cause: str, entry: AtWork, seconds: float) -> None:
        """Something about a connection takes so many seconds."""
        connection = entry.connection
        self.entries[connection.number] = entry
        self.evidence[cause].append(
            Evidence(subject=connection.number, seconds=seconds, threshold=entry.threshold,
                     consumer=connection.consumer, connection=str(connection.number), member=connection.member)
        )  # fmt: skip


class Course:
    """
    What one dispatch was at, look by look: where it is at one moment says nothing of all the time before.

    Attributes:
        started_at: That of the dispatch.
        cause: What it was at when it was last seen.
        since: Since when it has been at that alone.
    """

    __slots__ = ("_looked_at", "_times", "cause", "since", "started_at")

    def __init__(self, started_at: float, cause: str, now: float) -> None:
        self.started_at = self.since = started_at
        self.cause = cause
        self._looked_at = now
        self._times = {cause: 0.0}

    def see(self, cause: str, now: float) -> None:
        """It is at this."""
        if cause != self.cause:
            self.cause, self.since = cause, now
        self._times[cause] = self._times.get(cause, 0.0) + now - self._looked_at
        self._looked_at = now

    def mostly(self) -> str:
        """What it was seen at for longest."""
        return max(self._times, key=self._times.__getitem__)


class Gatherer:
    """
    Gathers evidence, one look after the other.

    Args:
        episodes: What is open: it is looked at again, whatever it takes.
        clock: The loop's own, by which everything counts.
    """

    def __init__(self, episodes: Slowness, clock: LoopClock) -> None:
        self._episodes = episodes
        self._clock = clock
        #: Until when an entry waited for the shared thread; until when what waits behind it waited for somebody else,
        #: its own slow dispatch or others' turns of the loop.
        self._excused: dict[AtWork, float] = {}
        self._held: dict[AtWork, float] = {}
        self._courses: dict[AtWork, Course] = {}
        self._chains = 0
        self._calls: RunningCalls | None = None

    def look(self, entries: Iterable[AtWork], now: float, passed: float = 0.0, ahead: float = 0.0) -> Found:
        """
        Look once at all that is in dispatch.

        Args:
            passed: Seconds since the last look.
            ahead: The wall clock's lead over the monotonic one.
        """
        self._chains, self._calls = MAX_CHAINS, None
        found, present = Found(), set(entries)
        suspects = [
            entry for entry in present
            if entry.started_at and now - entry.started_at > RELEASE * entry.threshold
        ]  # fmt: skip
        # A chain costs time: those that nothing is known of come first, of them those beyond their threshold, and then
        # those not looked at for longest.
        suspects.sort(key=lambda entry: (
            self._known_cause(entry) is not None, now - entry.started_at <= entry.threshold,
            self._excused.get(entry, 0.0),
        ))  # fmt: skip
        for entry in suspects:
            self._look_at_handler(entry, now, found)
        in_turn = {entry for entry in present if ready(entry.task)}
        for entry in present:
            waits = dict(_waits(entry, ahead))
            if waits and entry in in_turn:
                # It has its share of the loop, as all of them have: the rest of the time is theirs.
                since = max(self._held.get(entry, 0.0), min(waits.values()))
                self._held[entry] = min(now, since + passed * (1 - 1 / len(in_turn)))
            for cause, oldest in waits.items():
                self._look_at_waiting(cause, entry, oldest, now, found)
        for memory in (self._excused, self._held):
            # Between two messages it is in no dispatch, but what waits behind it has waited for it all the same.
            for gone in [entry for entry in memory.keys() - present if now - memory[entry] > entry.threshold]:
                del memory[gone]
        for gone in self._courses.keys() - suspects:
            del self._courses[gone]
        return found

    def _look_at_handler(self, entry: AtWork, now: float, found: Found) -> None:
        since = max(entry.started_at, self._excused.get(entry, 0.0))
        seconds = self._clock.taken(since, now)
        if seconds > entry.threshold:
            self._held[entry] = now
        cause = self._known_cause(entry)
        least = entry.threshold if cause is None else RELEASE * entry.threshold
        if self._chains:
            self._chains -= 1
            cause = self._cause(await_chain(entry.task))
            if cause is None:
                # It waits for the shared thread, which somebody else holds: its own time begins when it gets it.
                self._excused[entry] = self._held[entry] = now
                self._courses.pop(entry, None)
            else:
                cause, seconds = self._judge(entry, since, cause, seconds, now)
        elif cause == CLIENT:
            # That its client is behind may be known otherwise, and says nothing of what its handler is at.
            cause = None
        if cause is not None and seconds > least:
            found.add(cause, entry, seconds)

    def _judge(self, entry: AtWork, since: float, cause: str, seconds: float, now: float) -> tuple[str, float]:
        """
        What to blame for the time that a dispatch has taken, and for how much of it.

        What it is at, if that alone takes too long; else what it was at for most of the time.
        """
        course = self._courses.get(entry)
        if course is None or course.started_at != since:
            course = self._courses[entry] = Course(since, cause, now)
        course.see(cause, now)
        alone = self._clock.taken(course.since, now)
        return (cause, alone) if alone > entry.threshold else (course.mostly(), seconds)

    def _known_cause(self, entry: AtWork) -> str | None:
        number = entry.connection.number
        return next((cause for cause in (HANDLER, CLIENT) if number in self._episodes.of(cause)), None)

    def _cause(self, frames: list[FrameType]) -> str | None:
        """Why a dispatch that waits there takes its time; None: it waits for its turn in the shared thread."""
        if sends(frames):
            return CLIENT
        call = thread_call(frames)
        if call is None:
            return HANDLER
        if call.waits:
            return None if call.shared else HANDLER
        if self._calls is None:
            self._calls = RunningCalls()
        return CLIENT if sends(self._calls.frames_of(call)) else HANDLER

    def _look_at_waiting(self, cause: str, entry: AtWork, oldest: float, now: float, found: Found) -> None:
        """A message waits since then; not for its own consumer as long as that is held up."""
        if now - oldest > RELEASE * entry.threshold:
            seconds = self._clock.taken(max(oldest, self._held.get(entry, 0.0)), now)
            if seconds > RELEASE * entry.threshold:
                found.add(cause, entry, seconds)


def _waits(entry: AtWork, ahead: float) -> Iterator[tuple[str, float]]:
    """Since when messages of a connection have waited, by cause."""
    oldest = None if entry.inbox is None else entry.inbox.oldest()
    if oldest is not None:
        yield QUEUE, oldest
    # While the layer is asked for the next message none waits in it: who is not in dispatch asks.
    link = entry.connection.link
    oldest = None if link is None else link.oldest()
    if oldest is not None:
        yield LAYER, oldest - ahead


def holder(entries: Iterable[AtWork]) -> AtWork | None:
    """Who of all that is in dispatch holds the shared sync thread; None if nobody of them does."""
    for entry in islice(entries, MAX_CHAINS):
        call = thread_call(await_chain(entry.task))
        if call is not None and call.shared and call.runs:
            return entry
    return None


def details_of(cause: str, entry: AtWork) -> dict[str, Detail]:
    """
    What an operator should know of a slow connection: at which message it is, and where it waits.

    Of a slow client: which send waits for it; nothing where none does, whatever else the consumer may be at.
    """
    frames = await_chain(entry.task)
    call = thread_call(frames)
    running = [] if call is None else RunningCalls().frames_of(call)
    if cause == CLIENT and not sends(frames) and not sends(running):
        return {}
    known = entry.connection.inbound_type or kind_of(dispatched(frames))
    details: dict[str, Detail] = {"message": redact(known)} if known else {}
    details |= place(running or frames)
    if entry.inbox is not None and (cause == QUEUE or entry.inbox.waiting()):
        details["waiting"] = entry.inbox.waiting()
    return details
