"""
What a node tells the fleet: an absolute snapshot with its boot id, so that a lost one does no harm.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.core.ledger import Counts

Key = tuple[str, str]


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

    def counts(self) -> dict[Key, Counts]:
        """The rows, unpacked, by consumer and tenant."""
        return {(row[0], row[1]): Counts.unpack(row) for row in self.rows}

    def pack(self) -> dict[str, Any]:
        """Plain values, to travel on the bus."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> "NodeSnapshot":
        """The counterpart of `pack`."""
        return cls(**packed)


def merge(parts: Iterable[dict[Key, Counts]]) -> dict[Key, Counts]:
    """Sum counts by consumer and tenant over several nodes; the parts stay as they are."""
    merged: dict[Key, Counts] = {}
    for part in parts:
        for key, counts in part.items():
            merged.setdefault(key, Counts(*key)).add(counts)
    return merged


def change(now: dict[Key, Counts], before: dict[Key, Counts]) -> dict[Key, Counts]:
    """What one boot counted between two of its snapshots; keys without a change are left out."""
    grown = {}
    for key, counts in now.items():
        earlier = before.get(key)
        if earlier is None:
            grown[key] = counts
        elif not counts.same(earlier):
            grown[key] = counts.since(earlier)
    return grown
