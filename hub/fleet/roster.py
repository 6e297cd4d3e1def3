"""
The roster: who is connected anywhere in the fleet, merged from what the nodes tell each other.

This node's own members are in it at once, those of the others as soon as the bus brings them. A node that the fleet's
view has no more takes its members with it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from hub.bus.base import Payload
from hub.core.events import Event
from hub.core.evidence import Presence
from hub.core.presence import STALE, Entry, Key, Member, Page, RosterDiff, Tally
from hub.core.roster import GAP, News, Roster
from hub.faults import record_fault
from hub.fleet.view import FleetView
from hub.node.node import LEASE, Node
from hub.node.presence import ASK, NEWS, NodePresence

#: News of others that wait to be merged at most; what is dropped beyond is asked for again.
MAX_UNREAD = 10_000
#: Seconds between two times that one node is asked for its digest.
ASK_SECONDS = 1.0


class FleetRoster:
    """
    The members of the whole fleet, in memory; a part of the node, for use on its event loop.

    Args:
        node: Whose roster it is.

    Attributes:
        listeners: Called with each change, at most every 50 ms for this node's own members.
    """

    def __init__(self, node: Node) -> None:
        self.listeners: list[Callable[[RosterDiff], None]] = []
        self._node = node
        self._view = node.part(FleetView)
        self._presence = node.part(NodePresence)
        self._members: Presence = self._presence.members
        self._roster = Roster(node.name, self._live)
        self._unread: deque[Payload] = deque(maxlen=MAX_UNREAD)
        self._wake = asyncio.Event()
        #: When a node was first heard that the view does not have, and when it was last asked.
        self._unseen: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._members.known_since, self._members.elsewhere = self._known_since, self._elsewhere

    # --- who is there ---

    @property
    def version(self) -> int:
        """Grows with every change."""
        self._presence.flush()
        return self._roster.version

    @property
    def tallies(self) -> dict[str, Tally]:
        """By tenant. A tenant whose last member has left stays for a minute, all zero."""
        self._presence.flush()
        return self._roster.tallies

    def page(
        self, *, tenants: frozenset[str] | None, tenant: str | None = None, group: str | None = None,
        states: frozenset[str] | None = None, search: str | None = None, after: Key | None = None, limit: int = 50,
    ) -> Page:  # fmt: skip
        """
        A page of the roster, by tenant and member.

        Args:
            tenants: Those that may be seen; None: all.
            tenant: Only this one.
            group: Only members of this presence group.
            states: Only members in these states.
            search: Only members whose id or name contains this, whatever the case.
            after: The ``next`` of the page before.
            limit: Members at most.
        """
        self._presence.flush()
        return self._roster.page(
            tenants=tenants, tenant=tenant, group=group, states=states, search=search, after=after, limit=limit
        )

    def search(
        self, *, tenants: frozenset[str] | None, tenant: str | None = None, group: str | None = None,
        states: frozenset[str] | None = None, search: str = "",
    ) -> Iterator[list[Key]]:  # fmt: skip
        """The keys of what `page` finds, all of them, pausing about every millisecond: for large rosters."""
        self._presence.flush()
        return self._roster.search(tenants=tenants, tenant=tenant, group=group, states=states, search=search)

    def get(self, tenant: str, member: str) -> Member | None:
        """One member; None if it is not there."""
        self._presence.flush()
        return self._roster.get(tenant, member)

    def count(self, tenant: str, group: str | None = None) -> int:
        """How many members a tenant has, or one of its presence groups."""
        self._presence.flush()
        return self._roster.count(tenant, group)

    def answers_for(self, diff: RosterDiff) -> bool:
        """
        Whether it is for this node, and no other, to tell the world of a change: it brought it about, or has the
        first name of all that live when a node has died.
        """
        return diff.node == self._node.name or (
            not diff.node and min((*self._view.nodes, self._node.name)) == self._node.name
        )

    def _live(self, key: Key) -> Entry | None:
        return self._members.entry(key, self._node.clock.monotonic())

    def _known_since(self, key: Key) -> float | None:
        return min((entry.joined_at for entry in self._roster.entries(*key)), default=None)

    def _elsewhere(self, key: Key) -> bool:
        return any(entry.connections and entry.node != self._node.name for entry in self._roster.entries(*key))

    # --- what nodes tell ---

    def take_own(self, news: News) -> None:
        """This node's own members have changed."""
        if news.diff.base is None:
            self._roster.advance(news)
            return
        for diff in self._roster.receive(news):
            self._tell(diff)

    def hear(self, payload: Payload) -> None:
        """The bus brings news of a node."""
        if payload.get("boot") != self._node.boot:
            self._unread.append(payload)
            self._wake.set()

    async def run(self) -> None:
        """Merge what other nodes tell, for as long as the node lives."""
        await self._ask(None)
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._unread:
                try:
                    await self._merge(News.unpack(self._unread.popleft()))
                except Exception as error:  # noqa: BLE001 - the border: what one node says wrongly must not stop us
                    record_fault("roster", error)

    async def _merge(self, news: News) -> None:
        now = self._node.clock.monotonic()
        seen = self._view.nodes.get(news.node)
        if seen is None or seen.boot != news.boot:
            self._unseen.setdefault(news.node, now)
        if self._roster.judge(news) == GAP:
            await self._ask(news.node)
            return
        for diff in self._roster.receive(news):
            self._tell(diff)
            await asyncio.sleep(0)
        for entry in news.diff.entries:
            if entry.connections:
                self._members.yield_to_others(entry.key, now)

    async def _ask(self, name: str | None) -> None:
        """Ask a node for its digest, or all of them."""
        now = self._node.clock.monotonic()
        if name is not None and now - self._asked.get(name, 0.0) < ASK_SECONDS:
            return
        if name is not None:
            self._asked[name] = now
        try:
            await self._node.bus.broadcast(ASK, {"node": name})
        except Exception as error:  # noqa: BLE001 - the border: the next digest heals what is missing
            record_fault("presence bus", error)

    async def tick(self, now: float) -> None:  # noqa: ARG002 - all ages are monotonic here
        """Drop the nodes that the fleet's view has no more."""
        monotonic = self._node.clock.monotonic()
        for name, snapshot in self._view.nodes.items():
            if self._roster.revive(name, snapshot.started_at, snapshot.boot):
                await self._ask(name)
        for name in [name for name in self._roster.replicas if self._is_gone(name, monotonic)]:
            self._unseen.pop(name, None)
            self._asked.pop(name, None)
            for diff in self._roster.drop(name):
                self._tell(diff)
                await asyncio.sleep(0)
        self._roster.forget_empty(monotonic)

    def _is_gone(self, name: str, now: float) -> bool:
        """Whether the view has a node no more; one whose first snapshot is still on its way is not gone."""
        replica, seen = self._roster.replicas[name], self._view.nodes.get(name)
        if name == self._node.name:
            return False
        if seen is not None and seen.boot == replica.boot:
            self._unseen.pop(name, None)
            return False
        if seen is not None and (seen.started_at, seen.boot) > (replica.started_at, replica.boot):
            return True
        return now - self._unseen.get(name, -LEASE) >= LEASE

    # --- what changed ---

    def _tell(self, diff: RosterDiff) -> None:
        if not diff:
            return
        if self.answers_for(diff):
            self._tell_events(diff)
        for listener in self.listeners:
            try:
                listener(diff)
            except Exception as error:  # noqa: BLE001 - the border: a listener's fault must not stop the others
                record_fault("roster listener", error)

    def _tell_events(self, diff: RosterDiff) -> None:
        for member in diff.joined:
            self._tell_event("member.joined", member)
        for member in diff.left:
            self._tell_event("member.left", member)
        for member in diff.changed:
            if member.state == STALE != diff.before[member.key]:
                self._tell_event("member.stale", member)

    def _tell_event(self, kind: str, member: Member) -> None:
        shared, consumer = self._node.instruments, member.consumers[0]
        if shared.limiter.admit(kind, member.tenant, consumer, shared.clock.monotonic()):
            details = {"member": member.member, "name": member.name}
            shared.publish(
                Event(kind=kind, at=shared.clock.wall(), tenant=member.tenant, consumer=consumer, details={**details})
            )


def attach(node: Node) -> None:
    """Give a new node its roster; its presence and the fleet's view must be there already."""
    roster = FleetRoster(node)
    node.part(NodePresence).listeners.append(roster.take_own)
    node.at_end(node.bus.listen(NEWS, roster.hear))
    node.add(roster, roster.tick)
    node.keep(roster.run, "roster")
