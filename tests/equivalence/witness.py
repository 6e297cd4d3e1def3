"""
What the server's side of a conversation looked like: a witness for each connection, kept outside everything monitored.

A witness is *watching* from the first call of the application until that call ends, and *done* for good after it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

Entry = list[Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

#: What a `repr` shows of an object that differs from run to run.
ADDRESS = re.compile(r" at 0x[0-9a-f]+|specific\.inmemory![A-Za-z]+|specific\.\.inmemory![A-Za-z]+")


def describe(error: BaseException) -> Entry:
    """An exception as a comparable entry: type, arguments, cause and notes."""
    cause = error.__cause__
    arguments = [ADDRESS.sub("", repr(argument)) for argument in error.args]
    return [type(error).__name__, arguments, type(cause).__name__, list(getattr(error, "__notes__", ()))]


class Witness:
    """What a consumer tells of one connection, and the gates that a script opens for it."""

    def __init__(self, identity: str, registry: "Registry") -> None:
        self.identity = identity
        self.registry = registry
        self.entries: list[Entry] = []
        self.task: asyncio.Task[Any] | None = None
        self.done = asyncio.Event()
        self._gates: dict[str, asyncio.Event] = {}

    def neutral(self, text: str) -> str:
        """A client's text without what belongs to this run of the conversation alone."""
        return text.replace(self.identity.rpartition("-")[0], "{room}")

    def note(self, *entry: Any) -> None:
        self.entries.append(list(entry))

    def count(self, kind: str) -> int:
        return sum(1 for entry in self.entries if entry[0] == kind)

    def gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())

    async def reached(self, kind: str, count: int) -> None:
        while self.count(kind) < count:  # noqa: ASYNC110 - notes come from threads too
            await asyncio.sleep(0.002)


class Registry:
    """The witnesses of one process, by the identity that a client puts into its query string."""

    def __init__(self) -> None:
        self.witnesses: dict[str, Witness] = {}

    def __getitem__(self, identity: str) -> Witness:
        if identity not in self.witnesses:
            self.witnesses[identity] = Witness(identity, self)
        return self.witnesses[identity]

    def watched(self, application: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[None]]:
        """Wrap an application, from outside: its scope carries the witness, its own callables stay raw."""

        async def watch(scope: dict[str, Any], receive: Receive, send: Send) -> None:
            witness = self[parse_qs(scope["query_string"].decode())["id"][0]]
            witness.task = asyncio.current_task()
            scope["witness"] = witness
            try:
                result = await application(scope, receive, send)
            except BaseException as error:
                witness.note("raised", *describe(error))
                raise
            else:
                witness.note("returned", repr(result))
            finally:
                # The last reference from here into the consumer: whatever is still alive later leaked elsewhere.
                witness.task = None
                with suppress(RuntimeError):
                    witness.done.set()

        return watch
