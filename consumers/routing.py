"""Every WebSocket route of the stand-alone site."""

from __future__ import annotations

from consumers.demo.routing import websocket_urlpatterns as demo
from consumers.ops import websocket_urlpatterns as ops
from consumers.presence import presence_urlpatterns as presence

websocket_urlpatterns = [*ops, *presence, *demo]
