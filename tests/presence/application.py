"""The host's ASGI application, monitored as the integration guide says."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.presence.settings")

from tests.presence import walltime  # noqa: F401  before anybody else takes the clock's functions

from django.core.asgi import get_asgi_application  # isort: skip

django_application = get_asgi_application()

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path, re_path

import hub
from hub.feed.routing import websocket_urlpatterns as hub_routes
from tests.presence.consumers import CONSUMERS

routes: list[Any] = [
    path(f"<slug:tenant>/{name}/<slug:member>/", consumer.as_asgi()) for name, consumer in CONSUMERS.items()
]
# Routes of the feed are found wherever they are; only they need to know who is logged in.
feed: Any = AuthMiddlewareStack(URLRouter(hub_routes))
application = hub.monitor(
    ProtocolTypeRouter(
        {
            "http": django_application,
            "websocket": URLRouter([*routes, re_path("", feed)]),
        }
    )
)
