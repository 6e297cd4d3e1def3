"""What one operator sees, without a connection: every kind of message, everything that can be wrong with one."""

import json
import math
from itertools import pairwise

import msgpack  # type: ignore[import-untyped]
import pytest

from hub.access import Rights
from hub.feed import wire
from hub.feed.session import MAX_UNSENT_ANSWERS
from tests.feed.stage import of_type, stage

JSON, MSGPACK = wire.SUBPROTOCOLS
DEEP = 8000
#: How deep a decoder may recurse differs between versions of Python: too deep, or no message of ours.
EITHER = "malformed|invalid"


async def tick_and_read(on, operator):
    await on.tick()
    return await operator.read()


# --- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subprotocol", wire.SUBPROTOCOLS)
async def test_a_subscription_is_confirmed_then_shown_whole_then_kept_up_to_date(subprotocol):
    async with stage() as on:
        on.receive_messages("shop.Chat", "acme")
        await on.tick()
        operator = on.operator(subprotocol=subprotocol)

        answers = await operator.ask(type="subscribe", ref="first")
        assert answers[0] == {"type": "result", "ref": "first", "ok": True, "error": None}
        assert {message["topic"] for message in of_type(answers, "snapshot")} == set(wire.TOPICS)

        on.receive_messages("shop.Chat", "acme", 3)
        await on.tick()
        deltas = {message["topic"]: message for message in await operator.read()}
        assert {message["type"] for message in deltas.values()} == {"delta"}
        assert deltas["totals"]["totals"]["received"] == 4
        assert [row["received"] for row in deltas["consumers"]["consumers"]] == [4]

        assert of_type(await operator.read(), "event") == []
        await on.happen("handler.error", tenant="acme", consumer="shop.Chat")
        assert [message["kind"] for message in await operator.read()] == ["handler.error"]


async def test_a_snapshot_has_only_the_field_of_its_topic():
    async with stage() as on:
        await on.tick()
        for snapshot in of_type(await on.operator().ask(type="subscribe"), "snapshot"):
            extra = {"history"} if snapshot["topic"] == "totals" else set()
            assert set(snapshot) == {"type", "topic", "at", "cursor", snapshot["topic"]} | extra


async def test_nothing_is_sent_before_a_subscription_but_heartbeats():
    async with stage(feed_heartbeat=10.0) as on:
        operator = on.operator()
        await on.happen()
        await on.tick()
        assert await operator.read() == []
        for _ in range(10):
            await on.tick()
        assert [message["type"] for message in await operator.read()] == ["heartbeat"]


async def test_a_heartbeat_is_answered_at_once_with_what_it_said():
    async with stage() as on:
        operator = on.operator()
        [answer] = await operator.ask(type="heartbeat", sent_at=12.5)
        assert answer == {"type": "heartbeat", "at": on.clock.wall(), "cursor": on.service.cursor, "echo": 12.5}


async def test_a_heartbeat_fills_a_silence_only():
    async with stage(feed_heartbeat=3.0) as on:
        operator = on.operator()
        await operator.ask(type="subscribe", topics=["events"])
        beats = [len(of_type(await tick_and_read(on, operator), "heartbeat")) for _ in range(9)]
        assert beats == [0, 0, 1, 0, 0, 1, 0, 0, 1]
        await on.happen()
        await operator.read()
        await on.tick()
        await on.tick()
        assert await operator.read() == []


@pytest.mark.parametrize("cadence", wire.CADENCES)
async def test_numbers_come_at_the_cadence_asked_for(cadence):
    async with stage() as on:
        operator = on.operator()
        await operator.ask(type="subscribe", topics=["totals"], cadence=cadence)
        ticks = [len(of_type(await tick_and_read(on, operator), "delta")) for _ in range(60)]
        assert sum(ticks) == 60 // cadence
        seen = [index for index, count in enumerate(ticks) if count]
        assert {second - first for first, second in pairwise(seen)} <= {cadence}


# --- bad input ------------------------------------------------------------------------------------------------------


def text(plain):
    return json.dumps(plain)


BAD_JSON = {
    "not JSON": ("{", "malformed", None),
    "empty": ("", "malformed", None),
    "only spaces": ("   ", "malformed", None),
    "a number": ("5", "invalid", None),
    "null": ("null", "invalid", None),
    "a list": ("[]", "invalid", None),
    "two messages": ('{"type":"subscribe"}{"type":"subscribe"}', "malformed", None),
    "NaN": ('{"type":"heartbeat","ref":"r","sent_at":NaN}', "malformed", None),
    "a number too large": ('{"type":"heartbeat","ref":"r","sent_at":1e999}', "invalid", None),
    "half a surrogate pair, escaped": ('{"type":"resume","cursor":"\\ud800"}', "malformed", None),
    "half a surrogate pair": ('{"type":"resume","cursor":"\ud800"}', "malformed", None),
    "NUL": ("\x00", "malformed", None),
    "no type": (text({"ref": "r"}), "invalid", "r"),
    "unknown type": (text({"type": "selfdestruct", "ref": "r"}), "unknown_type", "r"),
    "a server's type": (text({"type": "snapshot", "ref": "r"}), "unknown_type", "r"),
    "type is a number": (text({"type": 5, "ref": "r"}), "unknown_type", "r"),
    "unknown field": (text({"type": "subscribe", "ref": "r", "topic": "totals"}), "invalid", "r"),
    "topics is text": (text({"type": "subscribe", "ref": "r", "topics": "totals"}), "invalid", "r"),
    "no topics": (text({"type": "subscribe", "ref": "r", "topics": []}), "invalid", "r"),
    "a nonsense topic": (text({"type": "subscribe", "ref": "r", "topics": ["weather"]}), "invalid", "r"),
    "too many topics": (text({"type": "subscribe", "ref": "r", "topics": ["totals"] * 17}), "invalid", "r"),
    "a nonsense severity": (text({"type": "subscribe", "ref": "r", "severities": ["loud"]}), "invalid", "r"),
    "a cadence between": (text({"type": "subscribe", "ref": "r", "cadence": 2}), "invalid", "r"),
    "a cadence of nothing": (text({"type": "subscribe", "ref": "r", "cadence": 0}), "invalid", "r"),
    "a cadence as text": (text({"type": "subscribe", "ref": "r", "cadence": "1"}), "invalid", "r"),
    "a true cadence": (text({"type": "subscribe", "ref": "r", "cadence": True}), "invalid", "r"),
    "too many tenants": (text({"type": "subscribe", "ref": "r", "tenants": ["t"] * 201}), "invalid", "r"),
    "a tenant too long": (text({"type": "subscribe", "ref": "r", "tenants": ["t" * 201]}), "invalid", "r"),
    "an empty consumer": (text({"type": "subscribe", "ref": "r", "consumers": [""]}), "invalid", "r"),
    "no cursor": (text({"type": "resume", "ref": "r"}), "invalid", "r"),
    "an empty cursor": (text({"type": "resume", "ref": "r", "cursor": ""}), "invalid", "r"),
    "a cursor too long": (text({"type": "resume", "ref": "r", "cursor": "c" * 101}), "invalid", "r"),
    "sent_at as text": (text({"type": "heartbeat", "ref": "r", "sent_at": "now"}), "invalid", "r"),
    "ref is a number": (text({"type": "subscribe", "ref": 7}), "invalid", None),
    "ref is empty": (text({"type": "subscribe", "ref": ""}), "invalid", None),
    "ref too long": (text({"type": "subscribe", "ref": "r" * 65}), "invalid", None),
    "deep nesting": ("[" * DEEP + "]" * DEEP, "invalid", None),
    "deep nesting in a field": ('{"type":"subscribe","topics":' + "[" * DEEP + "]" * DEEP + "}", "invalid", None),
    "deep nesting in an unknown field": ('{"x":' + "[" * DEEP + "]" * DEEP + "}", EITHER, None),
    "too large": (text({"type": "subscribe", "ref": "r", "x": "x" * wire.MAX_CLIENT_MESSAGE_BYTES}), "too_large", None),
    "too large in bytes": ("ä" * (wire.MAX_CLIENT_MESSAGE_BYTES // 2 + 1), "too_large", None),
    "binary": (b'{"type":"subscribe","ref":"r"}', "wrong_encoding", None),
    "no bytes": (b"", "wrong_encoding", None),
}
BAD_MSGPACK = {
    "text": ('{"type":"subscribe"}', "wrong_encoding", None),
    "no text": ("", "wrong_encoding", None),
    "nothing": (b"", "malformed", None),
    "cut off": (msgpack.packb({"type": "subscribe"})[:-1], "malformed", None),
    "never used": (b"\xc1", "malformed", None),
    "bad UTF-8": (b"\x82\xa4type\xa6resume\xa6cursor\xa2\xff\xfe", "malformed", None),
    "a number": (b"\x05", "invalid", None),
    "unhashable key": (b"\x81\x80\x01", "invalid", None),
    "an extension": (b"\xc7\x01\x05a", "invalid", None),
    "an impossible time": (b"\xc7\x0c\xff\x3b\x9a\xc9\xff\x7f\xff\xff\xff\xff\xff\xff\xff", "invalid", None),
    "a huge promised list": (b"\xdd\xff\xff\xff\xff", "invalid", None),
    "NaN": (msgpack.packb({"type": "heartbeat", "ref": "r", "sent_at": math.nan}), "invalid", "r"),
    "infinity": (msgpack.packb({"type": "heartbeat", "ref": "r", "sent_at": -math.inf}), "invalid", "r"),
    "unknown type": (msgpack.packb({"type": "x", "ref": "r"}), "unknown_type", "r"),
    "deep nesting": (b"\x91" * DEEP + b"\xc0", "invalid", None),
    "deep nesting in an unknown field": (b"\x81\xa1x" + b"\x91" * DEEP + b"\xc0", EITHER, None),
    "too large": (msgpack.packb({"x": b"x" * wire.MAX_CLIENT_MESSAGE_BYTES}), "too_large", None),
}


@pytest.mark.parametrize(
    ("subprotocol", "frame", "code", "ref"),
    [
        pytest.param(subprotocol, *case, id=f"{subprotocol.rpartition('.')[2]}: {name}")
        for subprotocol, cases in ((JSON, BAD_JSON), (MSGPACK, BAD_MSGPACK))
        for name, case in cases.items()
    ],
)
async def test_a_bad_message_is_answered_with_an_error_and_does_no_other_harm(subprotocol, frame, code, ref):
    async with stage() as on:
        operator = on.operator(subprotocol=subprotocol)
        await operator.ask(type="subscribe", topics=["events"])
        operator.say(frame)
        await on.service.settle(operator.session)
        [answer] = await operator.read()
        assert (answer["type"], answer["ok"], answer["ref"]) == ("result", False, ref)
        assert answer["error"]["code"] in code.split("|")
        assert answer["error"]["message"]
        # The subscription stands.
        await on.happen()
        assert [message["type"] for message in await operator.read()] == ["event"]


async def test_a_flood_ends_the_connection_with_4429():
    async with stage() as on:
        operator = on.operator()
        for _ in range(wire.CLIENT_BURST):
            await operator.ask(type="heartbeat", sent_at=0.0)
        assert operator.session.close_code is None
        operator.say("{}")
        assert operator.session.close_code == wire.CLOSE_FLOOD == 4429


async def test_the_allowed_rate_can_be_kept_up_for_ever():
    async with stage() as on:
        operator = on.operator()
        for _ in range(500):
            on.clock.now += 1.001 / wire.CLIENT_RATE
            await operator.ask(type="heartbeat", sent_at=0.0)
        assert operator.session.close_code is None


# --- rights ---------------------------------------------------------------------------------------------------------

BOUND = Rights(view=True, tenants=frozenset({"acme", "globex"}))


async def test_an_operator_bound_to_tenants_sees_these_only():
    async with stage() as on:
        for tenant in ("acme", "globex", "initech", ""):
            on.receive_messages("shop.Chat", tenant, 2)
        await on.tick()
        operator = on.operator(BOUND)
        answers = await operator.ask(type="subscribe")
        for tenant in ("acme", "initech", "", "globex"):
            await on.happen(tenant=tenant)
        on.receive_messages("shop.Chat", "initech")
        on.receive_messages("shop.Chat", "acme")
        await on.tick()
        answers += await operator.read()

        numbers = [message for message in answers if message.get("topic") in ("totals", "consumers")]
        assert {message["tenant"] for message in numbers} == {"acme", "globex"}
        rows = [row for message in answers for row in message.get("consumers", [])]
        assert {row["tenant"] for row in rows} == {"acme", "globex"}
        assert [message["tenant"] for message in of_type(answers, "event")] == ["acme", "globex"]
        assert [message["nodes"] for message in answers if message.get("topic") == "nodes"] == [[]] * 4
        assert "initech" not in json.dumps(answers)


async def test_the_recent_events_of_other_tenants_are_not_shown():
    async with stage() as on:
        await on.happen(tenant="initech")
        await on.happen(tenant="acme")
        [snapshot] = of_type(await on.operator(BOUND).ask(type="subscribe", topics=["events"]), "snapshot")
        assert [event["tenant"] for event in snapshot["events"]] == ["acme"]


@pytest.mark.parametrize("tenants", [["initech"], ["acme", "initech"], [""]])
async def test_asking_for_another_tenant_is_refused_and_changes_nothing(tenants):
    async with stage() as on:
        operator = on.operator(BOUND)
        await operator.ask(type="subscribe", topics=["events"], tenants=["acme"])
        [answer] = await operator.ask(type="subscribe", ref="r", tenants=tenants)
        assert (answer["ref"], answer["error"]["code"]) == ("r", "not_allowed")
        await on.happen(tenant="acme")
        await on.happen(tenant="globex")
        assert [message["tenant"] for message in await operator.read()] == ["acme"]


async def test_a_replay_keeps_to_the_tenants_too():
    async with stage() as on:
        start = on.service.cursor
        await on.happen(tenant="initech")
        await on.happen(tenant="acme")
        operator = on.operator(BOUND)
        await operator.ask(type="subscribe", topics=["events"])
        replayed = await operator.ask(type="resume", cursor=start)
        assert [message["tenant"] for message in of_type(replayed, "event")] == ["acme"]


async def test_filters_by_consumer_severity_and_topic():
    async with stage() as on:
        operator = on.operator()
        await operator.ask(type="subscribe", topics=["events"], consumers=["a"], severities=["error", "warning"])
        await on.happen("handler.error", consumer="a")
        await on.happen("handler.error", consumer="b")
        await on.happen("connection.opened", consumer="a")
        await on.happen("connection.rejected", consumer="a")
        await on.tick()
        assert [message["kind"] for message in await operator.read()] == ["handler.error", "connection.rejected"]


async def test_a_subscription_to_tenants_that_do_not_exist_shows_zeros():
    async with stage() as on:
        await on.tick()
        answers = await on.operator().ask(type="subscribe", tenants=["nobody"], topics=["totals", "consumers"])
        shown = of_type(answers, "snapshot")
        assert [message.get("consumers") for message in shown] == [None, []]
        assert shown[0]["totals"]["active"] == 0
        assert shown[0]["tenant"] == "nobody"


# --- slowness -------------------------------------------------------------------------------------------------------


async def test_after_slowness_the_newest_numbers_come_and_nothing_between():
    async with stage() as on:
        operator = on.operator()
        await operator.ask(type="subscribe", topics=["totals", "consumers"])
        for _ in range(30):
            on.receive_messages("shop.Chat", "acme")
            await on.tick()
        deltas = of_type(await operator.read(), "delta")
        assert [message["topic"] for message in deltas] == ["totals", "consumers"]
        assert deltas[0]["totals"]["received"] == 30


async def test_what_changes_between_two_frames_of_one_batch_is_not_lost():
    async with stage() as on:
        operator = on.operator()
        await operator.ask(type="subscribe", topics=["consumers", "totals"])
        on.receive_messages("shop.Chat", "acme")
        await on.tick()
        [first] = await operator.read(limit=1)
        assert first["consumers"][0]["received"] == 1
        # The operator is slow: the batch's second frame goes out ticks later.
        on.receive_messages("shop.Chat", "acme")
        await on.tick()
        await on.tick()
        await operator.read()
        await on.tick()
        [delta, _] = await operator.read()
        assert delta["topic"] == "consumers"
        assert delta["consumers"][0]["received"] == 2


async def test_beyond_what_is_remembered_of_removed_rows_a_snapshot_comes():
    async with stage() as on:
        on.receive_messages("shop.Chat", "acme")
        await on.tick()
        operator = on.operator()
        await operator.ask(type="subscribe", topics=["consumers"])
        on.ledger.counts.clear()
        for _ in range(70):
            await on.tick()
        [message] = of_type(await operator.read(), "snapshot", "delta")
        assert (message["type"], message["consumers"]) == ("snapshot", [])


async def test_events_beyond_the_buffer_close_with_4408():
    async with stage(feed_buffer_events=10) as on:
        operator = on.operator()
        await operator.ask(type="subscribe", topics=["events"])
        for _ in range(10):
            await on.happen()
        assert operator.session.close_code is None
        await on.happen()
        assert operator.session.close_code == wire.CLOSE_TOO_SLOW == 4408


async def test_events_that_are_not_wanted_fill_no_buffer():
    async with stage(feed_buffer_events=10) as on:
        operator = on.operator()
        await operator.ask(type="subscribe", topics=["events"], severities=["error"])
        for _ in range(100):
            await on.happen("connection.opened")
        assert operator.session.close_code is None


async def test_who_asks_and_never_reads_is_closed_as_too_slow():
    async with stage() as on:
        operator = on.operator()
        for _ in range(MAX_UNSENT_ANSWERS + 1):
            assert operator.session.close_code is None
            on.clock.now += 1.0
            operator.say(json.dumps({"type": "heartbeat", "sent_at": 1.0}))
        assert operator.session.close_code == wire.CLOSE_TOO_SLOW


async def test_snapshots_are_not_piled_up_for_who_subscribes_and_never_reads():
    async with stage() as on:
        await on.tick()
        operator = on.operator()
        for _ in range(50):
            on.clock.now += 1.0
            operator.say(json.dumps({"type": "subscribe", "topics": ["totals", "consumers", "nodes", "metrics"]}))
            await on.service.settle(operator.session)
        messages = await operator.read()
        assert len(of_type(messages, "result")) == 50
        assert len(of_type(messages, "snapshot")) == 4
