"""
The same consumers in every way in which a host may have them: bare, and with each part of the hub.

A variant is a name and the ASGI applications of all consumers under it; its application is what a host would write.
"""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from hub import MonitoredConsumerMixin, monitor
from tests.equivalence import bases, consumers
from tests.equivalence.consumers import KEYWORDS, PLAIN

Application = Callable[..., Any]


@dataclass(frozen=True)
class Variant:
    """One way to have the consumers."""

    name: str
    #: Whether the mixin is there, and what the class attributes of the twins say; None: no mixin.
    attributes: Mapping[str, Any] | None = None
    #: Whether `hub.monitor` wraps the router.
    wrapped: bool = False
    #: Whether the host put the mixin into its base class rather than into each consumer.
    rebased: bool = False
    #: Whether client messages are read ahead, hence handled without a turn of the event loop for each.
    inbox: bool = field(default=False)
    #: Whether the clients are ours: they ask for control frames, and send some between their own.
    negotiated: bool = False


CHANNELS_OWN = {"hub_inbox": False, "hub_sweep": False}

BARE = Variant("bare")
MONITORED = (
    Variant("mixin", {}, inbox=True),
    Variant("mixin-channels-own", CHANNELS_OWN),
    Variant("mixin-inbox-only", {"hub_inbox": True, "hub_sweep": False}, inbox=True),
    Variant("mixin-sweep-only", {"hub_inbox": False, "hub_sweep": True}),
    Variant("wrapper", wrapped=True),
    Variant("wrapper-and-mixin", {}, wrapped=True, inbox=True),
    Variant("base-class", {}, rebased=True, inbox=True),
    Variant("negotiated", {}, wrapped=True, inbox=True, negotiated=True),
    Variant("negotiated-channels-own", CHANNELS_OWN, negotiated=True),
)
VARIANTS = (BARE, *MONITORED)


def twin(plain: Any, attributes: Mapping[str, Any]) -> Any:
    """The monitored twin of a consumer: the mixin, first."""
    return type(plain.__name__, (MonitoredConsumerMixin, plain), {"__module__": plain.__module__, **attributes})


def rebased() -> dict[str, Any]:
    """Run the module of the plain consumers again, on bases that have the mixin."""
    module = ModuleType(bases.__name__)
    for name in bases.__all__:
        setattr(module, name, twin(getattr(bases, name), {}))
    return dict(_execute(consumers, {bases.__name__: module}).PLAIN)


def _execute(module: ModuleType, replacements: Mapping[str, ModuleType]) -> ModuleType:
    kept = {name: sys.modules[name] for name in replacements}
    assert module.__file__ is not None
    spec = importlib.util.spec_from_file_location(f"{module.__name__}_again", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    sys.modules.update(replacements)
    try:
        spec.loader.exec_module(again)
    finally:
        sys.modules.update(kept)
    return again


def classes(variant: Variant) -> dict[str, Any]:
    """The consumer classes of a variant."""
    if variant.rebased:
        return rebased()
    if variant.attributes is None:
        return PLAIN
    return {name: twin(plain, variant.attributes) for name, plain in PLAIN.items()}


def application(variant: Variant) -> Application:
    """What a host of this variant would name in ``ASGI_APPLICATION``."""
    routes = [
        path(f"{variant.name}/{name}/", consumer.as_asgi(**KEYWORDS.get(name, {})))
        for name, consumer in classes(variant).items()
    ]
    routed = ProtocolTypeRouter({"websocket": URLRouter(routes)})
    return monitor(routed) if variant.wrapped else routed
