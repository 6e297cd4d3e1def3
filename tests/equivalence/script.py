"""
The language of the conversations: a script is a list of steps, a step is a verb of `Client` and its arguments.

Each step that waits, waits for something that happens (a frame, a note of the consumer's, the end), never for a time,
so that a conversation goes the same way on a fast machine and a slow one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.equivalence.witness import Entry

DAPHNE, UVICORN, UVICORN_LEGACY, UVICORN_WSPROTO = "daphne", "uvicorn-sansio", "uvicorn-legacy", "uvicorn-wsproto"
COMMUNICATOR = "communicator"
UVICORNS = (UVICORN, UVICORN_LEGACY, UVICORN_WSPROTO)
SERVERS = (DAPHNE, *UVICORNS)
EVERYWHERE = (*SERVERS, COMMUNICATOR)


@dataclass(frozen=True)
class Step:
    """One act of one of the clients of a conversation."""

    verb: str
    arguments: tuple[Any, ...] = ()
    who: str = "a"


@dataclass
class Transcript:
    """What both sides of one connection saw, in order."""

    client: list[Entry] = field(default_factory=list)
    server: list[Entry] = field(default_factory=list)

    def noted(self, *kinds: str) -> list[Entry]:
        """The consumer's notes of some kinds."""
        return [entry for entry in self.server if entry[0] in kinds]


Transcripts = dict[str, Transcript]
#: Brings transcripts into a form that is equal whenever a conversation went as it may.
Canonical = Callable[[Transcripts], Any]
#: Raises AssertionError if a conversation, of a variant that may read ahead or not, did not keep to a rule.
Verify = Callable[[Transcripts, bool], None]


def as_is(transcripts: Transcripts) -> Any:
    return {who: [transcript.client, transcript.server] for who, transcript in transcripts.items()}


@dataclass(frozen=True)
class Conversation:
    """A script, where it is held, and how its transcripts are compared."""

    name: str
    consumer: str
    steps: tuple[Step, ...]
    kinds: tuple[str, ...] = EVERYWHERE
    canonical: Canonical = as_is
    verify: Verify | None = None

    @property
    def clients(self) -> list[str]:
        return sorted({step.who for step in self.steps})


class Client(Protocol):
    """Carries out the steps of one client of a conversation, on a server or in process."""

    transcript: Transcript

    async def connect(self, query: str, subprotocols: tuple[str, ...]) -> None: ...
    async def attempt(self, query: str) -> None: ...
    async def text(self, text: str) -> None: ...
    async def flood(self, texts: tuple[str, ...], code: int | None = None) -> None: ...
    async def pour(self, count: int, size: int) -> None: ...
    async def binary(self, data: bytes) -> None: ...
    async def asgi(self, message: dict[str, Any]) -> None: ...
    async def frames(self, count: int) -> None: ...
    async def close(self, code: int | None, reason: str) -> None: ...
    async def closed(self) -> None: ...
    async def kill(self) -> None: ...
    async def over(self) -> None: ...
    async def control(self, verb: str, argument: str) -> None: ...
    async def finish(self) -> None: ...


def _step(verb: str, *arguments: Any, who: str) -> Step:
    return Step(verb, arguments, who)


def connect(query: str = "", *subprotocols: str, who: str = "a") -> Step:
    """Open a connection and wait until it is accepted or refused."""
    return _step("connect", query, subprotocols, who=who)


def attempt(query: str, who: str = "a") -> Step:
    """Ask for a connection and don't wait for the answer."""
    return _step("attempt", query, who=who)


def text(content: str, who: str = "a") -> Step:
    """Send a text message. ``{room}`` stands for a group of the conversation's own."""
    return _step("text", content, who=who)


def flood(*contents: str, who: str = "a") -> Step:
    """Send text messages in one write, so that they are all on their way at once."""
    return _step("flood", contents, who=who)


def flood_and_close(code: int, *contents: str, who: str = "a") -> Step:
    """The same with a close frame behind them."""
    return _step("flood", contents, code, who=who)


def pour(count: int, size: int, who: str = "a") -> Step:
    """Send binary messages until they are all sent, or until the server takes no more for now; the rest follows."""
    return _step("pour", count, size, who=who)


def binary(content: bytes, who: str = "a") -> Step:
    """Send a binary message."""
    return _step("binary", content, who=who)


def asgi(message: dict[str, Any], who: str = "a") -> Step:
    """Put an ASGI message in, as a server would (in process only)."""
    return _step("asgi", message, who=who)


def frames(count: int = 1, who: str = "a") -> Step:
    """Wait for frames, and note them."""
    return _step("frames", count, who=who)


def close(code: int | None = 1000, reason: str = "", who: str = "a") -> Step:
    """Close from the client's side, and wait until the connection is closed."""
    return _step("close", code, reason, who=who)


def closed(who: str = "a") -> Step:
    """Wait until the server closes, noting the frames that come before."""
    return _step("closed", who=who)


def kill(who: str = "a") -> Step:
    """Reset the TCP connection, without a close frame."""
    return _step("kill", who=who)


def over(who: str = "a") -> Step:
    """Wait for the end of the application, whose server may or may not close the connection then."""
    return _step("over", who=who)


def control(verb: str, argument: str = "", who: str = "a") -> Step:
    """Something done on the server's side; see `Control`."""
    return _step("control", verb, argument, who=who)


def reached(note: str, count: int = 1, who: str = "a") -> Step:
    """Wait until the consumer has taken a note."""
    return control("reached", f"{note}:{count}", who=who)


def release(gate: str, who: str = "a") -> Step:
    """Open a gate at which the consumer waits."""
    return control("release", gate, who=who)
