from __future__ import annotations

from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.consumer import AsyncConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django import urls

from hub.instrument.routes import websocket_routes

#: Django's types know of views only.
path: Any = urls.path
re_path: Any = urls.re_path


class Chat(AsyncConsumer):
    pass


class Ticker(AsyncConsumer):
    pass


async def raw(scope, receive, send):
    """An ASGI application without a consumer."""


async def http(scope, receive, send):
    """Not a WebSocket's."""


def found(application: object) -> list[tuple[str, type | None]]:
    return [(route.path, route.consumer_class) for route in websocket_routes(application)]


def make_router() -> URLRouter:
    return URLRouter(
        [
            path("chat/<room>/", Chat.as_asgi()),
            re_path(r"^raw/$", raw),
            path("more/", URLRouter([path("ticker/", Ticker.as_asgi())])),
        ]
    )


EXPECTED = [("/chat/<room>/", Chat), ("/^raw/$", None), ("/more/ticker/", Ticker)]


def test_routes_are_found_in_the_order_of_the_router_and_through_nested_ones():
    assert EXPECTED == found(make_router())


def test_middleware_and_the_protocol_router_are_looked_through():
    application = ProtocolTypeRouter(
        {"http": http, "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(make_router()))}
    )
    assert EXPECTED == found(application)


def test_a_host_s_own_wrapper_is_looked_through_where_it_keeps_what_it_wraps():
    class Wrapper:
        def __init__(self, app):
            self.app = app

    assert EXPECTED == found(Wrapper(Wrapper(make_router())))


def test_what_cannot_be_looked_into_has_no_routes():
    def closed(inner):
        async def application(scope, receive, send):
            return await inner(scope, receive, send)

        return application

    assert [] == found(closed(make_router()))
    assert [] == found(ProtocolTypeRouter({"http": http}))
    assert [] == found(None)


def test_wrappers_that_go_in_circles_end():
    class Wrapper:
        app: object = None

    one, two = Wrapper(), Wrapper()
    one.app, two.app = two, one
    assert [] == found(one)


def test_the_entry_is_the_router_s_own():
    router = make_router()
    assert router.routes[0] is next(iter(websocket_routes(router))).entry
