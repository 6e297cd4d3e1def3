"""
What a node tells the fleet: an absolute snapshot with its boot id, so that a lost one does no harm.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hub.core.ledger import Counts

Key = tuple[str, str]


class SlowRow(NamedTuple):
    """
    An episode of slowness as it travels; times are seconds since the epoch, durations seconds.

    Attributes:
        seconds: The most that it has taken.
        threshold: More than this is slow.
        lasted: From its beginning to its end; None while it is open.
        closed_at: None while it is open.
        member: Who is connected there, by id, and ``name``; empty where that is not known or not to be told.
    """

    cause: str
    consumer: str
    tenant: str
    connection: str
    since: float
    seconds: float
    threshold: float
    lasted: float | None
    closed_at: float | None
    details: dict[str, Any]
    member: str = ""
    name: str = ""


class DropRow(NamedTuple):
    """
    A run of losses as it travels; times are seconds since the epoch.

    Attributes:
        since: When the first of them was told.
        at: When the last of them was.
        messages: None: nobody can know how many.
        layer: Its alias, where it lost nobody knows what; else empty.
        channel: Where they were going, if that was one channel; else empty.
        channels: Channels, as far as they are known.
        connection: Whose they were, if it was one's; else empty.
        connections: Connections, as far as they are known.
    """

    reason: str
    consumer: str
    tenant: str
    group: str
    since: float
    at: float
    messages: int | None
    layer: str
    channel: str
    channels: int
    connection: str
    connections: int


class LayerRow(NamedTuple):
    """
    How full a channel layer is, as one process sees it; durations are seconds.

    Attributes:
        alias: Its name in ``CHANNEL_LAYERS``.
        backend: The name of its class.
        depth: Messages that wait for the process; None: unknown.
        oldest: How long the oldest of them has waited; None: unknown.
        capacity: Of one queue; None: unknown, or, where the depth is known, without bound.
        fullest: The fullest queue, of its capacity; None where there is none.
        channel: Whose queue that is; empty where it belongs to all connections of the process.
        consumer: Who receives on that channel, as far as known.
        tenant: Whose connection that is.
        gaps: How often messages were lost in a number that nobody can know.
    """

    alias: str
    backend: str
    depth: int | None
    oldest: float | None
    capacity: int | None
    fullest: float | None
    channel: str
    consumer: str
    tenant: str
    gaps: int


@dataclass(slots=True, kw_only=True)
class NodeSnapshot:
    """
    Everything one process has counted since its boot.

    Attributes:
        boot: Unique for each start of a process: with another boot, counters begin anew.
        at: Wall-clock time of the sample, in seconds.
        rows: Packed counts, one row for each consumer and tenant.
        metrics: Business metrics, packed.
        sampler_seconds: How long taking the sample before this one took.
        loop_lag: How late the sampler's timer fired, in seconds; None before the first.
        slow: Its worst episodes of slowness, the worst first, packed; see `SlowRow`.
        drops: What was lost of late and where, packed; see `DropRow`.
        layers: Its channel layers, packed; see `LayerRow`.
    """

    node: str
    boot: str
    host: str
    pid: int
    version: str
    started_at: float
    at: float
    rows: list[list[Any]] = field(default_factory=list)
    metrics: list[Any] = field(default_factory=list)
    sampler_seconds: float = 0.0
    loop_lag: float | None = None
    slow: list[list[Any]] = field(default_factory=list)
    drops: list[list[Any]] = field(default_factory=list)
    layers: list[list[Any]] = field(default_factory=list)

    def counts(self, before: "NodeSnapshot | None" = None, known: dict[Key, Counts] | None = None) -> dict[Key, Counts]:
        """
        The rows, unpacked, by consumer and tenant.

        Args:
            before: An earlier snapshot of the same boot.
            known: Its rows, unpacked: those that have not changed are taken from there.
        """
        earlier = {} if before is None else {(row[0], row[1]): row for row in before.rows}
        known = known or {}
        return {
            key: known[key] if key in known and earlier.get(key) == row else Counts.unpack(row)
            for row in self.rows
            for key in ((row[0], row[1]),)
        }

    def pack(self) -> dict[str, Any]:
        """Plain values, to travel on the bus."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> "NodeSnapshot":
        """The counterpart of `pack`."""
        return cls(**packed)


def merge(parts: Iterable[dict[Key, Counts]]) -> dict[Key, Counts]:
    """
    Sum counts by consumer and tenant over several nodes.

    The parts stay as they are. A row that only one of them has is shared with it: nobody may change the result.
    """
    merged: dict[Key, Counts] = {}
    own: set[Key] = set()
    for part in parts:
        for key, counts in part.items():
            if key not in merged:
                merged[key] = counts
                continue
            if key not in own:
                first, merged[key] = merged[key], Counts(*key)
                merged[key].add(first)
                own.add(key)
            merged[key].add(counts)
    return merged


def change_of(counts: Counts, earlier: Counts | None) -> Counts | None:
    """What one boot counted for a row since an earlier snapshot, all of it for a new row; None for nothing."""
    if earlier is None:
        return counts
    return None if earlier is counts or counts.same(earlier) else counts.since(earlier)
