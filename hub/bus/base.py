"""
The bus: the contract by which nodes exchange what they know. It is never the channel layer that is monitored.

Three things travel. *Snapshots* are absolute: the newest one of each node counts, until its lease ends. *Broadcasts*
reach whoever listens at that moment. *Events* are a log with one order for the whole fleet; a cursor names a place
in it, as ``<epoch>-<id>``, and can be read from while retention keeps what follows. A *lease* is held by one holder
at a time and carries a fencing epoch that grows with each new holder.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hub.core.errors import CursorError

#: More than any log will have.
MAX_ID_DIGITS = 18

Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event in the log: its place, and plain values that nobody may change."""

    id: int
    payload: Payload


class Bus(Protocol):
    """
    What every bus does; `tests/bus/test_contract.py` holds all of them to it.

    Attributes:
        epoch: Names the log: a cursor of another epoch is of another log.
    """

    epoch: str

    async def append(self, payload: Payload) -> Entry:
        """Append an event and wake all who wait. Ids grow by one."""

    async def read(self, after: int, limit: int = 1000) -> list[Entry]:
        """
        Events after an id, oldest first.

        Raises:
            CursorError: ``expired`` if the next one is no longer kept, ``future`` if ``after`` was never given out.
        """

    async def wait(self, after: int) -> None:
        """Return once there is an event after an id."""

    async def newest(self) -> int:
        """The id of the newest event; zero if there was none."""

    async def oldest(self) -> int:
        """The id of the oldest event still kept; one more than the newest if there is none."""

    async def broadcast(self, topic: str, payload: Payload) -> None:
        """
        Tell all who listen to a topic, this node included, once and at most once: whoever does not hear it now
        never will, and whoever uses it must heal from a message that is lost, late or repeated.
        """

    def listen(self, topic: str, receive: Callable[[Payload], None]) -> Callable[[], None]:
        """
        Call ``receive`` on the event loop with everything told on a topic from now on, in its sender's order.

        Returns:
            Ends it.
        """

    async def publish(self, node: str, snapshot: Payload, lease: float) -> None:
        """Replace a node's snapshot; it counts as live for ``lease`` seconds."""

    async def snapshots(self) -> list[Payload]:
        """The newest snapshot of each node whose lease has not ended."""

    async def withdraw(self, node: str) -> None:
        """A node has stopped on purpose: forget its snapshot at once."""

    async def acquire(self, name: str, holder: str, lease: float) -> int | None:
        """
        Take or renew a lease for so many seconds.

        Returns:
            Its fencing epoch, the same on renewal; None while another holder has it.
        """

    async def release(self, name: str, holder: str) -> None:
        """Give a lease back; nothing happens if another holder has it."""

    async def close(self) -> None:
        """Let go of all resources; nothing may be called afterwards."""


def format_cursor(epoch: str, event_id: int) -> str:
    """A place in the log as text."""
    return f"{epoch}-{event_id}"


def parse_cursor(cursor: str, epoch: str) -> int:
    """
    The id in a cursor.

    Raises:
        CursorError: ``epoch`` if it belongs to another log.
        ValueError: It is no cursor at all.
    """
    its_epoch, separator, number = cursor.rpartition("-")
    if not separator or not its_epoch or not (number.isascii() and number.isdigit()) or len(number) > MAX_ID_DIGITS:
        raise ValueError(f"{cursor[:40]!r} is not a cursor; send one that the feed gave you, such as {epoch}-1")
    if its_epoch != epoch:
        raise CursorError("epoch", cursor)
    return int(number)
