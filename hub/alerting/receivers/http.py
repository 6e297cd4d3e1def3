"""
One request over HTTP and its answer, within limits: `ATTEMPT_TIMEOUT` in all, name servers and slow drops included,
`MAX_ANSWER_BYTES`, no redirects, no cookies, nothing unpacked.

Secrets stay `Secret` in every frame that an error passes through, since error trackers record local variables; and
httpx's own client is not used, since it logs addresses, which for Slack are secrets.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from socket import gaierror
from typing import cast

import httpx
import msgspec

from hub import __version__
from hub.alerting.message import cut
from hub.alerting.receivers.base import ATTEMPT_TIMEOUT, MAX_ANSWER_BYTES, DeliveryError, RefusedError
from hub.clock import SYSTEM, Clock
from hub.conf import proxy_for
from hub.core.redaction import Secret, gives_away, redact

#: The longest that a receiver may ask to be left alone for, in seconds.
LONGEST_REST = 86_400.0
#: Answers that say "not now" rather than "never".
_NOT_NOW = frozenset({408, 425, 429})
_MAX_QUOTE = 120

Headers = Mapping[str, Secret | str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Its ``repr`` is the status alone: a receiver may repeat what it was sent."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def json(self) -> object:
        """The body as JSON; None if it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


@dataclass(frozen=True, slots=True)
class Http:
    """
    Sends requests to one receiver.

    Attributes:
        secrets: What must not be told of it: no part of an answer that repeats one is shown.
        timeout: Seconds that a request may take in all.
        clock: For ``Retry-After`` as a date.
    """

    secrets: tuple[Secret, ...]
    timeout: float = ATTEMPT_TIMEOUT
    clock: Clock = SYSTEM

    def post(self, url: Secret, content: object, headers: Headers | None = None) -> Answer:
        """
        Send something as JSON.

        Args:
            url: Where to.
            content: Plain values, in which a `Secret` stands for its text; or bytes that are JSON already.
            headers: Besides the usual ones.

        Returns:
            The answer, whatever it says.

        Raises:
            DeliveryError: There was none, or one too long.
        """
        came = _attempt(url, content, headers or {}, self.timeout)
        if isinstance(came, str):
            raise DeliveryError(came)
        return came

    def require(self, answer: Answer) -> None:
        """
        Say no to an answer that means no.

        Raises:
            DeliveryError: Not now.
            RefusedError: Never.
        """
        if 200 <= answer.status < 300:  # noqa: PLR2004 - of HTTP: success
            return
        reason = f"answered {answer.status}{self.quote(answer)}"
        if 300 <= answer.status < 400:  # noqa: PLR2004 - of HTTP: redirection
            raise RefusedError(f"{reason}: it sends elsewhere; configure the address that it means")
        if answer.status in _NOT_NOW or answer.status >= 500:  # noqa: PLR2004 - of HTTP: its own fault
            raise DeliveryError(reason, self.rest(answer))
        raise RefusedError(reason)

    def rest(self, answer: Answer) -> float | None:
        """Seconds that ``Retry-After`` asks for; None: it says nothing that can be understood."""
        given = answer.headers.get("retry-after", "").strip()
        if given.isascii() and given.isdigit():
            return min(float(given[:9]), LONGEST_REST)
        try:
            at = parsedate_to_datetime(given).timestamp()
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
        return min(max(at - self.clock.wall(), 0.0), LONGEST_REST)

    def quote(self, answer: Answer) -> str:
        """What an answer says, for people, behind a colon; empty if it says nothing that may be shown."""
        text = answer.body[:4096].decode(errors="replace")
        said = redact("".join(char if char.isprintable() else " " for char in text))
        if not said or gives_away(text, self.secrets) or gives_away(said, self.secrets):
            return ""
        return f": {cut(said, _MAX_QUOTE)}"


def _attempt(url: Secret, content: object, headers: Headers, timeout: float) -> Answer | str:
    """The answer, or why there is none: nothing is raised, so that no traceback leads to where secrets are open."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(_exchange(url, content, headers, timeout))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        # `asyncio.run` would wait here for a name server that does not answer.
        loop.close()


async def _exchange(url: Secret, content: object, headers: Headers, timeout: float) -> Answer | str:  # noqa: ASYNC109 - seconds in all, from settings
    try:
        async with asyncio.timeout(timeout):
            return await _send(url, content, headers)
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except Exception as error:  # noqa: BLE001 - no traceback may lead into `_send`, where secrets are open
        return _why(error)


async def _send(url: Secret, content: object, headers: Headers) -> Answer | str:
    usual = {"Content-Type": "application/json", "User-Agent": f"channels-hub/{__version__}"}
    given = {name: value.value if isinstance(value, Secret) else value for name, value in headers.items()}
    body = content if isinstance(content, bytes) else msgspec.json.encode(content, enc_hook=_open)
    request = httpx.Request("POST", url.value, content=body, headers={**usual, **given})
    proxy = proxy_for(request.url.scheme, request.url.raw_host.decode())
    async with httpx.AsyncHTTPTransport(verify=_tls(), proxy=proxy) as transport:
        response = await transport.handle_async_request(request)
        async with aclosing(response):
            received = bytearray()
            async with aclosing(cast("AsyncGenerator[bytes]", response.aiter_raw())) as chunks:
                async for chunk in chunks:
                    received += chunk
                    if len(received) > MAX_ANSWER_BYTES:
                        return f"answered {response.status_code} with more than {MAX_ANSWER_BYTES // 1024} KiB"
            names = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, names, bytes(received))


def _open(given: object) -> str:
    if isinstance(given, Secret):
        return given.value
    raise NotImplementedError(type(given))


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _why(error: BaseException) -> str:
    """Why there is no answer, in words of our own."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for one in causes:
        if isinstance(one, gaierror):
            return "its name can't be resolved"
        if isinstance(one, ssl.SSLError):
            return f"no TLS connection: {one.reason or 'handshake failed'}"
        if isinstance(one, ConnectionRefusedError):
            return "nobody listens there"
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return "it can't be reached"
    if isinstance(error, httpx.TransportError | OSError):
        return "it closed the connection without an answer"
    # Such as a proxy in the environment that speaks no HTTP.
    return "the request can't be made"
