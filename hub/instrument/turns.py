"""
The turns of an event loop, seen from any thread: whether it waits for something to happen, and since when it does not.

asyncio's own loops wait in the ``select`` of their selector, which each turn calls once, by its name
(``tests/test_facts.py``). Only while somebody wants to know, something of ours stands before it, a few hundred
nanoseconds a turn.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Turns:
    """
    The turns of one loop.

    Args:
        loop: The loop; of one without a selector it is not known when it waits.
        monotonic: The clock.

    Attributes:
        number: How many began while somebody wanted to know.
        began_at: When the one that it is in began, in monotonic seconds; None while it waits for the next.
        seen: Whether turns are seen at all; if not, nobody knows whether it waits, and `began_at` says nothing.
    """

    __slots__ = ("_before", "_monotonic", "_selector", "began_at", "number", "seen")

    def __init__(self, loop: asyncio.AbstractEventLoop, monotonic: Callable[[], float]) -> None:
        self._selector: Any = getattr(loop, "_selector", None)
        self._monotonic = monotonic
        self._before: Callable[..., Any] | None = None
        self.number = 0
        self.seen = False
        self.began_at: float | None = monotonic()

    def watch(self) -> None:
        """Begin to watch; called in a turn of the loop."""
        self.began_at = self._monotonic()
        select = getattr(self._selector, "select", None)
        if select is None:
            return

        def seen_select(timeout: float | None = None) -> Any:  # noqa: ANN401 - the selector's
            self.began_at = None
            try:
                return select(timeout)
            finally:
                self.number += 1
                self.began_at = self._monotonic()

        with suppress(AttributeError):
            # A selector of another kind may take none.
            self._selector.select = seen_select
            self._before = seen_select
            self.seen = True

    def leave(self) -> None:
        """Watch no more; called in a turn of the loop."""
        # What somebody else has put before ours meanwhile stays, and ours behind it.
        if self._before is not None and vars(self._selector).get("select") is self._before:
            del self._selector.select
        self._before = None
        self.seen = False
