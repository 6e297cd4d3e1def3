"""
Channel layers with everything counted that they lose, by one word in the settings.

    CHANNEL_LAYERS = {"default": {"BACKEND": "hub.layers.RedisChannelLayer", "CONFIG": {"hosts": [...]}}}

They behave as the layers of the same name in ``channels.layers``, ``channels_redis.core`` and
``channels_redis.pubsub``, and take the same ``CONFIG``. With ``HUB["LAYERS"]``, the default, a layer that is configured
under its own name is instrumented as well, in processes that serve a monitored application.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.instrument.layers.memory import InMemoryChannelLayer
    from hub.instrument.layers.pubsub import RedisPubSubChannelLayer
    from hub.instrument.layers.redis import RedisChannelLayer

__all__ = ["InMemoryChannelLayer", "RedisChannelLayer", "RedisPubSubChannelLayer"]

_HOMES = {
    "InMemoryChannelLayer": "hub.instrument.layers.memory",
    "RedisChannelLayer": "hub.instrument.layers.redis",
    "RedisPubSubChannelLayer": "hub.instrument.layers.pubsub",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class
    # channels_redis is optional: it is imported by whoever asks for one of its layers.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
