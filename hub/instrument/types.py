"""
Message types: a closed set per consumer class, so that no client can invent a label.

A type counts by its own name if the class declares it in ``hub_message_types`` or has a handler for it, as
Channels maps ``chat.say`` to ``chat_say``; any other type counts as ``other``.
"""

from collections.abc import Callable
from typing import Any

from hub.core.ledger import Connection

OTHER = "other"
#: The longest type, in characters, that is looked up.
MAX_LENGTH = 200
#: Modules whose methods are no handlers of the host's.
_FRAMEWORK = ("channels.", "hub.", "builtins")


class TypeNames:
    """
    The types that one consumer class is known by.

    Args:
        consumer_class: The host's class.
        declared: Types it declares.
    """

    def __init__(self, consumer_class: type, declared: tuple[str, ...]) -> None:
        self._known = {name: name for name in declared}
        self._handlers = {
            name
            for base in consumer_class.__mro__
            if not f"{base.__module__}.".startswith(_FRAMEWORK)
            for name, value in vars(base).items()
            if callable(value) and not name.startswith("_")
        }

    def label(self, name: object) -> str:
        """The label of a type that came with a message."""
        if not isinstance(name, str):
            return OTHER
        known = self._known.get(name)
        if known is None and name.replace(".", "_") in self._handlers and len(name) <= MAX_LENGTH:
            known = self._known[name] = name
        return known or OTHER

    def of(self, content: object) -> str | None:
        """The label of decoded JSON content: of its ``type``; None where it has none."""
        if isinstance(content, dict) and "type" in content:
            return self.label(content["type"])
        return None


def watch_json(consumer: Any, names: TypeNames, connection: Connection) -> list[str]:  # noqa: ANN401 - any host's class
    """
    Learn message types where a JSON consumer has the decoded content anyway, without parsing anything twice.

    Shadows two methods on the instance by plain functions that note the type and call the method; they fit
    sync and async consumers alike, and whatever the host overrides.

    Returns:
        The names of the shadowed methods, to be removed when the connection has ended.
    """
    if not (hasattr(consumer, "receive_json") and hasattr(consumer, "encode_json")):
        return []
    receive_json: Callable[..., Any] = consumer.receive_json
    encode_json: Callable[..., Any] = consumer.encode_json

    def watched_receive_json(content: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the host's signature
        connection.inbound_type = names.of(content)
        return receive_json(content, *args, **kwargs)

    def watched_encode_json(content: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the host's signature
        connection.outbound_type = names.of(content)
        return encode_json(content, *args, **kwargs)

    consumer.receive_json = watched_receive_json
    consumer.encode_json = watched_encode_json
    return ["receive_json", "encode_json"]
