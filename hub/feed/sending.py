"""What the hub's own consumers send: no faster than the other end reads, and with one error when it has gone."""

import asyncio
from collections.abc import Awaitable, Callable

from hub.instrument.servers import outbound_bytes

#: Seconds between two looks at a write buffer that is too full.
BACKLOG_POLL = 0.05


async def wait_for_room(raw_send: object, limit: int, given_up: Callable[[], bool]) -> None:
    """
    Wait until the server's write buffer has room, or nobody wants to send any more: Daphne's ``send`` never waits.

    Args:
        raw_send: The server's own ``send``; None: unknown, so there is nothing to wait for.
        limit: Bytes that the buffer may hold.
        given_up: Whether there is no use in waiting.
    """
    # The server has no event to wait for.
    while not given_up() and (outbound_bytes(raw_send) or 0) > limit:  # noqa: ASYNC110
        await asyncio.sleep(BACKLOG_POLL)


async def unless_gone(sending: Awaitable[None]) -> None:
    """
    Let the server send; what it raises while a connection is closing differs from server to server.

    Raises:
        ConnectionResetError: It raised something.
    """
    try:
        await sending
    except Exception as error:
        raise ConnectionResetError("the other end is leaving") from error
