"""What a connection of a monitored application passes through, between its server and its consumer."""

from collections.abc import Awaitable
from functools import partial
from typing import Any

from asgiref.sync import markcoroutinefunction

from hub.instrument.inbox import Receive, Send
from hub.instrument.observer import Observer
from hub.instrument.state import Instruments
from hub.instrument.tenants import tenant_of_scope

#: What a connection counts under that no route of the application has taken.
UNROUTED = "unrouted"


class Passage:
    """
    What a connection passes through on its way in and out; counts only while no consumer counts by itself.

    Its methods are no coroutines but hand out those of the server, so that a passage costs a call and no more; to
    those who ask they are coroutine functions, as ASGI has it.
    """

    __slots__ = ("_observed_receive", "_observed_send", "_shared", "connection", "raw_receive", "raw_send")

    def __init__(self, shared: Instruments, scope: Any, receive: Receive, send: Send) -> None:  # noqa: ANN401 - ASGI
        self._shared = shared
        self.raw_receive, self.raw_send = receive, send
        self._observed_receive: Receive | None = None
        self._observed_send: Send | None = None
        self.connection = shared.ledger.open(UNROUTED, shared.clock.monotonic(), partial(tenant_of_scope, scope))
        self.connection.raw_receive, self.connection.raw_send = receive, send

    @markcoroutinefunction
    def receive(self) -> Awaitable[Any]:
        """The server's ``receive``."""
        if self.connection.owner is not None:
            return self.raw_receive()
        if self._observed_receive is None:
            self._observed_receive = Observer(self._shared, self.connection).observe_received(self.raw_receive)
        return self._observed_receive()

    @markcoroutinefunction
    def send(self, message: Any) -> Awaitable[Any]:  # noqa: ANN401 - ASGI
        """The server's ``send``."""
        if self.connection.owner is not None:
            return self.raw_send(message)
        if self._observed_send is None:
            self._observed_send = Observer(self._shared, self.connection).observe_send(self.raw_send)
        return self._observed_send(message)


def straight(passed: Any) -> Any:  # noqa: ANN401 - ASGI
    """
    The server's own callable, for a consumer that counts by itself, if nothing but a `Passage` stands before it.

    Else the very same: middleware may have put its own there.
    """
    passage = getattr(passed, "__self__", None)
    if not isinstance(passage, Passage):
        return passed
    return passage.raw_send if passed.__func__ is Passage.send else passage.raw_receive
