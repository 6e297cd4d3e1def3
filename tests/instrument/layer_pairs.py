"""Each kind of channel layer, bare and instrumented, made from the same configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from channels import layers as memory
from channels_redis import core, pubsub

from hub import layers as instrumented

KINDS = ("memory", "core", "pubsub")
BARE: dict[str, Any] = {
    "memory": memory.InMemoryChannelLayer,
    "core": core.RedisChannelLayer,
    "pubsub": pubsub.RedisPubSubChannelLayer,
}
OURS: dict[str, Any] = {
    "memory": instrumented.InMemoryChannelLayer,
    "core": instrumented.RedisChannelLayer,
    "pubsub": instrumented.RedisPubSubChannelLayer,
}

Make = Callable[..., Any]


def maker(kind: str, classes: dict[str, Any], url: str, prefix: str = "asgi") -> Make:
    """Makes layers of a kind; ``CONFIG`` that the kind has no use for is left out."""

    def make(**config: Any) -> Any:
        if kind == "pubsub":
            config = {}
        if kind != "memory":
            config |= {"hosts": [url], "prefix": prefix}
        return classes[kind](**config)

    return make


async def close(layer: Any) -> None:
    """Forget everything and let go of all connections."""
    if not isinstance(layer, memory.InMemoryChannelLayer):
        await layer.flush()
