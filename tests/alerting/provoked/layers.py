"""The channel layers of the rules that look at one: each its own, called as the rule is."""

from typing import Any

_MEMORY = "channels.layers.InMemoryChannelLayer"


def make_layers(redis_url: str) -> dict[str, Any]:
    """What ``CHANNEL_LAYERS`` says of them."""
    return {
        "layer_filling": {"BACKEND": _MEMORY, "CONFIG": {"capacity": 100}},
        "layer_backlog": {"BACKEND": _MEMORY, "CONFIG": {"capacity": 20_000}},
        "frames_dropped": {"BACKEND": _MEMORY, "CONFIG": {"capacity": 100}},
        "frames_lost_untold": {
            "BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [redis_url]},
        },
    }  # fmt: skip


LAYERS = tuple(make_layers(""))
