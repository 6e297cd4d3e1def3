"""
The public contract of channel layers, on bare and on instrumented ones: the same conversations, the same results.

Each script is one conversation with a layer, told as a list of what came back; messages, exceptions and silence alike.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Any

import pytest

from tests.instrument.layer_pairs import BARE, KINDS, OURS, Make, close, maker

#: Seconds after which nothing comes any more, on a machine that has a lot to do as well.
SILENCE = 1.0


async def outcome(awaitable: Awaitable[Any], seconds: float = 5.0) -> Any:
    """What comes back; the name of an exception's class in its place."""
    try:
        return await asyncio.wait_for(awaitable, seconds)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is part of the contract
        return type(error).__name__


async def silence(layer: Any, channel: str) -> Any:
    return await outcome(layer.receive(channel), SILENCE)


async def direct(make: Make) -> list[Any]:
    layer = make()
    one, other = await layer.new_channel(), await layer.new_channel()
    told: list[Any] = [type(one), one != other]
    message = {"type": "x", "nested": {"list": [1, 2, {"deep": "ä"}]}, "bytes": b"\0\xff"}
    for number in range(3):
        await layer.send(one, {**message, "number": number})
    told += [await outcome(layer.receive(one)) for _ in range(3)]
    waiting = asyncio.create_task(layer.receive(other))
    await asyncio.sleep(0.05)
    await layer.send(other, {"type": "late"})
    told.append(await outcome(waiting))
    told.append(message)
    told.append(await silence(layer, one))
    await close(layer)
    return told


async def groups(make: Make) -> list[Any]:
    layer = make()
    channels = [await layer.new_channel() for _ in range(4)]
    for channel in channels[:3]:
        await layer.group_add("room", channel)
    await layer.group_add("room", channels[0])
    await layer.group_discard("room", channels[2])
    await layer.group_discard("room", channels[3])
    await layer.group_discard("nowhere", channels[3])
    told: list[Any] = [await outcome(layer.group_send("nowhere", {"type": "x"}))]
    receiving = [asyncio.create_task(outcome(layer.receive(channel), 1.0)) for channel in channels]
    await asyncio.sleep(0.1)
    await layer.group_send("room", {"type": "x", "to": "room"})
    told += await asyncio.gather(*receiving)
    await close(layer)
    return told


async def names(make: Make) -> list[Any]:
    layer = make()
    channel = await layer.new_channel()
    told: list[Any] = []
    for name in ("", "with space", "ü", "x" * 200, "a:b"):
        told.append(await outcome(layer.group_send(name, {"type": "x"}), SILENCE))
        told.append(await outcome(layer.group_add(name, channel), SILENCE))
        told.append(await outcome(layer.send(name, {"type": "x"}), SILENCE))
    told += [await outcome(layer.send(channel, message), SILENCE) for message in ("text", None, [1])]
    told.append(await outcome(layer.receive("not!ours"), SILENCE))
    await close(layer)
    return told


async def capacity(make: Make) -> list[Any]:
    layer = make(capacity=3, channel_capacity=None)
    channel = await layer.new_channel()
    told: list[Any] = [await outcome(layer.send(channel, {"type": "x", "number": number})) for number in range(5)]
    told += [await silence(layer, channel) for _ in range(6)]
    await close(layer)
    return told


async def capacity_of_groups(make: Make) -> list[Any]:
    layer = make(capacity=2)
    channels = [await layer.new_channel() for _ in range(2)]
    for channel in channels:
        await layer.group_add("room", channel)
    told: list[Any] = [await outcome(layer.group_send("room", {"type": "x", "number": n})) for n in range(4)]
    for channel in channels:
        told += [await silence(layer, channel) for _ in range(3)]
    await close(layer)
    return told


async def expiry(make: Make) -> list[Any]:
    layer = make(expiry=1)
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    await layer.send(channel, {"type": "old"})
    await asyncio.sleep(2.2)
    told: list[Any] = [await outcome(layer.send(channel, {"type": "new"}))]
    told += [await silence(layer, channel) for _ in range(3)]
    await layer.group_send("room", {"type": "still there?"})
    told.append(await silence(layer, channel))
    await close(layer)
    return told


async def group_expiry(make: Make) -> list[Any]:
    layer = make(group_expiry=1)
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    await asyncio.sleep(2.2)
    await layer.group_send("room", {"type": "too late?"})
    told = [await silence(layer, channel)]
    await layer.group_add("room", channel)
    await layer.group_send("room", {"type": "again"})
    told.append(await silence(layer, channel))
    await close(layer)
    return told


async def cancelled(make: Make) -> list[Any]:
    layer = make()
    channel, other = await layer.new_channel(), await layer.new_channel()
    receiving = asyncio.create_task(layer.receive(channel))
    await asyncio.sleep(0.1)
    receiving.cancel()
    given: list[Any] = list(await asyncio.gather(receiving, return_exceptions=True))
    told: list[Any] = [type(given[0]).__name__]
    await layer.send(other, {"type": "x"})
    told.append(await silence(layer, other))
    await layer.send(channel, {"type": "x"})
    told.append(await silence(layer, channel))
    await close(layer)
    return told


async def flushed(make: Make) -> list[Any]:
    layer = make()
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    await layer.flush()
    await layer.group_send("room", {"type": "x"})
    told: list[Any] = [await silence(layer, channel)]
    another = await layer.new_channel()
    await layer.group_add("room", another)
    await layer.group_send("room", {"type": "x"})
    told.append(await silence(layer, another))
    await close(layer)
    return told


async def two_processes(make: Make) -> list[Any]:
    """Two layers over one Redis: what two processes are to each other."""
    here, there = make(), make()
    channel = await here.new_channel()
    await here.group_add("room", channel)
    told: list[Any] = []
    for number in range(3):
        await there.send(channel, {"type": "direct", "number": number})
        await there.group_send("room", {"type": "group", "number": number})
    told += [await silence(here, channel) for _ in range(7)]
    await close(here)
    await close(there)
    return told


async def made_of(make: Make) -> list[Any]:
    """What code that looks at a layer sees of it."""
    layer = make()
    told: list[Any] = [type(layer).__name__, layer.extensions, inspect.isawaitable(flushing := layer.flush())]
    await flushing
    told += [hasattr(layer, name) for name in ("channels", "groups", "capacity", "expiry", "group_expiry", "close")]
    told.append(sorted(getattr(layer, "channels", {})) == [])
    await close(layer)
    return told


SCRIPTS = [
    direct, groups, names, capacity, capacity_of_groups, expiry, group_expiry, cancelled, flushed, two_processes,
    made_of,
]  # fmt: skip


#: Those that take seconds, whatever the layer.
SLOW = (expiry, group_expiry, capacity, two_processes)
#: Of the others each waits until nothing more comes.
EACH_KIND = [pytest.param(kind, marks=[pytest.mark.slow] * (kind != "memory")) for kind in KINDS]


@pytest.mark.parametrize(
    "script",
    [pytest.param(script, id=script.__name__, marks=[pytest.mark.slow] * (script in SLOW)) for script in SCRIPTS],
)
@pytest.mark.parametrize("kind", EACH_KIND)
async def test_an_instrumented_layer_behaves_as_the_bare_one(kind, script, setup, request):
    setup()
    url = "" if kind == "memory" else request.getfixturevalue("redis_server").url
    bare, ours = await asyncio.gather(
        script(maker(kind, BARE, url, prefix="bare")), script(maker(kind, OURS, url, prefix="ours"))
    )
    assert bare == ours


@pytest.mark.parametrize("kind", EACH_KIND)
async def test_so_does_a_bare_layer_that_was_instrumented_later(kind, setup, request):
    from hub.instrument.layers.adopt import adopt

    setup()
    url = "" if kind == "memory" else request.getfixturevalue("redis_server").url
    make = maker(kind, BARE, url, prefix="later")
    layer = make(capacity=3)
    channels = [await layer.new_channel() for _ in range(3)]
    for channel in channels:
        await layer.group_add("room", channel)
    # One has a message waiting, one is being received on, one was never touched.
    await layer.send(channels[0], {"type": "before"})
    receiving = asyncio.create_task(layer.receive(channels[1]))
    await asyncio.sleep(0.3)

    assert adopt(layer, "default")

    assert isinstance(layer, BARE[kind])
    await layer.group_send("room", {"type": "after"})
    assert {"type": "after"} == await outcome(receiving)
    told = [await silence(layer, channels[0]) for _ in range(3)]
    assert [{"type": "before"}, {"type": "after"}, "TimeoutError"] == told
    assert {"type": "after"} == await silence(layer, channels[2])
    await close(layer)
