"""The stand-alone site's settings, with a channel layer for each rule that looks at one."""

import os

from hub.settings import *  # noqa: F403 - all of them
from tests.alerting.provoked.layers import make_layers

CHANNEL_LAYERS = make_layers(os.environ["LAYER_REDIS_URL"])
