"""
The in-memory layer, instrumented.

Channels makes its queues and groups with ``setdefault``; dictionaries of ours put ones of ours in their place, which
see each message and each membership go. When a message expires Channels takes its channel out of all groups, so that a
connected consumer stops receiving for good: that is seen, and mended if ``HUB["REJOIN_GROUPS"]`` says so.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from channels import layers
from channels.exceptions import ChannelFull

from hub.core.layers import Depth
from hub.core.ledger import CHANNEL_FULL, EXPIRED, GROUP_LOST, OVER_CAPACITY
from hub.instrument.layers.base import SENDING, Instrumented, link_channel
from hub.instrument.layers.losses import losses

Message = dict[str, Any]
#: What Channels puts into a queue: when it expires, by the wall clock, and the message.
Item = tuple[float, Message]

if TYPE_CHECKING:
    _Layer = Any
else:
    _Layer = object


class WatchedQueue(asyncio.Queue[Item]):
    """The queue of one channel; tells of each message that leaves it."""

    hub_queues: "Queues"
    hub_channel: str

    def valid(self, now: float) -> tuple[int, float]:
        """How many messages may be received yet, and when the first of them expires."""
        queue: deque[Item] = self._queue  # type: ignore[attr-defined]  # as Channels itself does
        # Those that have expired stay until somebody uses the layer, and are thrown away before he gets anything.
        expired = 0
        while expired < len(queue) and queue[expired][0] < now:
            expired += 1
        return len(queue) - expired, queue[expired][0] if expired < len(queue) else now

    def _get(self) -> Item:
        item: Item = super()._get()
        self.hub_queues.popped(self.hub_channel, item[0])
        return item


class Queues(dict[str, WatchedQueue]):
    """
    The queues of all channels.

    Attributes:
        cleaning: What leaves a queue now has expired.
    """

    def __init__(self, expiry: float, queues: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._expiry = expiry
        self.cleaning = False
        for channel, queue in (queues or {}).items():
            queue.__class__ = WatchedQueue
            self[channel] = self._tied(channel, queue)

    def setdefault(self, channel: str, default: Any = None) -> WatchedQueue:  # noqa: ANN401 - as Channels makes it
        """As a dictionary does, with a watched queue in place of a new one."""
        queue = self.get(channel)
        if queue is None:
            # Made, not changed: an object that changes its class has a dictionary of its own from then on, 400 bytes.
            queue = self[channel] = self._tied(channel, WatchedQueue(default.maxsize))
        return queue

    def _tied(self, channel: str, queue: WatchedQueue) -> WatchedQueue:
        queue.hub_queues, queue.hub_channel = self, channel
        return queue

    def popped(self, channel: str, expires_at: float) -> None:
        """A message has left a queue."""
        if self.cleaning:
            # With nobody to miss it if its connection has ended: that it waits there was counted then.
            losses().record(EXPIRED, channel)
        else:
            # Here and not around the layer's ``receive``, which every idle connection waits in.
            losses().taken(channel, expires_at - self._expiry)


class Members(dict[str, float]):
    """The channels of one group, and when they joined."""

    def __init__(self, groups: "Groups", group: str, members: dict[str, float]) -> None:
        super().__init__(members)
        self._groups = groups
        self._group = group

    def pop(self, channel: str, *default: Any) -> Any:  # noqa: ANN401 - as a dictionary's
        """As a dictionary does; while the layer cleans up, who leaves did not ask to."""
        if channel in self and self._groups.queues.cleaning:
            self._groups.fallen.append((self._group, channel))
        return super().pop(channel, *default)


class Groups(dict[str, Members]):
    """
    All groups.

    Attributes:
        fallen: Group and channel of memberships that the layer has ended by itself.
    """

    def __init__(self, queues: Queues, groups: Mapping[str, dict[str, float]] | None = None) -> None:
        super().__init__()
        self.queues = queues
        self.fallen: list[tuple[str, str]] = []
        for group, members in (groups or {}).items():
            self[group] = Members(self, group, members)

    def setdefault(self, group: str, default: Any = None) -> Members:  # noqa: ANN401 - as Channels makes it
        """As a dictionary does, with watched members in place of new ones."""
        members = self.get(group)
        if members is None:
            members = self[group] = Members(self, group, default or {})
        return members


class MemoryInstruments(Instrumented, _Layer):  # type: ignore[misc]  # any layer
    """What an in-memory layer gets, in front of its own class."""

    channels: Queues
    groups: Groups

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the layer's
        super().__init__(*args, **kwargs)
        self.hub_begin()

    def hub_begin(self) -> None:
        """See `Instrumented`."""
        self.channels = Queues(self.expiry, self.channels)
        self.groups = Groups(self.channels, self.groups)

    async def new_channel(self, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - the layer's
        """As the layer does."""
        channel: str = await super().new_channel(*args, **kwargs)
        link_channel(self, channel)
        return channel

    async def send(self, channel: str, message: Message) -> None:
        """As the layer does; a full channel is counted, and raised or swallowed as ever."""
        try:
            await super().send(channel, message)
        except ChannelFull:
            group = SENDING.get()
            losses().record(OVER_CAPACITY if group else CHANNEL_FULL, channel, group=group)
            raise

    async def group_send(self, group: str, message: Message) -> None:
        """As the layer does: it swallows what full channels raise, in tasks that inherit the name of the group."""
        token = SENDING.set(group)
        try:
            await super().group_send(group, message)
        finally:
            SENDING.reset(token)

    def _clean_expired(self) -> None:
        self.channels.cleaning = True
        try:
            super()._clean_expired()
        finally:
            self.channels.cleaning = False
        if self.groups.fallen:
            self._hub_settle_fallen()

    def _hub_settle_fallen(self) -> None:
        fallen, self.groups.fallen = self.groups.fallen, []
        known = losses()
        for group, channel in fallen:
            if channel in known.links:
                known.record(GROUP_LOST, channel, group=group)
                if known.instruments.config.rejoin_groups:
                    self.groups.setdefault(group)[channel] = known.instruments.clock.wall()

    async def flush(self) -> None:
        """As the layer does."""
        await super().flush()
        self.hub_begin()

    def hub_left(self, channel: str) -> int:
        """See `Instrumented`."""
        queue = self.channels.get(channel)
        return 0 if queue is None else queue.qsize()

    def hub_waiting(self, channel: str) -> int:
        """See `Instrumented`."""
        return self.hub_left(channel)

    def hub_oldest(self, channel: str) -> float | None:
        """See `Instrumented`."""
        queue = self.channels.get(channel)
        if queue is None or queue.empty():
            return None
        expires_at: float = queue._queue[0][0]  # type: ignore[attr-defined]  # noqa: SLF001 - as Channels itself does
        return expires_at - float(self.expiry)

    def hub_groups(self, channel: str) -> list[str]:
        """See `Instrumented`."""
        return sorted(group for group, members in self.groups.items() if channel in members)

    async def hub_depth(self) -> Depth:
        """See `Instrumented`."""
        messages, expires_at, fullest, fullest_channel = 0, None, 0.0, ""
        now = losses().instruments.clock.wall()
        for channel, queue in list(self.channels.items()):
            waiting, first = queue.valid(now)
            if waiting:
                messages += waiting
                expires_at = first if expires_at is None else min(first, expires_at)
                if queue.maxsize > 0 and waiting / queue.maxsize > fullest:
                    fullest, fullest_channel = waiting / queue.maxsize, channel
        oldest = None if expires_at is None else max(0.0, now - (expires_at - self.expiry))
        return Depth(messages=messages, oldest=oldest, capacity=self.capacity, fullest=fullest, channel=fullest_channel)


class InMemoryChannelLayer(MemoryInstruments, layers.InMemoryChannelLayer):  # type: ignore[misc]  # narrower dictionaries
    """Channels' in-memory layer, with all that it loses counted."""
