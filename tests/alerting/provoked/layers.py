"""The channel layers: of each rule that looks at one its own, called as the rule is, and that of all others."""

from typing import Any

_MEMORY = "channels.layers.InMemoryChannelLayer"


def make_layers(redis_url: str) -> dict[str, Any]:
    """What ``CHANNEL_LAYERS`` says of them."""
    return {
        # Who breaks off leaves a queue behind that goes on being sent to until something in it has expired.
        "default": {"BACKEND": _MEMORY, "CONFIG": {"expiry": 20}},
        "layer_filling": {"BACKEND": _MEMORY, "CONFIG": {"capacity": 100}},
        "layer_backlog": {"BACKEND": _MEMORY, "CONFIG": {"capacity": 20_000}},
        "frames_dropped": {"BACKEND": _MEMORY, "CONFIG": {"capacity": 100}},
        "frames_lost_untold": {
            "BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [redis_url]},
        },
    }  # fmt: skip


LAYERS = tuple(name for name in make_layers("") if name != "default")
