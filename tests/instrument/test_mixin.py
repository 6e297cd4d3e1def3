from __future__ import annotations

import asyncio
import json
import os
from typing import Any, ClassVar

import pytest
from channels.consumer import AsyncConsumer, SyncConsumer
from channels.exceptions import DenyConnection, StopConsumer
from channels.generic.websocket import (
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
    JsonWebsocketConsumer,
    WebsocketConsumer,
)
from channels.layers import get_channel_layer

from hub import MonitoredConsumerMixin
from hub.core.errors import ConfigurationError
from hub.instrument.stacks import await_chain
from tests.instrument.conftest import only_row
from tests.instrument.peer import Peer

Mixin = MonitoredConsumerMixin


@pytest.fixture(params=[True, False], ids=["inbox", "wrapped"])
def shared(request, setup):
    """Both ways of running a consumer, each with fresh instruments."""
    return setup(INBOX=request.param)


# --- what an idle one keeps ---------------------------------------------------------------------------------------


async def test_a_connection_waits_in_two_coroutines_of_the_hub_s(setup):
    """Each of them is a third of a KiB for as long as the connection lives."""
    setup()
    peer = Peer(Bare.as_asgi())
    await peer.connect()
    await peer.ask("a frame")
    await asyncio.sleep(0.01)
    codes = [frame.f_code for frame in await_chain(peer.task)]
    ours = [code.co_name for code in codes if f"{os.sep}hub{os.sep}instrument{os.sep}" in code.co_filename]
    assert ["__call__", "_dispatch_all"] == ours
    await peer.disconnect()


# --- every kind of consumer ---------------------------------------------------------------------------------------


class Bare(Mixin, AsyncConsumer):
    async def websocket_connect(self, message):
        await self.send({"type": "websocket.accept"})

    async def websocket_receive(self, message):
        await self.send({"type": "websocket.send", "text": message["text"]})

    async def websocket_disconnect(self, message):
        raise StopConsumer


class BareSync(Mixin, SyncConsumer):
    def websocket_connect(self, message):
        self.send({"type": "websocket.accept"})

    def websocket_receive(self, message):
        self.send({"type": "websocket.send", "text": message["text"]})

    def websocket_disconnect(self, message):
        raise StopConsumer


class Text(Mixin, AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data, bytes_data)


class TextSync(Mixin, WebsocketConsumer):
    def receive(self, text_data=None, bytes_data=None):
        self.send(text_data, bytes_data)


class Json(Mixin, AsyncJsonWebsocketConsumer):
    hub_message_types = ("order.placed",)

    async def receive_json(self, content, **kwargs):
        await self.send_json(content)

    async def chat_say(self, event):
        """A handler: its type is known."""


class JsonSync(Mixin, JsonWebsocketConsumer):
    hub_message_types = ("order.placed",)

    def receive_json(self, content, **kwargs):
        self.send_json(content)

    def chat_say(self, event):
        """A handler: its type is known."""


class OwnCall(Text):
    """A host that wraps the whole of a connection."""

    async def __call__(self, scope, receive, send):
        self.called = True
        await super().__call__(scope, receive, send)


class OwnDispatchBase(AsyncWebsocketConsumer):
    async def dispatch(self, message):
        await super().dispatch(message)


class OwnDispatch(Mixin, OwnDispatchBase):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data)


class OwnLoopBase(AsyncWebsocketConsumer):
    async def __call__(self, scope, receive, send):
        await super().__call__(scope, receive, send)


class OwnLoop(Mixin, OwnLoopBase):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data)


KINDS = [Bare, BareSync, Text, TextSync, Json, JsonSync, OwnCall, OwnDispatch, OwnLoop]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_is_counted(shared, kind):
    peer = Peer(kind.as_asgi())
    assert (await peer.connect())["type"] == "websocket.accept"
    assert shared.ledger.active == 1
    for _ in range(3):
        assert await peer.ask('{"type": "chat.say"}') == '{"type": "chat.say"}'
    assert await peer.disconnect(1001) is None
    row = only_row(shared)
    assert (1, 0, {"1001": 1}, {}) == (row.accepted, row.active, row.disconnects, row.failures)
    assert (3, 3, 3, 0) == (row.arrived, sum(row.received.values()), sum(row.sent.values()), row.waiting)
    assert (60, 60) == (row.received_bytes, row.sent_bytes)
    assert (3, 3, 1) == (row.latency.count, row.wait.count, row.duration.count)
    assert ({}, {}, {}) == (row.errors, row.lost, row.layer)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_connection_leaves_nothing_on_the_consumer(shared, kind):
    made: list[Any] = []

    async def application(scope, receive, send):
        made.append(kind())
        await made[0](scope, receive, send)

    peer = Peer(application)
    await peer.connect()
    await peer.disconnect()
    assert set() == set(vars(made[0])) & {"dispatch", "receive_json", "encode_json"}


# --- messages by type ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Json, JsonSync])
async def test_json_is_counted_by_type_known_ones_only(shared, kind):
    peer = Peer(kind.as_asgi())
    await peer.connect()
    for content in (
        {"type": "chat.say"},
        {"type": "order.placed"},
        {"type": "x" * 50},
        {"type": 7},
        {"no": "type"},
        [1],
    ):
        await peer.ask(json.dumps(content))
    await peer.disconnect()
    expected = {"chat.say": 1, "order.placed": 1, "other": 2, "text": 2}
    row = only_row(shared)
    assert (expected, expected) == (row.received, row.sent)


class JsonAndText(Json):
    async def receive_json(self, content, **kwargs):
        await self.send_json(content)
        await self.send("not JSON")


async def test_a_type_belongs_to_one_frame_only(shared):
    peer = Peer(JsonAndText.as_asgi())
    await peer.connect()
    await peer.ask('{"type": "chat.say"}')
    assert (await peer.next())["text"] == "not JSON"
    await peer.disconnect()
    assert {"chat.say": 1, "text": 1} == only_row(shared).sent


@pytest.mark.parametrize("kind", [Text, TextSync])
async def test_other_frames_are_text_or_binary(shared, kind):
    peer = Peer(kind.as_asgi())
    await peer.connect()
    await peer.ask("hello")
    peer.bytes(b"12345")
    assert (await peer.next())["bytes"] == b"12345"
    await peer.disconnect()
    row = only_row(shared)
    assert ({"text": 1, "binary": 1}, {"text": 1, "binary": 1}) == (row.received, row.sent)
    assert (10, 10) == (row.received_bytes, row.sent_bytes)


class Ruled(Text):
    hub_message_types = ("ping", "pong")

    def get_hub_message_type(self, message):
        if message.get("text") == "raise":
            raise LookupError
        # A rule that tampers with what it is shown changes nothing.
        shown = message.pop("text", None)
        return {"ping": "ping", "rare": "not declared"}.get(shown)


async def test_the_host_s_own_rule_names_types(shared, faults):
    peer = Peer(Ruled.as_asgi())
    await peer.connect()
    for text in ("ping", "rare", "plain", "raise"):
        assert await peer.ask(text) == text
    await peer.disconnect()
    expected = {"ping": 1, "other": 1, "text": 2}
    row = only_row(shared)
    assert (expected, expected) == (row.received, row.sent)
    assert {"get_hub_message_type": 2} == dict(faults)


class Group(Text):
    async def connect(self):
        await self.channel_layer.group_add("room", self.channel_name)
        await self.accept()

    async def chat_say(self, event):
        await self.send(event["text"])


async def test_messages_of_the_channel_layer_are_counted_apart(shared):
    peer = Peer(Group.as_asgi())
    await peer.connect()
    for _ in range(3):
        await get_channel_layer().group_send("room", {"type": "chat.say", "text": "hi"})
        assert (await peer.next())["text"] == "hi"
    await peer.ask("one of mine")
    await peer.disconnect()
    row = only_row(shared)
    assert ({"chat.say": 3}, {"text": 1}, {"text": 4}) == (row.layer, row.received, row.sent)
    # As many handlers as there were messages of either source.
    assert row.latency.count == sum(row.received.values()) + sum(row.layer.values())


# --- names and tenants --------------------------------------------------------------------------------------------


class Named(Text):
    hub_consumer = "support chat"
    hub_tenant = "north"


class ChildOfNamed(Named):
    pass


async def run_once(kind: type, **scope: Any) -> Peer:
    peer = Peer(kind.as_asgi(), **scope)  # type: ignore[attr-defined]
    await peer.connect()
    await peer.disconnect()
    return peer


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (Text, (f"{__name__}.Text", "")),
        (Named, ("support chat", "north")),
        (ChildOfNamed, (f"{__name__}.ChildOfNamed", "north")),
    ],
)
async def test_a_consumer_is_known_by_its_class_or_the_name_it_chose(shared, kind, key):
    await run_once(kind)
    assert [key] == list(shared.ledger.counts)


class ByShop(Text):
    asked: ClassVar[list[str]] = []

    def get_hub_tenant(self):
        self.asked.append(self.scope["shop"])
        return self.scope["shop"]


async def test_the_tenant_comes_from_the_scope_after_accept_and_is_asked_for_once(shared):
    ByShop.asked.clear()

    class Late(ByShop):
        async def connect(self):
            assert [] == self.asked
            self.scope["shop"] = "south"
            await self.accept()

    peer = Peer(Late.as_asgi(), shop="not authenticated")
    await peer.connect()
    await peer.ask("x")
    await peer.disconnect()
    assert (["south"], {"south"}) == (ByShop.asked, {tenant for _, tenant in shared.ledger.counts})


class BrokenTenant(Text):
    def get_hub_tenant(self):
        raise LookupError("no such shop")


async def test_a_tenant_that_cannot_be_told_is_none_and_the_connection_lives(shared, faults):
    peer = Peer(BrokenTenant.as_asgi())
    await peer.connect()
    assert await peer.ask("x") == "x"
    await peer.disconnect()
    assert ({""}, {"get_hub_tenant": 1}) == ({tenant for _, tenant in shared.ledger.counts}, dict(faults))


def tenant_of_path(scope):
    return scope["path"].strip("/")


async def test_the_rule_of_the_settings_decides_where_the_consumer_says_nothing(setup):
    shared = setup(TENANT=f"{__name__}.tenant_of_path")
    for kind in (Text, Named):
        await run_once(kind, path="/west/")
    assert ["west", "north"] == [tenant for _, tenant in shared.ledger.counts]


# --- ends ---------------------------------------------------------------------------------------------------------


class Moody(Mixin, AsyncWebsocketConsumer):
    async def connect(self):
        match self.scope["path"]:
            case "/deny":
                raise DenyConnection
            case "/close":
                await self.close(4003)
            case "/raise":
                raise ValueError("in connect")
            case "/never":
                pass
            case _:
                await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        match text_data:
            case "raise":
                raise ValueError("in receive")
            case "close":
                await self.close(4001)
            case "close twice":
                await self.close(4001)
                await self.close(4002)
            case "close and send":
                await self.close(4001)
                await self.send("too late")
            case "stop":
                raise StopConsumer
            case _:
                await self.send(text_data)

    async def disconnect(self, code):
        if self.scope["path"] == "/raise-in-disconnect":
            raise ValueError("in disconnect")


@pytest.mark.parametrize(("path", "reason"), [("/deny", "rejected"), ("/close", "rejected")])
async def test_a_refused_connection_is_a_rejection(shared, path, reason):
    peer = Peer(Moody.as_asgi(), path)
    assert (await peer.connect())["type"] == "websocket.close"
    await peer.disconnect(1006)
    row = only_row(shared)
    assert ({reason: 1}, 0, 0, {}) == (row.failures, row.accepted, row.active, row.disconnects)


async def test_an_error_before_accept_is_a_failure(shared):
    peer = Peer(Moody.as_asgi(), "/raise")
    peer.start()
    assert repr(await peer.end()) == "ValueError('in connect')"
    row = only_row(shared)
    assert ({"error": 1}, {"ValueError": 1}, 0) == (row.failures, row.errors, row.active)


async def test_a_connection_nobody_answers_is_a_timeout(shared):
    peer = Peer(Moody.as_asgi(), "/never")
    peer.start()
    await peer.disconnect(1006)
    assert ({"timeout": 1}, 0) == (only_row(shared).failures, only_row(shared).accepted)


async def ended(shared: Any, text: str | None, path: str = "/", code: int = 1000) -> tuple[BaseException | None, dict]:
    peer = Peer(Moody.as_asgi(), path)
    await peer.connect()
    if text is not None:
        peer.text(text)
    if text is not None and "close" in text:
        # A disconnect that is read ahead would be the first close: the client's.
        assert (await peer.next())["code"] == 4001
    error = await (peer.end() if text in {"raise", "stop"} else peer.disconnect(code))
    row = only_row(shared)
    assert (1, 0, 1) == (row.accepted, row.active, row.duration.count)
    assert row.arrived == sum(row.received.values()) + row.inbound_lost
    return error, row.disconnects


async def test_an_error_in_a_handler_ends_the_connection_as_it_would_without_us(shared):
    error, disconnects = await ended(shared, "raise")
    assert ("ValueError('in receive')", {"1011": 1}) == (repr(error), disconnects)
    assert {"ValueError": 1} == only_row(shared).errors


async def test_an_error_in_disconnect_keeps_the_client_s_code(shared):
    error, disconnects = await ended(shared, None, "/raise-in-disconnect", 1001)
    assert ("ValueError('in disconnect')", {"1001": 1}) == (repr(error), disconnects)


@pytest.mark.parametrize("text", ["close", "close twice", "close and send"])
async def test_the_code_of_the_consumer_s_first_close_counts(shared, text):
    error, disconnects = await ended(shared, text, code=1005)
    assert (None, {"4001": 1}) == (error, disconnects)
    assert ({"after_close": 1} if "send" in text else {}) == only_row(shared).lost


async def test_a_consumer_that_stops_by_itself_ends_abnormally(shared):
    assert (None, {"1006": 1}) == await ended(shared, "stop")


async def test_a_cancelled_connection_ends_abnormally_and_the_gauge_goes_down(shared):
    peer = Peer(Moody.as_asgi())
    await peer.connect()
    assert isinstance(await peer.cancel(), asyncio.CancelledError)
    row = only_row(shared)
    assert ({"1006": 1}, 0, {}) == (row.disconnects, row.active, row.errors)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_waits_when_the_consumer_ends_is_lost_by_a_named_reason(shared):
    peer = Peer(Moody.as_asgi())
    await peer.connect()
    peer.text("raise", *["never handled"] * 5)
    await peer.end()
    row = only_row(shared)
    assert (1, 0) == (sum(row.received.values()), row.waiting)
    assert row.arrived == 1 + row.inbound_lost
    assert row.inbound_lost == row.lost.get("teardown", 0)


async def test_a_message_without_a_handler_raises_channels_own_error(shared):
    peer = Peer(Moody.as_asgi())
    await peer.connect()
    peer.give({"type": "websocket.unheard"})
    assert repr(await peer.end()) == "ValueError('No handler for message type websocket.unheard')"


async def test_a_send_that_finds_the_client_gone_is_lost_and_raises_and_is_no_error_of_the_handler_s(shared):
    class Gone(Peer):
        async def send(self, message):
            if message["type"] == "websocket.send":
                raise BrokenPipeError
            await super().send(message)

    peer = Gone(Text.as_asgi())
    await peer.connect()
    peer.text("x")
    assert isinstance(await peer.end(), BrokenPipeError)
    row = only_row(shared)
    assert ({}, {"after_close": 1}, {}) == (row.sent, row.lost, row.errors)


async def test_what_a_handler_makes_of_it_is_its_own_error(shared):
    class Gone(Peer):
        async def send(self, message):
            if message["type"] == "websocket.send":
                raise BrokenPipeError
            await super().send(message)

    class Explaining(Text):
        async def send(self, *args, **kwargs):
            try:
                await super().send(*args, **kwargs)
            except OSError as error:
                raise LookupError("nobody there") from error

    peer = Gone(Explaining.as_asgi())
    await peer.connect()
    peer.text("x")
    assert isinstance(await peer.end(), LookupError)
    row = only_row(shared)
    assert ({"after_close": 1}, {"LookupError": 1}) == (row.lost, row.errors)


# --- never twice, and not at all when off -------------------------------------------------------------------------


class Outer(Mixin, AsyncConsumer):
    """A consumer that hands its whole connection to another one."""

    async def __call__(self, scope, receive, send):
        await super().__call__(scope, receive, send)

    async def websocket_connect(self, message):
        inbox: asyncio.Queue = asyncio.Queue()
        inbox.put_nowait(message)
        inbox.put_nowait({"type": "websocket.receive", "text": "inner"})
        inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await Text()(self.scope, inbox.get, self.base_send)
        raise StopConsumer


@pytest.mark.parametrize(
    "wrapped",
    [True, False],
)
async def test_nested_consumers_count_one_connection(shared, wrapped):
    from hub import monitor

    application = Outer.as_asgi()
    peer = Peer(monitor(application) if wrapped else application)
    await peer.connect()
    await peer.end()
    assert (1, 0) == (sum(row.accepted for row in shared.ledger), shared.ledger.active)
    assert 1 == sum(sum(row.sent.values()) for row in shared.ledger)


@pytest.mark.parametrize("kind", KINDS)
async def test_switched_off_it_adds_nothing(setup, kind):
    shared = setup(ENABLED=False)
    made: list[Any] = []

    async def application(scope, receive, send):
        made.append(kind())
        await made[0](scope, receive, send)

    peer = Peer(application)
    await peer.connect()
    assert await peer.ask('{"type": "chat.say"}') == '{"type": "chat.say"}'
    assert set() == {name for name in vars(made[0]) if name.startswith("hub") or "_hub" in name}
    assert set() == set(vars(made[0])) & {"dispatch", "receive_json", "encode_json"}
    await peer.disconnect()
    assert [] == list(shared.ledger)


async def test_switched_off_the_server_s_own_callables_reach_the_consumer(setup):
    setup(ENABLED=False)
    seen: list[Any] = []

    class Sees(Text):
        async def websocket_connect(self, message):
            seen.append(self.base_send)
            await super().websocket_connect(message)

    peer = await run_once(Sees)
    assert [peer.send] == seen


async def test_scopes_other_than_websocket_are_not_monitored_nor_read_ahead(shared):
    taken = 0

    class Worker(Mixin, AsyncConsumer):
        async def work_begin(self, message):
            await asyncio.sleep(0.01)
            assert message["number"] == taken
            if message["last"]:
                raise StopConsumer

    async def receive():
        nonlocal taken
        taken += 1
        return {"type": "work.begin", "number": taken, "last": taken == 3}

    await asyncio.wait_for(Worker()({"type": "channel", "channel": "jobs"}, receive, lambda message: None), 5)
    assert [] == list(shared.ledger)


# --- the class itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [AsyncConsumer, SyncConsumer, AsyncJsonWebsocketConsumer, WebsocketConsumer])
def test_the_mixin_behind_a_consumer_is_refused_with_the_remedy(base):
    with pytest.raises(ConfigurationError, match=r"write class Wrong\(MonitoredConsumerMixin, \.\.\.\)"):
        type("Wrong", (base, Mixin), {})


def test_the_mixin_beside_other_mixins_may_stand_anywhere_before_the_consumer():
    class Other:
        pass

    assert issubclass(type("Right", (Other, Mixin, AsyncConsumer), {}), Mixin)
    assert issubclass(type("AlsoRight", (Mixin, Other, AsyncConsumer), {}), Mixin)


def test_a_consumer_gives_arguments_of_its_class_on():
    class Base(AsyncConsumer):
        flavour: str

        def __init_subclass__(cls, flavour: str = "", **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            cls.flavour = flavour

    class Sweet(Mixin, Base, flavour="sweet"):
        pass

    assert Sweet.flavour == "sweet"
