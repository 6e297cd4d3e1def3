"""The stand-alone site, a shop in trouble beside it, and what a host counts itself."""

from __future__ import annotations

from typing import Any

from hub.asgi import django_application  # first: it sets up Django

# isort: split
from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

import hub
from consumers.routing import websocket_urlpatterns
from hub import MonitoredConsumerMixin, metrics
from hub.web.metrics import metrics_before
from scripts.trouble import SHOP

CARTS = metrics.gauge("shop_carts", "Carts with something in them.")


class Scanner(MonitoredConsumerMixin, AsyncJsonWebsocketConsumer):
    """Numbers its frames; whose it is, nobody finds out."""

    hub_frame_number = "seq"

    def get_hub_tenant(self) -> str:
        raise LookupError("nobody knows")

    async def receive_json(self, content: dict[str, float], **_: Any) -> None:
        CARTS.set(content["seq"])


OWN: tuple[Any, ...] = (*SHOP, Scanner)
application = hub.monitor(
    ProtocolTypeRouter(
        {
            "http": metrics_before(django_application),
            "websocket": AuthMiddlewareStack(
                URLRouter(
                    [
                        *websocket_urlpatterns,
                        *(path(f"shop/<slug:tenant>/{one.__name__.lower()}/", one.as_asgi()) for one in OWN),
                    ]
                )
            ),
        }
    )
)
