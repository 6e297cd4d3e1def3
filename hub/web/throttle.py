"""
Brakes for whoever guesses passwords: so many attempts for a name from an address, then a wait.

Kept in this process and bounded; attempts beyond the bound push out the ones that are oldest.
"""

from collections import OrderedDict, deque
from threading import Lock

Key = tuple[str, str]


class Throttle:
    """
    Admits a number of attempts within a window that slides along.

    Args:
        attempts: How many.
        window: In how many seconds.
        keys: How many names with addresses are remembered at most.
    """

    def __init__(self, attempts: int, window: float, keys: int) -> None:
        self._attempts = attempts
        self._window = window
        self._keys = keys
        self._made: OrderedDict[Key, deque[float]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._made)

    def admit(self, key: Key, now: float) -> float:
        """
        Count an attempt before its outcome is known, so that many at once gain nothing.

        Returns:
            Zero if it may be made; else the seconds until the next one may, and this one was not counted.
        """
        with self._lock:
            made = self._made.pop(key, None) or deque()
            self._made[key] = made
            while made and made[0] <= now - self._window:
                made.popleft()
            if len(made) >= self._attempts:
                return made[0] + self._window - now
            made.append(now)
            if len(self._made) > self._keys:
                self._made.popitem(last=False)
            return 0.0

    def forgive(self, key: Key) -> None:
        """An attempt succeeded: nothing is held against the key any more."""
        with self._lock:
            self._made.pop(key, None)
