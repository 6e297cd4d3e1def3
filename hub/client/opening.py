"""`connect`: opens a conversation as ``websockets``' own ``connect`` does, and asks for control frames."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterator
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_connection
from websockets.exceptions import InvalidURI

from hub.client.connection import HubSocket, Settings
from hub.client.queues import Inbox, Outbox
from hub.client.reconnect import FINAL_CODES, Resume, full_jitter
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
        resume: Called with a `ResumeContext` before each attempt to come back; the attempt waits for it, also for a
            coroutine. One that raises has failed this attempt: that is logged, and the next one follows.
        reconnect_delays: Makes the waits, in seconds, before each attempt to come back; where they end, so do the
            attempts. None: never come back.
        final_codes: Close codes after which it does not come back.
        negotiate: Ask the hub for control frames, by one more parameter in the query of the URI.
        max_queue: Frames that wait for the application at most; beyond that nothing is read.
        max_unsent: Messages that wait for the connection's return at most.
        max_unsent_bytes: The same in bytes (of text: characters).
        options: Everything that the library's ``connect`` takes, such as ``additional_headers``,
            ``subprotocols``, ``ssl`` and ``process_exception``, which tells whether to try again after an attempt
            that failed. On a negotiated connection heartbeats say whether the server lives; the library's pings do
            as well only where a ``ping_timeout`` is given.
    """

    def __init__(
        self, uri: str, *, resume: Resume | None = None,
        reconnect_delays: Callable[[], Iterator[float]] | None = full_jitter,
        final_codes: Collection[int] = FINAL_CODES, negotiate: bool = True, max_queue: int | None = MAX_QUEUE,
        max_unsent: int = MAX_UNSENT, max_unsent_bytes: int = MAX_UNSENT_BYTES,
        **options: Any,  # noqa: ANN401 - the library's
    ) -> None:  # fmt: skip
        self._options = options
        self._limits = max_queue, max_unsent, max_unsent_bytes
        self._settings = Settings(
            delays=reconnect_delays or (lambda: iter(())), final_codes=final_codes, resume=resume,
            negotiate=negotiate, pings="ping_timeout" in options,
        )  # fmt: skip
        self._socket: HubSocket | None = None
        self._aim(uri)

    def _aim(self, uri: str) -> None:
        """Connect there from now on."""
        self._opener = open_connection(with_parameter(uri) if self._settings.negotiate else uri, **self._options)
        self._uri = uri

    def __await__(self) -> Generator[Any, None, HubSocket]:
        return self._connect().__await__()

    async def _connect(self) -> HubSocket:
        max_queue, max_unsent, max_unsent_bytes = self._limits
        inbox, outbox = Inbox(max_queue), Outbox(max_unsent, max_unsent_bytes)
        connection = await self._opener
        return HubSocket(connection, self._uri, self._reopen, self._settings, inbox=inbox, outbox=outbox)

    async def _reopen(self, uri: str) -> ClientConnection | None:
        """Try to come back; None if that failed but may succeed later."""
        try:
            if uri != self._uri:
                self._aim(uri)
        except (InvalidURI, ValueError) as error:
            # Not the address itself: it may contain a secret.
            why = getattr(error, "msg", error)
            self._opener.logger.error("the resume hook's address can't be used: %s", why)  # noqa: TRY400
            return None
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
        delays = self._settings.delays()
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
            delays = self._settings.delays()
            async with socket:
                yield socket
