"""
What every receiver does: tell somebody of one message, once.

A receiver blocks, in a thread of the outbox; it keeps nothing between two messages but what it returns. It never puts
a secret into an error, a log or what it returns.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from hub.alerting.message import Message

#: Seconds that one attempt may take in all.
ATTEMPT_TIMEOUT = 10.0
#: Bytes that are read of an answer; more is a fault of the receiver's.
MAX_ANSWER_BYTES = 64 * 1024


class DeliveryError(Exception):
    """
    A message has not arrived, as far as is known; it will be tried again.

    Args:
        reason: For people, without secrets.
        retry_after: Seconds that the receiver asked to be left alone for; None: it said nothing.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class RefusedError(DeliveryError):
    """The receiver will never take this message: a wrong address, token or format. No use to try again."""


class Receiver(Protocol):
    """
    Somebody who is told.

    Attributes:
        name: As in ``HUB["RECEIVERS"]``.
        kind: ``slack``, ``pagerduty``, ``email``, ``webhook``, ``alertmanager`` or ``apprise``.
        per_minute: Messages that it takes in a minute at most.
    """

    name: str
    kind: str
    per_minute: float

    def deliver(self, message: Message, memory: Mapping[str, Any]) -> dict[str, Any]:
        """
        Tell it.

        Args:
            message: What; its ``incident`` is the deduplication key.
            memory: What was returned for the message before of the same incident; empty for the first.

        Returns:
            What to remember until the next message of the incident: plain values.

        Raises:
            DeliveryError: It has not arrived, as far as is known.
            RefusedError: It never will.
        """
