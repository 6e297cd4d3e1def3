"""
Facts about other people's code that ours relies on. Each test names what to look at on the day it fails.

They look at behaviour where there is some to look at, and at the source where our code takes the place of theirs.
"""

from __future__ import annotations

import ast
import asyncio
import hashlib
import inspect
import socket
import textwrap
from functools import partial
from importlib import import_module
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from channels.consumer import AsyncConsumer, SyncConsumer, get_handler_name
from channels.db import aclose_old_connections
from channels.exceptions import StopConsumer
from channels.layers import InMemoryChannelLayer, get_channel_layer
from channels.utils import await_many_dispatch
from daphne.server import Server as DaphneServer
from daphne.ws_protocol import WebSocketProtocol
from django.db import OperationalError, connection, connections
from django.db.backends.signals import connection_created
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from twisted.internet import abstract
from websockets.protocol import State

from tests.instrument.peer import Peer


def fingerprint(function: Any) -> str:
    """Of what a function does: comments, formatting and docstrings may change."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    body = tree.body[0].body  # type: ignore[attr-defined]
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        del body[0]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:12]


# --- Channels: what our code stands in for --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "known", "ours"),
    [
        (AsyncConsumer.__call__, "8462ee3f7788", "MonitoredConsumerMixin._hub_open (hub/instrument/mixin.py)"),
        (AsyncConsumer.dispatch, "32a44591cd40", "MonitoredConsumerMixin.dispatch (hub/instrument/mixin.py)"),
        (get_handler_name, "514cdb5a605f", "the short cut for websocket.receive in MonitoredConsumerMixin.dispatch"),
        (await_many_dispatch, "aa6bc7affcdc", "Inbox (hub/instrument/inbox.py)"),
        (aclose_old_connections, "e5fbbc4f6bc1", "Sweep.run (hub/instrument/sweep.py)"),
        (get_channel_layer, "1c286d93e3b0", "MonitoredConsumerMixin._hub_open (hub/instrument/mixin.py)"),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_what_we_take_the_place_of_is_what_it_was(function, known, ours):
    name = f"{function.__module__}.{function.__qualname__}"
    assert fingerprint(function) == known, (
        f"{name} has changed: read it, adapt {ours}, then note its new fingerprint here"
    )


async def test_a_consumer_has_these_attributes_when_its_handlers_run():
    seen: dict[str, Any] = {}

    class Plain(AsyncConsumer):
        async def websocket_connect(self, message):
            seen.update(vars(self))
            raise StopConsumer

    peer = Peer(Plain.as_asgi())
    peer.start()
    assert await peer.end() is None
    names = {"scope", "channel_layer", "channel_name", "channel_receive", "base_send"}
    assert names == set(seen), "Channels gives a consumer other attributes: give the same in _hub_open"
    assert seen["base_send"] == peer.send, "base_send is no longer the server's own callable"


def test_a_sync_consumer_s_dispatch_can_be_told_from_the_async_one():
    changed = "the mixin can no longer tell whose dispatch it would replace (next_definition)"
    assert "dispatch" in vars(SyncConsumer), changed
    assert "dispatch" in vars(AsyncConsumer), changed
    assert "__call__" not in vars(SyncConsumer), changed
    assert (vars(AsyncConsumer)["_sync"], vars(SyncConsumer)["_sync"]) == (False, True), (
        "the mark of a sync consumer has changed"
    )


def test_an_unknown_channel_layer_is_none():
    assert get_channel_layer("no such layer") is None, "get_channel_layer raises now: _hub_open would too"


def test_as_asgi_names_the_consumer():
    made: Any = AsyncConsumer.as_asgi()
    assert made.consumer_class is AsyncConsumer, "routes no longer tell their consumer: see hub/instrument/routes.py"


# --- Channels: how its loop behaves ---------------------------------------------------------------------------------


async def test_channels_takes_its_two_sources_in_turn():
    order: list[str] = []

    async def source(name: str) -> str:
        return name

    async def dispatch(name: Any) -> None:
        order.append(name)
        if len(order) == 20:
            raise StopConsumer

    with pytest.raises(StopConsumer):
        await await_many_dispatch([partial(source, "client"), partial(source, "layer")], dispatch)
    assert order == ["client", "layer"] * 10, "Channels no longer alternates: the inbox's turns are another order"


async def test_channels_reads_one_message_ahead_and_none_while_it_handles_it():
    taken = 0

    async def receive() -> int:
        nonlocal taken
        taken += 1
        return taken

    async def dispatch(number: Any) -> None:
        await asyncio.sleep(0.01)
        assert taken == number, "Channels reads ahead now: the layer's reader of the inbox may, too"
        if number == 3:
            raise StopConsumer

    with pytest.raises(StopConsumer):
        await await_many_dispatch([receive], dispatch)


async def test_channels_drops_what_the_other_source_had_given_when_it_ends():
    taken: list[str] = []

    async def layer() -> str:
        if taken:
            await asyncio.Event().wait()
        taken.append("taken off the layer")
        return taken[0]

    async def client() -> str:
        return "client"

    async def dispatch(message: Any) -> None:
        raise StopConsumer

    with pytest.raises(StopConsumer):
        await await_many_dispatch([client, layer], dispatch)
    assert taken, "Channels no longer loses it: the reason `teardown` of ws_frames_dropped_total may go"


async def test_a_stop_ends_a_connection_without_an_error():
    class Stops(AsyncConsumer):
        async def websocket_connect(self, message):
            raise StopConsumer

    peer = Peer(Stops.as_asgi())
    peer.start()
    assert await peer.end() is None, "StopConsumer leaves __call__ now: the observer must not take it for an error"


async def test_every_dispatch_sweeps_old_connections(monkeypatch):
    swept = []

    async def note() -> None:
        swept.append(1)

    monkeypatch.setattr("channels.consumer.aclose_old_connections", note)

    class Plain(AsyncConsumer):
        async def websocket_connect(self, message):
            raise StopConsumer

    peer = Peer(Plain.as_asgi())
    peer.start()
    await peer.end()
    assert swept == [1], "Channels no longer sweeps before a dispatch: the throttled sweep may go"


async def test_a_group_member_whose_queue_is_full_loses_a_message_in_silence():
    layer = InMemoryChannelLayer(capacity=1)
    name = await layer.new_channel()
    await layer.group_add("room", name)
    for number in range(3):
        await layer.group_send("room", {"type": "x", "number": number})
    assert (await layer.receive(name))["number"] == 0
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(layer.receive(name), 0.05)


# --- asyncio --------------------------------------------------------------------------------------------------------


async def test_asyncio_s_loop_asks_its_selector_once_a_turn(monkeypatch):
    selector: Any = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
    asked: list[float | None] = []
    select = selector.select

    def counted(timeout: float | None = None) -> Any:
        asked.append(timeout)
        return select(timeout)

    monkeypatch.setattr(selector, "select", counted, raising=False)
    for _ in range(3):
        await asyncio.sleep(0)
    assert [0, 0, 0] == asked, "nobody can tell any more whether a loop rests: see hub/instrument/turns.py"


# --- Django ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
async def test_django_tells_of_each_new_connection_in_the_thread_that_opened_it():
    told: list[Any] = []

    def note(connection: Any, **_: Any) -> None:
        told.append(connection)

    def open_one() -> Any:
        connections.close_all()
        connection.ensure_connection()
        return connections["default"]

    connection_created.connect(note)
    try:
        opened = await sync_to_async(open_one)()
    finally:
        connection_created.disconnect(note)
    assert told == [opened], "connection_created changed: the sweep learns of connections by it"


@pytest.mark.django_db(transaction=True)
def test_execute_wrappers_see_every_query_also_after_the_connection_was_closed():
    seen: list[str] = []

    def note(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    connection.execute_wrappers.append(note)
    try:
        for query in ("SELECT 1", "SELECT 2"):
            with connection.cursor() as cursor:
                cursor.execute(query)
            connection.close()
    finally:
        connection.execute_wrappers.remove(note)
    assert seen[-2:] == ["SELECT 1", "SELECT 2"], "execute_wrappers changed: the sweep learns of queries by them"


@pytest.mark.django_db(transaction=True)
def test_a_failed_query_marks_its_connection():
    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")
    marked, connection.errors_occurred = connection.errors_occurred, False
    assert marked, "errors_occurred is gone: what does close_if_unusable_or_obsolete look at now?"


# --- servers --------------------------------------------------------------------------------------------------------


def test_daphne_s_close_refuses_a_code_that_its_protocol_can_send():
    protocol = WebSocketProtocol()
    with pytest.raises(Exception, match="invalid close code 1013"):
        protocol.serverClose(code=1013)
    # It is not open, so that it says so and sends nothing: the code was not looked at.
    protocol.state = protocol.STATE_CONNECTING
    with pytest.raises(Exception, match="not yet connected"):
        protocol.sendCloseFrame(code=1013)


def test_daphne_s_send_is_a_partial_over_its_protocol():
    made: dict[str, Any] = {}

    async def application(scope, receive, send):
        made.update(receive=receive, send=send)

    async def create() -> None:
        server = DaphneServer(application, endpoints=["tcp:0"], signal_handlers=False)
        protocol = object()
        server.connections = {protocol: {}}
        queue = server.create_application(protocol, {"type": "websocket"})
        await server.connections[protocol]["application_instance"]
        assert made["receive"].__self__ is queue, "Daphne's receive no longer belongs to its input queue"
        assert made["send"].args[0] is protocol, (
            "Daphne's send no longer leads to its protocol: hub/instrument/servers.py"
        )

    asyncio.run(create())


def test_twisted_s_transport_keeps_its_two_buffers():
    class Transport(abstract.FileDescriptor):
        connected = 1

        def startWriting(self):  # noqa: N802 - Twisted's name
            pass

    transport = Transport(reactor=cast("Any", object()))
    changed = "Twisted keeps what waits elsewhere now: hub/instrument/servers.py"
    assert (len(transport.dataBuffer), transport.offset, transport._tempDataLen) == (0, 0, 0), changed
    transport.write(b"12345")
    assert len(transport.dataBuffer) - transport.offset + transport._tempDataLen == 5, changed


@pytest.mark.parametrize("module", ["websockets_sansio_impl", "wsproto_impl"])
def test_uvicorn_s_send_is_a_method_of_its_protocol_which_has_the_transport(module):
    implementation = __import__(f"uvicorn.protocols.websockets.{module}", fromlist=["x"])
    protocol: Any
    [protocol] = [
        found for name, found in vars(implementation).items()
        if inspect.isclass(found) and found.__module__ == implementation.__name__
        and issubclass(found, asyncio.Protocol)
    ]  # fmt: skip
    changed = f"{protocol.__qualname__} changed: hub/instrument/servers.py"
    assert "self.app(self.scope, self.receive, self.send)" in inspect.getsource(protocol.run_asgi), changed
    assert "self.transport = transport" in inspect.getsource(protocol.connection_made), changed


async def test_uvicorn_tells_of_the_end_before_it_refuses_a_code_that_is_none():
    """Then the connection goes on, until whoever received that has ended it."""
    implementation = import_module("uvicorn.protocols.websockets.websockets_sansio_impl")
    config = import_module("uvicorn").Config(print, ws="websockets-sansio", log_config=None)
    protocol = implementation.WebSocketsSansIOProtocol(config, import_module("uvicorn.server").ServerState(), {})
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    protocol.transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
    protocol.handshake_complete = True
    protocol.conn.state = State.OPEN
    with pytest.raises(TypeError):
        await protocol.send({"type": "websocket.close", "code": "4001"})
    assert (protocol.queue.get_nowait()["type"], protocol.close_sent) == ("websocket.disconnect", False)
    protocol.transport.abort()
    theirs.close()


# --- prometheus_client ----------------------------------------------------------------------------------------------


class Described(Collector):
    def __init__(self, *, describes: bool) -> None:
        if describes:
            self.describe = self.collect

    def collect(self):
        yield GaugeMetricFamily("wanted", "Help.", value=1)
        yield GaugeMetricFamily("unwanted", "Help.", value=1)


def restricted(*, describes: bool) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Described(describes=describes))
    chosen: Any = registry.restricted_registry(["wanted"])
    return generate_latest(chosen).decode()


def test_name_filters_need_a_collector_that_describes_itself():
    assert "wanted 1.0" in restricted(describes=True)
    assert "unwanted" not in restricted(describes=True), "restricted_registry no longer filters custom collectors"


def test_two_metrics_of_one_name_are_refused_when_they_are_registered():
    registry = CollectorRegistry()
    Gauge("orders", "Help.", registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Gauge("orders", "Help.", registry=registry)
