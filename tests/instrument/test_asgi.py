from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django import urls

import hub
from hub import MonitoredConsumerMixin, monitor
from hub.instrument import state
from hub.instrument.asgi import MonitoredApplication
from hub.instrument.observer import SCOPE_KEY
from hub.instrument.passage import UNROUTED
from tests.instrument.peer import Peer

#: Django's types know of views only.
path: Any = urls.path


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "raise":
            raise ValueError("in receive")
        await self.send(text_data, bytes_data)


class EchoSync(WebsocketConsumer):
    def receive(self, text_data=None, bytes_data=None):
        self.send(text_data, bytes_data)


class Mixed(MonitoredConsumerMixin, Echo):
    pass


async def raw(scope, receive, send):
    """No consumer at all."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text")})


seen_elsewhere: list[str] = []


async def elsewhere(scope, receive, send):
    """HTTP and lifespan."""
    seen_elsewhere.append(scope["type"])
    assert SCOPE_KEY not in scope
    await send(await receive())


def make_application() -> Any:
    routes = [
        path("echo", Echo.as_asgi()),
        path("sync", EchoSync.as_asgi()),
        path("mixed", Mixed.as_asgi()),
        path("raw", raw),
        path("more/", URLRouter([path("echo", Echo.as_asgi())])),
    ]
    return ProtocolTypeRouter({"http": elsewhere, "lifespan": elsewhere, "websocket": authenticated(URLRouter(routes))})


def authenticated(application):
    """Middleware as Channels': it copies the scope and adds to it."""

    class Middleware:
        def __init__(self, inner):
            self.inner = inner

        async def __call__(self, scope, receive, send):
            return await self.inner({**scope, "user": "ann"}, receive, send)

    return Middleware(application)


LABELS = {
    "echo": f"{__name__}.Echo",
    "sync": f"{__name__}.EchoSync",
    "mixed": f"{__name__}.Mixed",
    "raw": "/raw",
    "more/echo": f"{__name__}.Echo",
}


@pytest.mark.parametrize("where", LABELS)
async def test_every_consumer_is_counted_once_and_by_name(shared, where):
    peer = Peer(monitor(make_application()), "/" + where)
    await peer.connect()
    assert shared.ledger.active == 1
    for _ in range(3):
        assert await peer.ask("hello") == "hello"
    assert await peer.disconnect(1001) is None
    [((label, _), row)] = shared.ledger.counts.items()
    assert LABELS[where] == label
    assert (1, 0, {"1001": 1}, 1) == (row.accepted, row.active, row.disconnects, row.duration.count)
    assert (3, {"text": 3}, {"text": 3}, 15, 15) == (
        row.arrived,
        row.received,
        row.sent,
        row.received_bytes,
        row.sent_bytes,
    )


@pytest.mark.parametrize("where", ["echo", "mixed"])
async def test_an_exception_passes_through_and_is_an_internal_error(shared, where):
    peer = Peer(monitor(make_application()), "/" + where)
    await peer.connect()
    peer.text("raise")
    assert repr(await peer.end()) == "ValueError('in receive')"
    [row] = shared.ledger
    assert ({"1011": 1}, 0) == (row.disconnects, row.active)


@pytest.mark.parametrize("where", ["echo", "mixed", "raw"])
async def test_a_cancelled_connection_takes_the_gauge_down(shared, where):
    peer = Peer(monitor(make_application()), "/" + where)
    await peer.connect()
    assert isinstance(await peer.cancel(), asyncio.CancelledError)
    [row] = shared.ledger
    assert ({"1006": 1}, 0) == (row.disconnects, row.active)


async def test_a_connection_without_a_route_is_a_failure_of_nobody(shared, events):
    peer = Peer(monitor(make_application()), "/nowhere")
    peer.start()
    assert "No route found" in str(await peer.end())
    [row] = shared.ledger
    assert (UNROUTED, {"error": 1}, 0) == (row.consumer, row.failures, row.accepted)
    assert ["connection.failed"] == [event.kind for event in events]


def tenant_of_user(scope):
    return scope.get("user", "not authenticated")


@pytest.mark.parametrize("where", ["echo", "mixed", "raw"])
async def test_the_tenant_comes_from_the_scope_inside_the_middleware(setup, where):
    shared = setup(TENANT=f"{__name__}.tenant_of_user")
    peer = Peer(monitor(make_application()), "/" + where)
    await peer.connect()
    await peer.disconnect()
    assert ["ann"] == [row.tenant for row in shared.ledger]


@pytest.mark.parametrize("kind", ["http", "lifespan"])
async def test_other_protocols_pass_through_untouched(shared, kind):
    seen_elsewhere.clear()
    sent = []

    async def receive():
        return {"type": "anything"}

    async def send(message):
        sent.append(message)

    await monitor(make_application())({"type": kind}, receive, send)
    assert ([kind], [{"type": "anything"}], []) == (seen_elsewhere, sent, list(shared.ledger))


async def test_any_call_starts_the_node(shared, monkeypatch):
    started = []
    monkeypatch.setattr(state, "_starters", [lambda: started.append(1)])
    application = monitor(make_application())

    async def receive():
        return {}

    async def send(message):
        """Takes it."""

    await application({"type": "lifespan"}, receive, send)
    assert started


async def test_the_record_keeps_the_server_s_own_callables_until_the_end(shared):
    seen = []

    async def application(scope, receive, send):
        record = scope[SCOPE_KEY]
        seen.append((record, record.raw_send, record.raw_receive))

    peer = Peer(monitor(application))
    peer.start()
    await peer.end()
    [(record, raw_send, raw_receive)] = seen
    assert (peer.send, peer.to_application.get) == (raw_send, raw_receive)
    assert (record.raw_send, record.raw_receive) == (None, None)


async def test_the_record_of_an_ended_connection_keeps_no_consumer_alive(shared):
    class Short(MonitoredConsumerMixin, AsyncWebsocketConsumer):
        async def connect(self):
            seen.append(weakref.ref(self))
            await self.accept()

    seen: list = []
    for query in (b"", b"_hub=1"):
        peer = Peer(Short.as_asgi(), query_string=query)
        await peer.connect()
        await peer.disconnect()
        record = peer.scope[SCOPE_KEY]
        del peer
        gc.collect()
        assert (seen.pop()(), record.code) == (None, 1000)


async def test_the_server_s_scope_is_not_changed(shared):
    peer = Peer(monitor(make_application()), "/echo")
    before = dict(peer.scope)
    await peer.connect()
    await peer.disconnect()
    assert before == peer.scope


async def test_what_the_application_gets_are_coroutine_functions(shared):
    async def application(scope, receive, send):
        # As asgiref asks: async_to_sync and sync_to_async go by it.
        assert [True, True] == [iscoroutinefunction(receive), iscoroutinefunction(send)]

    peer = Peer(monitor(application))
    peer.start()
    assert await peer.end() is None


def test_switched_off_it_returns_the_very_same_object(setup):
    setup(ENABLED=False)
    application = make_application()
    callbacks = [route.callback for route in application.application_mapping["websocket"].inner.routes]
    assert id(monitor(application)) == id(application)
    assert callbacks == [route.callback for route in application.application_mapping["websocket"].inner.routes]


async def test_monitoring_twice_counts_once(shared):
    application = make_application()
    once = monitor(application)
    assert monitor(once) is once
    again = monitor(application)
    peer = Peer(again, "/echo")
    await peer.connect()
    await peer.disconnect()
    assert [1] == [row.accepted for row in shared.ledger]


async def test_one_monitored_application_inside_another_counts_once(shared):
    inner = monitor(make_application())

    async def middleware(scope, receive, send):
        await inner(scope, receive, send)

    for where in ("echo", "mixed"):
        peer = Peer(monitor(middleware), "/" + where)
        await peer.connect()
        await peer.ask("hello")
        await peer.disconnect()
    assert (2, 2) == (sum(row.accepted for row in shared.ledger), sum(row.arrived for row in shared.ledger))


def test_attributes_of_the_application_remain_reachable(shared):
    application = make_application()
    assert isinstance(monitor(application), MonitoredApplication)
    assert vars(monitor(application))["application"] is application
    monitored: Any = monitor(application)
    assert monitored.application_mapping is application.application_mapping
    with pytest.raises(AttributeError, match="no_such_attribute"):
        getattr(monitor(application), "no_such_attribute")  # noqa: B009 - that it raises is the test


def test_leaves_still_name_their_consumers(shared):
    application = make_application()
    monitor(application)
    routes = application.application_mapping["websocket"].inner.routes
    assert routes[0].callback.consumer_class is Echo


def test_the_public_names_are_these():
    assert (hub.monitor, hub.MonitoredConsumerMixin) == (monitor, MonitoredConsumerMixin)
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(hub, "no_such_name")  # noqa: B009 - that it raises is the test
