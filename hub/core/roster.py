"""
The roster of the fleet: what all nodes tell of their members, merged, sorted and counted.

What is known of a node is a *replica*: its newest news win, by start, boot and version, so that replicas merge in any
order, however often, to the same. A node's news are *fresh* when they lead on from its replica, *old* when they say
nothing new, or a *gap*: something before them is missing, and its digest must be asked for. A node that has *died* is
dropped, and its boot's late news are old until it is alive again.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hub.core.evidence import WORSE
from hub.core.presence import IDLE, ONLINE, STALE, STATES, Diff, Entry, Key, Member, Page, RosterDiff, Tally

FRESH, OLD, GAP = "fresh", "old", "gap"
#: Members that are merged between two pauses: about a millisecond.
SLICE = 100
#: Members that a search looks at between two pauses: about a millisecond.
SEARCH_SLICE = 1000
#: How long a tenant without members keeps its tally, in seconds.
EMPTY_KEPT = 60.0

Rank = tuple[float, str]
#: A member, and what a node says of it; None: the node has it no more.
Change = tuple[Key, Entry | None]


@dataclass(frozen=True, slots=True)
class News:
    """What a node tells of its members; ``started_at`` and ``boot`` say which start of it."""

    node: str
    started_at: float
    boot: str
    diff: Diff

    def pack(self) -> dict[str, Any]:
        """Plain values, to travel on the bus."""
        diff = self.diff
        return {
            "node": self.node, "started_at": self.started_at, "boot": self.boot,
            "base": diff.base, "version": diff.version, "entries": diff.entries, "gone": diff.gone,
        }  # fmt: skip

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> "News":
        """The counterpart of `pack`."""
        entries = [Entry.unpack(row) for row in packed["entries"]]
        gone = [(str(tenant), str(member)) for tenant, member in packed["gone"]]
        base = packed["base"]
        diff = Diff(None if base is None else int(base), int(packed["version"]), entries, gone)
        return cls(str(packed["node"]), float(packed["started_at"]), str(packed["boot"]), diff)


@dataclass(frozen=True, slots=True)
class Replica:
    """The members of one node at one version."""

    started_at: float
    boot: str
    version: int
    entries: dict[Key, Entry]

    @property
    def rank(self) -> tuple[float, str, int]:
        """The higher one is the newer one."""
        return self.started_at, self.boot, self.version


def merge(one: Mapping[str, Replica], other: Mapping[str, Replica]) -> dict[str, Replica]:
    """The newest replica of each node; commutative, associative and idempotent."""
    merged = dict(one)
    for node, replica in other.items():
        if node not in merged or merged[node].rank < replica.rank:
            merged[node] = replica
    return merged


@dataclass(slots=True)
class _Tenant:
    """The members of a tenant: what each node says of them, and their order, also by group."""

    members: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    connections: int = 0
    empty_since: float | None = None

    def tally(self, version: int) -> Tally:
        return Tally(version, self.states[ONLINE], self.states[IDLE], self.states[STALE], self.connections)

    def count(self, entries: tuple[Entry, ...], by: int) -> None:
        if entries:
            self.states[best_state(entries)] += by
            self.connections += by * sum(entry.connections for entry in entries)


class Roster:
    """
    All members, by tenant and id.

    Args:
        live: What this process itself knows of a member at this moment, in place of what was told.
        node: Its name; empty if there is none.

    Attributes:
        version: Grows with every change.
        tallies: By tenant.
        replicas: What is known of each node.
    """

    def __init__(self, node: str = "", live: Callable[[Key], Entry | None] = lambda _: None) -> None:
        self.version = 0
        self.tallies: dict[str, Tally] = {}
        self.replicas: dict[str, Replica] = {}
        self._node = node
        self._live = live
        self._tenants: dict[str, _Tenant] = {}
        self._dead: set[tuple[str, Rank]] = set()

    # --- what nodes tell ---

    def judge(self, news: News) -> str:
        """Whether news are `FRESH`, `OLD` or show a `GAP`."""
        replica, base, version = self.replicas.get(news.node), news.diff.base, news.diff.version
        rank = (news.started_at, news.boot)
        if (news.node, rank) in self._dead:
            return OLD
        held = (0.0, "", 0) if replica is None else replica.rank
        if (*rank, version) <= held:
            return OLD
        if base is None:
            return FRESH
        # A new boot begins with nothing, at version zero.
        return FRESH if base <= (held[2] if rank == held[:2] else 0) else GAP

    def receive(self, news: News) -> Iterator[RosterDiff]:
        """
        Take fresh news, pausing after each `SLICE` of members with what changed; joins come before leaves.

        A node that dies in a pause is dropped for good: what is left of its news is not taken.
        """
        node, diff = news.node, news.diff
        if self.judge(news) != FRESH:
            return
        before = self.replicas.get(node)
        another = before is not None and (before.started_at, before.boot) != (news.started_at, news.boot)
        entries = {} if before is None else before.entries
        gone: Iterable[Key] = diff.gone
        if diff.base is None or another:
            gone = entries.keys() - {entry.key for entry in diff.entries}
        replica = self.replicas[node] = Replica(news.started_at, news.boot, diff.version, entries)
        for told_by, changes in (
            (node, [(entry.key, entry) for entry in diff.entries]),
            ("" if another else node, [(key, None) for key in gone]),
        ):
            for changed in self._apply(told_by, node, entries, changes):
                yield changed
                if self.replicas.get(node) is not replica:
                    return

    def advance(self, news: News) -> None:
        """Take the version of a digest whose content is known already."""
        replica = self.replicas.get(news.node)
        entries = {} if replica is None else replica.entries
        self.replicas[news.node] = Replica(news.started_at, news.boot, news.diff.version, entries)

    def drop(self, node: str) -> Iterator[RosterDiff]:
        """A node has died: its members leave, unless others have them, or the node's next boot has in a pause."""
        replica = self.replicas.pop(node, None)
        if replica is None:
            return
        self._dead.add((node, (replica.started_at, replica.boot)))
        keys = list(replica.entries)
        for start in range(0, len(keys), SLICE):
            successor = self.replicas.get(node)
            kept = successor.entries if successor is not None else {}
            changes: list[Change] = [(key, None) for key in keys[start : start + SLICE] if key not in kept]
            yield from self._apply("", node, replica.entries, changes)

    def revive(self, node: str, started_at: float, boot: str) -> bool:
        """A node is alive. Returns whether it was thought dead: its digest must be asked for."""
        if (node, (started_at, boot)) not in self._dead:
            return False
        self._dead.discard((node, (started_at, boot)))
        return True

    def _apply(
        self, told_by: str, node: str, held: dict[Key, Entry], changes: Sequence[Change]
    ) -> Iterator[RosterDiff]:
        for start in range(0, len(changes), SLICE):
            diff, touched = RosterDiff(told_by), set()
            for key, entry in changes[start : start + SLICE]:
                if entry is None:
                    held.pop(key, None)
                else:
                    held[key] = entry
                if self._set(node, key, entry, diff):
                    touched.add(key[0])
            self.version += bool(touched)
            for tenant in touched:
                self.tallies[tenant] = self._tenants[tenant].tally(self.version)
            yield diff

    def _set(self, node: str, key: Key, entry: Entry | None, diff: RosterDiff) -> bool:
        """What a node says of a member, or that it has it no more. Returns whether that shows."""
        tenant = self._tenants.get(key[0])
        if tenant is None:
            tenant = self._tenants[key[0]] = _Tenant()
        before = tenant.members.get(key[1], ())
        after = tuple(other for other in before if other.node != node)
        if entry is not None:
            after = (*after, entry)
            if any(entry.same(other) for other in before if other.node == node):
                tenant.members[key[1]] = after
                return False
        if before == after:
            return False
        tenant.count(before, -1)
        tenant.count(after, 1)
        _set_order(tenant, key[1], before, after)
        if after:
            tenant.members[key[1]] = after
        else:
            del tenant.members[key[1]]
        _note(diff, before, after)
        return True

    # --- who is there ---

    def get(self, tenant: str, member: str) -> Member | None:
        """One member; None if it is not there."""
        held = self._tenants.get(tenant)
        return None if held is None or member not in held.members else self._member(held.members[member])

    def count(self, tenant: str, group: str | None = None) -> int:
        """How many members a tenant has, or one of its groups."""
        held = self._tenants.get(tenant)
        return 0 if held is None else len(held.order if group is None else held.groups.get(group, ()))

    def entries(self, tenant: str, member: str) -> tuple[Entry, ...]:
        """What each node says of a member."""
        held = self._tenants.get(tenant)
        return () if held is None else held.members.get(member, ())

    def page(
        self, *, tenants: frozenset[str] | None, tenant: str | None = None, group: str | None = None,
        states: frozenset[str] | None = None, search: str | None = None, after: Key | None = None, limit: int = 50,
    ) -> Page:  # fmt: skip
        """See `hub.fleet.roster.FleetRoster.page`."""
        names = sorted(self._tenants) if tenant is None else [tenant] if tenant in self._tenants else []
        found: list[tuple[Entry, ...]] = []
        total = 0
        for name in names:
            if tenants is not None and name not in tenants:
                continue
            held = self._tenants[name]
            order = held.order if group is None else held.groups.get(group, [])
            if states is not None or search:
                order = _matching(held, order, states, (search or "").casefold())
            total += len(order)
            start = 0 if after is None or name > after[0] else len(order)
            if after is not None and name == after[0]:
                start = bisect_right(order, after[1])
            found += [held.members[member] for member in order[start : start + limit + 1 - len(found)]]
        members = [self._member(entries) for entries in found[:limit]]
        return Page(members, total, members[-1].key if members and len(found) > limit else None)

    def search(
        self, *, tenants: frozenset[str] | None, tenant: str | None = None, group: str | None = None,
        states: frozenset[str] | None = None, search: str = "",
    ) -> Iterator[list[Key]]:  # fmt: skip
        """
        The keys of the members that match, in order, pausing after each `SEARCH_SLICE` looked at.

        Places are names, not numbers: who is there all the time comes once, whoever comes and goes meanwhile.
        """
        search = search.casefold()
        for name in sorted(self._tenants) if tenant is None else [tenant]:
            last: str | None = None
            while (held := self._tenants.get(name)) is not None and (tenants is None or name in tenants):
                order = held.order if group is None else held.groups.get(group, [])
                start = 0 if last is None else bisect_right(order, last)
                part = order[start : start + SEARCH_SLICE]
                if not part:
                    break
                last = part[-1]
                yield [(name, member) for member in _matching(held, part, states, search)]

    def _member(self, entries: tuple[Entry, ...]) -> Member:
        node, live = self._node, self._live
        return member_of(tuple([(live(entry.key) or entry) if entry.node == node else entry for entry in entries]))

    def forget_empty(self, now: float) -> None:
        """Let go of tenants that have had no member for a while, so that strangers' tenants don't pile up."""
        for name, held in list(self._tenants.items()):
            if held.members:
                held.empty_since = None
            elif held.empty_since is None:
                held.empty_since = now
            elif now - held.empty_since >= EMPTY_KEPT:
                del self._tenants[name]
                self.tallies.pop(name, None)


def _matching(held: _Tenant, order: list[str], states: frozenset[str] | None, search: str) -> list[str]:
    members = held.members
    if states is not None:
        number = sum(held.states.get(state, 0) for state in states)
        if number < len(members):
            order = [member for member in order if best_state(members[member]) in states] if number else []
    if search:
        order = [
            member
            for member in order
            if search in member.casefold() or any(search in entry.name.casefold() for entry in members[member])
        ]
    return order


def _set_order(tenant: _Tenant, member: str, before: tuple[Entry, ...], after: tuple[Entry, ...]) -> None:
    if not before:
        insort(tenant.order, member)
    elif not after:
        del tenant.order[bisect_left(tenant.order, member)]
    groups, former = groups_of(after), groups_of(before)
    for group in groups - former:
        insort(tenant.groups.setdefault(group, []), member)
    for group in former - groups:
        order = tenant.groups[group]
        del order[bisect_left(order, member)]
        if not order:
            del tenant.groups[group]


def _note(diff: RosterDiff, before: tuple[Entry, ...], after: tuple[Entry, ...]) -> None:
    """Write into a diff what became of one member."""
    groups, former = groups_of(after), groups_of(before)
    if not after:
        gone = member_of(before)
        diff.left.append(gone)
        diff.withdrawn += [(gone, group) for group in sorted(former)]
        return
    member = member_of(after)
    if before:
        diff.changed.append(member)
        diff.before[member.key] = best_state(before)
    else:
        diff.joined.append(member)
    diff.entered += [(member, group) for group in sorted(groups - former)]
    if former - groups:
        # As it was: by the consumers that it was in the group with.
        diff.withdrawn += [(member_of(before), group) for group in sorted(former - groups)]


def best_state(entries: tuple[Entry, ...]) -> str:
    """The best of the states that nodes have a member in."""
    return entries[0].state if len(entries) == 1 else min((entry.state for entry in entries), key=WORSE.__getitem__)


def groups_of(entries: tuple[Entry, ...]) -> frozenset[str]:
    """The groups that nodes have a member in."""
    return frozenset(group for entry in entries for group in entry.groups)


def member_of(entries: tuple[Entry, ...]) -> Member:
    """A member, from what one or more nodes say of it; the same in whatever order they stand."""
    if len(entries) == 1:
        [one] = entries
        return Member(
            tenant=one.tenant, member=one.member, name=one.name, state=one.state, joined_at=one.joined_at,
            heard_at=one.heard_at, heard_by=one.heard_by, connections=one.connections, negotiated=one.negotiated,
            hidden=one.hidden if one.connections else None, rtt=one.rtt, lag=one.lag, consumers=one.consumers,
            groups=one.groups, nodes=(one.node,),
        )  # fmt: skip
    newest = max(entries, key=lambda entry: (entry.heard_at, entry.node))
    tabs = [entry.hidden for entry in entries if entry.connections]
    return Member(
        tenant=newest.tenant, member=newest.member,
        name=newest.name or max(entry.name for entry in entries),
        state=best_state(entries),
        joined_at=min(entry.joined_at for entry in entries),
        heard_at=newest.heard_at, heard_by=newest.heard_by,
        connections=sum(entry.connections for entry in entries),
        negotiated=sum(entry.negotiated for entry in entries),
        hidden=False if False in tabs else True if tabs and None not in tabs else None,
        rtt=newest.rtt, lag=newest.lag,
        consumers=tuple(sorted({consumer for entry in entries for consumer in entry.consumers})),
        groups=tuple(sorted(groups_of(entries))),
        nodes=tuple(sorted(entry.node for entry in entries)),
    )  # fmt: skip
