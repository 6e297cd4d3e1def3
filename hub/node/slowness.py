"""
The lookout: ten times a second it looks for what is slow, and tells of each episode when it opens and when it closes.
While there is nothing to look for it rests, and is woken by the watchdog.

It looks at what is in dispatch and at what was sent to (`hub.instrument.busy`), never at all connections, at what waits
for this process in its channel layers, and at what the watchdog has seen.
"""

import asyncio
from collections import Counter
from typing import Any

from hub.core.events import Detail, Event
from hub.core.latency import LATENCY_BOUNDS, Histogram
from hub.core.ledger import UNKNOWN, Connection, Counts, increment
from hub.core.loop import LATE, LoopClock
from hub.core.metrics import Packed
from hub.core.redaction import redact
from hub.core.slowness import CLIENT, LAYER, LOOP, PROCESS, QUEUE, RELEASE, SYNC_THREAD, Episode, Evidence, Slowness
from hub.core.snapshot import SlowRow
from hub.faults import record_fault
from hub.instrument.busy import BUSY, SENT, AtWork
from hub.instrument.watchdog import Watchdog, Who
from hub.node.clients import Clients
from hub.node.evidence import Gatherer, details_of, holder
from hub.node.node import Node
from hub.node.queues import Queues, Wait

#: Seconds between two looks.
LOOK = 0.1
#: The same at most while nothing is in dispatch, was sent or waits.
HEARTBEAT = 5.0
#: Episodes that the fleet is told of.
RANKED = 50
#: Of these so many are asked each second where they wait now: that takes a tenth of a millisecond each.
RENEWED = 10
UNSEEN: dict[str, Detail] = {"waits": "unknown: nothing could be sampled; the process itself may have been stopped"}


class Lookout:
    """
    Looks for what is slow in one process.

    Args:
        node: Whose process it is.

    Attributes:
        episodes: What has opened, and what was closed of late.
        loop_lag: How late the loop was, at each look.
        sync_wait: How long a no-op waited for the shared sync thread.
    """

    def __init__(self, node: Node) -> None:
        self._shared = node.instruments
        self._node = node
        self._monotonic = node.clock.monotonic
        self.threshold = self._shared.config.slow_threshold_ms / 1000
        self.episodes = Slowness()
        self.loop_lag = Histogram(LATENCY_BOUNDS)
        self.sync_wait = Histogram(LATENCY_BOUNDS)
        self.watchdog = Watchdog(node.loop, self._monotonic, self._wanted)
        self._clock = LoopClock(self._monotonic())
        self._gatherer = Gatherer(self.episodes, self._clock)
        self._clients = Clients(self._shared.ledger)
        self._queues = Queues(self.threshold)
        self._holders: Counter[AtWork] = Counter()
        self._held_since: float | None = None
        self._quiet = False
        self._connections = self._shared.ledger.active
        self._rows: dict[Episode, Counts] = {}
        self._entries: dict[Episode, AtWork] = {}
        self._turn = 0

    # --- life ---

    async def run(self) -> None:
        """Look, for as long as the node lives."""
        self.watchdog.start()
        try:
            while True:
                due = await self._pause()
                came = self._monotonic()
                # A turn of the loop: by then it has read what came while it stood still, too.
                await asyncio.sleep(0)
                now = self._monotonic()
                try:
                    self.look(now, max(came - due, now - came), now - came)
                except Exception as error:  # noqa: BLE001 - the border: the next look is a new chance
                    record_fault("slowness", error)
        finally:
            self.watchdog.stop()
            if self in self._shared.watchers:
                self._shared.watchers.remove(self)

    async def _pause(self) -> float:
        """Wait for the next look. Returns when it was due, in monotonic seconds."""
        if self._quiet:
            due = await self.watchdog.rest(HEARTBEAT, self._stirs)
            self._clock.rest(due)
        else:
            due = self.watchdog.due = self._monotonic() + LOOK
            await asyncio.sleep(LOOK)
        return due

    def _stirs(self) -> bool:
        """Whether there is anything to look for; called in the watchdog's thread."""
        return bool(BUSY or SENT) or (self._wanted() and self.watchdog.probe.calls_wait()) or self._queues.noted()

    def _wanted(self) -> bool:
        """Nobody waits for the shared thread while nobody is connected."""
        return self._connections > 0

    def accepted(self, connection: Connection) -> None:  # noqa: ARG002 - any connection counts
        """See `hub.instrument.state.Watcher`."""
        self._connections += 1

    def ended(self, connection: Connection) -> None:
        """See `hub.instrument.state.Watcher`."""
        self._connections -= 1
        self._clients.forget(connection)
        for episode in self.episodes.end(connection.number, self._monotonic()):
            self._closed(episode)

    def ranked(self) -> list[list[Any]]:
        """The worst episodes, packed; each as `hub.core.snapshot.SlowRow`."""
        now = self._monotonic()
        self.episodes.expire(now)
        self._rows = {episode: self._rows[episode] for episode in self.episodes.kept()}
        worst = self.episodes.ranked(RANKED)
        open_ones = [episode for episode in worst if episode in self._entries]
        for _ in open_ones[:RENEWED]:
            self._turn = (self._turn + 1) % len(open_ones)
            self._complete(open_ones[self._turn])
        return [list(self._packed(episode, now)) for episode in worst]

    def measured(self) -> list[Packed]:
        """What is measured of the process as a whole, packed as a host's metrics are; a copy."""
        return [
            (name, "histogram", help_text, (), LATENCY_BOUNDS, [((), [list(histogram.counts), histogram.sum])])
            for name, help_text, histogram in (
                ("ws_event_loop_lag_seconds", "How late the event loop was.", self.loop_lag),
                ("ws_sync_thread_wait_seconds", "Wait of a no-op for the shared sync thread.", self.sync_wait),
            )
        ]

    # --- looking ---

    def look(self, now: float, late: float, turn: float = 0.0) -> None:
        """
        Look once.

        Args:
            now: Monotonic time, in seconds.
            late: How long after its time the loop came to it.
            turn: How long a turn of the loop takes.
        """
        self.loop_lag.observe(late)
        wall = self._shared.clock.wall()
        sync_thread, waits = self._sync_thread(now), self._queues.look(BUSY, now, wall)
        stirs = late > LATE or BUSY or self._clients or sync_thread or waits
        self._quiet = not stirs and self.episodes.well
        if self._quiet:
            self._clock.rest(now)
            return
        passed = now - self._clock.looked_at
        self._clock.look(now, late, turn)
        found = self._gatherer.look(list(BUSY), now, passed, wall - now)
        behind = self._clients.look(now, self._clock.taken)
        for entry, seconds in behind:
            # Its consumer may wait for it in send as well: an episode is as bad as the worst that is known of it.
            found.add(CLIENT, entry, seconds)
        found.evidence[LAYER] += self._layers(waits, wall - now)
        found.evidence[LOOP] = self._loop(late)
        found.evidence[SYNC_THREAD] = sync_thread
        for cause, evidence in found.evidence.items():
            for episode in self.episodes.look(cause, evidence, now):
                if episode.open:
                    self._opened(episode, found.entries.get(episode.evidence.subject))
                else:
                    self._closed(episode)
        for entry, seconds in behind:
            if entry.close_after is not None and seconds > entry.close_after and self._slow_client(entry):
                entry.close_slow_client()

    def _slow_client(self, entry: AtWork) -> bool:
        return entry.connection.number in self.episodes.of(CLIENT)

    def _loop(self, late: float) -> list[Evidence]:
        if late <= LATE:
            return []
        who, where = self.watchdog.blocked()
        return [self._of_process(late, who, where or UNSEEN)]

    def _layers(self, waits: list[Wait], ahead: float) -> list[Evidence]:
        longest = self._queues.longest(waits, self._clock.taken, ahead)
        return [] if longest is None else [self._of_process(longest[0], (None, ""), longest[1].details())]

    def _sync_thread(self, now: float) -> list[Evidence]:
        probe = self.watchdog.probe
        waits = probe.waits()
        for seconds in waits:
            self.sync_wait.observe(seconds)
        waiting = probe.waiting(now)
        if waiting > LATE:
            self._see_holder(probe.asked_at)
        longest = max((*waits, waiting))
        if longest < RELEASE * self.threshold:
            if not waiting:
                self._holders.clear()
            return []
        who, where = probe.samples.verdict()
        if self._holders:
            [(entry, _)] = self._holders.most_common(1)
            who = entry.connection, entry.connection.consumer
        return [self._of_process(longest, who, where)]

    def _see_holder(self, asked_at: float | None) -> None:
        """Whoever holds the shared thread most often while the no-op waits is who keeps all others waiting."""
        if asked_at != self._held_since:
            self._held_since = asked_at
            self._holders.clear()
        entry = holder(list(BUSY))
        if entry is not None:
            self._holders[entry] += 1

    def _of_process(self, seconds: float, who: Who, where: dict[str, Detail]) -> Evidence:
        connection, consumer = who
        return Evidence(
            subject=PROCESS, seconds=seconds, threshold=self.threshold, consumer=consumer or UNKNOWN,
            tenant="" if connection is None else self._shared.ledger.settle(connection).tenant,
            connection="" if connection is None else str(connection.number),
            member=None if connection is None else connection.member, details=where,
        )  # fmt: skip

    # --- telling ---

    def _opened(self, episode: Episode, entry: AtWork | None) -> None:
        row = self._row_of(episode, entry)
        self._rows[episode] = row
        increment(row.slow, episode.cause)
        increment(row.slow_episodes, episode.cause)
        if entry is not None:
            self._entries[episode] = entry
        if self._admits("slow.opened", row):
            self._complete(episode)
            self._tell("slow.opened", episode)

    def _row_of(self, episode: Episode, entry: AtWork | None) -> Counts:
        ledger, evidence = self._shared.ledger, episode.evidence
        return ledger.row(evidence.consumer, evidence.tenant) if entry is None else ledger.settle(entry.connection)

    def _closed(self, episode: Episode) -> None:
        self._entries.pop(episode, None)
        row = self._rows.get(episode)
        if row is None:
            return
        increment(row.slow, episode.cause, -1)
        if self._admits("slow.closed", row):
            self._tell("slow.closed", episode)

    def _admits(self, kind: str, row: Counts) -> bool:
        return self._shared.limiter.admit(kind, row.tenant, row.consumer, self._monotonic())

    def _tell(self, kind: str, episode: Episode) -> None:
        now, row = self._monotonic(), self._rows[episode]
        wall = self._shared.clock.wall()
        details: dict[str, Detail] = {
            "cause": episode.cause, "since": round(wall - now + episode.since, 3), "seconds": round(episode.worst, 3),
        }  # fmt: skip
        if not episode.open:
            details["lasted"] = round(episode.lasted(now), 3)
        details |= episode.details
        member, name = self._member(episode)
        if member:
            details |= {"member": member, "name": name}
        event = Event(
            kind=kind, at=wall, tenant=row.tenant, consumer=row.consumer, connection=episode.evidence.connection,
            details=details,
        )  # fmt: skip
        self._shared.publish(event)

    def _member(self, episode: Episode) -> tuple[str, str]:
        """Who is connected where it is slow, by id and name, if the settings allow that it is told."""
        member = episode.evidence.member
        if member is None or not self._shared.config.slow_members:
            return "", ""
        return redact(member[0]), redact(member[1])

    def _complete(self, episode: Episode) -> None:
        """Look where it waits, as long as it does."""
        entry = self._entries.get(episode)
        if entry is None or episode.calm_at is not None:
            return
        busy = entry in BUSY and (episode.cause in (QUEUE, LAYER) or entry.started_at)
        details = details_of(episode.cause, entry) if busy else {}
        if episode.cause == LAYER and entry.connection.link is not None:
            details |= entry.connection.link.waits()
        if episode.cause == CLIENT:
            details |= self._clients.details(entry, self._monotonic())
        if details:
            episode.details = details

    def _packed(self, episode: Episode, now: float) -> SlowRow:
        row, ahead = self._rows[episode], self._shared.clock.wall() - now
        member, name = self._member(episode)
        return SlowRow(
            cause=episode.cause, consumer=row.consumer, tenant=row.tenant, connection=episode.evidence.connection,
            since=ahead + episode.since, seconds=episode.worst, threshold=episode.evidence.threshold,
            lasted=None if episode.open else episode.lasted(now),
            closed_at=None if episode.closed_at is None else ahead + episode.closed_at, details=dict(episode.details),
            member=member, name=name,
        )  # fmt: skip


def attach(node: Node) -> None:
    """Let a new node look for what is slow, unless that is switched off."""
    shared = node.instruments
    # Those of a node whose loop is gone see nothing any more, and what they had opened is over.
    shared.watchers[:] = [watcher for watcher in shared.watchers if not isinstance(watcher, Lookout)]
    for counts in shared.ledger:
        counts.slow.clear()
    SENT.clear()
    if not shared.config.slow_detection:
        return
    lookout = Lookout(node)
    shared.watchers.append(lookout)
    node.add(lookout)
    node.rank_slow, node.measure_process = lookout.ranked, lookout.measured
    node.keep(lookout.run, "slowness")
