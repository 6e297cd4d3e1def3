"""
A limit of time for what has none of its own: libraries that block, as mail and apprise do.

What is not done in time goes on in a thread that nobody waits for; until that ends its receiver gets nothing else, so
that one which hangs costs one thread.
"""

import threading
from collections.abc import Callable

from hub.alerting.receivers.base import ATTEMPT_TIMEOUT, DeliveryError


class Patience:
    """
    Waits for one call at a time.

    Args:
        timeout: Seconds that a call may take.
    """

    def __init__(self, timeout: float = ATTEMPT_TIMEOUT) -> None:
        self._timeout = timeout
        self._running: threading.Thread | None = None

    def call(self, blocking: Callable[[], str]) -> None:
        """
        Make a call.

        Args:
            blocking: Returns what went wrong, in words without secrets; empty: nothing did. It raises nothing.

        Raises:
            DeliveryError: It went wrong, or is not done within the time.
        """
        if self._running is not None and self._running.is_alive():
            raise DeliveryError("the attempt before has not ended yet")
        said: list[str] = []
        self._running = threading.Thread(target=lambda: said.append(blocking()), name="hub-receiver", daemon=True)
        self._running.start()
        self._running.join(self._timeout)
        if self._running.is_alive():
            raise DeliveryError(f"no answer within {self._timeout:g} s")
        self._running = None
        if said != [""]:
            raise DeliveryError(said[0] if said else "it failed")
