"""
Presence of one node: sees connections come and go, lets time pass, and tells the fleet what changes.

What changes within a moment travels as one diff, and every now and then, or when somebody asks, a digest of all, so
that a lost message heals. A heartbeat costs nothing here: the sweep finds what it left in the connection's record.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Any

from hub.bus.base import Payload
from hub.core.evidence import Presence
from hub.core.heartbeats import DEFAULT_POLICY, Heartbeats
from hub.core.ledger import Connection
from hub.core.policy import Policy
from hub.core.presence import Diff
from hub.core.roster import News
from hub.faults import record_fault
from hub.node.node import Node

#: What travels on the bus: news, and asking a node (or, without a name, all) for its digest.
NEWS, ASK = "presence", "presence.ask"
#: Seconds within which changes travel together.
BATCH_SECONDS = 0.05
#: Seconds between two digests; and at the least, however often somebody asks.
DIGEST_SECONDS = 30.0
ASKED_SECONDS = 1.0
#: Seconds between two sweeps; shorter where a policy is, down to this.
SWEEP_SECONDS = 1.0
SHORTEST_SWEEP = 0.02
#: A sweep this late, in seconds, or by a whole heartbeat interval: the process slept.
LATE_SECONDS = 3.0
#: News that wait for the bus at most; what is dropped beyond heals with the next digest.
MAX_PENDING = 1000


class NodePresence:
    """
    The members of one node.

    Args:
        node: Whose connections are watched.

    Attributes:
        members: What is known of them.
        heartbeats: Those of negotiated connections that have no member.
        listeners: Called with each diff and digest before it goes to the bus.
        sweep_seconds: How long the last sweep took, its pauses included.
    """

    def __init__(self, node: Node) -> None:
        self.members = Presence(node.name)
        self.heartbeats = Heartbeats()
        self.listeners: list[Callable[[News], None]] = []
        self.sweep_seconds = 0.0
        self._node = node
        self._clock = node.clock
        self._loop = node.loop
        self._period = SWEEP_SECONDS
        self._late = LATE_SECONDS
        self._hurry = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._pending: deque[Payload] = deque(maxlen=MAX_PENDING)
        self._wake = asyncio.Event()
        self._digest_at = self._awake_at = self._clock.monotonic()
        self._asked = False

    # --- connections ---

    def accepted(self, connection: Connection) -> None:
        """The connection is open."""
        if connection.member is not None:
            self._here(self._join, connection)
        elif connection.control is not None:
            self._here(self._expect, connection)

    def ended(self, connection: Connection) -> None:
        """The connection is no more."""
        if connection.member is not None:
            self._here(self.members.close, connection)
        elif connection.control is not None:
            self._here(self.heartbeats.close, connection)

    def regroup(self, connection: Connection) -> None:
        """The presence groups of a connection have changed."""
        self._here(self.members.regroup, connection)

    def _join(self, connection: Connection, now: float) -> None:
        self._sweep_by(connection.policy or DEFAULT_POLICY)
        self.members.join(connection, now)

    def _expect(self, connection: Connection, now: float) -> None:
        self._sweep_by(connection.policy or DEFAULT_POLICY)
        self.heartbeats.join(connection, now)

    def _sweep_by(self, policy: Policy) -> None:
        """Sweep as often as a policy needs it."""
        moments = [moment / 4 for moment in (policy.interval, policy.timeout, policy.grace) if moment]
        period = max(SHORTEST_SWEEP, min(self._period, *moments))
        if period < self._period:
            self._period = period
            self._hurry.set()
        self._late = min(self._late, policy.interval)

    def _here(self, change: Callable[[Connection, float], None], connection: Connection) -> None:
        """Make a change on the node's loop; a connection may be served by another one, in another thread."""
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            self._change(change, connection)
        elif self._node.alive:
            self._loop.call_soon_threadsafe(self._change, change, connection)

    def _change(self, change: Callable[[Connection, float], None], connection: Connection) -> None:
        change(connection, self._now())
        if self._timer is None:
            self._timer = self._loop.call_later(BATCH_SECONDS, self.flush)

    def _now(self) -> float:
        now = self._clock.monotonic()
        self.members.wall_offset = self._clock.wall() - now
        return now

    # --- time ---

    async def run(self) -> None:
        """Sweep, and tell the fleet all there is from time to time, for as long as the node lives."""
        while True:
            period = self._period
            await self._pause()
            self._notice(period)
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001 - the border: the next sweep is a new chance
                record_fault("presence sweep", error)

    def _notice(self, waited: float = 0.0) -> None:
        """See whether the process slept since the last call, `waited` seconds on purpose apart."""
        now = self._clock.monotonic()
        if now - self._awake_at - waited > self._late:
            self.members.resume(now)
            self.heartbeats.resume(now)
        self._awake_at = now

    async def _pause(self) -> None:
        """Wait for the next sweep; it comes earlier if a connection with shorter times has joined."""
        self._hurry.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._period):
                await self._hurry.wait()

    async def sweep(self) -> None:
        """Let time pass for all members; send a digest if one is due."""
        now = self._now()
        for _ in chain(self.members.expire(now), self.heartbeats.expire(now)):
            self.flush()
            await asyncio.sleep(0)
            self._notice()
        self.flush()
        if now - self._digest_at >= (ASKED_SECONDS if self._asked else DIGEST_SECONDS):
            await self.tell_all()
        self.sweep_seconds = self._clock.monotonic() - now

    # --- the fleet ---

    def flush(self) -> None:
        """Tell what has changed up to now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        diff = self.members.take_diff()
        if diff is not None:
            self._tell(diff)

    async def tell_all(self) -> None:
        """Tell all there is, by the evidence of now."""
        self._digest_at, self._asked = self._now(), False
        for _ in self.members.refresh(self._digest_at):
            await asyncio.sleep(0)
            self._notice()
        self.flush()
        self._tell(self.members.take_digest())

    def _tell(self, diff: Diff) -> None:
        news = News(self._node.name, self._node.started_at, self._node.boot, diff)
        for listener in self.listeners:
            try:
                listener(news)
            except Exception as error:  # noqa: BLE001 - the border: a listener's fault must not stop the others
                record_fault("presence listener", error)
        self._pending.append(news.pack())
        self._wake.set()

    async def send(self) -> None:
        """Hand news to the bus, for as long as the node lives; what it refuses heals with the next digest."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                try:
                    await self._node.bus.broadcast(NEWS, self._pending.popleft())
                except Exception as error:  # noqa: BLE001 - the border: the bus is away, and may come back
                    record_fault("presence bus", error)

    def asked(self, payload: Payload) -> None:
        """Somebody asks a node, or all, for its digest."""
        name: Any = payload.get("node")
        if name is None or name == self._node.name:
            self._asked = True

    def stop(self) -> None:
        """The node has ended."""
        if self in self._node.instruments.watchers:
            self._node.instruments.watchers.remove(self)
        if self._timer is not None:
            self._timer.cancel()


def attach(node: Node) -> None:
    """Give a new node its presence."""
    presence = NodePresence(node)
    node.add(presence)
    node.instruments.watchers.append(presence)
    node.at_end(presence.stop)
    node.at_end(node.bus.listen(ASK, presence.asked))
    node.keep(presence.run, "presence")
    node.keep(presence.send, "presence bus")
