"""The stand-alone site's ASGI application."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django_application = get_asgi_application()

# Only now: these import models.
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

import hub  # noqa: E402
from consumers.routing import websocket_urlpatterns  # noqa: E402
from hub.web.metrics import metrics_before  # noqa: E402

application = hub.monitor(
    ProtocolTypeRouter(
        {
            "http": metrics_before(django_application),
            "websocket": AuthMiddlewareStack(URLRouter(websocket_urlpatterns)),
        }
    )
)
