"""The hub's routes, for a host's ``URLRouter``; they need ``AuthMiddlewareStack`` around them."""

from typing import Any

from django.urls import path

from hub.conf import config
from hub.feed.consumer import OpsConsumer
from hub.feed.presence import PresenceConsumer

# Django's types know views only; Channels' router takes any ASGI application.
_operators: Any = OpsConsumer.as_asgi()
_presence: Any = PresenceConsumer.as_asgi()

#: The operator feed, where `HUB["FEED_PATH"]` says.
websocket_urlpatterns = [path(config().feed_path.lstrip("/"), _operators)]
#: Who is there, for pages that need nothing else.
presence_urlpatterns = [path("ws/presence/", _presence)]
