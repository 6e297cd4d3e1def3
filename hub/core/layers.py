"""
Channel layers: how full they are, and what was lost in them until it is told.

A layer is *calm* until one of its queues is four fifths full, and then *filling* until that queue, and every other, is
at most half full: one event for one trouble. Losses are *pending* for a moment, so that those of one cause become one
event.
"""

from dataclasses import dataclass, field

#: How full a queue is when the layer begins to fill, and when it is calm again, of its capacity.
FILLING_FROM, CALM_BELOW = 0.8, 0.5
#: Channels of one loss that are remembered: enough to say how many connections it struck.
MAX_CHANNELS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """
    What waits in the part of a channel layer that belongs to one process.

    Attributes:
        messages: Sent and not taken by their consumers yet.
        oldest: How long the oldest of them has waited, in seconds; None if none waits.
        capacity: Of one queue; None where the layer knows no bound.
        fullest: The fullest queue, of its capacity: 0 to 1, or more where the layer lets it.
        channel: Whose queue that is; empty where a queue belongs to all connections of the process.
    """

    messages: int = 0
    oldest: float | None = None
    capacity: int | None = None
    fullest: float = 0.0
    channel: str = ""


class Filling:
    """Says once that a layer fills, and not again before it was calm."""

    __slots__ = ("filling",)

    def __init__(self) -> None:
        self.filling = False

    def look(self, fullest: float) -> bool:
        """Whether it is news that the layer fills; ``fullest`` is that of `Depth`."""
        if self.filling:
            self.filling = fullest > CALM_BELOW
            return False
        self.filling = fullest >= FILLING_FROM
        return self.filling


@dataclass(slots=True)
class Drop:
    """
    Messages lost in one way, for one consumer and tenant, in one group or outside of groups.

    Attributes:
        count: Messages; for a lost group, memberships.
        channels: Where they were going.
        connections: Whose they were, as far as that is known.
    """

    reason: str
    consumer: str
    tenant: str
    group: str
    count: int = 0
    channels: set[str] = field(default_factory=set)
    connections: set[str] = field(default_factory=set)


class Drops:
    """What was lost since somebody was told of it last."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: dict[tuple[str, str, str, str], Drop] = {}

    def __bool__(self) -> bool:
        return bool(self._pending)

    def add(self, key: tuple[str, str, str, str], count: int, channel: str, connection: str) -> None:
        """Messages were lost; ``key`` is reason, consumer, tenant and group."""
        drop = self._pending.get(key)
        if drop is None:
            drop = self._pending[key] = Drop(*key)
        drop.count += count
        if channel and len(drop.channels) < MAX_CHANNELS:
            drop.channels.add(channel)
        if connection and len(drop.connections) < MAX_CHANNELS:
            drop.connections.add(connection)

    def take(self) -> list[Drop]:
        """All of it, which is pending no more."""
        pending, self._pending = self._pending, {}
        return list(pending.values())
