"""The feed's route, for a host's ``URLRouter``; it needs ``AuthMiddlewareStack`` around it."""

from django.urls import path

from hub.conf import config
from hub.feed.consumer import OpsConsumer

# Django's types know views only; Channels' router takes any ASGI application.
websocket_urlpatterns = [path(config().feed_path.lstrip("/"), OpsConsumer.as_asgi())]  # type: ignore[arg-type]
