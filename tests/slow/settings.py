"""The stand-alone site's settings, with the channel layer that the test asks for."""

import os

from hub.settings import *  # noqa: F403 - all of them
from tests.layers.settings import BACKENDS

KIND = os.environ["LAYER"]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": BACKENDS[KIND],
        "CONFIG": {} if KIND == "memory" else {"hosts": [os.environ["LAYER_REDIS_URL"]]},
    }
}
