"""The contract itself: every message survives both encodings, and the schema says what the types say."""

import json
from typing import Any

import msgpack  # type: ignore[import-untyped]
import msgspec
import pytest
from jsonschema import Draft202012Validator

from hub.feed import rows, wire
from hub.management.commands.hub_wire import schema
from tests.feed.stage import SCHEMA, decoded

QUANTILES = rows.Quantiles(0.001, 0.25, None)
NUMBERS: dict[str, Any] = {
    "active": 1, "accepted": 2, "rejected": 3, "failed": 4, "closed": 5, "received": 6, "sent": 7,
    "received_bytes": 8, "sent_bytes": 9, "errors": 10, "lost": 11, "backlog": 12, "connect_rate": 1.5,
    "disconnect_rate": None, "received_rate": 0.0, "sent_rate": 2.0, "error_rate": None,
    "latency": QUANTILES, "wait": rows.Quantiles(),
}  # fmt: skip
EVENT = wire.Event(cursor="b-1", at=1.5, kind="handler.error", severity="error", node="n", details={"a": 1, "b": None})
NODE = rows.NodeRow(
    node="n", boot="b", state="live", host="h", pid=1, version="0", started_at=1.0, seen_at=2.0, active=3,
    sampler_seconds=0.1, loop_lag=None,
)  # fmt: skip
PRESENCE = rows.PresenceRow(tenant="t", version=7, online=2, idle=1, stale=0, connections=4)
MEMBER = rows.MemberRow(
    tenant="t", member="7", name="Ann", state="online", joined_at=1.0, heard_at=2.0, heard_by="heartbeat",
    connections=2, negotiated=1, hidden=False, rtt=0.01, lag=None, consumers=["c"], groups=["lobby"], nodes=["n"],
)  # fmt: skip
ALERT = rows.AlertRow(
    id=7, key="k" * 16, rule="handler_errors", severity="high", labels={"tenant": "t"}, tenant="t", state="firing",
    since=1.0, fired_at=2.0, resolved_at=None, value=12.0, worst=14.5, threshold=10.0, unit="", summary="12 at chat",
    action="Look.", runbook="", muted="", acknowledged_by="", acknowledged_at=None,
)  # fmt: skip
SILENCE = rows.SilenceRow(
    id="5", matchers='tenant="t"', tenant="t", starts_at=1.0, ends_at=2.0, by="ann", why="a test", state="active"
)
METRIC = rows.MetricRow(name="orders_total", kind="counter", help="Orders.", labels={"shop": "north"}, value=3.0)
EMPTY: dict[str, Any] = {name: [None] for name in rows.History.__struct_fields__ if name not in ("step", "at")}
HISTORY = rows.History(step=1.0, at=[1.0], **EMPTY)
SERVER_MESSAGES = [
    wire.Hello(
        version="0.1", node="n", boot="b", at=1.0, cursor="b-0", cadence=1, cadences=[1, 5, 15],
        heartbeat_interval=10.0, permissions=wire.Permissions(operator="o", view=True, operate=False, tenants=["a"]),
    ),
    wire.Snapshot(topic="totals", at=1.0, cursor="b-1", totals=rows.Totals(**NUMBERS), history=HISTORY),
    wire.Snapshot(topic="consumers", at=1.0, cursor="b-1", tenant="", consumers=[]),
    wire.Snapshot(topic="presence", at=1.0, cursor="b-1", presence=[PRESENCE]),
    wire.Snapshot(
        topic="alerts", at=1.0, cursor="b-1",
        alerts=rows.ActiveAlerts(rows=[ALERT], firing=1, pending=0, evaluated=True),
    ),
    wire.Snapshot(topic="alerts", at=1.0, cursor="b-1", tenant="t", alerts=None),
    wire.Delta(topic="silences", at=1.0, silences=[SILENCE]),
    wire.Snapshot(topic="nodes", at=1.0, cursor="b-1", nodes=[NODE]),
    wire.Snapshot(topic="metrics", at=1.0, cursor="b-1", metrics=[METRIC]),
    wire.Snapshot(topic="events", at=1.0, cursor="b-1", events=[EVENT]),
    wire.Delta(
        topic="consumers", at=1.0, consumers=[rows.ConsumerRow(consumer="c", tenant="t", **NUMBERS)],
        removed=[rows.RowKey("c", "u")],
    ),
    EVENT,
    wire.Gap(reason="epoch", since="a-1", cursor="b-1", missed=None),
    wire.Result(ref=None, ok=False, error=wire.Error("malformed", "no")),
    wire.Members(ref="1", at=1.0, members=[MEMBER], total=80, next='["t","7"]'),
    wire.AlertPage(ref="1", at=1.0, alerts=[ALERT], next=7),
    wire.AlertDetail(
        ref="1", at=1.0, alert=ALERT, curve=rows.Curve([1.0, 2.0], [11.0, 12.0]),
        changes=[rows.AlertChange(at=2.0, kind="firing", by="", value=12.0, detail="")],
        deliveries=[
            rows.Delivery(
                receiver="ops", kind="fired", state="waiting", attempts=1, created_at=2.0, delivered_at=None, error="no"
            )
        ],
    ),
    wire.Preview(ref="1", at=1.0, alerts=[ALERT], total=1),
    wire.ServerHeartbeat(at=1.0, cursor="b-1", echo=0.5),
]  # fmt: skip
CLIENT_MESSAGES = [
    wire.Subscribe(),
    wire.Subscribe(
        ref="1", topics=["events", "totals"], tenants=[""], consumers=["c"], severities=["error"], cadence=15
    ),
    wire.Resume(cursor="b-1"),
    wire.ListMembers(ref="1"),
    wire.ListMembers(
        ref="2", tenant="", group="lobby", states=["stale", "idle"], search="ann", after='["t","7"]', limit=200
    ),
    wire.Acknowledge(ref="1", key="k"),
    wire.Unacknowledge(ref="1", key="k"),
    wire.Silence(ref="1", matchers="tenant=t", why="a test", seconds=60.0),
    wire.Silence(ref="1", matchers="tenant=t", why="a test", starts_at=1.0, ends_at=2.0),
    wire.PreviewSilence(ref="1", matchers="tenant=t"),
    wire.EndSilence(ref="1", id="5"),
    wire.ListAlerts(ref="1"),
    wire.ListAlerts(ref="1", state="resolved", before=7, limit=200),
    wire.ShowAlert(ref="1", id=7),
    wire.ClientHeartbeat(sent_at=1.5),
]


def name_of(message):
    return f"{type(message).__name__}-{getattr(message, 'topic', '')}".rstrip("-")


@pytest.mark.parametrize("subprotocol", wire.SUBPROTOCOLS)
@pytest.mark.parametrize("message", SERVER_MESSAGES, ids=name_of)
def test_another_decoder_reads_what_we_encode_and_the_schema_agrees(message, subprotocol):
    encoded = wire.ENCODERS[subprotocol].encode(message)
    frame = encoded.decode() if subprotocol == wire.JSON_SUBPROTOCOL else encoded
    assert decoded(frame) == msgspec.to_builtins(message)


@pytest.mark.parametrize("message", CLIENT_MESSAGES, ids=name_of)
def test_we_decode_what_another_encoder_writes(message):
    plain = msgspec.to_builtins(message)
    assert wire.DECODERS[wire.JSON_SUBPROTOCOL].decode(json.dumps(plain).encode()) == message
    assert wire.DECODERS[wire.MSGPACK_SUBPROTOCOL].decode(msgpack.packb(plain)) == message


def test_every_server_message_has_an_example_here():
    assert {type(message) for message in SERVER_MESSAGES} == set(wire.ServerMessage.__args__)
    assert {type(message) for message in CLIENT_MESSAGES} == set(wire.ClientMessage.__args__)


def test_the_committed_schema_is_that_of_the_types():
    assert schema() == SCHEMA.read_text()


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(json.loads(schema()))


def test_the_schema_refuses_what_the_decoder_refuses():
    validator = Draft202012Validator(json.loads(schema()))
    for wrong in (
        {"type": "subscribe", "cadence": 2},
        {"type": "subscribe", "topics": []},
        {"type": "subscribe", "surprise": 1},
        {"type": "resume"},
        {"type": "list_members"},
        {"type": "list_members", "ref": "1", "limit": 0},
        {"type": "list_members", "ref": "1", "states": ["offline"]},
        {"type": "heartbeat", "sent_at": "now"},
        {"type": "acknowledge", "key": "k"},
        {"type": "acknowledge", "ref": "1", "key": ""},
        {"type": "silence", "ref": "1", "matchers": "", "why": "x", "seconds": 1},
        {"type": "silence", "ref": "1", "matchers": "a=b", "why": "x", "seconds": 0},
        {"type": "silence", "ref": "1", "matchers": "a=b", "why": "x", "ends_at": 1e300},
        {"type": "list_alerts", "ref": "1", "state": "inactive"},
        {"type": "show_alert", "ref": "1", "id": -1},
        {"type": "nonsense"},
    ):
        assert not validator.is_valid(wrong), wrong
        with pytest.raises(msgspec.ValidationError):
            wire.DECODERS[wire.JSON_SUBPROTOCOL].decode(json.dumps(wrong).encode())
