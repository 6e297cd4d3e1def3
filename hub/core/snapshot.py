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
