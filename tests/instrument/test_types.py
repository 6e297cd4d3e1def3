from __future__ import annotations

from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer
from hypothesis import given
from hypothesis import strategies as st

from hub import MonitoredConsumerMixin
from hub.core.ledger import Connection
from hub.instrument.types import MAX_LENGTH, OTHER, TypeNames, watch_json
from tests import strategies  # noqa: F401 - loads the profile


class Base(AsyncJsonWebsocketConsumer):
    async def chat_say(self, event):
        """A handler."""

    chat_limit = 7


class Chat(MonitoredConsumerMixin, Base):
    async def chat_leave(self, event):
        """Another."""

    async def _secret(self, event):
        """Not a handler: Channels refuses a leading underscore."""


names = TypeNames(Chat, ("order.placed",))


def test_declared_types_count_by_name():
    assert names.label("order.placed") == "order.placed"


def test_types_with_a_handler_count_by_name_also_those_of_a_base():
    assert ["chat.say", "chat.leave", "chat_say"] == [
        names.label(name) for name in ("chat.say", "chat.leave", "chat_say")
    ]


def test_nothing_else_is_a_label():
    for name in (
        "chat.shout",
        "chat.limit",
        ".secret",
        "_secret",
        "",
        "websocket.receive",
        "send",
        "accept",
        "dispatch",
        "get.hub.tenant",
    ):
        assert names.label(name) == OTHER, name


def test_a_type_that_is_no_text_is_other():
    for name in (None, 7, ["chat.say"], {"chat.say": 1}, b"chat.say", True):
        assert names.label(name) == OTHER


def test_a_huge_type_is_other():
    assert names.label("chat." * MAX_LENGTH + "say") == OTHER


@given(st.text(max_size=12) | st.text("chat_say.leave", max_size=9))
def test_no_client_can_make_more_labels_than_handlers_have_spellings(name):
    label = names.label(name)
    assert label == OTHER or label.replace(".", "_") in {"chat_say", "chat_leave", "order_placed"}


def test_content_tells_its_type():
    assert ["chat.say", OTHER, None, None, None] == [
        names.of(content) for content in ({"type": "chat.say"}, {"type": 7}, {"text": 1}, ["type"], None)
    ]


def make_connection() -> Connection:
    return Connection(1, "chat", 0.0, lambda: "")


async def test_json_is_watched_without_parsing_it_again():
    seen = []

    class Quiet(Chat):
        async def receive_json(self, content, **kwargs):
            seen.append((content, kwargs))
            return 7

    consumer, connection = Quiet(), make_connection()
    shadowed = watch_json(consumer, names, connection)
    assert await consumer.receive_json({"type": "chat.say"}, extra=1) == 7
    assert await consumer.encode_json({"type": "chat.leave"}) == '{"type": "chat.leave"}'
    assert ("chat.say", "chat.leave") == (connection.inbound_type, connection.outbound_type)
    assert [({"type": "chat.say"}, {"extra": 1})] == seen
    assert set(shadowed) == set(vars(consumer)) & {"receive_json", "encode_json"}


def test_other_consumers_are_left_alone():
    consumer = AsyncWebsocketConsumer()
    before = dict(vars(consumer))
    assert [] == watch_json(consumer, names, make_connection())
    assert before == vars(consumer)
