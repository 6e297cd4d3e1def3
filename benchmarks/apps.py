"""
The ASGI applications that are measured: one consumer each for echo, broadcast and query, on several sides.

A side is a way to run the same consumers: bare, monitored by the hub, or watched by what people use today. `raw` is
an echo without Channels: the limit of the server.
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib.auth import get_user_model
from django.core.asgi import get_asgi_application
from django.urls import path
from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from sentry_sdk.envelope import Envelope

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Frameworks narrow these arguments, each in its own way.
Application = Callable[[Any, Any, Any], Awaitable[None]]

LABEL_CONSUMERS = 5
LABEL_TENANTS = 200
GROUP = "benchmark"


class Side(StrEnum):
    RAW = "raw"
    BARE = "bare"
    MONITORED = "monitored"
    RECIPE = "recipe"
    OPENTELEMETRY = "opentelemetry"
    SENTRY = "sentry"


class Echo(AsyncWebsocketConsumer):
    """Sends back what it gets."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data=text_data)


class Broadcast(AsyncWebsocketConsumer):
    """Hands what it gets to everybody, itself included, through the channel layer."""

    groups = [GROUP]  # noqa: RUF012 - as Channels documents it

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.channel_layer.group_send(GROUP, {"type": "broadcast.said", "text": text_data})

    async def broadcast_said(self, event: dict[str, str]) -> None:
        await self.send(text_data=event["text"])


class Query(AsyncWebsocketConsumer):
    """Asks the database on every message, the way Channels documents it, then sends back what it gets."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.read_user()
        await self.send(text_data=text_data)

    @database_sync_to_async
    def read_user(self) -> str:
        return str(get_user_model().objects.get(pk=1).get_username())


def build_application(side: Side) -> Application:
    """Build one side. Django must be configured; what the side needs is imported only now."""
    return _BUILDERS[side]()


def route(echo: Any, broadcast: Any, query: Any, *more: Any) -> Application:
    """Put three consumer classes, and further routes, under the paths that the load client knows."""
    routes = [
        path("echo", echo.as_asgi()),
        path("broadcast", broadcast.as_asgi()),
        path("query", query.as_asgi()),
        *more,
    ]
    router: Application = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": URLRouter(routes)})
    return router


async def echo_raw(scope: Scope, receive: Receive, send: Send) -> None:
    """The least an ASGI application can do to echo."""
    if scope["type"] != "websocket":
        raise ValueError(f"echo_raw serves websocket scopes only, not {scope['type']!r}")
    while True:
        message = await receive()
        if message["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        elif message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            return


def _build_raw() -> Application:
    return echo_raw


def _build_bare() -> Application:
    return route(Echo, Broadcast, Query)


def _build_monitored() -> Application:
    from hub import MonitoredConsumerMixin, monitor

    class MonitoredEcho(MonitoredConsumerMixin, Echo):
        pass

    class MonitoredBroadcast(MonitoredConsumerMixin, Broadcast):
        pass

    class MonitoredQuery(MonitoredConsumerMixin, Query):
        pass

    class Labelled(MonitoredConsumerMixin, Echo):
        """A tenant by its path: for the scrape, which needs many label sets."""

        def get_hub_tenant(self) -> str | None:
            return str(self.scope["url_route"]["kwargs"]["tenant"])

    class Failing(Labelled):
        """Raises: an event for its tenant."""

        async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
            raise ValueError("as asked")

    labelled: list[Any] = [type(f"Labelled{number}", (Labelled,), {}) for number in range(LABEL_CONSUMERS)]
    routes = [path(f"labels/{number}/<str:tenant>", labelled[number].as_asgi()) for number in range(LABEL_CONSUMERS)]
    failing: Any = Failing
    routes.append(path("fail/<str:tenant>", failing.as_asgi()))
    application: Application = monitor(route(MonitoredEcho, MonitoredBroadcast, MonitoredQuery, *routes))
    return application


def _build_recipe() -> Application:
    """The recipe found in most projects: `labels()` at the place of use, three times a message."""
    labels = ("consumer", "tenant")
    active = Gauge("recipe_connections_active", "Connections.", labels)
    received = Counter("recipe_messages_received", "Messages in.", labels)
    sent = Counter("recipe_messages_sent", "Messages out.", labels)
    latency = Histogram("recipe_message_latency_seconds", "Time in the handler.", labels)

    class RecipeEcho(Echo):
        async def connect(self) -> None:
            await super().connect()
            active.labels("RecipeEcho", "benchmark").inc()

        async def disconnect(self, code: int) -> None:
            active.labels("RecipeEcho", "benchmark").dec()

        async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
            received.labels("RecipeEcho", "benchmark").inc()
            with latency.labels("RecipeEcho", "benchmark").time():
                await super().receive(text_data, bytes_data)

        async def send(self, *arguments: Any, **keywords: Any) -> None:
            sent.labels("RecipeEcho", "benchmark").inc()
            await super().send(*arguments, **keywords)

    return route(RecipeEcho, Broadcast, Query)


def _build_opentelemetry() -> Application:
    """Every span sampled, batched, and handed to an exporter that lets it go."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    application: Application = OpenTelemetryMiddleware(_build_bare(), tracer_provider=provider)
    return application


def _build_sentry() -> Application:
    """Everything sampled, and a transport that lets every envelope go."""
    import sentry_sdk
    from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
    from sentry_sdk.transport import Transport

    class Nowhere(Transport):
        def capture_envelope(self, envelope: "Envelope") -> None:
            pass

    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Nowhere, traces_sample_rate=1.0)
    application: Application = SentryAsgiMiddleware(_build_bare())
    return application


_BUILDERS: dict[Side, Callable[[], Application]] = {
    Side.RAW: _build_raw,
    Side.BARE: _build_bare,
    Side.MONITORED: _build_monitored,
    Side.RECIPE: _build_recipe,
    Side.OPENTELEMETRY: _build_opentelemetry,
    Side.SENTRY: _build_sentry,
}
