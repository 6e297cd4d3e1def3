"""The host's ASGI application; what is below ``/without/`` has never heard of the hub."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.browser.library.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

import hub
from tests.browser.library.consumers import Busy, Echo, MonitoredEcho, Notes, ToldNotTo

consumers: dict[str, Any] = {
    "mixin/<slug:offer>/": MonitoredEcho,
    "told-not-to/<slug:offer>/": ToldNotTo,
    "wrapper/<slug:offer>/": Echo,
    "notes/<slug:name>/": Notes,
    "busy/<slug:name>/": Busy,
    "ws/chat/<slug:name>/": Notes,
}
routes: list[Any] = [path(route, consumer.as_asgi()) for route, consumer in consumers.items()]
monitored = hub.monitor(ProtocolTypeRouter({"http": django_application, "websocket": URLRouter(routes)}))
plain: Any = Echo
without_hub = URLRouter([path("without/<slug:offer>/", plain.as_asgi())])


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket" and scope["path"].startswith("/without/"):
        await without_hub(scope, receive, send)
    else:
        await monitored(scope, receive, send)
