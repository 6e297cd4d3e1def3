"""
Channels Hub: real-time monitoring for Django Channels.

Public names are handed out lazily, so that importing ``hub`` or ``hub.core`` loads no Django.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["MonitoredConsumerMixin", "__version__", "metrics", "monitor", "presence"]

if TYPE_CHECKING:
    from hub import metrics
    from hub.instrument.asgi import monitor
    from hub.instrument.mixin import MonitoredConsumerMixin

_HOMES = {"MonitoredConsumerMixin": "hub.instrument.mixin", "monitor": "hub.instrument.asgi"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module, a class or a function
    from importlib import import_module  # noqa: PLC0415 - keeps the package's own names few

    if name in ("metrics", "presence"):
        return import_module(f"hub.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
