"""
Short conversations of both kinds of client with every consumer, under every address, with every offer.

Each opens a connection, hears what the consumer sees of it, and has its frames sent back, among them many that look
like control frames.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import connect as connect_plain

from hub.client import connect as connect_with_library
from tests.negotiation.consumers import CHOICES

LIBRARY, PLAIN = "library", "plain"
WAIT = 30.0
AT_ONCE = 24

#: Queries of the host's own: none, and one with much that comes close to ours.
QUERIES = ("", "?room=a&room=b&empty=&%26=%3D&_hub=0&x_hub=1&_hub&_hub=1x&token=_hub%3D1")
OFFERS: tuple[tuple[str, ...], ...] = ((), ("chat.v1",), ("other", "chat.v1", "chat.v2"))
#: What an application may say. Empty frames are left out: Daphne drops them.
FRAMES: tuple[str | bytes, ...] = (
    "hello", "\0", "\0\0", "\0\0\0{", "\0{", '\0{"type":"heartbeat","count":0}', '\0{"type":"confirm","count":1}',
    '\0{"type":"hello","version":1,"interval":1,"at":0}', '\0\0{"type":"probe"}', "{\0}", "é\0ü", " \0{",
    b"\0", b'\0{"type":"heartbeat","count":0}', b"\0\0", b"{}",
)  # fmt: skip


@dataclass(frozen=True)
class Conversation:
    """Who talks to whom."""

    client: str
    consumer: str
    accepts: str
    offer: tuple[str, ...]
    query: str

    @property
    def path(self) -> str:
        return f"/{self.consumer}/{self.accepts}/"

    @property
    def chosen(self) -> str | None:
        return next((name for name in CHOICES[self.accepts] if name in self.offer), None)


@dataclass(frozen=True)
class Heard:
    """What a client found."""

    seen: dict[str, Any]
    subprotocol: str | None
    echoes: list[str | bytes]
    negotiated: bool | None


def conversations(consumers: list[str]) -> Iterator[Conversation]:
    """All of them: each consumer, with each way to have subprotocols, each offer, each query, each client."""
    for chosen in itertools.product((LIBRARY, PLAIN), consumers, CHOICES, OFFERS, QUERIES):
        yield Conversation(*chosen)


async def hold(base: str, conversation: Conversation) -> Heard:
    """Hold one conversation."""
    connect: Any = connect_with_library if conversation.client == LIBRARY else connect_plain
    offer = list(conversation.offer) or None
    address = base + conversation.path + conversation.query
    async with asyncio.timeout(WAIT), connect(address, subprotocols=offer, compression=None) as socket:
        seen = json.loads(await socket.recv())
        for frame in FRAMES:
            await socket.send(frame)
        echoes = [await socket.recv() for _ in FRAMES]
        return Heard(seen, socket.subprotocol, echoes, getattr(socket, "negotiated", None))


async def hold_all(base: str, chosen: list[Conversation]) -> dict[Conversation, Heard | BaseException]:
    """Hold them, a limited number at once; what goes wrong is part of what is found."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(conversation: Conversation) -> Heard:
        async with gate:
            return await hold(base, conversation)

    found = await asyncio.gather(*map(one, chosen), return_exceptions=True)
    return dict(zip(chosen, found, strict=True))
