"""
What pages of ``/ws/presence/`` are told: the members of one tenant, or of one of its presence groups.

A roster is watched by any number of connections, and what they are told is put together once for all of them: a
*snapshot* when one comes, then *diffs*, at most `DIFFS_PER_SECOND`. It shows so many members at most; the count is
that of all.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

import msgspec

from hub.core.presence import Member, RosterDiff
from hub.fleet.roster import FleetRoster
from hub.node.node import Node

DIFFS_PER_SECOND = 4
#: Members that a page is shown at most.
MAX_SHOWN = 1000


class Shown(msgspec.Struct, frozen=True):
    """A member as pages see it; nothing of where it is connected, or how."""

    id: str
    name: str
    state: str


class Snapshot(msgspec.Struct, frozen=True, tag="presence.snapshot"):
    """Everybody who is there, up to a limit; ``truncated``: there are more."""

    members: list[Shown]
    count: int
    truncated: bool


class Diff(msgspec.Struct, frozen=True, tag="presence.diff"):
    """What has changed since the message before; ``left`` are ids."""

    joined: list[Shown]
    left: list[str]
    changed: list[Shown]
    count: int
    truncated: bool


_encoder = msgspec.json.Encoder()


class Watcher(Protocol):
    """A connection that watches a roster."""

    def tell(self, frame: str, *, whole: bool) -> None:
        """Something to send; ``whole``: a snapshot, which makes all before it superfluous."""


class WatchedRoster:
    """
    The members of one tenant, or of one of its groups, as all who watch them know them; no I/O.

    Args:
        roster: Everybody.
        tenant: Whose members.
        group: Only those in this presence group.
    """

    def __init__(self, roster: FleetRoster, tenant: str, group: str | None) -> None:
        self._roster = roster
        self.tenant = tenant
        self.group = group
        self.watchers: set[Watcher] = set()
        self._touched: set[str] = set()
        self._shown: dict[str, Shown] = {}
        self._count = 0
        self._frame: str | None = None
        self._look()

    def _look(self) -> None:
        """Begin anew with what the roster says now."""
        page = self._roster.page(
            tenants=frozenset({self.tenant}), tenant=self.tenant, group=self.group, limit=MAX_SHOWN
        )
        self._shown = {member.member: _shown(member) for member in page.members}
        self._count = page.total
        self._touched.clear()
        self._frame = None

    @property
    def snapshot(self) -> str:
        """A frame with everything that the watchers know."""
        if self._frame is None:
            members = list(self._shown.values())
            self._frame = _text(Snapshot(members, self._count, truncated=self._truncated))
        return self._frame

    @property
    def _truncated(self) -> bool:
        return self._count > len(self._shown)

    def touch(self, members: Iterable[str]) -> None:
        """Something of these members may have changed."""
        self._touched.update(members)

    def tell(self) -> None:
        """Tell all watchers what has changed, if anything has."""
        if len(self._touched) > MAX_SHOWN:
            self._look()
            self._tell_whole()
            return
        diff = self._take_changes()
        if self._truncated and len(self._shown) < MAX_SHOWN // 2:
            # So many of those shown have left that others should take their places.
            self._look()
            self._tell_whole()
        elif diff is not None:
            frame = _text(diff)
            for watcher in self.watchers:
                watcher.tell(frame, whole=False)

    def _tell_whole(self) -> None:
        for watcher in self.watchers:
            watcher.tell(self.snapshot, whole=True)

    def _take_changes(self) -> Diff | None:
        touched, self._touched = self._touched, set()
        joined, left, changed = [], [], []
        for member in sorted(touched):
            now, before = self._now(member), self._shown.get(member)
            if now is None and before is not None:
                left.append(member)
                del self._shown[member]
            elif now is not None and before is None and len(self._shown) < MAX_SHOWN:
                joined.append(now)
                self._shown[member] = now
            elif now is not None and before is not None and now != before:
                changed.append(now)
                self._shown[member] = now
        count, self._count = self._count, self._roster.count(self.tenant, self.group)
        if not (joined or left or changed) and count == self._count:
            return None
        self._frame = None
        return Diff(joined, left, changed, self._count, truncated=self._truncated)

    def _now(self, member: str) -> Shown | None:
        found = self._roster.get(self.tenant, member)
        if found is None or (self.group is not None and self.group not in found.groups):
            return None
        return _shown(found)


def _shown(member: Member) -> Shown:
    return Shown(member.member, member.name, member.state)


def _text(message: Snapshot | Diff) -> str:
    return _encoder.encode(message).decode()


class WatchedRosters:
    """
    All rosters that somebody at this node watches; a part of the node, for use on its loop.

    Attributes:
        checking: Held while rights are looked up again: however many pages there are, operators come first.
    """

    def __init__(self, node: Node) -> None:
        self.checking = asyncio.Lock()
        self._loop = node.loop
        self._roster = node.part(FleetRoster)
        self._by_tenant: dict[str, dict[str | None, WatchedRoster]] = {}
        self._told_at: dict[WatchedRoster, float] = {}
        self._due: set[WatchedRoster] = set()
        self._roster.listeners.append(self._changed)

    def watch(self, tenant: str, group: str | None, watcher: Watcher) -> WatchedRoster:
        """Tell a watcher everything from now on; it takes the snapshot itself."""
        groups = self._by_tenant.setdefault(tenant, {})
        watched = groups.get(group)
        if watched is None:
            watched = groups[group] = WatchedRoster(self._roster, tenant, group)
        watched.watchers.add(watcher)
        return watched

    def leave(self, watched: WatchedRoster, watcher: Watcher) -> None:
        """Tell a watcher nothing any more."""
        watched.watchers.discard(watcher)
        groups = self._by_tenant.get(watched.tenant, {})
        if not watched.watchers and groups.get(watched.group) is watched:
            del groups[watched.group]
            self._told_at.pop(watched, None)
            if not groups:
                del self._by_tenant[watched.tenant]

    def _changed(self, diff: RosterDiff) -> None:
        """The roster of the fleet has changed."""
        if not self._by_tenant:
            return
        for member in (*diff.joined, *diff.left, *diff.changed):
            for group, watched in self._by_tenant.get(member.tenant, {}).items():
                if group is None or group in member.groups:
                    self._touch(watched, member)
        for member, group in (*diff.entered, *diff.withdrawn):
            watched_group = self._by_tenant.get(member.tenant, {}).get(group)
            if watched_group is not None:
                self._touch(watched_group, member)

    def _touch(self, watched: WatchedRoster, member: Member) -> None:
        watched.touch((member.member,))
        if watched not in self._due:
            self._due.add(watched)
            told_at = self._told_at.get(watched, 0.0)
            self._loop.call_at(max(self._loop.time(), told_at + 1 / DIFFS_PER_SECOND), self._tell, watched)

    def _tell(self, watched: WatchedRoster) -> None:
        self._due.discard(watched)
        if watched.watchers:
            self._told_at[watched] = self._loop.time()
            watched.tell()


def watched_rosters(node: Node) -> WatchedRosters:
    """
    Those of a node, made when the first page comes.

    Raises:
        KeyError: The node keeps no presence.
    """
    try:
        return node.part(WatchedRosters)
    except KeyError:
        node.add(WatchedRosters(node))
        return node.part(WatchedRosters)
