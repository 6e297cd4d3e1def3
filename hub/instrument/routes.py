"""
The real router: find the WebSocket routes of an ASGI application through its middleware, as they are.

Middleware of Channels and of most hosts keeps what it wraps under one of a few names; what can't be looked into
is reported as such, never assumed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter

_INNER = ("application", "inner", "app")
#: A loop of wrappers would be a host's fault; don't hang on it.
MAX_WRAPPERS = 50


@dataclass(frozen=True)
class Route:
    """
    One WebSocket route.

    Attributes:
        path: Its pattern, with those of the routers around it.
        entry: The ``URLPattern`` itself.
        consumer_class: The consumer behind it; None where it is another ASGI application.
    """

    path: str
    entry: Any
    consumer_class: type | None


def websocket_routes(application: object) -> Iterator[Route]:
    """Every WebSocket route of an application, in the order of its routers."""
    router = _websocket_router(application)
    if router is not None:
        yield from _routes(router, "/")


def _websocket_router(application: object) -> URLRouter | None:
    """The first URL router on the way of a WebSocket connection."""
    for _ in range(MAX_WRAPPERS):
        if isinstance(application, URLRouter):
            return application
        if isinstance(application, ProtocolTypeRouter):
            application = application.application_mapping.get("websocket")
            continue
        application = _inside(application)
    return None


def _inside(application: object) -> object:
    """What a piece of middleware wraps; None if it can't be told."""
    return next((vars(application)[name] for name in _INNER if name in getattr(application, "__dict__", {})), None)


def _routes(router: URLRouter, prefix: str) -> Iterator[Route]:
    entry: Any
    for entry in router.routes:
        path = prefix + str(entry.pattern)
        nested = _websocket_router(entry.callback)
        if nested is not None:
            yield from _routes(nested, path)
        else:
            yield Route(path, entry, _consumer_class(entry.callback))


def _consumer_class(application: object) -> type | None:
    """The consumer behind a route, through the middleware around it."""
    for _ in range(MAX_WRAPPERS):
        if application is None or isinstance(getattr(application, "consumer_class", None), type):
            break
        application = _inside(application)
    return getattr(application, "consumer_class", None)
