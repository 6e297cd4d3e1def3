"""
Two registers of where something happens: whoever looks for what is slow looks at nothing else.

Of what is in dispatch: an entry is made when an inbox wakes or a loop that is not ours dispatches, and goes when it
idles. Of what was sent to: an entry is made by the first frame to a connection, and stands until somebody has looked;
until then a frame asks one flag of its connection. So that finding out what hangs costs nothing for connections at
rest, however many there are, and next to nothing a message.
"""

import asyncio
from typing import Any, Protocol

from hub.core.ledger import Connection

#: How long an entry may be at one message, in seconds, unless its consumer or the settings say otherwise.
DEFAULT_THRESHOLD = 0.5


class Backlog(Protocol):
    """Messages that wait for their dispatch."""

    def oldest(self) -> float | None:
        """When the one that has waited longest arrived, in monotonic seconds; None if none waits."""

    def waiting(self) -> int:
        """How many wait."""


class AtWork(Protocol):
    """
    One connection while its consumer runs, or while something was sent to its client.

    Attributes:
        task: That of the consumer's loop.
        inbox: Where its messages wait; None where that is not known.
        started_at: Since when, in monotonic seconds; zero between two messages.
        threshold: More than so many seconds is slow.
        close_after: A client that is more than so many seconds behind is to be closed; None: none is.
    """

    connection: Connection
    task: asyncio.Task[Any] | None
    inbox: Backlog | None
    started_at: float
    threshold: float
    close_after: float | None

    def close_slow_client(self) -> None:
        """Close the connection without waiting for its client; does nothing the second time."""


#: Everything in dispatch in this process.
BUSY: set[AtWork] = set()
#: Connections of this process that something was sent to since they were last looked at, and what stands for each.
SENT: dict[Connection, AtWork] = {}
