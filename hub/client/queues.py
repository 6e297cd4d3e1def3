"""What waits on its way in, for the application, and on its way out, for a connection that is away; both bounded."""

import asyncio
from collections import deque
from dataclasses import dataclass

from hub.client.control import Control, Message
from hub.client.errors import UnsentLimitError


@dataclass(frozen=True, slots=True)
class Arrival:
    """An ordinary frame, the connection that it came on, and when, in monotonic seconds."""

    frame: Message
    control: Control
    at: float


class Inbox:
    """
    Frames that the application has not taken yet, oldest first, across connections.

    Args:
        limit: Frames at most: beyond that nothing is read, so that the server's own back-pressure works. Only what a
            connection has brought before it ended is taken in all the same, up to twice as many.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._arrivals: deque[Arrival] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self.ended = False

    @property
    def full(self) -> bool:
        """Whether there is no room for another one."""
        return self._limit is not None and len(self._arrivals) >= self._limit

    @property
    def oldest_at(self) -> float | None:
        """When the oldest one came; None if there is none."""
        return self._arrivals[0].at if self._arrivals else None

    def put(self, arrival: Arrival) -> bool:
        """Add one, room or not. Returns whether it was taken in: there are never more than twice the limit."""
        if self._limit is not None and len(self._arrivals) >= 2 * self._limit:
            return False
        self._arrivals.append(arrival)
        self._changed.set()
        return True

    async def wait_for_room(self, ended: asyncio.Future[None]) -> None:
        """Return once there is room, or the connection has ended."""
        ended.add_done_callback(self._look)
        while self.full and not ended.done():
            self._room.clear()
            await self._room.wait()
        ended.remove_done_callback(self._look)

    def _look(self, _: object) -> None:
        self._room.set()

    async def take(self) -> Arrival | None:
        """The oldest one, once there is one; None when nothing more will come. Cancelling loses nothing."""
        while not self._arrivals:
            if self.ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        arrival = self._arrivals.popleft()
        self._room.set()
        return arrival

    def lift(self) -> None:
        """Whatever still comes is taken in, or nobody would see the end."""
        self._limit = None
        self._room.set()

    def end(self) -> None:
        """Nothing more will come."""
        self.ended = True
        self._changed.set()


class Outbox:
    """
    Messages that wait for a connection, in the order in which they were sent.

    Args:
        messages: How many may wait.
        size: How many bytes may wait; of text, characters.
    """

    def __init__(self, messages: int, size: int) -> None:
        self._limits = messages, size
        self._waiting: deque[tuple[Message, bool]] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message, *, text: bool) -> None:
        """
        Let a message wait; ``text``: it goes out in a text frame.

        Raises:
            UnsentLimitError: As much waits as may; this message doesn't.
        """
        messages, size = self._limits
        if len(self._waiting) >= messages:
            raise UnsentLimitError("messages", messages)
        if self._size + len(message) > size:
            raise UnsentLimitError("bytes", size)
        self._waiting.append((message, text))
        self._size += len(message)

    def first(self) -> tuple[Message, bool]:
        """The one to be sent next."""
        return self._waiting[0]

    def drop_first(self) -> None:
        """It was sent."""
        message, _ = self._waiting.popleft()
        self._size -= len(message)
