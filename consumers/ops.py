"""The operator feed of the site: the hub's own consumer, on the hub's own path."""

from hub.feed.routing import websocket_urlpatterns

__all__ = ["websocket_urlpatterns"]
