"""
A client that forges or garbles control frames harms only itself.

Beside each of them sits a healthy twin on the same server, whose round trips say whether it notices; the forger's
consumer must not.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import ClientConnection, connect

from hub.core import control
from tests.conftest import StartServer
from tests.negotiation.consumers import NEGOTIATE
from tests.support.servers import DAPHNE, UVICORN, Server

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.timeout(180)]

APPLICATION = "tests.negotiation.application:monitored"
WAIT = 60.0
FLOOD = 50_000
#: Generous deadlines for a machine on which others work: without a fault it is milliseconds.
LONGEST_ROUND_TRIP = 3.0
USUAL_ROUND_TRIP = 0.25
#: While a flood comes in. Daphne parses all that it has read before anybody else has a turn: beside 50,000 ordinary
#: frames to a plain Channels consumer, without any hub, a twin waits for up to four seconds on an idle machine.
LONGEST_IN_FLOOD = 20.0

BEAT: dict[str, Any] = {"type": "heartbeat", "sent_at": 0.0, "hidden": False, "lag": 0.0, "count": 0}


def beat(**fields: Any) -> str:
    return control.MARK + json.dumps({**BEAT, **fields})


#: Frames that look like control frames and are none that a client may send.
GARBLED = {
    "no JSON": "\0{",
    "half of one": beat()[:-1],
    "no object behind it": "\0{} []",
    "empty object": "\0{}",
    "unknown type": '\0{"type":"disco"}',
    "type that is no text": '\0{"type":["heartbeat"]}',
    "hello of a client": '\0{"type":"hello","version":1,"interval":1,"at":0}',
    "probe of a client": '\0{"type":"probe","at":0}',
    "negative count": beat(count=-1),
    "count that was never sent": beat(count=10**9),
    "count that is no integer": beat(count=1.5),
    "count that is a switch": beat(count=True),
    "count in words": beat(count="three"),
    "no count": '\0{"type":"confirm"}',
    "huge count": '\0{"type":"confirm","count":' + "9" * 900 + "}",
    "more digits than Python reads": '\0{"type":"confirm","count":' + "9" * 6000 + "}",
    "not a number": '\0{"type":"heartbeat","count":0,"lag":NaN}',
    "endless": '\0{"type":"heartbeat","count":0,"held":Infinity}',
    "lag before time": beat(lag=-1),
    "lag of a century": beat(lag=3e9),
    "held for a century": beat(held=3e9),
    "echo in words": beat(echo="yesterday"),
    "long": '\0{"type":"heartbeat","count":0,"x":"' + "x" * 100_000 + '"}',
    "deep": '\0{"type":' * 100,
    "deeper": "\0{" + '"a":{' * 100_000,
    "lone surrogate": '\0{"type":"\\ud800"}',
}  # fmt: skip
#: Frames that are heartbeats, and say what can't be.
ABSURD = {
    "sent long ago": beat(sent_at=-1e300),
    "sent in the future": beat(sent_at=1e300),
    "echo of the future": beat(echo=1e300),
    "echo before time": beat(echo=-1e300),
    "held longer than it took": beat(echo=time.monotonic(), held=3600.0),
    "hidden in words": beat(hidden="maybe"),
    "with more than it knows": beat(type="heartbeat", more={"a": [1, 2, 3]}),
    "twice the same name": '\0{"type":"heartbeat","count":7,"count":0}',
}


@dataclass
class Forger:
    """A connection that has asked for control frames, and what came back over it."""

    connection: ClientConnection
    consumer: str

    async def hear(self) -> str | bytes:
        """The next ordinary frame."""
        while True:
            frame = await asyncio.wait_for(self.connection.recv(), WAIT)
            if isinstance(frame, bytes) or not control.is_control(frame):
                return control.unescaped(frame) if isinstance(frame, str) else frame

    async def echo(self, text: str) -> float:
        """Have a frame sent back; returns the round trip, in seconds."""
        began = time.monotonic()
        await self.connection.send(text)
        assert await self.hear() == text
        return time.monotonic() - began


@asynccontextmanager
async def forger(server: Server, consumer: str, *, speaks: bool = True) -> AsyncIterator[Forger]:
    """Open a negotiated connection, as our library's client begins it; ``speaks``: with a first heartbeat."""
    address = control.with_parameter(f"{server.ws_url}/{consumer}/none/")
    async with connect(address, compression=None, ping_interval=None, max_size=None) as connection:
        hello = await connection.recv()
        assert isinstance(hello, str)
        assert control.is_control(hello)
        made = Forger(connection, consumer)
        assert json.loads(await made.hear())["query"] == ""
        if speaks:
            await connection.send(beat())
        yield made


def total(server: Server, metric: str, consumer: str) -> float:
    """One counter of one consumer, as Prometheus reads it."""
    text = httpx.get(f"{server.url}/hub/metrics", timeout=WAIT).raise_for_status().text
    name = NEGOTIATE[consumer].__name__
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    labels = [sample for sample in samples if sample.name == metric and sample.labels["consumer"].endswith(f".{name}")]
    return sum(sample.value for sample in labels)


def handed(server: Server, consumer: str) -> int:
    """How many frames the consumer's class was handed."""
    counts: dict[str, int] = httpx.get(f"{server.url}/handed/", timeout=WAIT).json()
    return counts.get(NEGOTIATE[consumer].__name__, 0)


@pytest.mark.parametrize("consumer", [name for name in NEGOTIATE if name != "twin"])
@pytest.mark.parametrize("kind", [DAPHNE, UVICORN], ids=str)
async def test_garbled_frames_are_counted_and_nothing_else(start_server: StartServer, kind, consumer):
    server = start_server(kind, APPLICATION)
    async with forger(server, "twin") as twin, forger(server, consumer) as bad:
        for number, frame in enumerate([*GARBLED.values(), *ABSURD.values()]):
            await bad.connection.send(frame)
            assert await bad.echo(f"\0{number}") < LONGEST_ROUND_TRIP
            assert await twin.echo(f"{number}") < LONGEST_ROUND_TRIP
        assert total(server, "ws_control_frames_garbled_total", consumer) == len(GARBLED)
        assert handed(server, consumer) == len(GARBLED) + len(ABSURD)
        assert total(server, "ws_control_frames_garbled_total", "twin") == 0
        assert total(server, "ws_messages_received_total", consumer) == len(GARBLED) + len(ABSURD)
        assert total(server, "ws_handler_errors_total", consumer) == 0
        assert total(server, "ws_client_rtt_seconds_count", consumer) == 0
        # It is as good a client as any, from now on.
        await bad.connection.send(beat(count=1))
        assert await bad.echo("well?") < LONGEST_ROUND_TRIP


FLOODS = {
    "garbled": "\0{garbled",
    "heartbeats": beat(),
    "confirms": '\0{"type":"confirm","count":0}',
    "hellos": '\0{"type":"hello","version":1,"interval":0.001,"at":0}',
}


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("consumer", ["inbox", "wrapped"])
@pytest.mark.parametrize("kind", [DAPHNE, UVICORN], ids=str)
async def test_a_flood_of_control_frames_starves_nobody(start_server: StartServer, kind, consumer, flood):
    server = start_server(kind, APPLICATION)
    async with forger(server, "twin") as twin, forger(server, consumer) as bad:
        await twin.echo("warm")
        flooding = asyncio.create_task(send_flood(bad, FLOODS[flood]))
        round_trips: list[float] = []
        while not flooding.done():
            round_trips.append(await twin.echo(f"{len(round_trips)}"))
            await asyncio.sleep(0.005)
        await flooding
        assert max(round_trips) < LONGEST_IN_FLOOD, f"{sorted(round_trips)[-5:]}"
        assert statistics.median(round_trips) < USUAL_ROUND_TRIP
        expected = FLOOD if flood in ("garbled", "hellos") else 0
        assert total(server, "ws_control_frames_garbled_total", consumer) == expected
        assert handed(server, consumer) == 1


async def send_flood(bad: Forger, frame: str) -> None:
    """Send it without a pause, read what comes back, and wait until the server has worked through all of it."""

    async def send() -> None:
        for number in range(FLOOD):
            await bad.connection.send(frame)
            if number % 100 == 0:
                await asyncio.sleep(0)  # for the twin, which shares this loop
        await bad.connection.send("end")

    sending = asyncio.create_task(send())
    assert await bad.hear() == "end"
    await sending


@pytest.mark.parametrize("consumer", [name for name in NEGOTIATE if name != "twin"])
@pytest.mark.parametrize("kind", [DAPHNE, UVICORN], ids=str)
async def test_what_a_client_says_before_it_speaks_is_its_own(start_server: StartServer, kind, consumer):
    # It may have sent this before the hello came: as a plain client, whose every frame is the host's.
    server = start_server(kind, APPLICATION)
    async with forger(server, consumer, speaks=False) as early:
        for frame in ("\0{", "\0\0", '\0{"type":"hello","version":1,"interval":1,"at":0}'):
            await early.connection.send(frame)
            assert await asyncio.wait_for(early.connection.recv(), WAIT) == control.escaped(frame)
        await early.connection.send(beat())
        await early.connection.send("\0{")
        assert await early.echo("now it speaks") < LONGEST_ROUND_TRIP
        assert handed(server, consumer) == 4
