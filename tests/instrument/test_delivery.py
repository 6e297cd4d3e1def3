"""Frames that were never confirmed: what the end of a connection says of them, as far as its server tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer

from hub import MonitoredConsumerMixin, monitor
from hub.core.ledger import Counts
from hub.instrument import delivery
from hub.instrument.layers.losses import losses
from hub.instrument.observer import SCOPE_KEY
from hub.instrument.servers import close_answer
from hub.instrument.state import Instruments
from tests.instrument.conftest import only_row
from tests.instrument.peer import Message, Peer
from tests.instrument.test_control import ASKING, connection_of, heartbeat


class Ticker(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """Sends as many frames as it is told to, then ends as it is told to."""

    async def receive(self, text_data=None, bytes_data=None):
        frames, _, end = text_data.partition(" ")
        for number in range(int(frames)):
            await self.send(str(number))
        if end == "close":
            await self.close(4001)
        if end == "raise":
            raise ValueError("as asked")


class UnloopedTicker(Ticker):
    hub_inbox = False


EVERY = pytest.mark.parametrize("consumer", [Ticker, UnloopedTicker])


async def talking(consumer: Any = Ticker, *, answers: bool = True) -> Peer:
    """A connection whose client has answered the hello, or not, and has confirmed two of five frames."""
    peer = Peer(consumer.as_asgi(), query_string=ASKING)
    await peer.connect()
    await peer.next()
    if answers:
        peer.text(heartbeat())
        await peer.next()
    peer.text("5")
    for _ in range(5):
        await peer.next()
    if answers:
        peer.text(heartbeat(2))
        await peer.next()
    return peer


def books(row: Counts) -> tuple[int, int, int, int]:
    """Confirmed, in flight, lost, unknown."""
    return row.confirmed, row.in_flight, row.lost.get("unconfirmed", 0), row.unknown


async def until(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not found():  # noqa: ASYNC110 - numbers wake nobody
            await asyncio.sleep(0.01)


@EVERY
async def test_while_it_is_open_what_is_not_confirmed_is_in_flight(shared, consumer):
    peer = await talking(consumer)
    assert books(only_row(shared)) == (2, 3, 0, 0)
    peer.text(heartbeat(5))
    await peer.next()
    assert books(only_row(shared)) == (5, 0, 0, 0)
    await peer.disconnect()
    assert books(only_row(shared)) == (5, 0, 0, 0)


@EVERY
@pytest.mark.parametrize("code", [1000, 1001, 1006, 4000])
async def test_a_client_that_leaves_has_lost_what_it_did_not_confirm(shared, events, consumer, code):
    peer = await talking(consumer)
    await peer.disconnect(code)
    assert books(only_row(shared)) == (2, 0, 3, 0)
    losses().flush()
    [told] = [event for event in events if event.kind == "frames.dropped"]
    number = str(connection_of(peer).number)
    assert (told.connection, told.details) == (number, {"reason": "unconfirmed", "messages": 3})
    [row] = losses().recent()
    assert (row.reason, row.messages, row.connection, row.connections, row.channels) == ("unconfirmed", 3, number, 1, 0)


async def test_what_it_confirms_in_the_last_moment_is_no_loss(shared):
    peer = await talking()
    peer.text("\0" + '{"type":"confirm","count":5}')
    await peer.disconnect()
    assert books(only_row(shared)) == (5, 0, 0, 0)


@EVERY
async def test_a_client_that_never_answered_the_hello_is_as_good_as_a_plain_one(shared, consumer):
    peer = await talking(consumer, answers=False)
    await peer.disconnect(1006)
    assert books(only_row(shared)) == (0, 0, 0, 0)


@EVERY
async def test_of_a_consumer_that_raises_nobody_knows_what_its_client_got(shared, consumer):
    peer = await talking(consumer)
    peer.text("1 raise")
    assert isinstance(await peer.end(), ValueError)
    assert books(only_row(shared)) == (2, 0, 0, 4)


async def test_nor_of_one_that_is_cancelled(shared):
    peer = await talking()
    await peer.cancel()
    assert books(only_row(shared)) == (2, 0, 0, 3)


async def test_of_a_close_of_the_consumer_s_an_unknown_server_tells_nothing(shared):
    peer = await talking()
    peer.text("1 close")
    await peer.next()
    await peer.disconnect(4001)
    assert books(only_row(shared)) == (2, 0, 0, 4)


async def test_a_fault_stays_there(shared, faults, monkeypatch):
    monkeypatch.setattr(delivery, "close_answer", lambda _: 1 / 0)
    peer = await talking()
    assert await peer.disconnect() is None
    assert faults == {"delivery": 1}


# --- servers that tell --------------------------------------------------------------------------------------------


class Protocol:
    """As far as is asked of uvicorn's: what it knows of both close frames."""

    def __init__(self, peer_send: Any) -> None:
        self.conn = SimpleNamespace(close_rcvd=None, close_sent=None, close_rcvd_then_sent=None)
        self.gone = False
        self.transport = SimpleNamespace(is_closing=lambda: self.gone)
        self._send = peer_send

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.close":
            self.conn.close_sent = SimpleNamespace(code=message["code"])
        await self._send(message)


async def closed_by_uvicorn(shared: Instruments) -> Protocol:
    """The consumer has closed, and is gone: that is all that it is told."""
    peer = Peer(None, query_string=ASKING)
    protocol = Protocol(peer.send)

    async def application(scope: Any, receive: Any, _: Any) -> None:
        await monitor(Ticker.as_asgi())(scope, receive, protocol.send)

    peer.application = application
    await peer.connect()
    await peer.next()
    peer.text(heartbeat())
    await peer.next()
    peer.text("3 close")
    for _ in range(4):
        await peer.next()
    peer.give({"type": "websocket.disconnect", "code": 4001, "reason": ""})
    assert await peer.end() is None
    assert SCOPE_KEY not in peer.scope
    assert books(only_row(shared)) == (0, 3, 0, 0)
    return protocol


@pytest.mark.parametrize(
    ("code", "gone", "expected"),
    [(4001, False, (3, 0, 0, 0)), (1000, False, (0, 0, 0, 3)), (None, True, (0, 0, 3, 0))],
    ids=["answered", "crossed", "gone"],
)
async def test_after_the_consumer_is_gone_uvicorn_is_asked_for_the_answer(shared, code, gone, expected):
    protocol = await closed_by_uvicorn(shared)
    await asyncio.sleep(0.1)
    assert books(only_row(shared)) == (0, 3, 0, 0)
    if code is not None:
        protocol.conn.close_rcvd = SimpleNamespace(code=code)
        protocol.conn.close_rcvd_then_sent = False
    protocol.gone = gone
    await until(lambda: books(only_row(shared)) == expected)


async def test_but_not_for_ever(shared, monkeypatch):
    monkeypatch.setattr(delivery, "PAUSES", (0.01, 0.01))
    await closed_by_uvicorn(shared)
    await until(lambda: books(only_row(shared)) == (0, 0, 0, 3))


async def test_who_had_confirmed_all_is_not_asked_for(shared, monkeypatch):
    asked: list[object] = []

    def awaited(raw_send: object) -> str:
        asked.append(raw_send)
        return "awaited"

    monkeypatch.setattr(delivery, "close_answer", awaited)
    peer = await talking()
    peer.text(heartbeat(5))
    await peer.next()
    peer.text("0 close")
    await peer.next()
    await peer.disconnect(4001)
    await asyncio.sleep(0.1)
    assert len(asked) == 1
    assert books(only_row(shared)) == (5, 0, 0, 0)


def daphne(**fields: Any) -> Any:
    """As far as is asked of Autobahn's protocol."""
    given = {"closedByMe": True, "wasClean": False, "state": 2, "STATE_CLOSED": 0, "localCloseCode": 4001}
    return partial(print, SimpleNamespace(**{**given, "remoteCloseCode": None, **fields}))


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({}, "awaited"),
        ({"wasClean": True, "remoteCloseCode": 4001}, "answered"),
        ({"wasClean": True, "remoteCloseCode": 1000}, None),
        ({"state": 0}, "gone"),
        ({"closedByMe": False, "wasClean": True, "remoteCloseCode": 4001}, "gone"),
    ],
)
def test_what_daphne_knows_of_the_answer(fields, answer):
    assert close_answer(daphne(**fields)) == answer


def test_a_close_of_the_client_s_that_uvicorn_had_before_ours_is_no_answer():
    protocol = Protocol(None)
    protocol.conn.close_rcvd = protocol.conn.close_sent = SimpleNamespace(code=1000)
    protocol.conn.close_rcvd_then_sent = True
    assert close_answer(protocol.send) == "gone"


@pytest.mark.parametrize(
    "send", [None, print, partial(print), partial(print, 1), Peer(None).send], ids=lambda send: type(send).__name__
)
def test_of_an_unknown_server_nothing_is_known(send):
    assert close_answer(send) is None


async def test_a_frame_that_the_server_refuses_says_that_the_client_has_gone(shared):
    """The send may come to know of it before whoever reads does."""
    peer = Peer(None, query_string=ASKING)
    protocol = Protocol(peer.send)

    async def application(scope: Any, receive: Any, _: Any) -> None:
        await monitor(Ticker.as_asgi())(scope, receive, protocol.send)

    async def refused(message: Message) -> None:
        raise OSError("the client has gone")

    peer.application = application
    await peer.connect()
    await peer.next()
    peer.text(heartbeat())
    await peer.next()
    peer.text("2")
    for _ in range(2):
        await peer.next()
    vars(protocol)["_send"] = refused
    peer.text("1")
    assert isinstance(await peer.end(), OSError)
    assert books(only_row(shared)) == (0, 0, 2, 0)
    assert only_row(shared).lost == {"after_close": 1, "unconfirmed": 2}


@pytest.mark.parametrize(("module", "in_flight"), [("uvicorn.protocols", 0), ("elsewhere", 1)])
async def test_a_frame_whose_send_was_cancelled_while_uvicorn_waited_was_never_sent(shared, module, in_flight):
    class Impatient(Ticker):
        async def receive(self, text_data=None, bytes_data=None):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(self.send("x"), 0.01)
            await self.send("after")

    made: Any = type("Protocol", (Protocol,), {"__module__": module})
    peer = Peer(None, query_string=ASKING)
    protocol = made(peer.send)
    protocol.writable = asyncio.Event()

    async def application(scope: Any, receive: Any, _: Any) -> None:
        await monitor(Impatient.as_asgi())(scope, receive, protocol.send)

    async def full(message: Message) -> None:
        if message.get("text") == "x":
            await protocol.writable.wait()
        await peer.send(message)

    protocol._send = full
    peer.application = application
    await peer.connect()
    await peer.next()
    peer.text(heartbeat())
    await peer.next()
    assert await peer.ask("go") == "after"
    peer.text(heartbeat(1))
    await peer.next()
    assert books(only_row(shared)) == (1, in_flight, 0, 0)
    await peer.disconnect()
