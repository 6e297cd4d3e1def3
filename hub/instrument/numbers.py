"""
The numbers that clients give their own frames: a consumer says where they stand, what is out of line is counted.

Where a consumer says nothing of it, nothing here runs.
"""

from collections.abc import Callable
from typing import Any

from hub.core.ledger import Connection, increment
from hub.core.sequence import Sequence
from hub.faults import record_fault
from hub.instrument.inbox import Message, Receive, kind_of
from hub.instrument.state import Instruments

#: What the number of a frame is taken from: a raw ASGI ``websocket.receive``.
NumberOf = Callable[[Message], int | None]

#: A number beyond this is none: JSON knows no larger ones that are exact everywhere (RFC 8259, section 6).
MAX_NUMBER = 2**53 - 1


class Numbers:
    """The numbers of the frames of one connection."""

    __slots__ = ("_connection", "_instruments", "_sequence")

    def __init__(self, instruments: Instruments, connection: Connection) -> None:
        self._instruments = instruments
        self._connection = connection
        self._sequence = Sequence()

    def take(self, number: object) -> None:
        """A frame has this number; what is no whole number is none."""
        if type(number) is not int or abs(number) > MAX_NUMBER:
            return
        for kind, frames in self._sequence.take(number):
            increment(self._instruments.ledger.settle(self._connection).misnumbered, kind, frames)

    def observe_receive(self, receive: Receive, number_of: NumberOf) -> Receive:
        """The server's ``receive``, with the number of each frame taken by the host's own rule."""

        async def numbered_receive() -> Any:  # noqa: ANN401 - ASGI
            message = await receive()
            if kind_of(message) == "websocket.receive":
                try:
                    self.take(number_of(dict(message)))
                except Exception as error:  # noqa: BLE001 - the border: the host's rule must not end a connection
                    record_fault("get_hub_frame_number", error)
            return message

        return numbered_receive

    def watch_json(self, consumer: Any, field: str) -> list[str]:  # noqa: ANN401 - any host's class
        """
        Take the numbers from a field of the content that a JSON consumer decodes anyway.

        Returns:
            The names of the methods that are shadowed on the instance, to be removed when the connection has ended.
        """
        receive_json: Callable[..., Any] | None = getattr(consumer, "receive_json", None)
        if receive_json is None:
            return []

        def numbered_receive_json(content: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the host's signature
            if isinstance(content, dict):
                self.take(content.get(field))
            return receive_json(content, *args, **kwargs)

        consumer.receive_json = numbered_receive_json
        return ["receive_json"]
