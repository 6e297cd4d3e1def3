"""The host's ASGI application, monitored as the integration guide says."""

import asyncio
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.truth.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

import hub
from tests.truth.consumers import Chat, Legacy, Plain, Telemetry, consumer_of, witnessed

consumers: dict[str, Any] = {"chat": Chat, "telemetry": Telemetry, "legacy": Legacy, "plain": Plain}
routes: list[Any] = [path(f"<slug:tenant>/{name}/", consumer.as_asgi()) for name, consumer in consumers.items()]
application = hub.monitor(ProtocolTypeRouter({"http": django_application, "websocket": URLRouter(routes)}))


async def witnessed_application(scope: Any, receive: Any, send: Any) -> None:
    """The same, with the frames that cross the border to the server counted outside of everything monitored."""
    if scope["type"] != "websocket":
        await application(scope, receive, send)
        return
    consumer = consumer_of(scope)

    async def witnessed_receive() -> Any:
        message = await receive()
        witnessed["arrived"][consumer] += message["type"] == "websocket.receive"
        return message

    async def witnessed_send(message: Any) -> None:
        try:
            await send(message)
        except BaseException:
            witnessed["refused"][consumer] += message["type"] == "websocket.send"
            raise
        witnessed["sent"][consumer] += message["type"] == "websocket.send"

    try:
        await application(scope, witnessed_receive, witnessed_send)
    except asyncio.CancelledError:
        witnessed["cancelled"][consumer] += 1
        raise
