"""`connect`: opens a conversation as ``websockets``' own ``connect`` does, and asks for control frames."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterator
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_connection

from hub.client.connection import HubSocket, Resume
from hub.client.queues import Inbox, Outbox
from hub.client.reconnect import FINAL_CODES, full_jitter
from hub.core.control import with_parameter

#: Frames that wait for the application, and messages that wait for a connection, at most.
MAX_QUEUE = 64
MAX_UNSENT = 1000
MAX_UNSENT_BYTES = 1 << 20


class connect:  # noqa: N801 - in lower case, as the library's: it is called like a function
    """
    Connect to a server; use it as ``async with connect(...) as socket`` or ``socket = await connect(...)``.

    The first attempt raises what the library raises; a connection that was open once comes back by itself. As with
    the library, ``async for socket in connect(...)`` tries the first one again as well, and starts anew after each
    end.

    Args:
        uri: Where to, ``ws://`` or ``wss://``.
        resume: Called on each connection but the first: what it returns is sent before anything that has waited.
        reconnect_delays: Makes the waits, in seconds, before each attempt to come back; where they end, so do the
            attempts. None: never come back.
        final_codes: Close codes after which it does not come back.
        max_queue: Frames that wait for the application at most; beyond that nothing is read.
        max_unsent: Messages that wait for the connection's return at most.
        max_unsent_bytes: The same in bytes (of text: characters).
        options: Everything that the library's ``connect`` takes, such as ``additional_headers``,
            ``subprotocols``, ``ssl`` and ``process_exception``, which tells whether to try again after an attempt
            that failed.
    """

    def __init__(
        self, uri: str, *, resume: Resume | None = None,
        reconnect_delays: Callable[[], Iterator[float]] | None = full_jitter,
        final_codes: Collection[int] = FINAL_CODES, max_queue: int | None = MAX_QUEUE,
        max_unsent: int = MAX_UNSENT, max_unsent_bytes: int = MAX_UNSENT_BYTES,
        **options: Any,  # noqa: ANN401 - the library's
    ) -> None:  # fmt: skip
        self._opener = open_connection(with_parameter(uri), **options)
        self._delays = reconnect_delays or (lambda: iter(()))
        self._settings: dict[str, Any] = {"delays": self._delays, "final_codes": final_codes, "resume": resume}
        self._limits = max_queue, max_unsent, max_unsent_bytes
        self._socket: HubSocket | None = None

    def __await__(self) -> Generator[Any, None, HubSocket]:
        return self._connect().__await__()

    async def _connect(self) -> HubSocket:
        max_queue, max_unsent, max_unsent_bytes = self._limits
        inbox, outbox = Inbox(max_queue), Outbox(max_unsent, max_unsent_bytes)
        return HubSocket(await self._opener, self._reopen, inbox=inbox, outbox=outbox, **self._settings)

    async def _reopen(self) -> ClientConnection | None:
        """Try to come back; None if that failed but may succeed later."""
        try:
            return await self._opener
        except Exception as error:  # noqa: BLE001 - raised again unless it is worth another attempt
            self._judge(error)
            return None

    def _judge(self, error: Exception) -> None:
        """Raise an attempt's error unless it is worth another attempt."""
        fatal = self._opener.process_exception(error)
        if fatal is not None:
            raise fatal from (None if fatal is error else error)

    async def __aenter__(self) -> HubSocket:
        self._socket = await self
        return self._socket

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.__aexit__(kind, error, traceback)

    async def __aiter__(self) -> AsyncIterator[HubSocket]:
        delays = self._delays()
        while True:
            try:
                socket = await self
            except Exception as error:
                self._judge(error)
                delay = next(delays, None)
                if delay is None:
                    raise
                await asyncio.sleep(delay)
                continue
            delays = self._delays()
            async with socket:
                yield socket
