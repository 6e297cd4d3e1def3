"""The order of the tests, so that nobody waits for the last one."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")
#: Long tests at the same time. They use processors; between them there has to be room for those that wait.
LANES = 2


def long_first(items: Sequence[T], long: Sequence[T], workers: int) -> list[T]:
    """
    The items in an order of which the long ones begin at once, in so many lanes; all others stay as they were.

    xdist's worksteal hands each worker an equal piece of the list, and takes from the end of a piece what it hands on.

    Args:
        items: All of them.
        long: Some of them.
        workers: How many share them, at least one.
    """
    rest = iter([item for item in items if item not in long])
    lanes = min(LANES, workers)
    ordered: list[T] = []
    for worker in range(workers):
        end = len(ordered) + (len(items) - len(ordered)) // (workers - worker)
        ordered += long[worker::lanes] if worker < lanes else ()
        ordered += islice(rest, max(0, end - len(ordered)))
    return [*ordered, *rest]
