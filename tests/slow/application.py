"""The stand-alone site with slow consumers in place of its own."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

import hub
from hub.feed.routing import websocket_urlpatterns
from hub.web.metrics import metrics_before
from tests.slow.consumers import (
    Impatient,
    Patient,
    Room,
    RoomTwin,
    Slow,
    Strict,
    SyncSlow,
    SyncTwin,
    Twin,
    Wrapped,
    WrappedRoom,
)

CONSUMERS: tuple[Any, ...] = (
    Slow, Impatient, Patient, Strict, Twin, Wrapped, Room, WrappedRoom, RoomTwin, SyncSlow, SyncTwin,
)  # fmt: skip
routes: list[Any] = [path(f"<slug:tenant>/{consumer.hub_consumer}/", consumer.as_asgi()) for consumer in CONSUMERS]
application = hub.monitor(
    ProtocolTypeRouter(
        {
            "http": metrics_before(django_application),
            "websocket": AuthMiddlewareStack(URLRouter([*websocket_urlpatterns, *routes])),
        }
    )
)
