"""
Channel layers: how full they are, and what was lost in them until it is told.

A layer is *calm* until one of its queues is four fifths full, and then *filling* until that queue, and every other, is
at most half full: one event for one trouble. Losses are *pending* for a moment, so that those of one cause become one
event. Losses of the same kind that follow each other are one *run*, from the first of them to the last; it is shown
until it has been over for `KEPT` seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hub.core.ledger import UNKNOWN

#: How full a queue is when the layer begins to fill, and when it is calm again, of its capacity.
FILLING_FROM, CALM_BELOW = 0.8, 0.5
#: Seconds for which a look at a queue holds.
SEEN_TRUSTED = 3.0
#: Channels of one loss that are remembered: enough to say how many connections it struck.
MAX_CHANNELS = 10_000
#: Seconds that a run is shown after its last loss.
KEPT = 300.0
#: Runs that are remembered, in all and of one tenant: whoever loses much must not hide what others lose.
MAX_RUNS, MAX_RUNS_OF_TENANT = 100, 20
#: Channels and connections of one run that are told apart.
MAX_TOLD_APART = 256

#: Reason, consumer, tenant and group.
Key = tuple[str, str, str, str]


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


class Queue:
    """
    How long messages wait in the queue that a layer keeps for a whole process; times by the wall clock.

    A message that was taken says how long it has waited at once. Of what still waits only a look at the queue tells,
    and that holds until the next message is taken.
    """

    __slots__ = ("_longest", "_oldest", "_seen_at", "messages")

    def __init__(self) -> None:
        self._longest: tuple[float, float] | None = None
        self._oldest: float | None = None
        self._seen_at = 0.0
        #: How many waited when somebody looked last.
        self.messages = 0

    def take(self, sent_at: float, now: float) -> None:
        """The oldest message was taken."""
        self._oldest = None
        longest = self._longest
        if longest is None or now - sent_at > longest[1] - longest[0]:
            self._longest = (sent_at, now)

    def see(self, oldest: float | None, messages: int, now: float) -> None:
        """Somebody has looked at what waits; ``oldest`` is when the oldest was sent, None if that is not known."""
        self._oldest, self._seen_at, self.messages = oldest, now, messages

    def longest(self, now: float) -> tuple[float, float] | None:
        """
        The longest wait since this was asked last: from when until when; None if nothing has waited.

        What was seen too long ago says nothing any more: perhaps nobody can look.
        """
        longest, self._longest = self._longest, None
        if self._oldest is not None and now - self._seen_at <= SEEN_TRUSTED:
            standing = (self._oldest, now)
            if longest is None or now - self._oldest > longest[1] - longest[0]:
                return standing
        return longest


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
        self._pending: dict[Key, Drop] = {}

    def __bool__(self) -> bool:
        return bool(self._pending)

    def add(self, key: Key, count: int, channel: str, connection: str) -> None:
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


@dataclass(slots=True, kw_only=True)
class Run:
    """
    Losses of one kind that followed each other. Times are monotonic seconds.

    Attributes:
        since: When the first of them was told.
        at: When the last of them was.
        messages: None: nobody can know how many.
        layer: The alias of the layer, where it lost nobody knows what.
    """

    reason: str
    consumer: str
    tenant: str
    group: str
    since: float
    at: float
    messages: int | None = 0
    layer: str = ""
    channels: set[str] = field(default_factory=set)
    connections: set[str] = field(default_factory=set)


class Runs:
    """What was lost of late, and where."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: dict[tuple[str, ...], Run] = {}

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs.values())

    def add(self, drop: Drop, now: float) -> None:
        """Messages were lost; ``now`` is monotonic, in seconds."""
        key = (drop.reason, drop.consumer, drop.tenant, drop.group)
        run = self._renewed(key, now)
        if run is None:
            fresh = Run(
                reason=drop.reason, consumer=drop.consumer, tenant=drop.tenant, group=drop.group, since=now, at=now
            )  # fmt: skip
            run = self._begin(key, fresh)
        run.messages = (run.messages or 0) + drop.count
        _add_some(run.channels, drop.channels)
        _add_some(run.connections, drop.connections)

    def add_gap(self, layer: str, now: float) -> None:
        """A layer has lost what nobody can know; ``now`` is monotonic, in seconds."""
        key = (UNKNOWN, UNKNOWN, "", "", layer)
        gap = Run(
            reason=UNKNOWN, consumer=UNKNOWN, tenant="", group="", since=now, at=now, messages=None, layer=layer
        )  # fmt: skip
        if self._renewed(key, now) is None:
            self._begin(key, gap)

    def _renewed(self, key: tuple[str, ...], now: float) -> Run | None:
        """The run that goes on, if there is one; it then is the last one in order."""
        run = self._runs.pop(key, None)
        if run is None or now - run.at > KEPT:
            return None
        run.at = now
        self._runs[key] = run
        return run

    def _begin(self, key: tuple[str, ...], run: Run) -> Run:
        self._runs[key] = run
        own = [other for other, known in self._runs.items() if known.tenant == run.tenant]
        if len(own) > MAX_RUNS_OF_TENANT:
            del self._runs[own[0]]
        elif len(self._runs) > MAX_RUNS:
            del self._runs[next(iter(self._runs))]
        return run

    def expire(self, now: float) -> None:
        """Forget what was over long ago; ``now`` is monotonic, in seconds."""
        while self._runs:
            first, run = next(iter(self._runs.items()))
            if now - run.at <= KEPT:
                return
            del self._runs[first]


def _add_some(known: set[str], more: set[str]) -> None:
    """Add as many as are told apart."""
    for one in more:
        if len(known) >= MAX_TOLD_APART:
            return
        known.add(one)
