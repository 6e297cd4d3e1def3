"""
The queues that channel layers keep for a whole process: how long messages wait there, and whose fault that is not.

Consumers that are slow leave messages in the layer. While none asks for its next message that is their fault, as long
as all of them are in slow handlers, or nobody is there; else the queue waits for the layer, or for many small steps.
"""

from collections.abc import Callable, Collection

from channels.layers import channel_layers

from hub.core.events import Detail
from hub.core.slowness import RELEASE
from hub.instrument.busy import AtWork
from hub.instrument.layers.base import Instrumented

Taken = Callable[[float, float], float]

#: Seconds between two looks, and no more.
SOON = 0.1


class Wait:
    """What waited longest in the queue of one layer, since somebody asked last; times by the wall clock."""

    __slots__ = ("layer", "since", "until")

    def __init__(self, layer: Instrumented, since: float, until: float) -> None:
        self.layer = layer
        self.since = since
        self.until = until

    def details(self) -> dict[str, Detail]:
        """What an operator should know of it."""
        queue = self.layer.hub_queue
        return {
            "layer": self.layer.hub_alias,
            "waiting": None if queue is None else queue.messages,
            "oldest_seconds": round(self.until - self.since, 3),
            "asking": self.layer.hub_asking(),
        }


class Queues:
    """
    The queues of this process.

    Args:
        threshold: More than so many seconds is slow.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        #: Until when nobody can be blamed but slow consumers, by layer; monotonic seconds.
        self._excused: dict[Instrumented, float] = {}

    def look(self, busy: Collection[AtWork], now: float, wall: float) -> list[Wait]:
        """
        What has waited, or waits, for long enough to be looked into.

        Args:
            busy: All that is in dispatch.
            now: Monotonic time, in seconds.
            wall: The same by the wall clock.
        """
        waits = []
        for layer in list(channel_layers.backends.values()):
            if not isinstance(layer, Instrumented) or layer.hub_queue is None:
                continue
            if not layer.hub_asking() and self._all_held(busy, now):
                self._excused[layer] = now
            longest = layer.hub_queue.longest(wall)
            if longest is not None and longest[1] - longest[0] > RELEASE * self._threshold:
                waits.append(Wait(layer, *longest))
        return waits

    def noted(self) -> bool:
        """Whether any wait is known since somebody looked last; callable from any thread."""
        return any(
            isinstance(layer, Instrumented) and layer.hub_queue is not None and layer.hub_queue.noted
            for layer in list(channel_layers.backends.values())
        )

    def _all_held(self, busy: Collection[AtWork], now: float) -> bool:
        """Whether all that have a channel are in slow dispatches, or will be at the next look; or there are none."""
        return all(
            entry.started_at and now - entry.started_at > self._threshold - SOON
            for entry in busy if entry.connection.link is not None
        )  # fmt: skip

    def longest(self, waits: list[Wait], taken: Taken, ahead: float) -> tuple[float, Wait] | None:
        """
        The longest wait that is not the fault of slow consumers, nor of a blocked event loop; in seconds.

        Args:
            taken: Seconds between two moments by the loop's own clock.
            ahead: The wall clock's lead over the monotonic one.
        """
        found: tuple[float, Wait] | None = None
        for wait in waits:
            since = max(wait.since - ahead, self._excused.get(wait.layer, 0.0))
            seconds = taken(since, max(since, wait.until - ahead))
            if seconds > RELEASE * self._threshold and (found is None or seconds > found[0]):
                found = (seconds, wait)
        return found
