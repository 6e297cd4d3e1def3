"""What all instrumented layers have in common, whatever they stand on."""

from contextvars import ContextVar
from typing import Any

from hub.core.layers import Depth, Queue
from hub.instrument.layers.losses import CONNECTION, losses

#: The group that is being sent to, in the code that a layer runs for it.
SENDING: ContextVar[str] = ContextVar("hub_sending_to_group", default="")


class Instrumented:
    """
    The mark of an instrumented layer, first in its bases.

    The layer behind it does all the work; what is added sees messages pass and changes none of them.

    Attributes:
        hub_alias: Its name in ``CHANNEL_LAYERS``, once it is known.
        hub_queue: How long messages wait in the queue of the whole process; None where there is no such queue.
        hub_unknown: What can't be known of a wait.
    """

    hub_alias: str = ""
    hub_queue: Queue | None = None
    hub_unknown: str = ""

    def hub_begin(self) -> None:
        """Take over what the layer has built so far, in its ``__init__`` or since."""
        raise NotImplementedError

    def hub_left(self, channel: str) -> int:
        """See `hub.instrument.layers.losses.Layer`."""
        raise NotImplementedError

    def hub_waiting(self, channel: str) -> int:
        """See `hub.instrument.layers.losses.Layer`."""
        raise NotImplementedError

    def hub_oldest(self, channel: str) -> float | None:
        """See `hub.instrument.layers.losses.Layer`."""
        raise NotImplementedError

    def hub_groups(self, channel: str) -> list[str]:
        """See `hub.instrument.layers.losses.Layer`."""
        raise NotImplementedError

    def hub_asking(self) -> bool:
        """Whether any consumer of this process waits for its next message, where there is a queue of the process."""
        return True

    async def hub_depth(self) -> Depth | None:
        """What waits in this process's part of the layer; None: it can't be known now."""
        raise NotImplementedError


def link_channel(layer: Any, channel: str) -> None:  # noqa: ANN401 - any instrumented layer
    """A layer has named a channel: it belongs to the connection whose consumer runs here, if it is monitored."""
    connection = CONNECTION.get()
    if connection is None:
        losses().unmonitored(channel)
    else:
        losses().linked(connection, layer, channel)
