"""What a Redis layer has taken out of Redis for this process: one buffer for each channel, with what is lost in it."""

from collections import defaultdict, deque
from typing import Any

from channels_redis import core

from hub.core.ledger import BUFFER_OVERFLOW, TEARDOWN
from hub.instrument.layers.losses import losses

Message = dict[str, Any]


class Buffer(core.BoundedQueue):  # type: ignore[misc]  # channels_redis has no types
    """
    What was taken out of Redis for one channel.

    Attributes:
        taken: Messages that left it towards a ``receive``.
        handed: Of these, how many a ``receive`` has returned.
        sent_at: When the one taken last was sent, by the wall clock, if known.
    """

    def __init__(self, buffers: "Buffers", channel: str, capacity: int) -> None:
        super().__init__(capacity)
        self._hub_buffers = buffers
        self._hub_stamps: deque[float | None] = deque()
        self.channel = channel
        self.taken = self.handed = 0
        self.sent_at: float | None = None

    @property
    def unreturned(self) -> int:
        """Messages that nobody gets if this buffer goes away."""
        return int(self.qsize()) + self.taken - self.handed

    @property
    def oldest(self) -> float | None:
        """When the oldest message was sent, if known."""
        return self._hub_stamps[0] if self._hub_stamps else None

    def put_nowait(self, item: Message) -> None:
        """As the layer's buffer does: when it is full, the oldest message has to go."""
        if self.full():
            losses().record(BUFFER_OVERFLOW, self.channel)
            self.taken -= 1
        elif losses().is_ended(self.channel):
            losses().record(TEARDOWN, self.channel, sent_at=self._hub_buffers.sent_at)
        super().put_nowait(item)

    def _put(self, item: Message) -> None:
        self._hub_stamps.append(self._hub_buffers.sent_at)
        super()._put(item)

    def _get(self) -> Message:
        self.sent_at = self._hub_stamps.popleft()
        self.taken += 1
        message: Message = super()._get()
        return message


class Buffers(defaultdict[str, Buffer]):
    """
    The buffers of all channels.

    Attributes:
        sent_at: When the message that is buffered now was sent, by the wall clock, if known.
    """

    def __init__(self, capacity: int, buffers: dict[str, Any] | None = None) -> None:
        super().__init__(None)
        self._capacity = capacity
        self._deleted: Buffer | None = None
        self.sent_at: float | None = None
        for channel, queue in (buffers or {}).items():
            # One that somebody waits on: it goes on, without a past.
            queue.__class__ = Buffer
            queue._hub_buffers, queue._hub_stamps = self, deque([None] * queue.qsize())  # noqa: SLF001 - a Buffer now
            queue.channel, queue.taken, queue.handed, queue.sent_at = channel, 0, 0, None
            self[channel] = queue

    def __missing__(self, channel: str) -> Buffer:
        buffer = self[channel] = Buffer(self, channel, self._capacity)
        return buffer

    def __delitem__(self, channel: str) -> None:
        self._deleted = self.get(channel)
        super().__delitem__(channel)

    def latest(self, channel: str) -> Buffer | None:
        """The buffer of a channel, also if it was the last one to be deleted."""
        buffer = self.get(channel)
        if buffer is None and self._deleted is not None and self._deleted.channel == channel:
            buffer = self._deleted
        return buffer
