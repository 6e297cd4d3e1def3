"""The host's ASGI applications: with the hub's wrapper, with the mixin alone, and one that never heard of the hub."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.negotiation.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

import hub
from tests.negotiation.consumers import CONSUMERS, DECLINE


def routed(consumers: dict[str, Any]) -> Any:
    routes: list[Any] = [path(f"{name}/<slug:offer>/", consumer.as_asgi()) for name, consumer in consumers.items()]
    return ProtocolTypeRouter({"http": django_application, "websocket": URLRouter(routes)})


monitored = hub.monitor(routed(CONSUMERS))
mixin_alone = routed(CONSUMERS)
without_hub = routed({"plain": DECLINE["plain"], "plain-sync": DECLINE["plain-sync"]})
