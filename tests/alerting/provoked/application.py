"""The stand-alone site, its demo tenants, and consumers that get into trouble beside them."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.alerting.provoked.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

import hub
from consumers.routing import websocket_urlpatterns
from hub.web.metrics import metrics_before
from tests.alerting.provoked.consumers import CONSUMERS

routes: list[Any] = [path(f"trouble/{rule}/", consumer.as_asgi()) for rule, consumer in CONSUMERS.items()]
application = hub.monitor(
    ProtocolTypeRouter(
        {
            "http": metrics_before(django_application),
            "websocket": AuthMiddlewareStack(URLRouter([*websocket_urlpatterns, *routes])),
        }
    )
)
