"""Whether to come back after a connection has ended, and when."""

import random
from collections.abc import Iterator

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
