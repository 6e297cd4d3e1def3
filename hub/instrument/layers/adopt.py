"""
Instruments for layers that are configured as they always were: ``HUB["LAYERS"]``.

A layer that is there already is given a class of ours in front of its own, so that everybody who holds it sees the
same. One that nobody knows here stays as it is, and `coverage` says so.
"""

from importlib.util import find_spec
from typing import Any

from channels.layers import channel_layers

from hub.conf import config
from hub.faults import record_fault
from hub.instrument.layers.base import Instrumented

_classes: dict[type, type] = {}
_looked_at: list[Any] = [None, 0]


def instrument_layers() -> None:
    """Called with every call of a monitored application: instrument the configured layers, cheaply if that is done."""
    backends = channel_layers.backends
    if backends is _looked_at[0] and len(backends) == _looked_at[1]:
        return
    for alias in list(channel_layers.configs) if config().layers else []:
        try:
            adopt(channel_layers[alias], alias)
        except Exception as error:  # noqa: BLE001 - the border: the consumer that uses it will meet the same
            record_fault("channel layer", error)
    _looked_at[:] = [channel_layers.backends, len(channel_layers.backends)]


def adopt(layer: Any, alias: str) -> bool:  # noqa: ANN401 - any layer
    """Instrument a layer. Returns whether it is instrumented now."""
    if not isinstance(layer, Instrumented):
        made = instrumented_class(type(layer))
        if made is None:
            return False
        layer.__class__ = made
        layer.hub_begin()
    layer.hub_alias = alias
    return True


def instrumented_class(bare: type) -> type | None:
    """A class of layers with ours in front; None where there is none for it."""
    if bare not in _classes:
        instruments = _instruments_for(bare)
        if instruments is None:
            return None
        names = {"__module__": bare.__module__, "__doc__": bare.__doc__, "__qualname__": bare.__qualname__}
        _classes[bare] = type(bare.__name__, (instruments, bare), names)
    return _classes[bare]


def _instruments_for(bare: type) -> type | None:
    from channels.layers import InMemoryChannelLayer  # noqa: PLC0415 - beside the other two

    from hub.instrument.layers.memory import MemoryInstruments  # noqa: PLC0415

    if issubclass(bare, InMemoryChannelLayer):
        return MemoryInstruments
    if find_spec("channels_redis") is None:
        return None
    from channels_redis.core import RedisChannelLayer  # noqa: PLC0415 - optional
    from channels_redis.pubsub import RedisPubSubChannelLayer  # noqa: PLC0415

    from hub.instrument.layers.pubsub import PubSubInstruments  # noqa: PLC0415
    from hub.instrument.layers.redis import RedisInstruments  # noqa: PLC0415

    if issubclass(bare, RedisChannelLayer):
        return RedisInstruments
    return PubSubInstruments if issubclass(bare, RedisPubSubChannelLayer) else None


def coverage() -> dict[str, str]:
    """In words, by alias, how each configured layer is instrumented."""
    return {alias: _covered(alias) for alias in channel_layers.configs}


def _covered(alias: str) -> str:
    try:
        layer = channel_layers[alias]
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it
        return f"none: it can't be made ({type(error).__name__})"
    if isinstance(layer, Instrumented) and type(layer) not in _classes.values():
        return "instrumented, by its BACKEND"
    if not config().layers and not isinstance(layer, Instrumented):
        return "none: HUB['LAYERS'] is off"
    if isinstance(layer, Instrumented) or instrumented_class(type(layer)) is not None:
        return "instrumented, by HUB['LAYERS']"
    return f"none: {type(layer).__module__}.{type(layer).__qualname__} is no layer of Channels or channels_redis"
