"""
The wrapper around a whole ASGI application: ``application = hub.monitor(application)``.

It puts one mutable record into each WebSocket scope. Middleware copies scopes, but the record is shared: a
consumer with the mixin claims it and counts by itself, for any other consumer the wrapper counts frames,
connections, durations and close codes. Nothing is counted twice.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from hub.conf import config
from hub.core.ledger import NO_GROUPS, Connection
from hub.faults import record_fault
from hub.instrument import members
from hub.instrument.control import take_parameter_of
from hub.instrument.coverage import reaches_mixin
from hub.instrument.inbox import Receive, Send
from hub.instrument.layers.losses import CONNECTION
from hub.instrument.observer import SCOPE_KEY
from hub.instrument.passage import Passage
from hub.instrument.routes import Route, websocket_routes
from hub.instrument.state import instruments
from hub.instrument.tenants import tenant_of_scope

Application = Callable[[Any, Any, Any], Awaitable[Any]]


def monitor(application: Application) -> Application:
    """
    Monitor all WebSocket consumers of an ASGI application.

    Args:
        application: The outermost application, with its middleware and routers inside.

    Returns:
        The application to serve; the very same object when the hub is disabled or it is monitored already.
    """
    if not config().enabled or isinstance(application, MonitoredApplication):
        return application
    return MonitoredApplication(application)


class MonitoredApplication:
    """What `monitor` returns; attributes of the application remain reachable through it."""

    def __init__(self, application: Application) -> None:
        self.application = application
        for route in websocket_routes(application):
            _wrap_leaf(route)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the application has
        return getattr(self.application, name)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:  # noqa: ANN401 - ASGI
        """Serve one connection or request."""
        shared = instruments()
        shared.start()
        if scope["type"] != "websocket" or SCOPE_KEY in scope:
            await self.application(scope, receive, send)
            return
        asked = take_parameter_of(scope)
        passage = Passage(shared, scope, receive, send)
        passage.connection.asked = asked
        failure: BaseException | None = None
        try:
            await self.application({**scope, SCOPE_KEY: passage.connection}, passage.receive, passage.send)
        except Exception as error:
            failure = error
            raise
        finally:
            if passage.connection.owner is None:
                shared.ended(passage.connection, failure)


def _wrap_leaf(route: Route) -> None:
    """Let the consumer behind a route be known by name, where it does not count by itself."""
    consumer_class = route.consumer_class
    if reaches_mixin(consumer_class):
        return
    callback = route.entry.callback
    if getattr(callback, "hub_leaf", False):
        return
    label = route.path if consumer_class is None else f"{consumer_class.__module__}.{consumer_class.__qualname__}"

    async def leaf(scope: Any, receive: Any, send: Any) -> Any:  # noqa: ANN401 - ASGI
        connection = scope.get(SCOPE_KEY)
        if isinstance(connection, Connection) and connection.owner is None and connection.counts is None:
            connection.consumer = label
            # The scope as authenticated by the middleware in between, which the outermost wrapper never sees.
            connection.tenant_of = lambda: tenant_of_scope(scope)
            settings = config()
            if settings.presence:
                connection.policy = members.policy_of_settings(settings)
                connection.member_of = lambda: (members.member_of_scope(scope), NO_GROUPS)
        token = CONNECTION.set(connection if isinstance(connection, Connection) else None)
        try:
            return await callback(scope, receive, send)
        finally:
            CONNECTION.reset(token)

    leaf.hub_leaf = True  # type: ignore[attr-defined]
    vars(leaf).update({name: value for name, value in vars(callback).items() if name != "hub_leaf"})
    try:
        route.entry.callback = leaf
    except AttributeError as error:
        record_fault("route leaf", error)
