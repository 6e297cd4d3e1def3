"""What is told as a whole: a topic whose delta is all of it, or nothing if it is the same."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from hub.fleet.view import REMOVED_KEPT

Whole = TypeVar("Whole")


class Told(Generic[Whole]):
    """
    What was told last, by scope, and when it had changed.

    Args:
        nothing: What need not be remembered: there is nothing to tell.
    """

    def __init__(self, nothing: Whole) -> None:
        self._nothing = nothing
        self._told: dict[Hashable, tuple[Whole, int]] = {}

    def __len__(self) -> int:
        return len(self._told)

    def since(self, since: int, key: Hashable, newest: Whole, version: int) -> Whole | None:
        """
        Take what there is to tell now.

        Args:
            since: The tick that somebody knows; below zero: none.
            key: The scope.
            version: The tick of now.

        Returns:
            It; None if it is what it was at the tick ``since``.
        """
        whole, changed = self._told.get(key, (self._nothing, -1))
        if newest != whole:
            whole, changed = newest, version
            self._told[key] = whole, changed
        elif whole == self._nothing and version - changed > REMOVED_KEPT:
            # Everybody has been told that there is nothing any more.
            self._told.pop(key, None)
        return whole if changed > since or since < 0 else None
