"""
The plain consumers of the conversations, written as a host would write them: nothing here knows of the hub.

The two puppets do what a conversation tells them, in the words of the tables at their ends. The classes after them
override one thing each that hosts override. All tell the witness in their scope what they see.
"""

import asyncio
import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Self
from urllib.parse import parse_qs

from asgiref.sync import async_to_sync
from channels.consumer import get_handler_name
from channels.exceptions import AcceptConnection, DenyConnection, StopConsumer

from tests.equivalence.bases import (
    AsyncConsumer,
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
    JsonWebsocketConsumer,
    SyncConsumer,
    WebsocketConsumer,
)
from tests.equivalence.witness import Witness, describe

visitor: ContextVar[str] = ContextVar("visitor", default="nobody")


class PuppetError(Exception):
    """An error of a host's own, with arguments and an attribute."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code


ERRORS: dict[str, Callable[[], BaseException]] = {
    "value": lambda: ValueError("wrong", 7),
    "own": lambda: PuppetError(42, "höher"),
    "os": lambda: ConnectionResetError(104, "not the client's"),
    "timeout": lambda: TimeoutError("slow"),
    "cancelled": lambda: asyncio.CancelledError("by hand"),
    "group": lambda: ExceptionGroup("several", [ValueError(1), KeyError("k")]),
    "key": lambda: KeyError("type"),
    "stop": StopConsumer,
    "accept": AcceptConnection,
    "deny": DenyConnection,
    "stop-iteration": lambda: StopAsyncIteration("odd"),
    "runtime": lambda: RuntimeError("no args changed"),
}


def chained() -> Exception:
    """An error with a cause and a note, as they leave code that explains itself."""
    try:
        raise ValueError("wrong", 7) from KeyError("origin")
    except ValueError as error:
        error.add_note("noted by the host")
        return error


ERRORS["chained"] = chained


def error_of(name: str) -> BaseException:
    """A new error of a kind that a script names."""
    return ERRORS[name]()


def witness_of(consumer: Any) -> Witness:
    witness: Witness = consumer.scope["witness"]
    return witness


def query_of(consumer: Any) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(consumer.scope["query_string"].decode()).items()}


def payload(size: int) -> str:
    """Text of a size in characters that no two offsets of have in common."""
    return ("".join(f"{number:07d}|" for number in range(size // 8 + 1)))[:size]


class Puppet(AsyncWebsocketConsumer):
    """Does as it is told: by its query string on connect and disconnect, by messages in between."""

    async def connect(self) -> None:
        query = query_of(self)
        witness_of(self).note("connect", list(self.scope["subprotocols"]))
        visitor.set(query.get("visitor", "nobody"))
        await getattr(self, "on_" + query.get("connect", "accept"))(query.get("with", ""))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if bytes_data is not None:
            witness_of(self).note("bytes", len(bytes_data), bytes_data[:8].hex())
            await self.send(bytes_data=bytes_data)
            return
        text = text_data or ""
        witness_of(self).note("text", len(witness_of(self).neutral(text)), witness_of(self).neutral(text[:60]))
        verb, _, rest = text.partition(" ")
        if act := getattr(self, "do_" + verb, None):
            await act(rest)
        else:
            await self.send(text_data=text)

    async def disconnect(self, code: int) -> None:
        witness_of(self).note("disconnect", code)
        verb, _, rest = query_of(self).get("disconnect", "").partition(" ")
        if verb:
            await getattr(self, "do_" + verb)(rest)

    async def attempt(self, what: str, attempt: Any) -> None:
        """Take note of what becomes of a call that may be refused, and go on."""
        try:
            witness_of(self).note(what, repr(await attempt))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
            witness_of(self).note(what, *describe(error))

    # On connect.

    async def on_accept(self, _: str) -> None:
        await self.accept()

    async def on_subprotocol(self, name: str) -> None:
        await self.accept(subprotocol=name)

    async def on_headers(self, value: str) -> None:
        await self.accept(headers=[(b"x-flavour", value.encode())])

    async def on_close(self, code: str) -> None:
        await self.close(code=int(code) if code else None)

    async def on_raise(self, name: str) -> None:
        raise error_of(name)

    async def on_accept_then_raise(self, name: str) -> None:
        await self.accept()
        raise error_of(name)

    async def on_nothing(self, _: str) -> None:
        """Neither accept nor refuse."""

    async def on_send_first(self, text: str) -> None:
        await self.send(text)

    async def on_attempt_first(self, text: str) -> None:
        await self.attempt("early", self.send(text))
        await self.accept()

    async def on_accept_twice(self, _: str) -> None:
        await self.accept()
        await self.attempt("second accept", self.accept())
        await self.send("still here")

    async def on_accept_then_send(self, text: str) -> None:
        await self.accept()
        await self.send(text)
        await self.send(bytes_data=text.encode())

    async def on_accept_then_close(self, code: str) -> None:
        await self.accept()
        await self.close(int(code))

    async def on_http(self, status: str) -> None:
        base_send: Any = self.base_send
        await base_send({"type": "websocket.http.response.start", "status": int(status), "headers": []})
        await base_send({"type": "websocket.http.response.body", "body": b"sorry"})

    async def on_gate(self, name: str) -> None:
        witness_of(self).note("at gate", name)
        await witness_of(self).gate(name).wait()
        await self.accept()

    async def on_join(self, room: str) -> None:
        await self.do_join(room)
        await self.accept()

    # On a message.

    async def do_echo(self, text: str) -> None:
        await self.send(text_data=text)

    async def do_silence(self, _: str) -> None:
        """Only be noted."""

    async def do_burst(self, count: str) -> None:
        for number in range(int(count)):
            await self.send(text_data=f"burst {number}")

    async def do_big(self, size: str) -> None:
        await self.send(text_data=payload(int(size)))

    async def do_mass(self, count: str) -> None:
        for number in range(int(count)):
            await self.send(bytes_data=number.to_bytes(4, "big") * 16_384)
        witness_of(self).note("mass sent")

    async def do_nothing(self, _: str) -> None:
        await self.attempt("send nothing", self.send())

    async def do_empty(self, _: str) -> None:
        await self.send(text_data="")
        await self.send(text_data="after the empty one")

    async def do_close(self, rest: str) -> None:
        code, _, reason = rest.partition(" ")
        await self.close(code=int(code) if code else None, reason=reason or None)

    async def do_last(self, text: str) -> None:
        await self.send(text_data=text, close=True)

    async def do_last_with(self, code: str) -> None:
        await self.send(text_data="last", close=int(code))  # type: ignore[arg-type]

    async def do_close_twice(self, _: str) -> None:
        await self.close(4001)
        await self.attempt("second close", self.close(4002))

    async def do_close_twice_carelessly(self, _: str) -> None:
        await self.close(4001)
        await self.close(4002)

    async def do_send_after_close(self, text: str) -> None:
        await self.close(4001)
        await self.attempt("send after close", self.send(text))

    async def do_send_after_close_carelessly(self, text: str) -> None:
        await self.close(4001)
        await self.send(text)

    async def do_accept(self, _: str) -> None:
        await self.attempt("late accept", self.accept())
        await self.send("accepted late")

    async def do_raise(self, name: str) -> None:
        raise error_of(name)

    async def do_send_then_raise(self, name: str) -> None:
        await self.send("before it")
        raise error_of(name)

    async def do_send(self, text: str) -> None:
        await self.attempt("send", self.send(text))

    async def do_send_carelessly(self, text: str) -> None:
        await self.send(text)

    async def do_odd(self, name: str) -> None:
        await self.attempt("odd", self.base_send(ODD_MESSAGES[name]))
        await self.send("after the odd one")

    async def do_gate(self, name: str) -> None:
        witness_of(self).note("at gate", name)
        try:
            await witness_of(self).gate(name).wait()
        except asyncio.CancelledError as error:
            witness_of(self).note("cancelled at gate", *describe(error))
            raise
        await self.send(f"through {name}")

    async def do_hold(self, name: str) -> None:
        """Wait, and send nothing: whoever is at the other end may be gone by then."""
        witness_of(self).note("at gate", name)
        await witness_of(self).gate(name).wait()

    async def do_free(self, rest: str) -> None:
        """Open another connection's gate, and see how much it gets done in three turns of the event loop."""
        identity, _, gate = rest.partition(" ")
        other = witness_of(self).registry[identity]
        other.gate(gate).set()
        for _ in range(3):
            await asyncio.sleep(0)
        witness_of(self).note("seen", other.count("text"))
        await self.send("freed")

    async def do_stubborn_gate(self, name: str) -> None:
        witness_of(self).note("at gate", name)
        try:
            await witness_of(self).gate(name).wait()
        except asyncio.CancelledError:
            witness_of(self).note("would not be cancelled")
        await self.send("still here")

    async def do_cancel_self(self, _: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel("of itself")
        await self.send("not held up by it")

    async def do_background(self, count: str) -> None:
        async def tick() -> None:
            for number in range(int(count)):
                await self.send(text_data=f"tick {number} for {visitor.get()}")

        self.background = asyncio.create_task(tick())

    async def do_background_when_gone(self, _: str) -> None:
        async def tick() -> None:
            await witness_of(self).gate("gone").wait()
            await self.attempt("send when gone", self.send("anyone?"))

        self.background = asyncio.create_task(tick())

    async def do_finish_background(self, _: str) -> None:
        witness_of(self).gate("gone").set()
        await self.background

    async def do_visitor(self, _: str) -> None:
        await self.send(text_data=visitor.get())

    async def do_rename(self, name: str) -> None:
        visitor.set(name)
        await self.send(text_data=f"now {name}")

    async def do_state(self, _: str) -> None:
        shown = [self.channel_layer is not None, hasattr(self, "channel_name"), callable(self.base_send), self.groups]
        await self.send(text_data=json.dumps(shown))

    async def do_task(self, _: str) -> None:
        same = asyncio.current_task() is witness_of(self).task
        await self.send(text_data=f"in the application's own task: {same}")

    # With the channel layer.

    async def do_join(self, room: str) -> None:
        await self.channel_layer.group_add(room, self.channel_name)

    async def do_leave(self, room: str) -> None:
        await self.channel_layer.group_discard(room, self.channel_name)
        await self.send(text_data="left")

    async def do_say(self, rest: str) -> None:
        room, _, text = rest.partition(" ")
        await self.channel_layer.group_send(room, {"type": "room.message", "text": text})

    async def do_explode(self, rest: str) -> None:
        room, _, name = rest.partition(" ")
        await self.channel_layer.group_send(room, {"type": "room.explosion", "error": name})

    async def do_tell(self, message: str) -> None:
        await self.channel_layer.send(self.channel_name, json.loads(message))

    async def do_overfill(self, count: str) -> None:
        for number in range(int(count)):
            await self.attempt("tell", self.do_tell(json.dumps({"type": "room.message", "text": str(number)})))
        await self.send("filled")

    async def room_message(self, event: dict[str, Any]) -> None:
        witness_of(self).note("room", event["text"])
        await self.send(text_data=f"room: {event['text']} for {visitor.get()}")

    async def room_gate(self, event: dict[str, Any]) -> None:
        witness_of(self).note("at gate", event["name"])
        await witness_of(self).gate(event["name"]).wait()

    async def room_explosion(self, event: dict[str, Any]) -> None:
        witness_of(self).note("explosion")
        raise error_of(event["error"])


class Sink(Puppet):
    """Takes binary messages and answers none."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if bytes_data is None:
            await super().receive(text_data)
        else:
            witness_of(self).note("sunk", len(bytes_data), int.from_bytes(bytes_data[:4], "big"))


#: ASGI messages that no consumer should send; a server's answer to them is its own.
ODD_MESSAGES: dict[str, Any] = {
    "neither": {"type": "websocket.send"},
    "both": {"type": "websocket.send", "text": None, "bytes": b"as bytes"},
    "none-bytes": {"type": "websocket.send", "text": "as text", "bytes": None},
    "unknown": {"type": "websocket.wave"},
    "untyped": {"text": "hello"},
    "list": ["websocket.send"],
    "number": {"type": "websocket.send", "text": 7},
    "code": {"type": "websocket.close", "code": "4001"},
    "bytearray": {"type": "websocket.send", "bytes": bytearray(b"abc")},
}


class SyncPuppet(WebsocketConsumer):
    """The same for synchronous code; the words are the asynchronous one's."""

    def connect(self) -> None:
        query = query_of(self)
        witness_of(self).note("connect", list(self.scope["subprotocols"]))
        visitor.set(query.get("visitor", "nobody"))
        getattr(self, "on_" + query.get("connect", "accept"))(query.get("with", ""))

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if bytes_data is not None:
            witness_of(self).note("bytes", len(bytes_data), bytes_data[:8].hex())
            self.send(bytes_data=bytes_data)
            return
        text = text_data or ""
        witness_of(self).note("text", len(witness_of(self).neutral(text)), witness_of(self).neutral(text[:60]))
        verb, _, rest = text.partition(" ")
        if act := getattr(self, "do_" + verb, None):
            act(rest)
        else:
            self.send(text_data=text)

    def disconnect(self, code: int) -> None:
        witness_of(self).note("disconnect", code)
        verb, _, rest = query_of(self).get("disconnect", "").partition(" ")
        if verb:
            getattr(self, "do_" + verb)(rest)

    def attempt(self, what: str, attempt: Any, *arguments: Any) -> None:
        try:
            witness_of(self).note(what, repr(attempt(*arguments)))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
            witness_of(self).note(what, *describe(error))

    def on_accept(self, _: str) -> None:
        self.accept()

    def on_subprotocol(self, name: str) -> None:
        self.accept(subprotocol=name)

    def on_close(self, code: str) -> None:
        self.close(code=int(code) if code else None)

    def on_raise(self, name: str) -> None:
        raise error_of(name)

    def on_accept_then_raise(self, name: str) -> None:
        self.accept()
        raise error_of(name)

    def on_join(self, room: str) -> None:
        async_to_sync(self.channel_layer.group_add)(room, self.channel_name)
        self.accept()

    def do_echo(self, text: str) -> None:
        self.send(text_data=text)

    def do_silence(self, _: str) -> None:
        """Only be noted."""

    def do_burst(self, count: str) -> None:
        for number in range(int(count)):
            self.send(text_data=f"burst {number}")

    def do_close(self, rest: str) -> None:
        code, _, reason = rest.partition(" ")
        self.close(code=int(code) if code else None, reason=reason or None)

    def do_close_twice(self, _: str) -> None:
        self.close(4001)
        self.attempt("second close", self.close, 4002)

    def do_send_after_close(self, text: str) -> None:
        self.close(4001)
        self.attempt("send after close", self.send, text)

    def do_send(self, text: str) -> None:
        self.attempt("send", self.send, text)

    def do_raise(self, name: str) -> None:
        raise error_of(name)

    def do_visitor(self, _: str) -> None:
        self.send(text_data=visitor.get())

    def do_say(self, rest: str) -> None:
        room, _, text = rest.partition(" ")
        async_to_sync(self.channel_layer.group_send)(room, {"type": "room.message", "text": text})

    def do_explode(self, rest: str) -> None:
        room, _, name = rest.partition(" ")
        async_to_sync(self.channel_layer.group_send)(room, {"type": "room.explosion", "error": name})

    def do_tell(self, message: str) -> None:
        async_to_sync(self.channel_layer.send)(self.channel_name, json.loads(message))

    def room_message(self, event: dict[str, Any]) -> None:
        witness_of(self).note("room", event["text"])
        self.send(text_data=f"room: {event['text']} for {visitor.get()}")

    def room_explosion(self, event: dict[str, Any]) -> None:
        witness_of(self).note("explosion")
        raise error_of(event["error"])


class Unlayered(Puppet):
    """No channel layer of this name is configured: Channels then gives the consumer none."""

    channel_layer_alias = "absent"


class UnlayeredGroups(Unlayered):
    """Groups without a channel layer: Channels says so on connect."""

    groups = ["lobby"]  # noqa: RUF012 - as Channels' documentation writes it


class SyncUnlayered(SyncPuppet):
    channel_layer_alias = "absent"


class Lobby(Puppet):
    """Its groups are declared, so that Channels joins and leaves them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.groups = []

    async def websocket_connect(self, message: Any) -> None:
        self.groups = [query_of(self)["room"]]
        await super().websocket_connect(message)


class Raw(AsyncConsumer):
    """Nothing but Channels' lowest class."""

    async def websocket_connect(self, message: Any) -> None:
        witness_of(self).note("connect", sorted(message))
        await self.send({"type": "websocket.accept"})

    async def websocket_receive(self, message: Any) -> None:
        witness_of(self).note("receive", sorted(message), message.get("text"), repr(message.get("bytes")))
        await self.send({**message, "type": "websocket.send"})

    async def websocket_disconnect(self, message: Any) -> None:
        witness_of(self).note("disconnect", message["code"], message.get("reason"))
        raise StopConsumer


class RawUnfinished(Raw):
    """Forgets to stop: Channels goes on to wait for messages that never come."""

    async def websocket_disconnect(self, message: Any) -> None:
        witness_of(self).note("disconnect", message["code"])


class RawDeaf(AsyncConsumer):
    """Has no handler for what a client sends, nor for its going."""

    async def websocket_connect(self, message: Any) -> None:
        witness_of(self).note("connect", sorted(message))
        await self.send({"type": "websocket.accept"})


class SyncRaw(SyncConsumer):
    """Channels' lowest synchronous class."""

    def websocket_connect(self, message: Any) -> None:
        witness_of(self).note("connect", sorted(message))
        self.send({"type": "websocket.accept"})

    def websocket_receive(self, message: Any) -> None:
        witness_of(self).note("receive", sorted(message), message.get("text"), repr(message.get("bytes")))
        self.send({**message, "type": "websocket.send"})

    def websocket_disconnect(self, message: Any) -> None:
        witness_of(self).note("disconnect", message["code"])
        raise StopConsumer


class Json(AsyncJsonWebsocketConsumer):
    """A JSON chat, with handlers named after its message types."""

    async def connect(self) -> None:
        witness_of(self).note("connect")
        await self.accept()

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        witness_of(self).note("json", content)
        if isinstance(content, dict) and "type" in content:
            await getattr(self, content["type"].replace(".", "_"))(content)
        else:
            await self.send_json({"echo": content})

    async def chat_say(self, content: Any) -> None:
        await self.send_json({"type": "chat.said", "text": content["text"]})

    async def chat_leave(self, content: Any) -> None:
        await self.send_json({"type": "chat.left"}, close=content.get("code", True))

    async def chat_unserialisable(self, _: Any) -> None:
        await self.send_json({"value": {1, 2}})

    async def disconnect(self, code: int) -> None:
        witness_of(self).note("disconnect", code)


class SyncJson(JsonWebsocketConsumer):
    """The synchronous JSON consumer."""

    def connect(self) -> None:
        witness_of(self).note("connect")
        self.accept()

    def receive_json(self, content: Any, **kwargs: Any) -> None:
        witness_of(self).note("json", content)
        if isinstance(content, dict) and content.get("type") == "chat.leave":
            self.send_json({"type": "chat.left"}, close=content.get("code", True))
        else:
            self.send_json({"echo": content})

    def disconnect(self, code: int) -> None:
        witness_of(self).note("disconnect", code)


class Codec(AsyncJsonWebsocketConsumer):
    """Speaks a dialect: overrides both ends of the codec, `receive_json` and `send_json`."""

    @classmethod
    async def decode_json(cls, text_data: str) -> Any:
        return {"decoded": json.loads(text_data.removeprefix("v1:"))}

    @classmethod
    async def encode_json(cls, content: Any) -> str:
        return "v1:" + json.dumps(content, sort_keys=True)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        witness_of(self).note("json", content)
        await self.send_json(content)

    async def send_json(self, content: Any, close: bool = False) -> None:
        await super().send_json({"sent": content}, close=close)


class Configured(AsyncWebsocketConsumer):
    """Takes keywords of `as_asgi`."""

    greeting = "unset"

    def __init__(self, greeting: str, *, volume: int = 1) -> None:
        super().__init__()
        self.greeting, self.volume = greeting, volume

    async def connect(self) -> None:
        await self.accept()
        await self.send(f"{self.greeting} x{self.volume}")


class OverridesDispatch(Puppet):
    """Sees every message first, changes some, swallows some, and handles one error itself."""

    async def dispatch(self, message: dict[str, Any]) -> None:
        witness_of(self).note("dispatch", message["type"])
        if message.get("text") == "swallow":
            return
        if message.get("text") == "change":
            message = {**message, "text": "echo changed"}
        try:
            await super().dispatch(message)
        except PuppetError as error:
            witness_of(self).note("handled", *describe(error))
            await self.send(f"sorry: {error.code}")


class ReplacesDispatch(Puppet):
    """Never calls the dispatch it inherits."""

    async def dispatch(self, message: dict[str, Any]) -> None:
        witness_of(self).note("own dispatch", message["type"])
        await getattr(self, get_handler_name(message))(message)


class OverridesSend(Puppet):
    """Wraps every frame that it sends."""

    async def send(self, text_data: str | None = None, bytes_data: bytes | None = None, close: bool = False) -> None:
        witness_of(self).note("send", text_data)
        await super().send(f"<{text_data}>" if text_data is not None else None, bytes_data, close)


class OverridesReceive(Puppet):
    """Overrides both ways in that Channels has."""

    async def websocket_connect(self, message: Any) -> None:
        witness_of(self).note("websocket_connect", sorted(message))
        await super().websocket_connect(message)

    async def websocket_receive(self, message: Any) -> None:
        witness_of(self).note("websocket_receive", sorted(key for key in message if message[key] is not None))
        if message.get("text") == "swallow":
            return
        await super().websocket_receive(message)

    async def websocket_disconnect(self, message: Any) -> None:
        witness_of(self).note("websocket_disconnect", message["code"])
        await super().websocket_disconnect(message)


class OverridesCall(Puppet):
    """Does something around the whole connection."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["witness"].note("call")
        try:
            changed: Any = dict(scope, language="eo")
            await super().__call__(changed, receive, send)
        finally:
            scope["witness"].note("call ended", self.scope["language"])


class WrapsCallables(Puppet):
    """Passes callables of its own to Channels: numbers what comes in, marks what goes out."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        count = 0

        async def numbered() -> Any:
            nonlocal count
            message = await receive()
            count += 1
            scope["witness"].note("numbered", count, message["type"])
            return message

        async def marked(message: Any) -> None:
            await send({**message, "text": f"*{message['text']}"} if message.get("text") else message)

        await super().__call__(scope, numbered, marked)


class ReplacesCall(Puppet):
    """A whole ASGI application of its own: nothing of Channels' loop is left."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["witness"].note("own call")
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
            else:
                await send({"type": "websocket.send", "text": message["text"].upper()})
        scope["witness"].note("own end", message["code"])


class OverridesAccept(Puppet):
    """Accepts and closes in its own way."""

    async def accept(self, subprotocol: str | None = None, headers: Any = None) -> None:
        witness_of(self).note("accept", subprotocol)
        await super().accept("chat.v2" if "chat.v2" in self.scope["subprotocols"] else subprotocol, headers)
        await self.send("welcome")

    async def close(self, code: int | None = None, reason: str | None = None) -> None:
        witness_of(self).note("close", code, reason)
        await self.send("good-bye")
        await super().close((code or 4000) + 100, reason)


class SyncOverrides(SyncPuppet):
    """Synchronous overrides of `send`, `close` and `websocket_receive`."""

    def websocket_receive(self, message: Any) -> None:
        witness_of(self).note("websocket_receive", message.get("text"))
        super().websocket_receive(message)

    def send(self, text_data: str | None = None, bytes_data: bytes | None = None, close: bool = False) -> None:
        witness_of(self).note("send", text_data)
        super().send(f"<{text_data}>" if text_data is not None else None, bytes_data, close)

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        super().close((code or 4000) + 100, reason)


class Inherited(OverridesSend):
    """A subclass of a subclass, with an override of its own."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        witness_of(self).note("inherited")
        await super().receive(text_data, bytes_data)


class Slotted(AsyncWebsocketConsumer):
    """Never calls its base's constructor, and keeps state under common names."""

    groups = ()  # type: ignore[assignment]

    def __init__(self) -> None:
        self.record, self.queue, self.inbox, self.state, self.ledger = [], 1, 2, 3, 4  # type: ignore[var-annotated]

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.record.append(text_data)
        await self.send(json.dumps([self.record, self.queue, self.inbox, self.state, self.ledger]))


class Answers(AsyncWebsocketConsumer):
    """Waits in a handler for another message of its client: with one dispatcher, that never comes."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        witness_of(self).note("asks", text_data)
        gate = witness_of(self).gate("answer")
        if text_data == "answer":
            gate.set()
        try:
            await asyncio.wait_for(gate.wait(), 0.05)
        except TimeoutError:
            await self.send("no answer")
        else:
            await self.send("answered")


class Ticketed(AsyncWebsocketConsumer):
    """Attributes, properties and class machinery that hosts have."""

    instances = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.subclassed = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        ticketed = super().__new__(cls)
        ticketed.ticket = "T"
        return ticketed

    ticket: str
    subclassed = False

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(f"{self.ticket} {type(self).__mro__[-2].__name__}")


PLAIN: dict[str, Any] = {
    "puppet": Puppet,
    "sink": Sink,
    "sync-puppet": SyncPuppet,
    "unlayered": Unlayered,
    "unlayered-groups": UnlayeredGroups,
    "sync-unlayered": SyncUnlayered,
    "lobby": Lobby,
    "raw": Raw,
    "raw-unfinished": RawUnfinished,
    "raw-deaf": RawDeaf,
    "sync-raw": SyncRaw,
    "json": Json,
    "sync-json": SyncJson,
    "codec": Codec,
    "configured": Configured,
    "overrides-dispatch": OverridesDispatch,
    "replaces-dispatch": ReplacesDispatch,
    "overrides-send": OverridesSend,
    "overrides-receive": OverridesReceive,
    "overrides-call": OverridesCall,
    "wraps-callables": WrapsCallables,
    "replaces-call": ReplacesCall,
    "overrides-accept": OverridesAccept,
    "sync-overrides": SyncOverrides,
    "inherited": Inherited,
    "slotted": Slotted,
    "answers": Answers,
    "ticketed": Ticketed,
}

#: Keywords that the routes give to `as_asgi`.
KEYWORDS: dict[str, dict[str, Any]] = {"configured": {"greeting": "saluton", "volume": 3}}
