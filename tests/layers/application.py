"""The host's ASGI application, monitored as the integration guide says."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.layers.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django import urls

import hub
from tests.layers.consumers import Plain, Room, Ticker, Wrapped, WrappedTicker

#: Django's types know of views only.
path: Any = urls.path

CONSUMERS: dict[str, Any] = {
    "room": Room, "wrapped": Wrapped, "plain": Plain, "ticker": Ticker, "wrapped-ticker": WrappedTicker,
}  # fmt: skip
routes: list[Any] = [path(f"<slug:tenant>/{name}/", consumer.as_asgi()) for name, consumer in CONSUMERS.items()]
application = hub.monitor(ProtocolTypeRouter({"http": django_application, "websocket": URLRouter(routes)}))
