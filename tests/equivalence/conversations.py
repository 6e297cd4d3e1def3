"""The conversations: everything that consumers and clients do to each other, each as a short script."""

import json
from typing import Any

from tests.equivalence.script import (
    COMMUNICATOR,
    DAPHNE,
    SERVERS,
    UVICORN,
    UVICORN_WSPROTO,
    UVICORNS,
    Conversation,
    Step,
    Transcripts,
    as_is,
    asgi,
    attempt,
    binary,
    close,
    closed,
    connect,
    control,
    flood,
    flood_and_close,
    frames,
    kill,
    over,
    pour,
    reached,
    release,
    text,
)

#: Client messages that may be handled in one go before a group message gets its turn: as many as the dispatcher
#: handles before it yields to the event loop, which it must do to see that a group message is there.
READ_AHEAD_TURN = 32
#: Channels takes turns strictly; a turn of the event loop more or less is the server's.
CHANNELS_TURN = 4

#: What uvicorn's legacy implementation says to a send after the end.
LEGACY_REFUSAL = repr(
    "Unexpected ASGI message 'websocket.send', after sending 'websocket.close' or response already completed."
)

FLOOD = 200
GROUP = 30
MASS = 64
POURED = 128


# --- rules for what may differ from run to run ----------------------------------------------------------------------


def by_kind(transcripts: Transcripts) -> Any:
    """Client and group messages come from two sources: the order within each is fixed, between them it is not."""
    shown = as_is(transcripts)
    for who, transcript in transcripts.items():
        kinds = sorted({str(entry[0]) for entry in transcript.server})
        shown[who][1] = {kind: transcript.noted(kind) for kind in kinds}
    return shown


def group_gets_its_turn(transcripts: Transcripts, inbox: bool) -> None:
    """However many client messages wait, a group message is never far."""
    bound = READ_AHEAD_TURN if inbox else CHANNELS_TURN
    entries = [entry[0] for entry in transcripts["a"].noted("text", "room")][1:]  # without the message that holds
    rooms = [index for index, kind in enumerate(entries) if kind == "room"]
    gaps = [later - earlier - 1 for earlier, later in zip([-1, *rooms], rooms, strict=False)]
    assert len(rooms) == GROUP
    assert max(gaps) <= bound, f"{max(gaps)} client messages between two group messages, allowed are {bound}: {gaps}"


def others_get_their_turn(transcripts: Transcripts, inbox: bool) -> None:
    """A connection with a full queue does not hold up the event loop for the others."""
    [[_, handled]] = transcripts["b"].noted("seen")
    bound = 1 + 3 * (READ_AHEAD_TURN if inbox else CHANNELS_TURN)
    assert handled <= bound, f"{handled} messages of one connection in three turns of the loop, allowed are {bound}"


def without_progress(transcripts: Transcripts) -> Any:
    """What was seen of another connection is timing; `others_get_their_turn` bounds it."""
    for transcript in transcripts.values():
        transcript.server = [entry for entry in transcript.server if entry[0] != "seen"]
    return as_is(transcripts)


def first_disconnect_only(transcripts: Transcripts) -> Any:
    """Servers repeat `websocket.disconnect` to whoever goes on to listen (some for ever); once is enough."""
    shown = as_is(transcripts)
    for who, transcript in transcripts.items():
        disconnects = transcript.noted("disconnect")
        shown[who][1] = [entry for entry in transcript.server if entry[0] != "disconnect"] + disconnects[:1]
    return shown


def refused(transcripts: Transcripts) -> Any:
    """A thread that goes on after its close races with the client's answer to it: the server then refuses otherwise."""
    shown = as_is(transcripts)
    for who, transcript in transcripts.items():
        late = ("second close", "send after close")
        shown[who][1] = [entry[:1] if entry[0] in late else entry for entry in transcript.server]
    return shown


def held_back(transcripts: Transcripts, _: bool) -> None:
    """A server that reads no further than its application makes the client wait; so must a hub that reads ahead."""
    notes = [entry for entry in transcripts["a"].client if entry[0] == "held back"]
    assert notes in ([], [["held back", True]]), "the client could send everything"


def only_a_prefix(transcripts: Transcripts) -> Any:
    """
    How much is handled of what was sent before a client vanishes is a race between its reset and the reads.

    What is handled must be what came first, in order; the rest of both transcripts must be equal.
    """
    shown = as_is(transcripts)
    for who, transcript in transcripts.items():
        handled = [entry[2] for entry in transcript.noted("text")][1:]
        assert handled == [f"silence {number}" for number in range(len(handled))]
        shown[who][1] = [entry for entry in transcript.server if entry[0] != "text"]
    return shown


def only_a_prefix_of_echoes(transcripts: Transcripts) -> Any:
    """
    A client that closes behind its messages: the server may refuse to send the echoes, sooner or later.

    Handled and sent must each be what came first, in order, and the end a clean or the server's own one. Which one
    uvicorn's legacy implementation chooses depends on whether the application has been told of the close by then.
    """
    ends = (["returned", "None"], ["raised", "ClientDisconnected"], ["raised", "RuntimeError", [LEGACY_REFUSAL]])
    for transcript in transcripts.values():
        handled = [entry[2] for entry in transcript.noted("text")][1:]
        assert handled == [f"echo {number}" for number in range(len(handled))], handled
        echoes = [entry[1] for entry in transcript.client if entry[0] == "text"]
        assert echoes == [str(number) for number in range(len(echoes))], echoes
        assert any(transcript.server[-1][: len(end)] == end for end in ends), transcript.server
    return {who: transcript.client[0] for who, transcript in transcripts.items()}


# --- building blocks ------------------------------------------------------------------------------------------------


def puppet(name: str, *steps: Step, consumer: str = "puppet", **rules: Any) -> Conversation:
    return Conversation(name, consumer, steps, **rules)


#: By then, the server knows of a reset that came before.
NOTICED = control("turns", "20")


def numbered(verb: str, count: int) -> list[str]:
    return [f"{verb} {number}" for number in range(count)]


def told(message: Any) -> str:
    """A message to the consumer's own channel."""
    return "tell " + json.dumps(message)


#: Every error that a handler can raise, and how a script sees its end.
RAISED = ("value", "own", "os", "timeout", "group", "key", "accept", "deny", "stop-iteration", "chained")

PLAIN_TALK = [
    puppet("echo", connect(), text("echo hello"), frames(), text("plain words"), frames(), close()),
    puppet("echo-binary", connect(), binary(b"\x00\xff\x10"), frames(), binary(b"x"), frames(), close()),
    puppet("unicode", connect(), text("echo žluťoučký 🐎 \u0000 \u2028"), frames(), close()),
    puppet("control-character-first", connect(), text("\u0000hub"), frames(), text("echo \u0000{}"), frames(), close()),
    puppet(
        "control-frames-alike",
        connect(),
        text("\0{}"),
        frames(),
        text("\0\0{}"),
        frames(),
        text("\0"),
        frames(),
        flood("\0{", "\0\0\0", '\0{"type":"heartbeat","count":0}'),
        frames(3),
        close(),
    ),
    puppet("burst", connect(), text("burst 100"), frames(100), close()),
    puppet("pipelined", connect(), flood(*numbered("echo", 100)), frames(100), close()),
    puppet("big-text", connect(), text("big 900000"), frames(), text("echo " + "ž" * 300_000), frames(), close()),
    puppet("big-binary", connect(), binary(bytes(range(256)) * 3500), frames(), close()),
    puppet("empty-text", connect(), text(""), text("silence"), reached("receive", 2), close(), consumer="raw"),
    puppet("sends-empty-text", connect(), text("empty"), text("close"), closed()),
    puppet("sends-nothing", connect(), text("nothing"), text("echo on"), frames(), close()),
    puppet("state", connect(), text("state"), frames(), text("task"), frames(), close()),
    puppet("keywords", connect(), frames(), close(), consumer="configured"),
    puppet("slow-reader", connect(), text(f"mass {MASS}"), frames(MASS), text("echo on"), frames(), close()),
]

HANDSHAKES = [
    puppet("subprotocol", connect("connect=subprotocol&with=v2", "v1", "v2"), text("echo hi"), frames(), close()),
    puppet("subprotocol-unanswered", connect("", "v1", "v2"), close(), kinds=(*SERVERS[:3], COMMUNICATOR)),
    puppet("accept-headers", connect("connect=headers&with=vanilla"), text("echo hi"), frames(), close()),
    puppet("refused", connect("connect=close")),
    puppet("refused-with-code", connect("connect=close&with=4003")),
    puppet("refused-by-exception", connect("connect=raise&with=deny")),
    puppet("accepted-by-exception", connect("connect=raise&with=accept"), text("echo hi"), frames(), close()),
    puppet("http-response", connect("connect=http&with=418"), kinds=UVICORNS),
    puppet("connect-raises", connect("connect=raise&with=own")),
    puppet("connect-raises-base", connect("connect=raise&with=cancelled"), kinds=(*UVICORNS, COMMUNICATOR)),
    puppet("connect-stops", connect("connect=raise&with=stop"), kinds=(*UVICORNS, COMMUNICATOR)),
    puppet("accepted-then-raises", connect("connect=accept_then_raise&with=value"), closed()),
    puppet("accepted-then-closes", connect("connect=accept_then_close&with=4004"), closed()),
    puppet("accepted-then-sends", connect("connect=accept_then_send&with=hi"), frames(2), close()),
    puppet("accepts-twice", connect("connect=accept_twice"), frames(), close(), kinds=SERVERS),
    puppet("accepts-late", connect(), text("accept"), frames(), close(), kinds=SERVERS),
    puppet("sends-before-accept", connect("connect=send_first&with=early")),
    puppet("tries-to-send-before-accept", connect("connect=attempt_first&with=early"), close(), kinds=SERVERS),
    puppet("never-accepts", attempt("connect=nothing"), reached("connect"), kill()),
    puppet(
        "client-gone-before-accept", attempt("connect=gate&with=g"), reached("at gate"), kill(), NOTICED, release("g")
    ),
    puppet("cancelled-before-accept", attempt("connect=gate&with=g"), reached("at gate"), control("cancel"), kill()),
]

CLOSES = [
    puppet("client-closes", connect(), close(1000, "bye")),
    puppet("client-closes-with-code", connect(), close(4321, "höher")),
    puppet("client-closes-without-code", connect(), close(None)),
    puppet("server-closes", connect(), text("close"), closed()),
    puppet("server-closes-with-reason", connect(), text("close 4001 go away"), closed()),
    puppet("last-words", connect(), text("last good-bye"), closed()),
    puppet("last-words-with-code", connect(), text("last_with 4005"), closed()),
    puppet("closes-twice", connect(), text("close_twice"), closed()),
    puppet("closes-twice-carelessly", connect(), text("close_twice_carelessly"), closed()),
    puppet("sends-after-close", connect(), text("send_after_close x"), closed()),
    puppet("sends-after-close-carelessly", connect(), text("send_after_close_carelessly x"), closed()),
    puppet("sends-in-disconnect", connect("disconnect=send x"), text("echo hi"), frames(), close()),
    puppet(
        "sends-in-disconnect-carelessly", connect("disconnect=send_carelessly x"), text("echo hi"), frames(), close()
    ),
    puppet("closes-in-disconnect", connect("disconnect=close 4009"), text("echo hi"), frames(), close()),
    puppet("raises-in-disconnect", connect("disconnect=raise own"), text("echo hi"), frames(), close()),
    puppet("killed", connect(), text("echo hi"), frames(), kill()),
    puppet(
        "background-when-gone",
        connect("disconnect=finish_background"),
        text("background_when_gone"),
        text("echo hi"),
        frames(),
        close(),
    ),
    puppet(
        "forgets-to-stop",
        connect(),
        close(),
        reached("disconnect"),
        control("cancel"),
        consumer="raw-unfinished",
        canonical=first_disconnect_only,
    ),
    puppet("no-handlers-at-all", connect(), text("hello"), closed(), consumer="raw-deaf"),
    puppet("no-handler-for-the-end", connect(), close(), consumer="raw-deaf"),
]

ERRORS = [
    *(puppet(f"raises-{name}", connect(), text(f"send_then_raise {name}"), closed()) for name in RAISED),
    puppet("raises-stop", connect(), text("send_then_raise stop"), frames(), over()),
    puppet("raises-cancelled", connect(), text("send_then_raise cancelled"), frames(), over()),
    puppet("raises-in-mid-queue", connect(), flood("echo 1", "raise own", "echo 2", "echo 3"), closed()),
    *(
        puppet(f"sends-odd-{name}", connect(), text(f"odd {name}"), frames(), close(), kinds=SERVERS)
        for name in ("neither", "both", "none-bytes", "unknown", "untyped", "list")
    ),
    *(
        puppet(f"sends-odd-{name}", connect(), text(f"odd {name}"), frames(2), close(), kinds=(COMMUNICATOR,))
        for name in ("neither", "both", "unknown", "untyped", "list", "number", "bytearray")
    ),
    puppet("sends-odd-code", connect(), text("odd code"), frames(), close(), kinds=(DAPHNE,)),
    # uvicorn refuses the code only after it has told the consumer of the end: whoever closes as well races with that.
    puppet("sends-odd-code", connect(), text("odd code"), frames(), over(), kinds=(UVICORN,)),
    puppet("sends-odd-code", connect(), text("odd code"), closed(), kinds=(COMMUNICATOR, UVICORN_WSPROTO)),
]

CANCELLATIONS = [
    puppet("cancelled-idle", connect(), text("echo hi"), frames(), control("cancel"), over()),
    puppet("cancelled-with-message", connect(), text("echo hi"), frames(), control("cancel", "why"), over()),
    puppet("cancelled-in-handler", connect(), text("gate g"), reached("at gate"), control("cancel"), over()),
    puppet(
        "cancelled-in-mid-queue",
        connect(),
        text("gate g"),
        reached("at gate"),
        flood(*numbered("echo", 20)),
        control("cancel"),
        over(),
    ),
    puppet(
        "will-not-be-cancelled",
        connect(),
        text("stubborn_gate g"),
        reached("at gate"),
        control("cancel"),
        frames(),
        text("echo on"),
        frames(),
        close(),
    ),
    puppet("cancels-itself", connect(), text("cancel_self"), frames(), over()),
    puppet(
        "outlives-its-client",  # Daphne cancels it then
        connect(),
        text("gate g"),
        reached("at gate"),
        close(),
        kinds=(DAPHNE,),
    ),
]

GROUPS = [
    puppet(
        "chat",
        connect("connect=join&with={room}"),
        connect("connect=join&with={room}", who="b"),
        text("say {room} hello"),
        frames(),
        frames(who="b"),
        text("say {room} hello yourself", who="b"),
        frames(),
        frames(who="b"),
        text("leave {room}", who="b"),
        frames(who="b"),
        text("say {room} anyone?"),
        frames(),
        close(),
        text("echo alone", who="b"),
        frames(who="b"),
        close(who="b"),
    ),
    puppet(
        "declared-groups",
        connect("room={room}"),
        text("say {room} hello"),
        frames(),
        control("group", "{room}:20"),
        frames(20),
        close(),
        consumer="lobby",
    ),
    puppet("group-order", connect("connect=join&with={room}"), control("group", "{room}:80"), frames(80), close()),
    puppet("group-handler-raises", connect("connect=join&with={room}"), text("explode {room} own"), closed()),
    puppet("group-handler-stops", connect("connect=join&with={room}"), text("explode {room} stop"), over()),
    puppet("unknown-type", connect(), text(told({"type": "nobody.here"})), closed()),
    puppet("underscored-type", connect(), text(told({"type": "_secret.door"})), closed()),
    puppet("dotted-underscored-type", connect(), text(told({"type": ".secret"})), closed()),
    puppet("message-without-type", connect(), text(told({"text": "x"})), closed()),
    puppet("type-is-a-number", connect(), text(told({"type": 5})), closed()),
    puppet("type-is-null", connect(), text(told({"type": None})), closed()),
    puppet(
        "type-of-a-client-message",
        connect(),
        text(told({"type": "websocket.receive", "text": "echo x"})),
        frames(),
        close(),
    ),
    puppet("type-of-a-disconnect", connect(), text(told({"type": "websocket.disconnect", "code": 4444})), over()),
    puppet("type-is-an-attribute", connect(), text(told({"type": "scope"})), closed()),
    puppet("overfilled-channel", connect(), text("overfill 150"), frames(101), close()),
    puppet(
        "overfilled-while-busy",
        connect("connect=join&with={room}"),
        text("gate g"),
        reached("at gate"),
        control("group", "{room}:150"),
        release("g"),
        frames(102),
        text("echo done"),
        frames(),
        close(),
    ),
    puppet(
        "handler-of-a-group-waits",
        connect(),
        text(told({"type": "room.gate", "name": "g"})),
        reached("at gate"),
        text("echo after"),
        release("g"),
        frames(),
        close(),
    ),
    puppet(
        "without-layer", connect(), text("echo hi"), frames(), text("state"), frames(), close(), consumer="unlayered"
    ),
    puppet("without-layer-uses-it", connect(), text("join {room}"), closed(), consumer="unlayered"),
    puppet("without-layer-but-groups", connect(), consumer="unlayered-groups"),
]

PRESSURE = [
    puppet(
        "flood-beside-group-messages",
        connect("connect=join&with={room}"),
        text("hold g"),
        reached("at gate"),
        flood(*numbered("silence", FLOOD)),
        control("group", f"{{room}}:{GROUP}"),
        release("g"),
        frames(GROUP),
        reached("text", FLOOD + 1),
        close(),
        canonical=by_kind,
        verify=group_gets_its_turn,
    ),
    puppet(
        "flood-beside-others",
        connect(),
        connect(who="b"),
        text("hold g"),
        reached("at gate"),
        flood(*numbered("silence", 1000)),
        text("free {room}-a g", who="b"),
        frames(who="b"),
        reached("text", 1001),
        close(),
        close(who="b"),
        canonical=without_progress,
        verify=others_get_their_turn,
    ),
    puppet(
        "back-pressure",
        connect(),
        text("hold g"),
        reached("at gate"),
        pour(POURED, 65_536),
        release("g"),
        reached("sunk", POURED),
        close(),
        consumer="sink",
        verify=held_back,
    ),
    puppet(
        "closed-in-mid-queue",
        connect(),
        text("hold g"),
        reached("at gate"),
        flood_and_close(4010, *numbered("silence", 50)),
        release("g"),
        closed(),
    ),
    puppet(
        "closed-in-mid-queue-of-echoes",
        connect(),
        text("hold g"),
        reached("at gate"),
        flood_and_close(4010, *numbered("echo", 50)),
        release("g"),
        closed(),
        canonical=only_a_prefix_of_echoes,
    ),
    puppet(
        "killed-in-mid-queue",
        connect(),
        text("hold g"),
        reached("at gate"),
        flood(*numbered("silence", 50)),
        kill(),
        release("g"),
        canonical=only_a_prefix,
        kinds=SERVERS,
    ),
    puppet(
        "killed-while-handling",
        connect(),
        text("hold g"),
        reached("at gate"),
        kill(),
        release("g"),
    ),
]

CONTEXT = [
    puppet(
        "context",
        connect("visitor=ada&connect=join&with={room}"),
        text("visitor"),
        frames(),
        text("rename bob"),
        frames(),
        text("visitor"),
        frames(),
        text("say {room} hi"),
        frames(),
        close(),
    ),
    puppet("background", connect("visitor=ada"), text("background 20"), frames(20), text("echo on"), frames(), close()),
    puppet("waits-for-an-answer", connect(), text("question"), text("answer"), frames(2), close(), consumer="answers"),
]

JSON = [
    puppet("json", connect(), text('{"a": [1, null, "ž"]}'), frames(), text("[1]"), frames(), close(), consumer="json"),
    puppet("json-types", connect(), text('{"type": "chat.say", "text": "hi"}'), frames(), close(), consumer="json"),
    puppet("json-unknown-type", connect(), text('{"type": "chat.dance"}'), closed(), consumer="json"),
    puppet("json-type-no-string", connect(), text('{"type": ["x"]}'), closed(), consumer="json"),
    puppet("json-closes", connect(), text('{"type": "chat.leave", "code": 4100}'), frames(), closed(), consumer="json"),
    puppet("json-unserialisable", connect(), text('{"type": "chat.unserialisable"}'), closed(), consumer="json"),
    puppet("json-malformed", connect(), text('{"a": '), closed(), consumer="json"),
    puppet("json-deep", connect(), text("[" * 5000), closed(), consumer="json", canonical=as_is),
    puppet("json-binary", connect(), binary(b"{}"), closed(), consumer="json"),
    puppet("json-empty", connect(), text(""), closed(), consumer="json"),
    puppet("json-odd-numbers", connect(), text('{"n": NaN, "type": 7.5}'), closed(), consumer="json"),
    puppet("codec", connect(), text('v1:{"b": 1}'), frames(), text("[]"), frames(), close(), consumer="codec"),
    puppet("sync-json", connect(), text('{"a": 1}'), frames(), text('"x"'), frames(), close(), consumer="sync-json"),
    puppet("sync-json-closes", connect(), text('{"type": "chat.leave", "code": 4100}'), closed(), consumer="sync-json"),
    puppet("sync-json-malformed", connect(), text("{"), closed(), consumer="sync-json"),
    puppet("sync-json-binary", connect(), binary(b"{}"), closed(), consumer="sync-json"),
]

SYNC = [
    puppet("sync-echo", connect(), text("hello"), frames(), binary(b"\x01"), frames(), close(), consumer="sync-puppet"),
    puppet(
        "sync-burst",
        connect(),
        flood(*numbered("echo", 30)),
        text("burst 30"),
        frames(60),
        close(),
        consumer="sync-puppet",
    ),
    puppet("sync-refused", connect("connect=close&with=4003"), consumer="sync-puppet"),
    puppet("sync-connect-raises", connect("connect=raise&with=own"), consumer="sync-puppet"),
    puppet(
        "sync-accepted-then-raises", connect("connect=accept_then_raise&with=own"), closed(), consumer="sync-puppet"
    ),
    puppet("sync-subprotocol", connect("connect=subprotocol&with=v2", "v2"), close(), consumer="sync-puppet"),
    puppet("sync-raises", connect(), text("raise own"), closed(), consumer="sync-puppet"),
    puppet("sync-raises-chained", connect(), text("raise chained"), closed(), consumer="sync-puppet"),
    puppet("sync-stops", connect(), text("raise stop"), over(), consumer="sync-puppet"),
    puppet("sync-raises-in-disconnect", connect("disconnect=raise own"), close(), consumer="sync-puppet"),
    puppet("sync-closes", connect(), text("close 4001 why"), closed(), consumer="sync-puppet"),
    puppet("sync-closes-twice", connect(), text("close_twice"), closed(), consumer="sync-puppet", canonical=refused),
    puppet(
        "sync-sends-after-close",
        connect(),
        text("send_after_close x"),
        closed(),
        consumer="sync-puppet",
        canonical=refused,
    ),
    puppet("sync-sends-in-disconnect", connect("disconnect=send x"), close(), consumer="sync-puppet"),
    puppet("sync-killed", connect(), text("echo x"), frames(), kill(), consumer="sync-puppet"),
    puppet("sync-context", connect("visitor=ada"), text("visitor"), frames(), close(), consumer="sync-puppet"),
    puppet(
        "sync-chat",
        connect("connect=join&with={room}"),
        connect("connect=join&with={room}", who="b"),
        text("say {room} hello"),
        frames(),
        frames(who="b"),
        close(),
        close(who="b"),
        consumer="sync-puppet",
    ),
    puppet(
        "sync-group-raises",
        connect("connect=join&with={room}"),
        text("explode {room} own"),
        closed(),
        consumer="sync-puppet",
    ),
    puppet("sync-underscored-type", connect(), text(told({"type": "_x"})), closed(), consumer="sync-puppet"),
    puppet("sync-without-layer", connect(), text("echo hi"), frames(), close(), consumer="sync-unlayered"),
    puppet("sync-raw", connect(), text("hi"), frames(), binary(b"hi"), frames(), close(4001, "x"), consumer="sync-raw"),
]

OVERRIDES = [
    puppet("raw", connect(), text("hi"), frames(), binary(b"hi"), frames(), close(4001, "x"), consumer="raw"),
    puppet(
        "overrides-dispatch",
        connect("connect=join&with={room}"),
        text("swallow"),
        text("change"),
        frames(),
        text("raise own"),
        frames(),
        text("say {room} hi"),
        frames(),
        close(),
        consumer="overrides-dispatch",
    ),
    puppet("overrides-dispatch-raises", connect(), text("raise value"), closed(), consumer="overrides-dispatch"),
    puppet(
        "replaces-dispatch",
        connect(),
        text("echo hi"),
        frames(),
        text("raise own"),
        closed(),
        consumer="replaces-dispatch",
    ),
    puppet(
        "overrides-send", connect(), text("echo hi"), frames(), text("last word"), closed(), consumer="overrides-send"
    ),
    puppet(
        "overrides-receive",
        connect(),
        text("swallow"),
        text("echo hi"),
        frames(),
        close(),
        consumer="overrides-receive",
    ),
    puppet("overrides-call", connect(), text("echo hi"), frames(), close(), consumer="overrides-call"),
    puppet("overrides-call-raises", connect(), text("raise own"), closed(), consumer="overrides-call"),
    puppet(
        "overrides-call-cancelled",
        connect(),
        text("gate g"),
        reached("at gate"),
        control("cancel"),
        over(),
        consumer="overrides-call",
    ),
    puppet(
        "wraps-callables",
        connect(),
        text("echo hi"),
        frames(),
        text("close 4001"),
        closed(),
        consumer="wraps-callables",
    ),
    puppet(
        "wraps-callables-flood",
        connect(),
        flood(*numbered("echo", 50)),
        frames(50),
        close(),
        consumer="wraps-callables",
        canonical=by_kind,  # what wraps `receive` sees messages when they are read, be it ahead; in order, each once
    ),
    puppet("replaces-call", connect(), text("hi"), frames(), close(), consumer="replaces-call"),
    puppet(
        "overrides-accept",
        connect("", "chat.v2"),
        frames(),
        text("close 4001"),
        frames(),
        closed(),
        consumer="overrides-accept",
    ),
    puppet("overrides-accept-refuses", connect("connect=close"), consumer="overrides-accept", kinds=SERVERS),
    puppet(
        "sync-overrides", connect(), text("echo hi"), frames(), text("close 4001"), closed(), consumer="sync-overrides"
    ),
    puppet("inherited", connect(), text("echo hi"), frames(), close(), consumer="inherited"),
    puppet("own-attributes", connect(), text("a"), frames(), text("b"), frames(), close(), consumer="slotted"),
    puppet("class-machinery", connect(), text("a"), frames(), close(), consumer="ticketed"),
]

#: What no server of ours sends, but ASGI allows or another server may.
MISSHAPEN: dict[str, Any] = {
    "no-payload": {"type": "websocket.receive"},
    "unknown": {"type": "websocket.wave"},
    "untyped": {"text": "x"},
    "number": {"type": 5},
    "list": ["type", "websocket.receive"],
    "text-is-bytes": {"type": "websocket.receive", "text": b"raise own"},
    "disconnect-without-code": {"type": "websocket.disconnect"},
}
#: The lowest class answers these two, as they are.
FINE_FOR_RAW = {"no-payload", "text-is-bytes"}

ODD_INPUT = [
    puppet(f"odd-input-{consumer}-{name}", connect(), asgi(message), closed(), consumer=consumer, kinds=(COMMUNICATOR,))
    for consumer in ("puppet", "raw", "sync-puppet")
    for name, message in MISSHAPEN.items()
    if not (consumer == "raw" and name in FINE_FOR_RAW)
]
ODD_INPUT += [
    puppet(
        "odd-input-both-keys",
        connect(),
        asgi({"type": "websocket.receive", "text": "echo t", "bytes": None}),
        frames(),
        asgi({"type": "websocket.receive", "text": None, "bytes": b"b"}),
        frames(),
        asgi({"type": "websocket.receive", "text": "echo both", "bytes": b"b"}),
        frames(),
        asgi({"type": "websocket.receive", "bytes": bytearray(b"ba")}),
        frames(),
        asgi({"type": "websocket.receive", "text": None, "bytes": None}),
        frames(),
        close(),
        kinds=(COMMUNICATOR,),
    ),
    puppet(
        "odd-input-connects-twice",
        connect(),
        asgi({"type": "websocket.connect"}),
        frames(),
        close(),
        kinds=(COMMUNICATOR,),
    ),
]

CONVERSATIONS: tuple[Conversation, ...] = (
    *PLAIN_TALK,
    *HANDSHAKES,
    *CLOSES,
    *ERRORS,
    *CANCELLATIONS,
    *GROUPS,
    *PRESSURE,
    *CONTEXT,
    *JSON,
    *SYNC,
    *OVERRIDES,
    *ODD_INPUT,
)


def held_on(kind: str) -> list[Conversation]:
    """The conversations of one kind of server."""
    return [conversation for conversation in CONVERSATIONS if kind in conversation.kinds]


assert len({(c.name, kind) for c in CONVERSATIONS for kind in c.kinds}) == sum(len(c.kinds) for c in CONVERSATIONS)
