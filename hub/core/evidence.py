"""
Who is connected to one node, by the evidence of its connections.

A connection is *online* while its client gives signs of life. A negotiated one goes *stale* after two silent
heartbeat intervals and *offline* after the time-out; a plain one goes *idle* after the time-out and stays so while
the server keeps it. A connection that was closed cleanly *lingers* as it was for the grace; one that broke off lingers
as long as its silence allows, or for the grace if its member is connected otherwise. A member is in the best state of
its connections, lingering ones included; it has *left* when all of them are offline or gone, and joins again when one
of them is heard again. Silence counts only while somebody reads, and never across a moment at which the process
slept; but only a sign of life makes a state better.
"""

from collections.abc import Callable, Iterator
from functools import cache
from math import inf

from hub.core.heartbeats import DEFAULT_POLICY, SLICE, count_missed
from hub.core.ledger import ANONYMOUS, CODE_ABNORMAL, Connection
from hub.core.policy import Policy
from hub.core.presence import IDLE, OFFLINE, ONLINE, STALE, STATES, Diff, Entry, Key

#: Two times this close are one moment.
MOMENT = 1e-6
#: How bad a state is.
WORSE = {ONLINE: 0, IDLE: 1, STALE: 2, OFFLINE: 3}


class Evidence:
    """What presence knows of one connection; `state` is OFFLINE while it keeps its member in no state."""

    __slots__ = ("clean", "connection", "due", "ended_at", "heard_at", "lingers_from", "owner", "since", "state")

    def __init__(self, connection: Connection, owner: "_Owner") -> None:
        self.connection = connection
        self.owner = owner
        self.state = ONLINE
        #: Silence counts from here on at the earliest: somebody has read since.
        self.since = 0.0
        #: The last sign of life that was judged.
        self.heard_at = 0.0
        #: Nothing changes before, unless it is heard.
        self.due = 0.0
        #: When it ended; zero while it is open.
        self.ended_at = 0.0
        #: One of the sides closed it.
        self.clean = False
        #: It lingers for the grace, from then on; zero: as long as its silence allows.
        self.lingers_from = 0.0

    @property
    def policy(self) -> Policy:
        """How long it may be silent."""
        return self.connection.policy or DEFAULT_POLICY


class _Owner:
    """A member of this node, present or not: its connections, and since when it is present."""

    __slots__ = ("evidence", "joined_at", "key", "name")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.name = ""
        self.joined_at = 0.0
        #: A tuple, and no dictionary of them beside it: most members have one connection, and there are many members.
        self.evidence: tuple[Evidence, ...] = ()


class Presence:
    """
    The members of one node.

    Args:
        node: Its name.
        known_since: When the fleet has a member already, by the wall clock; None if it has not.
        elsewhere: Whether another node has an open connection of a member.

    Attributes:
        wall_offset: What the wall clock reads more than the monotonic one, for display.
        resumed_at: The process slept until then: no silence before counts.
        entries: The members that are present, as last told.
        counts: How many they are, by tenant and state; tenants stay, like gauges.
        version: Of what was told.
    """

    def __init__(
        self, node: str, known_since: Callable[[Key], float | None] = lambda _: None,
        elsewhere: Callable[[Key], bool] = lambda _: False,
    ) -> None:  # fmt: skip
        self.node = node
        self.known_since = known_since
        self.elsewhere = elsewhere
        self.wall_offset = 0.0
        self.resumed_at = 0.0
        self.entries: dict[Key, Entry] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.version = 0
        self._owners: dict[Key, _Owner] = {}
        self._changed: dict[Key, None] = {}

    # --- what happens to connections ---

    def join(self, connection: Connection, now: float) -> None:
        """A connection that has a member is open."""
        if connection.member is None or connection.counts is None or self._evidence_of(connection) is not None:
            return
        member, name = connection.member
        key = (connection.counts.tenant, member)
        owner = self._owners.get(key) or self._owners.setdefault(key, _Owner(key))
        owner.name = name or owner.name
        for former in owner.evidence:
            self._let_go(former, now)
        evidence = Evidence(connection, owner)
        owner.evidence += (evidence,)
        self._judge(evidence, now)
        self._renew(owner, now)

    def close(self, connection: Connection, now: float) -> None:
        """A connection has ended."""
        evidence = self._evidence_of(connection)
        if evidence is None or evidence.ended_at:
            return
        evidence.ended_at = now
        if not connection.reading:
            evidence.since = now
        owner = evidence.owner
        broke_off = not connection.closing or connection.broken or connection.code == CODE_ABNORMAL
        # Somebody who is known by this one connection can't come back over another.
        evidence.clean = not broke_off or owner.key[1].startswith(ANONYMOUS)
        if evidence.clean or any(_keeps(other) for other in owner.evidence) or self.elsewhere(owner.key):
            evidence.lingers_from = now
        self._judge(evidence, now)
        self._renew(owner, now)

    def regroup(self, connection: Connection, now: float) -> None:
        """The groups of a connection are not what they were."""
        evidence = self._evidence_of(connection)
        if evidence is not None:
            self._renew(evidence.owner, now)

    def _evidence_of(self, connection: Connection) -> Evidence | None:
        if connection.member is None or connection.counts is None:
            return None
        owner = self._owners.get((connection.counts.tenant, connection.member[0]))
        several = () if owner is None else owner.evidence
        return next((evidence for evidence in several if evidence.connection is connection), None)

    def yield_to_others(self, key: Key, now: float) -> None:
        """Another node has an open connection of a member: what broke off here lingers for the grace only."""
        owner = self._owners.get(key)
        for evidence in owner.evidence if owner is not None else ():
            self._let_go(evidence, now)

    def _let_go(self, evidence: Evidence, now: float) -> None:
        if evidence.ended_at and not evidence.lingers_from:
            evidence.lingers_from, evidence.due = now, 0.0

    # --- time ---

    def resume(self, now: float) -> None:
        """The process slept, or was busy, until now: what it did not hear says nothing."""
        self.resumed_at = now

    def expire(self, now: float) -> Iterator[None]:
        """
        Let time pass: members go idle, stale or away, and come back; pausing after each `SLICE` of connections.

        A connection at rest costs a comparison or two.
        """
        number = 0
        for owner in list(self._owners.values()):
            for evidence in owner.evidence:
                number += 1
                connection = evidence.connection
                if not connection.reading and not evidence.ended_at:
                    evidence.since = now
                    if connection.control is not None and now > evidence.due:
                        # Its heartbeats are not read, so nobody answers them: let it hear that somebody is there.
                        evidence.due = now + evidence.policy.interval
                        connection.control.probe()
                elif now > evidence.due or (evidence.state != ONLINE and connection.heard_at > evidence.heard_at):
                    before = evidence.state
                    self._judge(evidence, now)
                    if evidence.state != before:
                        self._renew(owner, now)
                if number % SLICE == 0:
                    yield

    def _judge(self, evidence: Evidence, now: float) -> None:
        """Say what state a connection is in, and until when; forget it when it is no more."""
        policy, connection = evidence.policy, evidence.connection
        if evidence.lingers_from:
            lingers_from = max(evidence.lingers_from, self.resumed_at)
            evidence.due = lingers_from + policy.grace - MOMENT
            if evidence.state == OFFLINE or now > evidence.due:
                self._forget(evidence)
            return
        silent_from = max(connection.heard_at, evidence.since, self.resumed_at)
        silence = now - silent_from
        heard = connection.heard_at > evidence.heard_at
        evidence.heard_at = connection.heard_at
        plain = connection.control is None and not evidence.ended_at
        state, lasts = _state_of_plain(policy, silence) if plain else _state_of_negotiated(policy, silence)
        if heard or WORSE[state] > WORSE[evidence.state]:
            evidence.state = state
        if not evidence.ended_at:
            lasts = min(lasts, count_missed(connection, policy.interval, silence, heard=heard))
        elif evidence.state == OFFLINE:
            self._forget(evidence)
            return
        evidence.due = silent_from + lasts

    def _forget(self, evidence: Evidence) -> None:
        owner = evidence.owner
        # It may still be waiting for its turn in `expire`.
        evidence.state, evidence.due, evidence.heard_at = OFFLINE, inf, inf
        owner.evidence = tuple(other for other in owner.evidence if other is not evidence)
        if not owner.evidence:
            del self._owners[owner.key]

    # --- what becomes of members ---

    def entry(self, key: Key, now: float) -> Entry | None:
        """A member by the evidence of this moment; None if it is not present."""
        owner = self._owners.get(key)
        return None if owner is None else self._entry(owner, now)

    def _renew(self, owner: _Owner, now: float) -> None:
        """Note what has changed about a member."""
        key, before = owner.key, self.entries.get(owner.key)
        if before is None:
            known = self.known_since(key)
            owner.joined_at = now + self.wall_offset if known is None else known
        entry = self._entry(owner, now)
        if entry is None and before is None:
            return
        self._count(before, entry)
        if entry is None:
            del self.entries[key]
        else:
            self.entries[key] = entry
            if entry.same(before):
                return
        self._changed[key] = None

    def _count(self, before: Entry | None, after: Entry | None) -> None:
        for entry, by in ((before, -1), (after, 1)):
            if entry is not None:
                counts = self.counts.get(entry.tenant)
                if counts is None:
                    counts = self.counts[entry.tenant] = dict.fromkeys(STATES, 0)
                counts[entry.state] += by

    def _entry(self, owner: _Owner, now: float) -> Entry | None:
        present = [evidence for evidence in owner.evidence if evidence.state != OFFLINE]
        if not present:
            return None
        newest, state, groups = present[0], present[0].state, present[0].connection.groups
        consumers = _alone(newest.connection.consumer)
        if len(present) > 1:
            newest = max(present, key=_heard_at)
            state = min((evidence.state for evidence in present), key=WORSE.__getitem__)
            groups = groups.union(*(evidence.connection.groups for evidence in present))
            consumers = tuple(sorted({evidence.connection.consumer for evidence in present}))
        opened = [evidence.connection.control for evidence in present if not evidence.ended_at]
        control = newest.connection.control
        return Entry(
            owner.key[0], owner.key[1], self.node, owner.name, state,
            owner.joined_at, min(_heard_at(newest), now) + self.wall_offset, _heard_by(newest),
            len(opened), len(opened) - opened.count(None),
            _hidden([None if one is None else one.hidden for one in opened]),
            None if control is None else control.rtt, None if control is None else control.lag,
            consumers, tuple(sorted(groups)) if groups else (),
        )  # fmt: skip

    # --- what is told ---

    def take_diff(self) -> Diff | None:
        """What changed since the last diff; None if nothing did."""
        if not self._changed:
            return None
        changed, self._changed = self._changed, {}
        base, self.version = self.version, self.version + 1
        entries = [self.entries[key] for key in changed if key in self.entries]
        return Diff(base, self.version, entries, [key for key in changed if key not in self.entries])

    def refresh(self, now: float) -> Iterator[None]:
        """Bring the evidence in `entries` up to date, pausing after each `SLICE` of members."""
        for number, owner in enumerate(list(self._owners.values()), start=1):
            entry = self._entry(owner, now) if owner.key in self.entries else None
            if entry is not None:
                # All that can have changed is evidence: the rest is renewed when it changes.
                self.entries[owner.key] = entry
            if number % SLICE == 0:
                yield

    def take_digest(self) -> Diff:
        """All there is; what `take_diff` would have told is in it too."""
        self._changed.clear()
        self.version += 1
        return Diff(None, self.version, list(self.entries.values()), [])


@cache
def _alone(consumer: str) -> tuple[str, ...]:
    """The consumers of a member that is connected to one: the same tuple for all of them."""
    return (consumer,)


def _keeps(evidence: Evidence) -> bool:
    """Whether an open connection keeps its member."""
    return not evidence.ended_at and evidence.state != OFFLINE


def _state_of_plain(policy: Policy, silence: float) -> tuple[str, float]:
    """The state after so much silence, and the silence until which it lasts."""
    return (IDLE, inf) if silence > policy.timeout else (ONLINE, policy.timeout)


def _state_of_negotiated(policy: Policy, silence: float) -> tuple[str, float]:
    if silence > policy.timeout:
        return OFFLINE, inf
    return (STALE, policy.timeout) if silence > policy.stale_after else (ONLINE, policy.stale_after)


def _heard_at(evidence: Evidence) -> float:
    """When a connection gave its last sign of life; a clean close is one."""
    return evidence.ended_at if evidence.clean else evidence.connection.heard_at


def _heard_by(evidence: Evidence) -> str:
    connection, control = evidence.connection, evidence.connection.control
    if evidence.clean:
        return "close"
    if evidence.state == IDLE:
        return "connection"
    heard_at = connection.heard_at - MOMENT
    if control is not None and control.heartbeat_at >= heard_at:
        return "heartbeat"
    if control is not None and control.confirmed_at >= heard_at:
        return "confirm"
    return "accept" if connection.accepted_at >= heard_at else "frame"


def _hidden(tabs: list[bool | None]) -> bool | None:
    """Hidden are all pages only if each one is known to be."""
    if False in tabs:
        return False
    return True if tabs and None not in tabs else None
