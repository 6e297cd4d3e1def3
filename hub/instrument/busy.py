"""
The register of what is in dispatch: whoever looks for slow handlers looks at nothing else.

An entry is made when an inbox wakes or a loop that is not ours dispatches, and goes when it idles; so that finding
out what hangs costs nothing for connections at rest, however many there are, and next to nothing a message.
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
    One connection while its consumer runs.

    Attributes:
        task: That of the consumer's loop.
        inbox: Where its messages wait; None where that is not known.
        started_at: Since when, in monotonic seconds; zero between two messages.
        threshold: More than so many seconds is slow.
    """

    connection: Connection
    task: asyncio.Task[Any] | None
    inbox: Backlog | None
    started_at: float
    threshold: float


#: Everything in dispatch in this process.
BUSY: set[AtWork] = set()
