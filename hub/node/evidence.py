"""
Evidence of slowness: what is in dispatch at the moment, told apart by cause.

What one thing causes is not blamed on another: time in which the event loop was blocked counts for no handler and no
message, waiting for the shared sync thread counts for no consumer but the one that holds it, a handler that waits
for its client is no slow handler, and messages behind a slow dispatch are no slow queue and no slow channel layer.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from types import FrameType

from hub.core.events import Detail
from hub.core.redaction import redact
from hub.core.slowness import CLIENT, HANDLER, LAYER, QUEUE, RELEASE, Evidence, Slowness
from hub.instrument.busy import AtWork
from hub.instrument.inbox import kind_of
from hub.instrument.stacks import RunningCalls, await_chain, dispatched, place, sends, thread_call
from hub.instrument.watchdog import LATE

#: A delay of the loop from which on nothing that happened since the last look is blamed on anybody.
BLOCKED = 0.25
#: Blockages that are remembered.
MAX_BLOCKAGES = 100
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


class Gatherer:
    """
    Gathers evidence, one look after the other.

    Args:
        episodes: What is open: it is looked at again, whatever it takes.
        now: Monotonic time, in seconds.
    """

    def __init__(self, episodes: Slowness, now: float) -> None:
        self._episodes = episodes
        self._looked_at = now
        self._blockages: deque[tuple[float, float]] = deque(maxlen=MAX_BLOCKAGES)
        #: Until when an entry waited for the shared thread, and until when its dispatch was slow, whoever caused it.
        self._excused: dict[AtWork, float] = {}
        self._held: dict[AtWork, float] = {}
        self._chains = 0
        self._calls: RunningCalls | None = None

    def look(self, entries: Iterable[AtWork], now: float, late: float, ahead: float = 0.0) -> Found:
        """
        Look once at all that is in dispatch.

        Args:
            late: How long after its time the loop came to look.
            ahead: The wall clock's lead over the monotonic one.
        """
        if late > LATE:
            self._blockages.append((self._looked_at if late > BLOCKED else now - late, now))
        self.rest(now)
        self._chains, self._calls = MAX_CHAINS, None
        found, present = Found(), set(entries)
        suspects = [
            entry for entry in present
            if entry.started_at and now - entry.started_at > RELEASE * entry.threshold
        ]  # fmt: skip
        # A chain costs time: those that nothing is known of come first, then those not looked at for longest.
        suspects.sort(key=lambda entry: (self._known_cause(entry) is not None, self._excused.get(entry, 0.0)))
        for entry in suspects:
            self._look_at_handler(entry, now, found)
        for entry in present:
            oldest = None if entry.inbox is None else entry.inbox.oldest()
            if oldest is not None:
                self._look_at_waiting(QUEUE, entry, oldest, now, found)
            # While the layer is asked for the next message none waits in it: who is not in dispatch asks.
            link = entry.connection.link
            oldest = None if link is None else link.oldest()
            if oldest is not None:
                self._look_at_waiting(LAYER, entry, oldest - ahead, now, found)
        for memory in (self._excused, self._held):
            # Between two messages it is in no dispatch, but what waits behind it has waited for it all the same.
            for gone in [entry for entry in memory.keys() - present if now - memory[entry] > entry.threshold]:
                del memory[gone]
        return found

    def rest(self, now: float) -> None:
        """Nothing is in dispatch, and the loop was in time: that counts as a look."""
        self._looked_at = now

    def taken(self, since: float, until: float) -> float:
        """Seconds between two times in which the loop was not blocked."""
        blocked = sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in self._blockages if end > since)
        return until - since - blocked

    def _look_at_handler(self, entry: AtWork, now: float, found: Found) -> None:
        since, excused = entry.started_at, self._excused.get(entry, 0.0)
        seconds = self.taken(max(since, excused), now)
        if seconds > entry.threshold:
            self._held[entry] = now
        cause = self._known_cause(entry)
        if seconds <= entry.threshold and cause is None and excused < since:
            return
        if self._chains:
            self._chains -= 1
            cause = self._cause(await_chain(entry.task))
            if cause is None:
                # It waits for the shared thread, which somebody else holds: its own time begins when it gets it.
                self._excused[entry] = self._held[entry] = now
        elif cause == CLIENT:
            # That its client is behind may be known otherwise, and says nothing of what its handler is at.
            cause = None
        if cause is not None and seconds > RELEASE * entry.threshold:
            found.add(cause, entry, seconds)

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
        """A message waits since then; not for a slow dispatch before it, as far as that goes."""
        if now - oldest > RELEASE * entry.threshold:
            seconds = self.taken(max(oldest, self._held.get(entry, 0.0)), now)
            if seconds > RELEASE * entry.threshold:
                found.add(cause, entry, seconds)


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
