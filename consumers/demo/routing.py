"""The WebSocket routes of the demo tenants."""

from __future__ import annotations

from typing import Any

from django.urls import path

from consumers.demo.accounts import TokenAuth
from consumers.demo.chat import Chat
from consumers.demo.legacy import Directory, Reports
from consumers.demo.orders import Orders
from consumers.demo.telemetry import Telemetry
from consumers.demo.ticker import Ticker

ROUTES: dict[str, Any] = {
    "ws/demo/orders/": TokenAuth(Orders.as_asgi()),
    "ws/demo/<slug:tenant>/chat/<slug:room>/": TokenAuth(Chat.as_asgi()),
    "ws/demo/<slug:tenant>/ticker/": Ticker.as_asgi(),
    "ws/demo/<slug:tenant>/telemetry/": TokenAuth(Telemetry.as_asgi()),
    "ws/demo/<slug:tenant>/directory/": Directory.as_asgi(),
    "ws/demo/<slug:tenant>/reports/": Reports.as_asgi(),
}

websocket_urlpatterns = [path(route, application) for route, application in ROUTES.items()]
