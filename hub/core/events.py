"""
Rare things that happened, and the cap that keeps a wave of them one line.

Per kind and second the first few events pass at once; the rest are only counted, by kind, tenant and consumer, and
come out as one summary each when the second is over.
"""

from dataclasses import dataclass, field

Detail = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    Something rare that happened.

    Attributes:
        at: Wall-clock time, in seconds since the epoch.
        kind: A dotted name from `SEVERITY_BY_KIND`.
        count: More than one for a summary.
        details: Redacted, short, plain values.
    """

    kind: str
    at: float
    tenant: str = ""
    consumer: str = ""
    connection: str = ""
    count: int = 1
    details: dict[str, Detail] = field(default_factory=dict)

    @property
    def severity(self) -> str:
        """``info``, ``warning`` or ``error``."""
        return SEVERITY_BY_KIND[self.kind]


#: Every kind of event there is, and how bad it is.
SEVERITY_BY_KIND = {
    "connection.opened": "info",
    "connection.closed": "info",
    "connection.rejected": "warning",
    "connection.failed": "error",
    "handler.error": "error",
    "node.started": "info",
    "member.joined": "info",
    "member.left": "info",
    "member.stale": "warning",
    "slow.opened": "warning",
    "slow.closed": "info",
    "frames.dropped": "warning",
    "layer.filling": "warning",
    "alert.pending": "info",
    "alert.firing": "error",
    "alert.resolved": "info",
    "alert.acknowledged": "info",
}


class EventLimiter:
    """
    Lets a bounded number of events of a kind through in each second.

    Args:
        per_second: How many of one kind pass in one second.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = 0
        self._passed: dict[str, int] = {}
        self._held: dict[tuple[str, str, str], int] = {}

    def admit(self, kind: str, tenant: str, consumer: str, now: float) -> bool:
        """Whether an event may go out by itself; if not, it is counted for the summary."""
        if int(now) != self._second:
            self._second = int(now)
            self._passed.clear()
        passed = self._passed.get(kind, 0)
        if passed < self._per_second:
            self._passed[kind] = passed + 1
            return True
        key = (kind, tenant, consumer)
        self._held[key] = self._held.get(key, 0) + 1
        return False

    def summaries(self, wall: float) -> list[Event]:
        """What was held back since the last call, as one event per kind, tenant and consumer."""
        held, self._held = self._held, {}
        return [
            Event(kind=kind, at=wall, tenant=tenant, consumer=consumer, count=count)
            for (kind, tenant, consumer), count in held.items()
        ]
