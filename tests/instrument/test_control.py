from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from typing import Any

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer, WebsocketConsumer

from hub import MonitoredConsumerMixin, monitor
from hub.core.ledger import Connection
from hub.instrument.control import ControlFrames
from hub.instrument.inbox import YIELD_MESSAGES
from hub.instrument.observer import SCOPE_KEY
from hub.instrument.state import Instruments
from tests.instrument.conftest import Setup, only_row
from tests.instrument.peer import Message, Peer

ASKING = b"room=7&_hub=1"
GARBLED = [
    "\0{",
    "\0{}",
    '\0{"type":"hello"}',
    '\0{"type":"heartbeat"}',
    '\0{"type":"confirm","count":99}',
    "\0{" * 999,
]


class Echo(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """Says what it gets, how it was called, and what the hub knows of it."""

    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "query":
            text_data = str(self.scope["query_string"])
        await self.send(text_data=text_data, bytes_data=bytes_data)


class Unlooped(Echo):
    hub_inbox = False


class Blocking(MonitoredConsumerMixin, WebsocketConsumer):
    def receive(self, text_data=None, bytes_data=None):
        self.send(text_data=text_data, bytes_data=bytes_data)


EVERY = pytest.mark.parametrize("consumer", [Echo, Unlooped, Blocking])


def connection_of(peer: Peer) -> Connection:
    connection: Connection = peer.scope[SCOPE_KEY]
    return connection


def control(message: Message) -> dict[str, Any]:
    """What a control frame of the server says, without its time."""
    text = message["text"]
    assert text.startswith("\0{"), message
    fields: dict[str, Any] = json.loads(text[1:])
    assert isinstance(fields.pop("at"), float)
    return fields


def heartbeat(count: int = 0, **fields: Any) -> str:
    return "\0" + json.dumps({"type": "heartbeat", "count": count, **fields})


async def negotiated(consumer: Any = Echo) -> Peer:
    """A connection whose client has answered the hello."""
    peer = await greeted(consumer)
    peer.text(heartbeat())
    assert control(await peer.next()) == {"type": "heartbeat"}
    return peer


async def greeted(consumer: Any = Echo) -> Peer:
    """A connection whose client has been told that it is negotiated."""
    peer = Peer(consumer.as_asgi(), query_string=ASKING)
    assert (await peer.connect())["type"] == "websocket.accept"
    assert control(await peer.next()) == {"type": "hello", "version": 1, "interval": 30.0}
    return peer


# --- the parameter ------------------------------------------------------------------------------------------------


@EVERY
async def test_the_consumer_never_sees_the_parameter_and_the_scope_stays_the_same_object(shared, consumer):
    peer = await greeted(consumer)
    assert peer.scope["query_string"] == b"room=7"
    await peer.disconnect()


@pytest.mark.parametrize("query", [b"", b"room=7", b"_hub=2", b"a_hub=1", b"x=_hub=1", "text", None], ids=repr)
async def test_whoever_does_not_ask_is_a_plain_client(shared, query):
    peer = Peer(Echo.as_asgi(), query_string=query)
    await peer.connect()
    assert await peer.ask("query") == str(query)
    assert await peer.ask("\0{}") == "\0{}"
    assert await peer.ask("\0\0x") == "\0\0x"
    assert connection_of(peer).control is None
    await peer.disconnect()
    assert (only_row(shared).garbled, only_row(shared).sent) == (0, {"text": 3})


async def test_a_scope_without_a_query_is_fine(shared):
    peer = Peer(Echo.as_asgi())
    await peer.connect()
    assert await peer.ask("x") == "x"
    await peer.disconnect()


async def test_the_wrapper_takes_the_parameter_away_and_the_mixin_behind_it_negotiates(shared):
    seen: list[bytes] = []

    async def middleware(scope, receive, send):
        seen.append(scope["query_string"])
        inner: Any = Echo.as_asgi()
        await inner(dict(scope), receive, send)

    peer = Peer(monitor(middleware), query_string=ASKING)
    await peer.connect()
    assert control(await peer.next())["type"] == "hello"
    assert seen == [b"room=7"]
    assert await peer.ask("query") == str(b"room=7")
    await peer.disconnect()


async def test_behind_the_wrapper_alone_a_client_is_plain_and_its_parameter_gone(shared):
    class Bare(AsyncWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None):
            await self.send(text_data + str(self.scope["query_string"]))

    peer = Peer(monitor(Bare.as_asgi()), query_string=ASKING)
    await peer.connect()
    assert await peer.ask("\0{}") == "\0{}" + str(b"room=7")
    await peer.disconnect()


@pytest.mark.parametrize("wrapped", [False, True])
async def test_with_the_hub_switched_off_nothing_is_touched(setup: Setup, wrapped):
    setup(ENABLED=False)
    peer = Peer(monitor(Echo.as_asgi()) if wrapped else Echo.as_asgi(), query_string=ASKING)
    await peer.connect()
    assert await peer.ask("query") == str(ASKING)
    await peer.disconnect()


@pytest.mark.parametrize(("setting", "attribute"), [(False, None), (True, False), (False, False)])
async def test_where_control_frames_are_off_a_client_is_plain_and_its_parameter_gone(setup: Setup, setting, attribute):
    setup(CONTROL_FRAMES=setting)

    class Plain(Echo):
        hub_control_frames = attribute

    peer = Peer(Plain.as_asgi(), query_string=ASKING)
    await peer.connect()
    assert await peer.ask("query") == str(b"room=7")
    await peer.disconnect()


async def test_a_class_may_have_control_frames_where_the_settings_say_none(setup: Setup):
    setup(CONTROL_FRAMES=False)

    class Own(Echo):
        hub_control_frames = True

    await (await greeted(Own)).disconnect()


async def test_a_class_says_how_often_its_clients_give_a_sign_of_life(setup: Setup):
    setup(HEARTBEAT_INTERVAL=10)

    class Eager(Echo):
        hub_heartbeat_interval = 2.5

    for consumer, interval in ((Eager, 2.5), (Echo, 10.0)):
        peer = Peer(consumer.as_asgi(), query_string=ASKING)
        await peer.connect()
        assert control(await peer.next())["interval"] == interval
        await peer.disconnect()


# --- the hello ----------------------------------------------------------------------------------------------------


class Hasty(Echo):
    async def connect(self):
        await self.accept()
        await self.send("first")


class HastyUnlooped(Hasty):
    hub_inbox = False


class HastyBlocking(Blocking):
    def connect(self):
        self.accept()
        self.send("first")


@pytest.mark.parametrize("consumer", [Hasty, HastyUnlooped, HastyBlocking])
async def test_the_hello_comes_before_anything_of_the_consumer(shared, consumer):
    peer = await greeted(consumer)
    assert (await peer.next())["text"] == "first"
    await peer.disconnect()


async def test_nor_do_frames_overtake_it_that_another_task_sends_while_the_server_accepts(shared):
    class Server(Peer):
        async def send(self, message):
            await super().send(message)
            await asyncio.sleep(0.01)

    class Busy(Echo):
        async def connect(self):
            self.greeting = asyncio.create_task(self.send_as_soon_as_it_can())
            await self.accept()
            await self.greeting

        async def send_as_soon_as_it_can(self):
            await asyncio.sleep(0.005)
            await self.send("mine")

    peer = Server(Busy.as_asgi(), query_string=ASKING)
    await peer.connect()
    assert control(await peer.next())["type"] == "hello"
    assert (await peer.next())["text"] == "mine"
    await peer.disconnect()


@pytest.mark.parametrize("deny", ["close", "raise", "return"])
async def test_who_is_not_accepted_hears_nothing(shared, deny):
    class Closed(Echo):
        async def connect(self):
            if deny == "raise":
                raise LookupError
            if deny == "close":
                await self.close(4003)

    peer = Peer(Closed.as_asgi(), query_string=ASKING)
    peer.start()
    if deny != "raise":
        await asyncio.sleep(0.01)
        peer.give({"type": "websocket.disconnect", "code": 1006})
    await peer.end()
    assert [message["type"] for message in peer.sent] == (["websocket.close"] if deny == "close" else [])


async def test_an_accept_that_the_server_refuses_raises_as_ever_and_holds_nothing_back(shared):
    class Server(Peer):
        async def send(self, message):
            if message["type"] == "websocket.accept" and not self.sent:
                self.sent.append(message)
                raise ValueError("no such subprotocol")
            await super().send(message)

    class Persistent(Echo):
        async def connect(self):
            with contextlib.suppress(ValueError):
                await self.accept("no such")
            await self.accept()

    peer = Server(Persistent.as_asgi(), query_string=ASKING)
    assert (await peer.connect())["type"] == "websocket.accept"
    assert control(await peer.next())["type"] == "hello"
    await peer.disconnect()


# --- what the client says -----------------------------------------------------------------------------------------


@EVERY
async def test_heartbeats_are_answered_measured_and_kept_from_the_consumer(shared: Instruments, consumer):
    peer = await greeted(consumer)
    hello = json.loads(peer.sent[1]["text"][1:])
    peer.text(heartbeat(echo=hello["at"], held=0.0, hidden=True, lag=0.25, sent_at=1.7e9))
    assert control(await peer.next()) == {"type": "heartbeat"}
    known = connection_of(peer).control
    assert known is not None
    assert (known.hidden, known.lag) == (True, 0.25)
    assert known.rtt is not None
    assert 0 <= known.rtt < 5
    assert known.heartbeat_at == connection_of(peer).heard_at > 0
    row = only_row(shared)
    assert (row.heartbeats, row.rtt.count, row.arrived, row.sent) == (1, 1, 0, {})
    assert await peer.ask("x") == "x"
    await peer.disconnect()


async def test_frames_are_counted_from_the_first_and_confirmed(shared: Instruments):
    peer = await negotiated()
    known = connection_of(peer).control
    assert known is not None
    assert await peer.ask("x") == "x"
    peer.bytes(b"y")
    assert (await peer.next())["bytes"] == b"y"
    assert (known.frames_sent, known.frames_confirmed) == (2, 0)
    peer.text('\0{"type":"confirm","count":2}')
    assert await peer.ask("z") == "z"
    assert (known.frames_sent, known.frames_confirmed) == (3, 2)
    assert known.confirmed_at > 0
    await peer.disconnect()


async def test_a_frame_that_the_server_does_not_take_was_never_sent(shared: Instruments):
    class Server(Peer):
        async def send(self, message):
            if message.get("text") == "refused":
                raise OSError("gone")
            await super().send(message)

    class Brave(Echo):
        async def receive(self, text_data=None, bytes_data=None):
            with contextlib.suppress(OSError):
                await self.send("refused")
            await self.send("taken")

    peer = Server(Brave.as_asgi(), query_string=ASKING)
    await peer.connect()
    await peer.next()
    assert await peer.ask("x") == "taken"
    known = connection_of(peer).control
    assert known is not None
    assert known.frames_sent == 1
    await peer.disconnect()


@EVERY
@pytest.mark.parametrize("text", ["\0", "\0\0", "\0{", "\0x", "\0\0{}", heartbeat(), "x\0", ""], ids=repr)
async def test_frames_that_look_like_ours_pass_both_ways(shared, consumer, text):
    peer = await negotiated(consumer)
    peer.text("\0" + text if text.startswith("\0") else text)
    assert (await peer.next())["text"] == ("\0" + text if text.startswith("\0") else text)
    await peer.disconnect()
    assert only_row(shared).garbled == 0
    assert only_row(shared).received_bytes == len(text)


@EVERY
@pytest.mark.parametrize("text", ["\0", "\0\0", "\0{", "\0\0{}", *GARBLED[:4]], ids=repr)
async def test_what_a_client_sends_before_it_can_have_seen_the_hello_is_as_it_was_meant(shared, consumer, text):
    peer = await greeted(consumer)
    peer.text(text)
    answer = (await peer.next())["text"]
    assert answer == "\0" + text
    await peer.disconnect()
    assert only_row(shared).garbled == 0


@EVERY
@pytest.mark.parametrize("text", GARBLED, ids=lambda text: repr(text[:40]))
async def test_garbled_control_frames_are_counted_and_nothing_else(
    shared: Instruments, faults: Counter[str], consumer, text
):
    peer = await negotiated(consumer)
    peer.text(text)
    assert await peer.ask("x") == "x"
    await peer.disconnect()
    row = only_row(shared)
    assert (row.garbled, row.heartbeats, row.received, row.errors) == (1, 1, {"text": 1}, {})
    assert not faults


async def test_they_get_past_a_handler_that_hangs(shared: Instruments):
    free = asyncio.Event()

    class Hanging(Echo):
        async def receive(self, text_data=None, bytes_data=None):
            await free.wait()

    peer = await greeted(Hanging)
    peer.text("x", heartbeat())
    assert control(await peer.next()) == {"type": "heartbeat"}
    free.set()
    await peer.disconnect()


@pytest.mark.parametrize("consumer", [Echo, Unlooped])
@pytest.mark.parametrize("text", [heartbeat(), "\0{}"], ids=["heartbeats", "garbled"])
async def test_a_flood_of_them_starves_nobody(shared: Instruments, consumer, text):
    peer = await negotiated(consumer)
    count = 20 * YIELD_MESSAGES
    peer.text(*[text] * count)
    turns = 0
    while only_row(shared).heartbeats + only_row(shared).garbled < count + 1:
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 15
    await peer.disconnect()


async def test_a_flood_between_ordinary_frames_starves_nobody_either(setup: Setup):
    shared = setup(INBOX_MESSAGES=4096)
    peer = await negotiated()
    count = 20 * YIELD_MESSAGES
    peer.text(*([*["\0{}"] * (YIELD_MESSAGES - 1), "x"] * 20))
    turns = 0
    while only_row(shared).garbled < count - 20:
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 15
    await peer.disconnect()


# --- what the server says -----------------------------------------------------------------------------------------


@EVERY
async def test_a_probe_asks_for_a_heartbeat(shared, consumer):
    peer = await greeted(consumer)
    known = connection_of(peer).control
    assert known is not None
    known.probe()
    assert control(await peer.next()) == {"type": "probe"}
    assert known.frames_sent == 0
    await peer.disconnect()
    known.probe()
    await asyncio.sleep(0)
    assert [message["type"] for message in peer.sent] == ["websocket.accept", "websocket.send", "websocket.send"]


class Clogged(Peer):
    """A server that takes frames only while the client reads."""

    def __init__(self, *args: Any, **scope: Any) -> None:
        super().__init__(*args, **scope)
        self.writable = asyncio.Event()
        self.writable.set()
        self.waiting = 0

    async def send(self, message):
        self.waiting += 1
        try:
            await self.writable.wait()
        finally:
            self.waiting -= 1
        await super().send(message)


async def test_a_client_that_does_not_read_is_still_heard_and_fills_no_memory(shared: Instruments):
    peer = Clogged(Echo.as_asgi(), query_string=ASKING)
    await peer.connect()
    await peer.next()
    peer.writable.clear()
    peer.text(*[heartbeat()] * 500, "x")
    while not only_row(shared).arrived:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)
    known = connection_of(peer).control
    assert known is not None
    for _ in range(100):
        known.probe()
    await asyncio.sleep(0.01)
    # One answer of ours, one of the consumer's.
    assert (only_row(shared).heartbeats, peer.waiting) == (500, 2)
    peer.writable.set()
    assert {(await peer.next())["text"][:2], (await peer.next())["text"][:2]} == {"\0{", "x"}
    await peer.disconnect()


async def test_what_is_still_on_its_way_at_the_end_is_let_go(shared: Instruments):
    peer = Clogged(Echo.as_asgi(), query_string=ASKING)
    await peer.connect()
    await peer.next()
    peer.writable.clear()
    peer.text(heartbeat())
    while not peer.waiting:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)
    assert await peer.disconnect() is None
    await asyncio.sleep(0)
    assert peer.waiting == 0


class Closing(Echo):
    async def receive(self, text_data=None, bytes_data=None):
        await self.close(4000)


class ClosingUnlooped(Closing):
    hub_inbox = False


class ClosingBlocking(Blocking):
    def receive(self, text_data=None, bytes_data=None):
        self.close(4000)


@pytest.mark.parametrize("consumer", [Closing, ClosingUnlooped, ClosingBlocking])
async def test_nothing_goes_out_after_a_close(shared, consumer):
    peer = await negotiated(consumer)
    peer.text("x")
    assert (await peer.next())["type"] == "websocket.close"
    peer.text(heartbeat())
    known = connection_of(peer).control
    assert known is not None
    known.probe()
    await asyncio.sleep(0.01)
    await peer.disconnect()
    assert peer.sent[-1]["type"] == "websocket.close"
    assert only_row(shared).heartbeats == 2


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (ConnectionResetError(), None),
        (RuntimeError("Unexpected ASGI message"), None),
        (TypeError("a fault"), "control frames"),
    ],
    ids=repr,
)
async def test_what_a_server_raises_for_a_frame_of_ours_never_reaches_the_consumer(shared, faults, error, place):
    class Server(Peer):
        async def send(self, message):
            if message.get("text", "").startswith("\0{"):
                raise error
            await super().send(message)

    peer = Server(Echo.as_asgi(), query_string=ASKING)
    await peer.connect()
    peer.text(heartbeat())
    assert await peer.ask("x") == "x"
    assert await peer.disconnect() is None
    assert list(faults) == ([place] if place else [])


async def test_a_json_consumer_counts_its_types_as_ever(shared: Instruments):
    class Json(MonitoredConsumerMixin, AsyncJsonWebsocketConsumer):
        hub_message_types = ("chat.say",)

        async def receive_json(self, content, **kwargs):
            await self.send_json(content)

    peer = await negotiated(Json)
    assert await peer.ask('{"type": "chat.say"}') == '{"type": "chat.say"}'
    await peer.disconnect()
    assert (only_row(shared).received, only_row(shared).sent) == ({"chat.say": 1}, {"chat.say": 1})


async def test_frames_without_a_payload_do_not_count_where_the_server_drops_them(shared: Instruments):
    connection = shared.ledger.open("chat", 0.0, lambda: "")
    peer = Peer(None)

    class DaphnesSend:
        args = ()

        async def __call__(self, message):
            await peer.send(message)

    send = DaphnesSend()
    frames = ControlFrames(shared, connection, 30.0, send)
    frames.negotiate()
    shared.accepted(connection)
    observed = frames.observe_send(send)
    for text in ("", "x"):
        await observed({"type": "websocket.send", "text": text})
    assert connection.control is not None
    assert connection.control.frames_sent == 1


# --- signs of life ------------------------------------------------------------------------------------------------


@EVERY
async def test_any_frame_is_a_sign_of_life(shared, consumer):
    peer = Peer(consumer.as_asgi())
    await peer.connect()
    connection = connection_of(peer)
    accepted = connection.heard_at
    assert accepted == pytest.approx(connection.accepted_at)
    await asyncio.sleep(0.002)
    assert await peer.ask("x") == "x"
    assert connection.heard_at > accepted
    await peer.disconnect()


async def test_a_garbled_one_is_one_too(shared):
    peer = await negotiated()
    heard = connection_of(peer).heard_at
    await asyncio.sleep(0.002)
    peer.text("\0{}")
    await peer.ask("x")
    assert connection_of(peer).heard_at > heard
    await peer.disconnect()


async def test_while_the_reader_is_parked_nobody_reads(setup: Setup):
    setup(INBOX_MESSAGES=2)
    free = asyncio.Event()

    class Hanging(Echo):
        async def receive(self, text_data=None, bytes_data=None):
            await free.wait()

    peer = await greeted(Hanging)
    assert connection_of(peer).reading
    peer.text("in the handler")
    await asyncio.sleep(0.01)
    assert connection_of(peer).reading
    peer.text("waits", "waits too")
    await asyncio.sleep(0.01)
    assert not connection_of(peer).reading
    free.set()
    await asyncio.sleep(0.01)
    assert connection_of(peer).reading
    await peer.disconnect()
    assert connection_of(peer).reading


async def test_in_a_loop_that_is_not_ours_somebody_reads_while_a_receive_is_awaited(shared):
    free = asyncio.Event()

    class Hanging(Unlooped):
        async def receive(self, text_data=None, bytes_data=None):
            await free.wait()

    peer = await greeted(Hanging)
    await asyncio.sleep(0.01)
    assert connection_of(peer).reading
    peer.text("x")
    await asyncio.sleep(0.01)
    assert not connection_of(peer).reading
    free.set()
    await asyncio.sleep(0.01)
    assert connection_of(peer).reading
    await peer.disconnect()
    assert connection_of(peer).reading


def reading(connection: Connection) -> bool:
    return connection.reading


async def test_the_wrapper_knows_that_too(shared):
    records: list[Connection] = []
    free = asyncio.Event()

    async def application(scope, receive, send):
        records.append(scope[SCOPE_KEY])
        await receive()
        await send({"type": "websocket.accept"})
        await free.wait()
        await receive()

    peer = Peer(monitor(application))
    await peer.connect()
    [connection] = records
    await asyncio.sleep(0.002)
    assert reading(connection) is False
    free.set()
    await asyncio.sleep(0.002)
    assert reading(connection) is True
    before = connection.heard_at
    peer.text("x")
    await peer.end()
    assert connection.heard_at > before
