"""
The inbox: what runs a monitored consumer in place of Channels' ``await_many_dispatch``.

One long-lived reader per source fills a queue; the dispatcher takes from the queues in turn. The client's reader
reads ahead, bounded in messages and bytes, and parks when its queue is full, so that the server's back-pressure
still works; the layer's reader holds one message, as Channels does, so that capacity and expiry keep their
meaning. A reader ends at ``websocket.disconnect``, which some servers repeat for ever. What a source raises is
raised in its place in the order.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from hub.instrument.busy import BUSY, AtWork

Message = dict[str, Any]
Get = Callable[[], Awaitable[Message]]
#: The server's callables, which a host may have wrapped.
Send = Callable[[Any], Awaitable[Any]]
Receive = Callable[[], Awaitable[Any]]
#: Counts a message of the server at the time it was read; gives its size.
Arrived = Callable[[Message, float], int]
#: In place of a size: the message came from the channel layer, whatever its type says; it is of the server's, as
#: ``websocket.connect`` is; it is the server's last one.
FROM_LAYER, CONTROL, LAST = -1, -2, -3

#: Takes a message, when it arrived and its size in bytes; returns when its handler ended. Monotonic seconds.
Dispatch = Callable[[Message, float, int], Awaitable[float]]

#: Daphne's ``send`` never waits, so nothing else would let the loop run: yield after this many messages ...
YIELD_MESSAGES = 32
#: ... or after this many seconds ...
YIELD_SECONDS = 0.001
#: ... or, where many inboxes are busy, after their share of this: all of them together make one turn of the loop,
#: and whoever is not monitored, or waits for a thread, needs several turns for a single message.
TURN_SECONDS = 0.01


class Turn:
    """How many inboxes have something to dispatch: they share the turns of the event loop."""

    __slots__ = ("busy",)

    def __init__(self) -> None:
        self.busy = 0

    def share(self) -> float:
        """Seconds that one busy inbox may take before it lets the loop run."""
        return min(YIELD_SECONDS, TURN_SECONDS / self.busy) if self.busy else YIELD_SECONDS


#: That of this process.
TURN = Turn()


def kind_of(message: object) -> str | None:
    """The type of an ASGI or layer message; None for what is none, whose consumer will say so itself."""
    kind = message.get("type") if isinstance(message, dict) else None
    return kind if isinstance(kind, str) else None


def payload_size(message: Message) -> int:
    """The size of a frame's payload: bytes, or characters of text (exact for ASCII); zero for what has none."""
    try:
        text = message.get("text")
        return len(message["bytes"] if text is None else text)
    except (AttributeError, KeyError, TypeError):
        return 0


class Source:
    """One source of messages: its reader, and what it has read but nobody dispatched."""

    __slots__ = ("_arrived", "_get", "_inbox", "_max_bytes", "_max_messages", "_reading", "bytes", "queue", "room",
                 "task")  # fmt: skip

    def __init__(
        self, inbox: "Inbox", get: Get, max_messages: int, max_bytes: int, arrived: Arrived | None = None,
        reading: Callable[..., None] | None = None,
    ) -> None:  # fmt: skip
        self._inbox = inbox
        self._get = get
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._arrived = arrived
        self._reading = reading
        self.bytes = 0
        #: What a parked reader waits for.
        self.room: asyncio.Future[None] | None = None
        #: When it arrived, the message (or what the source raised in its place), its size in bytes. A list: it is
        #: short, and an empty deque would be most of the memory of an idle connection.
        self.queue: list[tuple[float, Message | BaseException, int]] = []
        self.task: asyncio.Task[None] = inbox.loop.create_task(self._read())

    async def _read(self) -> None:
        """Read until the client has gone, the source raises or the inbox is closed."""
        inbox, queue, get, arrived = self._inbox, self.queue, self._get, self._arrived
        monotonic, size = inbox.monotonic, FROM_LAYER
        try:
            while True:
                message = await get()
                now = monotonic()
                if arrived is not None:
                    size = arrived(message, now)
                queue.append((now, message, size))
                # An idle connection must not hold on to its last frame.
                del message
                if inbox.waiter is not None:
                    inbox.wake()
                if size > 0:
                    self.bytes += size
                elif size == LAST:
                    return
                if len(queue) >= self._max_messages or self.bytes >= self._max_bytes:
                    await self._park()
        except BaseException as error:
            self._failed(error)
            if not isinstance(error, (Exception, asyncio.CancelledError)):
                raise

    def _failed(self, error: BaseException) -> None:
        if not self._inbox.closed:
            self.queue.append((self._inbox.monotonic(), error, 0))
            self._inbox.wake()

    async def _park(self) -> None:
        self.room = self._inbox.loop.create_future()
        if self._reading is None:
            await self.room
            return
        self._reading(value=False)
        await self.room
        self._reading(value=True)

    def make_room(self) -> None:
        """A message has left the queue of a parked reader: let it go on once half of its room is free."""
        room = self.room
        if room is not None and len(self.queue) <= self._max_messages >> 1 and self.bytes <= self._max_bytes >> 1:
            self.room = None
            if not room.done():
                room.set_result(None)


class Inbox:
    """
    Dispatches the messages of one connection, strictly one after the other.

    Args:
        monotonic: The clock.
        max_messages: Client messages read ahead.
        max_bytes: Client bytes read ahead.
    """

    __slots__ = ("_max_bytes", "_max_messages", "_sources", "closed", "loop", "monotonic", "waiter")

    def __init__(self, monotonic: Callable[[], float], max_messages: int, max_bytes: int) -> None:
        self.monotonic = monotonic
        self.loop = asyncio.get_running_loop()
        self.closed = False
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self.waiter: asyncio.Future[None] | None = None
        self._sources: list[Source] = []

    def wake(self) -> None:
        """Something is in a queue: let the dispatcher look."""
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def run(
        self, dispatch: Dispatch, receive: Get, arrived: Arrived, layer_receive: Get | None,
        reading: Callable[..., None] | None = None, entry: AtWork | None = None,
    ) -> Coroutine[Any, Any, None]:  # fmt: skip
        """
        Begin to read; the coroutine that is to be awaited at once dispatches until a source or the dispatch raises.

        Args:
            dispatch: Runs the handler.
            receive: The server's ``receive``.
            arrived: Counts a message of the server as soon as it is read, at that time, and gives its size in
                bytes: `CONTROL` for one that is no frame, `LAST` for the last one.
            layer_receive: The channel layer's ``receive`` for this consumer, if it has one.
            reading: Told by ``value`` whether the client's reader reads, when it parks and when it goes on.
            entry: What stands in the register while there is something to dispatch.
        """
        client = Source(self, receive, self._max_messages, self._max_bytes, arrived, reading)
        self._sources = [client] if layer_receive is None else [client, Source(self, layer_receive, 1, 1)]
        return self._dispatch_all(dispatch, entry)

    async def _dispatch_all(self, dispatch: Dispatch, entry: AtWork | None) -> None:
        """
        Dispatch one message of each source in turn; wait when there is none, yield when there are many.

        One loop and not several functions: this is the hot path, and a call costs as much as a count.
        """
        sources, monotonic = self._sources, self.monotonic
        message: Message | BaseException | None
        client = sources[0]
        register: set[Any] = set() if entry is None else BUSY
        register.add(entry)
        TURN.busy += 1
        budget, until = YIELD_MESSAGES, monotonic() + TURN.share()
        try:
            while True:
                idle = True
                for source in sources:
                    if not source.queue:
                        continue
                    idle = False
                    arrived_at, message, size = source.queue.pop(0)
                    if isinstance(message, BaseException):
                        raise message
                    if source is client:
                        if size > 0:
                            source.bytes -= size
                        if source.room is not None:
                            source.make_room()
                        ended_at = await dispatch(message, arrived_at, size)
                    else:
                        ended_at = await dispatch(message, arrived_at, size)
                        # Only now: with a message in its handler, Channels has not asked the layer for the next.
                        source.make_room()
                    budget -= 1
                    if budget <= 0 or ended_at > until:
                        await asyncio.sleep(0)
                        budget, until = YIELD_MESSAGES, monotonic() + TURN.share()
                if idle:
                    TURN.busy -= 1
                    register.discard(entry)
                    # An idle connection must not hold on to its last frame.
                    message = None
                    self.waiter = self.loop.create_future()
                    try:
                        await self.waiter
                    finally:
                        TURN.busy += 1
                        register.add(entry)
                    self.waiter = None
                    budget, until = YIELD_MESSAGES, monotonic() + TURN.share()
        finally:
            TURN.busy -= 1
            register.discard(entry)
            await self._close()

    async def _close(self) -> None:
        """Stop the readers; what they had read stays in the queues."""
        self.closed = True
        for source in self._sources:
            source.task.cancel()
            with suppress(asyncio.CancelledError):
                await source.task

    def oldest(self) -> float | None:
        """When the message that has waited longest arrived, in monotonic seconds; None if none waits."""
        return min((source.queue[0][0] for source in self._sources if source.queue), default=None)

    def waiting(self) -> int:
        """How many messages wait for their dispatch."""
        return sum(len(source.queue) for source in self._sources)

    def undispatched(self) -> list[list[Message]]:
        """After the end: what was read and never dispatched, by source."""
        return [[message for _, message, _ in source.queue if not isinstance(message, BaseException)]
                for source in self._sources]  # fmt: skip
