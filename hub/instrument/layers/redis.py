"""
The layer of ``channels_redis.core``, instrumented.

One sorted set in Redis holds what is on its way to a process, scored by the time it was sent; whoever receives first
takes a message out of it for the process and puts it into the buffer of its channel. Messages are lost in both places,
mostly in silence:

- Before each send, messages that have expired are removed from the set. A script in place of that command removes the
  same and says what it was.
- Where a set is full, a group's message is dropped for all connections of that process, and the number of *sets* is
  logged. The layer's own script is completed so that it tells which.
- A full buffer drops its oldest message; a cancelled ``receive`` takes its buffer along; a set that nobody has touched
  for the time of expiry is removed by Redis.
- Redis may forget everything, with its groups. A marker of ours in it, which goes with the rest, tells.
"""

import functools
from collections.abc import Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from channels.exceptions import ChannelFull
from channels_redis import core

from hub.core.layers import Depth, Queue
from hub.core.ledger import CHANNEL_FULL, EXPIRED, GROUP_LOST, OVER_CAPACITY, TEARDOWN
from hub.faults import record_fault
from hub.instrument.layers.base import Instrumented, link_channel
from hub.instrument.layers.buffers import Buffers
from hub.instrument.layers.losses import losses

Message = dict[str, Any]

if TYPE_CHECKING:
    _Layer = Any
else:
    _Layer = object

#: In place of ZREMRANGEBYSCORE: removes the same, and returns it with its scores.
PURGE = """
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES')
if #gone > 0 then redis.call('ZREMRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[2]) end
return gone
"""
#: Two places of the layer's script for groups, and what is said there besides.
_COUNTS, _RETURNS = "over_capacity = over_capacity + 1", "return over_capacity"
_NOTES, _TELLS = f"{_COUNTS}; hub_over[over_capacity] = i", "return hub_over"
#: Seconds that the marker outlives its process.
MARKER_SECONDS = 120
#: Seconds without a sample after which a missing marker says nothing.
MARKER_TRUSTED = 60.0


class Sending:
    """
    One message on its way to a group.

    Attributes:
        channels: All members, once they are known.
    """

    __slots__ = ("channels", "group")

    def __init__(self, group: str) -> None:
        self.group = group
        self.channels: list[str] = []


SENDING: ContextVar[Sending | None] = ContextVar("hub_sending", default=None)


@functools.cache
def telling(script: str) -> str | None:
    """The layer's script for groups, completed to tell which keys were full; None if it is not what it was."""
    if script.count(_COUNTS) != 1 or script.count(_RETURNS) != 1:
        return None
    return "local hub_over = {}\n" + script.replace(_COUNTS, _NOTES).replace(_RETURNS, _TELLS)


class WatchedClient:
    """A Redis client, of which a few commands are seen."""

    __slots__ = ("_client", "_layer")

    def __init__(self, client: Any, layer: "RedisInstruments") -> None:  # noqa: ANN401 - redis-py's
        self._client = client
        self._layer = layer

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the client has
        return getattr(self._client, name)

    async def zremrangebyscore(self, name: Any, min: Any, max: Any) -> int:  # noqa: A002, ANN401 - redis-py's signature
        """As the client does."""
        gone = await self._client.eval(PURGE, 1, name, min, max)
        return self._layer.hub_purged(name, gone)

    async def bzpopmin(self, keys: Any, timeout: Any = 0) -> Any:  # noqa: ANN401, ASYNC109 - redis-py's signature
        """As the client does."""
        result = await self._client.bzpopmin(keys, timeout=timeout)
        if result is not None:
            self._layer.hub_popped(keys, float(result[2]))
        return result

    async def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any:  # noqa: ANN401 - redis-py's signature
        """As the client does; the layer's script for groups gives the same number."""
        sending = SENDING.get()
        if sending is None or _COUNTS not in script:
            return await self._client.eval(script, numkeys, *keys_and_args)
        completed = telling(script)
        if completed is None:
            over = await self._client.eval(script, numkeys, *keys_and_args)
            self._layer.hub_over_capacity(sending, None, over)
            return over
        full = await self._client.eval(completed, numkeys, *keys_and_args)
        if full:
            self._layer.hub_over_capacity(sending, {keys_and_args[i - 1] for i in full}, len(full))
        return len(full)

    def pipeline(self, *args: Any, **kwargs: Any) -> "WatchedPipeline":  # noqa: ANN401 - redis-py's signature
        """As the client does."""
        return WatchedPipeline(self._client.pipeline(*args, **kwargs), self._layer)


class WatchedPipeline:
    """A pipeline, of which one command is seen."""

    __slots__ = ("_layer", "_pipeline", "_purges", "_queued")

    def __init__(self, pipeline: Any, layer: "RedisInstruments") -> None:  # noqa: ANN401 - redis-py's
        self._pipeline = pipeline
        self._layer = layer
        self._purges: list[tuple[int, Any]] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the pipeline has
        return getattr(self._pipeline, name)

    def zremrangebyscore(self, name: Any, min: Any, max: Any) -> Any:  # noqa: A002, ANN401 - redis-py's signature
        """As the pipeline does."""
        self._purges.append((len(self._pipeline), name))
        return self._pipeline.eval(PURGE, 1, name, min, max)

    async def execute(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - redis-py's signature
        """As the pipeline does."""
        purges, self._purges = self._purges, []
        results = await self._pipeline.execute(*args, **kwargs)
        for index, name in purges:
            if index < len(results) and isinstance(results[index], list):
                results[index] = self._layer.hub_purged(name, results[index])
        return results


class Backlog:
    """What waited in Redis for this process when it was looked at last."""

    __slots__ = ("looked_at", "marked", "messages", "newest", "popped")

    def __init__(self) -> None:
        self.messages = 0
        self.popped = 0
        self.newest: float | None = None
        self.looked_at = 0.0
        self.marked = False


class RedisInstruments(Instrumented, _Layer):  # type: ignore[misc]  # any layer
    """What a Redis layer gets, in front of its own class."""

    receive_buffer: Buffers
    hub_queue: Queue

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the layer's
        super().__init__(*args, **kwargs)
        self.hub_begin()

    def hub_begin(self) -> None:
        """See `Instrumented`."""
        self.receive_buffer = Buffers(self.capacity, self.receive_buffer)
        self._hub_sent_at: dict[Any, float] = {}
        #: By channel and group: when it joined, by the wall clock.
        self._hub_members: dict[str, dict[str, float]] = {}
        self._hub_rejoining: list[tuple[str, str]] = []
        self._hub_backlog = Backlog()
        self.hub_queue = Queue()

    def connection(self, index: int) -> Any:  # noqa: ANN401 - a client
        """As the layer does; some commands are seen."""
        return WatchedClient(super().connection(index), self)

    # --- the layer's interface ---

    async def new_channel(self, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - the layer's
        """As the layer does."""
        channel: str = await super().new_channel(*args, **kwargs)
        link_channel(self, channel)
        return channel

    async def send(self, channel: str, message: Message) -> None:
        """As the layer does; a full channel is counted, and raised as ever."""
        try:
            await super().send(channel, message)
        except ChannelFull:
            losses().record(CHANNEL_FULL, channel)
            raise

    async def receive(self, channel: str) -> Message:
        """As the layer does, noting how long the message has waited, and what a cancelled call takes along."""
        try:
            message: Message = await super().receive(channel)
        except BaseException:
            buffer = self.receive_buffer.latest(channel)
            if buffer is not None and channel not in self.receive_buffer:
                lost, buffer.handed = buffer.unreturned, buffer.taken + buffer.qsize()
                losses().record(TEARDOWN, channel, lost)
            raise
        # Nothing ran between the buffer and here.
        buffer = self.receive_buffer.latest(channel)
        if buffer is not None:
            buffer.handed += 1
            losses().taken(channel, buffer.sent_at)
        return message

    async def receive_single(self, channel: str) -> Any:  # noqa: ANN401 - a channel, or a list of them, and the message
        """As the layer does; whoever called it buffers the message before anything else can run."""
        received = await super().receive_single(channel)
        self.receive_buffer.sent_at = self._hub_sent_at.pop(self.prefix + channel, None)
        return received

    async def group_add(self, group: str, channel: str) -> None:
        """As the layer does."""
        await super().group_add(group, channel)
        if channel in losses().links:
            self._hub_members.setdefault(channel, {})[group] = losses().instruments.clock.wall()

    async def group_discard(self, group: str, channel: str) -> None:
        """As the layer does."""
        self._hub_members.get(channel, {}).pop(group, None)
        await super().group_discard(group, channel)

    async def group_send(self, group: str, message: Message) -> None:
        """As the layer does; who is left out is counted."""
        token = SENDING.set(Sending(group))
        try:
            await super().group_send(group, message)
        finally:
            SENDING.reset(token)

    def _map_channel_keys_to_connection(self, channel_names: list[str], message: Message) -> Any:  # noqa: ANN401 - as the layer does
        sending = SENDING.get()
        if sending is not None:
            sending.channels = channel_names
        return super()._map_channel_keys_to_connection(channel_names, message)

    async def flush(self) -> None:
        """As the layer does; it was asked to forget."""
        self._hub_backlog.marked = False
        self._hub_members.clear()
        await super().flush()

    # --- what the client saw ---

    def hub_popped(self, key: Any, sent_at: float) -> None:  # noqa: ANN401 - a key
        """A message was taken out of Redis; `receive_single` holds the key's lock, and reads this at once."""
        self._hub_sent_at[key] = sent_at
        if key == self._hub_own_key():
            self._hub_backlog.popped += 1
            self.hub_queue.take(sent_at, losses().instruments.clock.wall())

    def hub_over_capacity(self, sending: Sending, full: set[Any] | None, keys: int) -> None:
        """
        A group's message was not sent to some keys.

        Args:
            full: Which; None: unknown, but so many.
        """
        lost: Iterable[str] = [name for name in sending.channels if full is None or self._hub_key(name) in full]
        if full is None and keys < len({self._hub_key(name) for name in lost}):
            losses().record(OVER_CAPACITY, "", keys, group=sending.group)
            return
        for channel in lost:
            losses().record(OVER_CAPACITY, channel, group=sending.group)

    def hub_purged(self, key: Any, gone: list[Any]) -> int:  # noqa: ANN401 - a key
        """Expired messages were removed from a key, or old members from a group. Returns how many."""
        name = key.decode() if isinstance(key, bytes) else key
        group_keys = f"{self.prefix}:group:"
        try:
            for member, score in zip(gone[::2], gone[1::2], strict=True):
                if name.startswith(group_keys):
                    self._hub_fell(name.removeprefix(group_keys), member.decode())
                else:
                    self._hub_expired(member, float(score))
        except Exception as error:  # noqa: BLE001 - the border: counting must not fail a send
            record_fault("channel layer", error)
        return len(gone) // 2

    def _hub_expired(self, content: bytes, sent_at: float) -> None:
        try:
            channels = self.deserialize(content).get("__asgi_channel__", "")
        except Exception:  # noqa: BLE001 - its time to be deciphered is over as well, perhaps
            channels = ""
        for channel in channels if isinstance(channels, list) else [channels]:
            losses().record(EXPIRED, channel, sent_at=sent_at)

    def _hub_fell(self, group: str, channel: str) -> None:
        """A membership is over: a loss if it is that of a live connection of ours, which did not ask for it."""
        joined_at = self._hub_members.get(channel, {}).pop(group, None)
        if joined_at is not None and channel in losses().links:
            losses().record(GROUP_LOST, channel, group=group)
            if losses().instruments.config.rejoin_groups:
                self._hub_rejoining.append((group, channel))

    def _hub_key(self, channel: str) -> str:
        return f"{self.prefix}{self.non_local_name(channel)}"

    def _hub_own_key(self) -> str:
        """Where this process's messages wait: `new_channel` makes names of this kind."""
        return f"{self.prefix}specific.{self.client_prefix}!"

    # --- once a second ---

    def hub_left(self, channel: str) -> int:
        """See `Instrumented`."""
        self._hub_members.pop(channel, None)
        buffer = self.receive_buffer.get(channel)
        return 0 if buffer is None else int(buffer.qsize())

    def hub_waiting(self, channel: str) -> int:
        """See `Instrumented`; what waits in Redis belongs to all connections of the process."""
        buffer = self.receive_buffer.get(channel)
        return 0 if buffer is None else int(buffer.qsize())

    def hub_oldest(self, channel: str) -> float | None:
        """See `Instrumented`."""
        buffer = self.receive_buffer.get(channel)
        return None if buffer is None else buffer.oldest

    def hub_groups(self, channel: str) -> list[str]:
        """See `Instrumented`."""
        return sorted(self._hub_members.get(channel, ()))

    def hub_asking(self) -> bool:
        """See `Instrumented`."""
        return bool(self.receive_count)

    async def hub_depth(self) -> Depth | None:
        """See `Instrumented`; also finds out what Redis has forgotten, and what it has removed by itself."""
        own, backlog = self._hub_own_key(), self._hub_backlog
        popped = backlog.popped
        client = super().connection(self.consistent_hash(own.removeprefix(self.prefix)))
        marker = f"{self.prefix}:hub:{self.client_prefix}"
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.zcard(own).zrange(own, 0, 0, withscores=True).zrange(own, -1, -1, withscores=True)
            pipeline.get(marker).set(marker, 1, ex=MARKER_SECONDS)
            messages, first, last, marked, _ = await pipeline.execute()
        now = losses().instruments.clock.wall()
        oldest, newest = (first[0][1], last[0][1]) if first else (None, None)
        # Whoever was the oldest may have been taken while Redis answered.
        self.hub_queue.see(oldest if popped == backlog.popped else None, messages, now)
        forgot = backlog.marked and marked is None and now - backlog.looked_at < MARKER_TRUSTED
        if forgot:
            losses().record_gap(self.hub_alias, waiting=backlog.messages)
        else:
            self._hub_settle_vanished(oldest, popped, now)
        backlog.messages, backlog.newest, backlog.looked_at, backlog.marked = messages, newest, now, True
        backlog.popped -= popped
        await self._hub_look_for_members(now, forgot=forgot)
        return self._hub_depth_of(messages, oldest, now)

    def _hub_depth_of(self, messages: int, oldest: float | None, now: float) -> Depth:
        """What waits in Redis and in the buffers of live channels."""
        fullest, channel = messages / self.capacity, ""
        for name, buffer in list(self.receive_buffer.items()):
            waiting = int(buffer.qsize())
            if waiting and not losses().is_ended(name):
                messages += waiting
                if buffer.oldest is not None:
                    oldest = buffer.oldest if oldest is None else min(oldest, buffer.oldest)
                if waiting / self.capacity > fullest:
                    fullest, channel = waiting / self.capacity, name
        return Depth(
            messages=messages, oldest=None if oldest is None else max(0.0, now - oldest),
            capacity=self.capacity, fullest=fullest, channel=channel,
        )  # fmt: skip

    def _hub_settle_vanished(self, oldest: float | None, popped: int, now: float) -> None:
        """
        What waited at the last look and was neither taken nor removed by a send was removed by Redis, with its key.

        That happens when nobody has sent for the time of expiry: all that is there now was sent after that.
        """
        backlog = self._hub_backlog
        if backlog.newest is None:
            return
        gone_at = backlog.newest + self.expiry
        if now >= gone_at and (oldest is None or oldest >= gone_at):
            # Some of what was taken may have been sent since: never count more than is sure.
            losses().record(EXPIRED, "", max(0, backlog.messages - popped))

    async def _hub_look_for_members(self, now: float, *, forgot: bool) -> None:
        """
        Find live connections that have fallen out of their groups.

        Who is missing was not necessarily lost, another process may have taken it out: only what Redis has forgotten,
        or what was there for the time of expiry, is a loss.
        """
        rejoins = losses().instruments.config.rejoin_groups
        renewed_after = self.group_expiry / 2 if rejoins else self.group_expiry
        suspects = [
            (group, channel, forgot or now - joined_at >= self.group_expiry)
            for channel, groups in self._hub_members.items()
            for group, joined_at in groups.items()
            if forgot or now - joined_at >= renewed_after
        ]
        for group, channel, lost in suspects:
            client = super().connection(self.consistent_hash(group))
            there = await client.zscore(self._group_key(group), channel)
            if group not in self._hub_members.get(channel, {}):
                continue
            if there is not None and rejoins:
                self._hub_rejoining.append((group, channel))
            elif there is None and lost:
                self._hub_fell(group, channel)
            elif there is None:
                self._hub_members[channel].pop(group)
        rejoining, self._hub_rejoining = self._hub_rejoining, []
        for group, channel in rejoining:
            if channel in losses().links:
                await self.group_add(group, channel)


class RedisChannelLayer(RedisInstruments, core.RedisChannelLayer):  # type: ignore[misc]  # channels_redis has no types
    """The layer of channels_redis, with all that it loses counted."""
