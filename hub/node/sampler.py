"""
The sampler: a copy of the ledger, taken on the event loop in slices that no consumer notices.

Most records of a large fleet rest in any given second: one that has not changed since its last copy is not copied
again, and whoever compares two samples sees that by identity.
"""

import asyncio
from typing import Any

from hub.core.ledger import Counts, Ledger
from hub.core.snapshot import Key

#: Records copied between two looks at the loop: well below a millisecond.
SLICE = 40


class Sampler:
    """
    Copies a ledger again and again.

    Args:
        ledger: What the process counts in.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._copies: dict[Key, tuple[tuple[float, ...], list[Any]]] = {}

    async def sample(self) -> list[list[Any]]:
        """Packed copies of all counts, each consistent in itself; nobody may change them."""
        rows = []
        for index, counts in enumerate(self._ledger, start=1):
            rows.append(self._copy(counts))
            if index % SLICE == 0:
                await asyncio.sleep(0)
        return rows

    def _copy(self, counts: Counts) -> list[Any]:
        key, mark = (counts.consumer, counts.tenant), counts.mark()
        kept = self._copies.get(key)
        if kept is not None and kept[0] == mark:
            return kept[1]
        packed = counts.pack()
        self._copies[key] = (mark, packed)
        return packed
