"""Whether to come back after a connection has ended, when, and with which words."""

import random
from collections.abc import Awaitable, Callable, Iterator

from hub.client.control import Message

#: Not after 1000 (the server is done) and 1008 (against its policy), nor after 4400 to 4499, which say what HTTP's 400
#: to 499 do, but for 4408, 4425 and 4429: time-out, too early, too many.
FINAL_CODES = frozenset({1000, 1008, *range(4400, 4500)}) - {4408, 4425, 4429}
#: After these the server has too much to do: the first waits, which are short, are passed over.
BUSY_CODES = frozenset({1013, 4429})
BUSY_SKIPS = 4
#: A connection that held so long, in seconds, has done away with the failures before it.
STABLE_SECONDS = 5.0
FIRST_DELAY = 1.0
LONGEST_DELAY = 30.0


def full_jitter(first: float = FIRST_DELAY, longest: float = LONGEST_DELAY) -> Iterator[float]:
    """
    How long to wait before each attempt, in seconds: anything up to a bound that doubles, forever.

    Spread over the whole of it, so that a thousand clients of a server that restarts don't come back all at once.
    """
    bound = first
    while True:
        yield random.uniform(0, bound)  # noqa: S311 - spreads load, keeps no secret
        bound = min(2 * bound, longest)


class ResumeContext:
    """
    Of the attempt that is about to be made, for the ``resume`` hook.

    Attributes:
        uri: Where to connect. May be assigned, as for a fresh token; it is kept for the attempts after this one.
        attempt: Which one this is, from 1, since the last connection that held for five seconds.
        code: How the last connection ended.
        reason: What came with the code.
        messages: What `send` was given.
    """

    def __init__(self, uri: str, attempt: int, code: int, reason: str) -> None:
        self.uri = uri
        self.attempt = attempt
        self.code = code
        self.reason = reason
        self.messages: list[Message] = []

    def send(self, message: Message | bytearray | memoryview) -> None:
        """To be sent first if this attempt succeeds, before everything that waits."""
        if not isinstance(message, (str, bytes, bytearray, memoryview)):
            raise TypeError(f"a message is text or bytes, not {type(message).__name__}")
        self.messages.append(message if isinstance(message, (str, bytes)) else bytes(message))


Resume = Callable[[ResumeContext], Awaitable[None] | None]
