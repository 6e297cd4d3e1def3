"""The bus of a fleet of one process: everything stays in its memory, bounded in number and age."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable

from hub.bus.base import Entry, Payload, format_cursor
from hub.core.errors import CursorError
from hub.faults import record_fault


class MemoryBus:
    """
    See `hub.bus.base.Bus`.

    Args:
        monotonic: The clock.
        max_events: Events kept.
        max_age: Seconds that events are kept.
    """

    def __init__(self, monotonic: Callable[[], float], max_events: int, max_age: float) -> None:
        self.epoch = secrets.token_hex(4)
        self._monotonic = monotonic
        self._max_events = max_events
        self._max_age = max_age
        self._events: deque[tuple[float, Entry]] = deque()
        self._newest = 0
        self._arrived = asyncio.Condition()
        self._snapshots: dict[str, tuple[float, Payload]] = {}
        self._leases: dict[str, tuple[str, float, int]] = {}
        self._listeners: dict[str, list[Callable[[Payload], None]]] = {}

    async def append(self, payload: Payload) -> Entry:
        self._newest += 1
        entry = Entry(self._newest, payload)
        self._events.append((self._monotonic(), entry))
        self._expire()
        async with self._arrived:
            self._arrived.notify_all()
        return entry

    def _expire(self) -> None:
        too_old = self._monotonic() - self._max_age
        while self._events and (len(self._events) > self._max_events or self._events[0][0] < too_old):
            self._events.popleft()

    async def read(self, after: int, limit: int = 1000) -> list[Entry]:
        self._expire()
        if after > self._newest:
            raise CursorError("future", format_cursor(self.epoch, after))
        oldest = self._newest - len(self._events) + 1
        if after < oldest - 1:
            raise CursorError("expired", format_cursor(self.epoch, after))
        start = after - oldest + 1
        # Readers stand near the end nearly always: count back from there.
        count = min(limit, len(self._events) - start)
        return [self._events[index - len(self._events)][1] for index in range(start, start + count)]

    async def wait(self, after: int) -> None:
        async with self._arrived:
            await self._arrived.wait_for(lambda: self._newest > after)

    async def newest(self) -> int:
        return self._newest

    async def oldest(self) -> int:
        self._expire()
        return self._newest - len(self._events) + 1

    async def broadcast(self, topic: str, payload: Payload) -> None:
        for receive in tuple(self._listeners.get(topic, ())):
            try:
                receive(payload)
            except Exception as error:  # noqa: BLE001 - the border: one listener's fault must not keep it from others
                record_fault(f"bus {topic}", error)

    def listen(self, topic: str, receive: Callable[[Payload], None]) -> Callable[[], None]:
        listeners = self._listeners.setdefault(topic, [])
        listeners.append(receive)

        def end() -> None:
            if receive in listeners:
                listeners.remove(receive)

        return end

    async def publish(self, node: str, snapshot: Payload, lease: float) -> None:
        self._snapshots[node] = (self._monotonic() + lease, snapshot)

    async def snapshots(self) -> list[Payload]:
        now = self._monotonic()
        self._snapshots = {node: kept for node, kept in self._snapshots.items() if kept[0] > now}
        return [snapshot for _, snapshot in self._snapshots.values()]

    async def withdraw(self, node: str) -> None:
        self._snapshots.pop(node, None)

    async def acquire(self, name: str, holder: str, lease: float) -> int | None:
        now = self._monotonic()
        current, until, epoch = self._leases.get(name, ("", 0.0, 0))
        if current and current != holder and until > now:
            return None
        if current != holder or until <= now:
            epoch += 1
        self._leases[name] = (holder, now + lease, epoch)
        return epoch

    async def release(self, name: str, holder: str) -> None:
        current, _, epoch = self._leases.get(name, ("", 0.0, 0))
        if current == holder:
            # The epoch stays: whoever takes the lease next must get a higher one.
            self._leases[name] = ("", 0.0, epoch)

    async def close(self) -> None:
        self._events.clear()
        self._snapshots.clear()
        self._listeners.clear()
