"""
Presence in words and shapes: members, what one node tells of its own, what the roster of the fleet says.

A member is *online*, *idle* or *stale*; *offline* it is none any more. `hub.core.evidence` says when, for the members
of one node, and `hub.core.roster` merges the nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

ONLINE, IDLE, STALE, OFFLINE = "online", "idle", "stale", "offline"
#: The states of members, best first.
STATES = (ONLINE, IDLE, STALE)

#: Tenant and member.
Key = tuple[str, str]


class Entry(NamedTuple):
    """
    A member as one node has it; plain values, as they travel on the bus.

    ``joined_at`` and ``heard_at`` are wall-clock times, for display. ``connections`` counts the open ones: none
    while the member only lingers.
    """

    tenant: str
    member: str
    node: str
    name: str
    state: str
    joined_at: float
    heard_at: float
    heard_by: str
    connections: int
    negotiated: int
    hidden: bool | None
    rtt: float | None
    lag: float | None
    consumers: tuple[str, ...]
    groups: tuple[str, ...]

    @classmethod
    def unpack(cls, row: Sequence[Any]) -> "Entry":
        """An entry from what became of it on the way, as JSON or MessagePack."""
        return cls._make((*row[:13], tuple(row[13]), tuple(row[14])))

    @property
    def key(self) -> Key:
        """Tenant and member."""
        return self[0], self[1]

    def same(self, other: "Entry | None") -> bool:
        """Whether nothing but evidence differs: when and how it was heard, round trip, lag, tab."""
        return other is not None and self[3:6] == other[3:6] and self[8:10] == other[8:10] and self[13:] == other[13:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """
    One member as the whole fleet has it: somebody of a tenant, with any number of connections.

    Attributes:
        state: ``online``, ``idle`` or ``stale``.
        joined_at: Wall-clock time, in seconds.
        heard_at: When the last sign of life came, by the wall clock.
        heard_by: What it was: ``accept``, ``frame``, ``heartbeat``, ``confirm``, ``close``, or ``connection``:
            nothing but that the server keeps it.
        connections: Open ones; none while the member only lingers.
        hidden: Every page of the member is hidden; None where that is not known.
        rtt: Round trip to the client, in seconds; None where that is not known.
        lag: Age of the page's queue, in seconds; None where that is not known.
    """

    tenant: str
    member: str
    name: str
    state: str
    joined_at: float
    heard_at: float
    heard_by: str
    connections: int
    negotiated: int
    hidden: bool | None = None
    rtt: float | None = None
    lag: float | None = None
    consumers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """Tenant and member: the order of the roster."""
        return self.tenant, self.member


@dataclass(frozen=True, slots=True)
class Tally:
    """How many members a tenant has, by state. ``version`` grows with every change of the tenant's roster."""

    version: int = 0
    online: int = 0
    idle: int = 0
    stale: int = 0
    connections: int = 0

    @property
    def members(self) -> int:
        """All of them."""
        return self.online + self.idle + self.stale


@dataclass(frozen=True, slots=True)
class Page:
    """Part of the roster. ``total``: members that match. ``next``: pass it as ``after`` to go on; None at the end."""

    members: list[Member]
    total: int
    next: Key | None = None


@dataclass(slots=True)
class RosterDiff:
    """
    What changed in the roster of the fleet.

    Attributes:
        node: Whose news brought the change about; empty if it was the death of a node.
        joined: Members that nobody had before.
        left: Members that nobody has any more, as they were.
        changed: Members that changed otherwise: state, name, connections, groups, nodes.
        entered: Members that came into a group, with the group; those that joined included.
        withdrawn: Members that went out of a group, as they were, with the group; those that left included.
        before: The states that changed members had before.
    """

    node: str
    joined: list[Member] = field(default_factory=list)
    left: list[Member] = field(default_factory=list)
    changed: list[Member] = field(default_factory=list)
    entered: list[tuple[Member, str]] = field(default_factory=list)
    withdrawn: list[tuple[Member, str]] = field(default_factory=list)
    before: dict[Key, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.joined or self.left or self.changed)


@dataclass(frozen=True, slots=True)
class Diff:
    """
    What changed among the members of one node, in absolute values.

    Attributes:
        base: The version that it leads on from; None for a digest, which says all there is.
        entries: Members that are new or not as they were.
        gone: Members that the node has no more; empty in a digest.
    """

    base: int | None
    version: int
    entries: list[Entry]
    gone: list[Key]
