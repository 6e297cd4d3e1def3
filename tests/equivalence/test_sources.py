"""What a consumer's two sources may do besides handing over messages: raise, repeat themselves, never wait."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer, channel_layers

from tests.equivalence.variants import BARE, MONITORED, Variant, classes
from tests.equivalence.witness import Registry

CONNECT = {"type": "websocket.connect"}
DISCONNECT = {"type": "websocket.disconnect", "code": 1001}
Receive = Callable[[], Any]


def text(content: str) -> dict[str, str]:
    return {"type": "websocket.receive", "text": content}


async def converse(variant: Variant, consumer: str, receive: Receive) -> tuple[list[Any], list[Any]]:
    """Run a consumer on a source until it ends; returns what it sent and what it saw."""
    registry = Registry()
    sent: list[Any] = []
    application: Any = registry.watched(classes(variant)[consumer].as_asgi())

    async def send(message: Any) -> None:
        sent.append(message)

    task = asyncio.create_task(
        application({"type": "websocket", "query_string": b"id=x-a", "subprotocols": []}, receive, send)
    )
    await asyncio.wait([task], timeout=10.0)
    assert task.done(), f"{variant.name}: still runs after {registry['x-a'].entries}"
    if not task.cancelled():
        task.exception()
    return sent, registry["x-a"].entries


def handing_over(*messages: Any, pauses: bool) -> Receive:
    """A source of messages; errors among them are raised, the last one is repeated for ever."""
    remaining = list(messages)

    async def receive() -> Any:
        if pauses:
            await asyncio.sleep(0)
        message = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        if isinstance(message, BaseException):
            raise message
        return message

    return receive


SOURCES: dict[str, list[Any]] = {
    "ends": [CONNECT, text("echo 1"), text("echo 2"), DISCONNECT],
    "raises": [CONNECT, text("echo 1"), text("echo 2"), OSError(5, "source broke")],
    "raises-at-once": [RuntimeError("no connection at all")],
    "raises-after-connect": [CONNECT, ValueError("odd frame")],
    "cancelled": [CONNECT, text("echo 1"), asyncio.CancelledError("from the source")],
    "stops-iterating": [CONNECT, StopAsyncIteration("end")],
    "disconnects-first": [DISCONNECT],
    "speaks-before-connect": [text("echo early"), CONNECT, text("echo late"), DISCONNECT],
    "goes-on-after-error": [CONNECT, text("echo 1"), text("raise own"), text("echo 2"), DISCONNECT],
}


@pytest.mark.parametrize("consumer", ["puppet", "sync-puppet", "unlayered", "overrides-call"])
@pytest.mark.parametrize("pauses", [True, False], ids=["pauses", "never-waits"])
@pytest.mark.parametrize("source", SOURCES)
async def test_the_client_side(source: str, pauses: bool, consumer: str) -> None:
    bare = await converse(BARE, consumer, handing_over(*SOURCES[source], pauses=pauses))
    for variant in MONITORED:
        monitored = await converse(variant, consumer, handing_over(*SOURCES[source], pauses=pauses))
        assert monitored == bare, variant.name


class BrokenLayer(InMemoryChannelLayer):
    """A layer that loses its back end, as Redis does: each receive raises after the first message."""

    async def receive(self, channel: str) -> Any:
        message = await super().receive(channel)
        if message["text"] == "broken":
            raise ConnectionError("the layer is gone")
        return message


@pytest.mark.slow
@pytest.mark.parametrize("consumer", ["puppet", "sync-puppet"])
async def test_the_channel_layer_raises(consumer: str) -> None:
    kept = channel_layers.set("default", BrokenLayer())
    try:
        shown = [await converse(variant, consumer, breaking()) for variant in (BARE, *MONITORED)]
    finally:
        channel_layers.set("default", kept or InMemoryChannelLayer())
    for variant, monitored in zip(MONITORED, shown[1:], strict=True):
        assert monitored == shown[0], variant.name


def breaking() -> Receive:
    """A client that lets the consumer break its own channel, and then waits."""
    whole = 'tell {"type": "room.message", "text": "whole"}'
    broken = 'tell {"type": "room.message", "text": "broken"}'
    messages = iter([CONNECT, text(whole), text(broken)])

    async def receive() -> Any:
        # Which of two sources comes first is chance, also without us: let the layer's message be handled first.
        await asyncio.sleep(0.1)
        try:
            return next(messages)
        except StopIteration:
            return await asyncio.Event().wait()

    return receive


@pytest.mark.parametrize("variant", MONITORED, ids=lambda variant: variant.name)
def test_as_asgi_tells_the_same(variant: Variant) -> None:
    monitored = classes(variant)["configured"]
    application = monitored.as_asgi(greeting="hi", volume=2)
    bare = classes(BARE)["configured"].as_asgi(greeting="hi", volume=2)
    assert application.consumer_class is monitored
    assert application.consumer_initkwargs == bare.consumer_initkwargs
    assert application.__name__ == bare.__name__
