"""
What is seen of a consumer class, said before anybody connects; nothing is assumed that the class does not show.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from hub.conf import Config
from hub.instrument.mixin import MonitoredConsumerMixin

NONE = "none"
WRAPPER = "wrapper: frames, connections, durations, close codes"


@dataclass(frozen=True)
class Coverage:
    """
    What is seen of one route.

    Attributes:
        monitored: How it is monitored, in words; `NONE` if it is not.
        control_frames: Our client library is served as such.
        presence: Who is connected is known.
    """

    monitored: str
    control_frames: bool = False
    presence: bool = False


def coverage_of(consumer_class: type | None, settings: Config, *, wrapped: bool) -> Coverage:
    """
    How connections of a route are monitored.

    Args:
        consumer_class: The consumer behind the route; None where it is another ASGI application.
        settings: The hub's.
        wrapped: The application is wrapped by `hub.monitor`.
    """
    if not reaches_mixin(consumer_class):
        return Coverage(WRAPPER, presence=settings.presence) if wrapped else Coverage(NONE)
    mixed: Any = consumer_class
    return Coverage(
        _mixed(mixed, inbox=settings.inbox),
        control_frames=settings.control_frames if mixed.hub_control_frames is None else mixed.hub_control_frames,
        presence=settings.presence if mixed.hub_presence is None else mixed.hub_presence,
    )


def _mixed(consumer_class: Any, *, inbox: bool) -> str:  # noqa: ANN401 - a class with the mixin
    if not consumer_class._hub_owns_loop:  # noqa: SLF001 - our own mixin's
        return "mixin, wrapped: a base behind the mixin has a __call__ of its own"
    wanted = inbox if consumer_class.hub_inbox is None else consumer_class.hub_inbox
    return "mixin, inbox" if wanted else "mixin, wrapped: the inbox is switched off"


def reaches_mixin(consumer_class: type | None) -> bool:
    """Whether a call of the consumer gets to the mixin, unless its class shows that it never does."""
    if not (inspect.isclass(consumer_class) and issubclass(consumer_class, MonitoredConsumerMixin)):
        return False
    before = consumer_class.__mro__[: consumer_class.__mro__.index(MonitoredConsumerMixin)]
    calls = [vars(base)["__call__"] for base in before if "__call__" in vars(base)]
    return all(map(_may_pass_on, calls)) or any(map(_mentions_call, before))


def _may_pass_on(call: object) -> bool:
    """Whether a ``__call__`` may call the next one: it names ``super``, or something that can't be looked into."""
    if not isinstance(call, FunctionType) or call.__code__.co_freevars:
        return True
    return _mentions(call, "super") or _mentions(call, "__call__")


def _mentions_call(base: type) -> bool:
    """Whether another method of a class names ``__call__``: the next one may be called from there."""
    others = [value for name, value in vars(base).items() if name != "__call__" and isinstance(value, FunctionType)]
    return any(_mentions(other, "__call__") for other in others)


def _mentions(function: FunctionType, name: str) -> bool:
    return any(name in (*code.co_names, *code.co_consts) for code in _codes(function.__code__))


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
