"""
The layer of ``channels_redis.pubsub``, instrumented.

Redis keeps nothing here: a message goes to whoever subscribes at that moment, and waits in an unbounded queue of this
process, one for each channel. So there is no capacity and no expiry, and how long a message was on its way through
Redis is not known: the wait begins where this process takes it. What is sent while a subscription is interrupted is
lost, nobody can know how much: that is a *gap*.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from channels_redis import pubsub
from redis.asyncio.client import PubSub

from hub.core.layers import Depth
from hub.core.ledger import TEARDOWN
from hub.instrument.layers.base import Instrumented, link_channel
from hub.instrument.layers.losses import losses

Message = dict[str, Any]

if TYPE_CHECKING:
    _Layer = Any
else:
    _Layer = object


class WatchedQueue(asyncio.Queue[bytes]):
    """
    The queue of one channel.

    Attributes:
        taken: Messages that left it.
        handed: Of these, how many a ``receive`` has returned.
        arrived_at: When the one taken last came in, by the wall clock.
    """

    taken: int
    handed: int
    arrived_at: float | None
    hub_stamps: "deque[float | None]"

    @property
    def unreturned(self) -> int:
        """Messages that nobody gets if this queue goes away."""
        return self.qsize() + self.taken - self.handed

    def _put(self, item: bytes) -> None:
        self.hub_stamps.append(losses().instruments.clock.wall())
        super()._put(item)

    def _get(self) -> bytes:
        self.arrived_at = self.hub_stamps.popleft()
        self.taken += 1
        item: bytes = super()._get()
        return item


class Queues(dict[str, WatchedQueue]):
    """The queues of all channels."""

    def __init__(self, queues: dict[str, Any]) -> None:
        super().__init__()
        for channel, queue in queues.items():
            self[channel] = queue

    def __setitem__(self, channel: str, queue: Any) -> None:  # noqa: ANN401 - a queue as the layer makes it
        if not isinstance(queue, WatchedQueue):
            # One that is there already goes on, without a past.
            stamps: deque[float | None] = deque([None] * queue.qsize())
            queue.__class__ = WatchedQueue
            queue.hub_stamps, queue.taken, queue.handed, queue.arrived_at = stamps, 0, 0, None
        super().__setitem__(channel, queue)

    def __delitem__(self, channel: str) -> None:
        """The layer does this when a ``receive`` was cancelled: what the queue holds goes along."""
        queue = self.get(channel)
        super().__delitem__(channel)
        if queue is not None:
            losses().record(TEARDOWN, channel, queue.unreturned)


class WatchedPubSub(PubSub):
    """Redis-py's subscription, which tells of each time it had to be made anew."""

    hub_layer: "LoopInstruments"

    async def on_connect(self, connection: Any) -> None:  # noqa: ANN401 - redis-py's
        """As redis-py does: it subscribes again."""
        interrupted = self.subscribed
        await super().on_connect(connection)
        if interrupted:
            losses().record_gap(self.hub_layer.channel_layer.hub_alias, channels=len(self.hub_layer.channels))


class WatchedShard(pubsub.RedisSingleShardConnection):  # type: ignore[misc]  # channels_redis has no types
    """The layer's connection to one Redis."""

    def _ensure_redis(self) -> None:
        super()._ensure_redis()
        made: Any = self._pubsub
        if type(made) is PubSub:
            made.__class__ = WatchedPubSub
            made.hub_layer = self.channel_layer  # type: ignore[attr-defined]  # it has changed its class


class LoopInstruments(pubsub.RedisPubSubLoopLayer):  # type: ignore[misc]  # channels_redis has no types
    """What does the work in one event loop."""

    channels: Queues

    def hub_begin(self) -> None:
        """Take over what the layer has built so far."""
        self.channels = Queues(self.channels)
        for shard in self._shards:
            if type(shard) is pubsub.RedisSingleShardConnection:
                shard.__class__ = WatchedShard

    async def new_channel(self, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - the layer's
        """As the layer does."""
        channel: str = await super().new_channel(*args, **kwargs)
        link_channel(self.channel_layer, channel)
        return channel

    async def receive(self, channel: str) -> Message:
        """As the layer does, noting how long the message has waited in this process."""
        message: Message = await super().receive(channel)
        # Nothing ran between the queue and here.
        queue = self.channels.get(channel)
        if queue is not None:
            queue.handed += 1
            losses().taken(channel, queue.arrived_at)
        return message

    async def flush(self) -> None:
        """As the layer does."""
        await super().flush()
        self.channels = Queues({})


class PubSubInstruments(Instrumented, _Layer):  # type: ignore[misc]  # any layer
    """What a pub/sub layer gets, in front of its own class."""

    hub_unknown = "time on the way through Redis: pub/sub messages carry no time of sending"

    def hub_begin(self) -> None:
        """See `Instrumented`."""

    def _get_layer(self) -> Any:  # noqa: ANN401 - as the layer does
        layer = super()._get_layer()
        if type(layer) is pubsub.RedisPubSubLoopLayer:
            layer.__class__ = LoopInstruments
            layer.hub_begin()
        return layer

    def hub_left(self, channel: str) -> int:
        """See `Instrumented`."""
        queue = self._get_layer().channels.get(channel)
        return 0 if queue is None else int(queue.unreturned)

    def hub_waiting(self, channel: str) -> int:
        """See `Instrumented`."""
        queue = self._get_layer().channels.get(channel)
        return 0 if queue is None else int(queue.qsize())

    def hub_oldest(self, channel: str) -> float | None:
        """See `Instrumented`: since it arrived in this process."""
        queue: WatchedQueue | None = self._get_layer().channels.get(channel)
        return None if queue is None or queue.empty() else queue.hub_stamps[0]

    def hub_groups(self, channel: str) -> list[str]:
        """See `Instrumented`."""
        groups: dict[str, set[str]] = self._get_layer().groups
        # The layer knows them by their names in Redis.
        return sorted(group.partition("__group__")[2] for group, members in groups.items() if channel in members)

    async def hub_depth(self) -> Depth:
        """See `Instrumented`."""
        messages, oldest = 0, None
        for queue in list(self._get_layer().channels.values()):
            if queue.qsize():
                messages += queue.qsize()
                first = queue.hub_stamps[0]
                oldest = first if oldest is None else min(first or oldest, oldest)
        age = None if oldest is None else max(0.0, losses().instruments.clock.wall() - oldest)
        return Depth(messages=messages, oldest=age)


class RedisPubSubChannelLayer(PubSubInstruments, pubsub.RedisPubSubChannelLayer):  # type: ignore[misc]  # channels_redis has no types
    """The pub/sub layer of channels_redis, with what can be known of its losses counted."""
