from __future__ import annotations

import json
import math
from urllib.parse import parse_qs, parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.core.control import (
    MARK,
    MAX_CONTROL_CHARACTERS,
    MAX_SECONDS,
    PARAMETER,
    Confirm,
    Heartbeat,
    Negotiated,
    decode,
    encode,
    escaped,
    is_control,
    take_parameter,
    unescaped,
    with_parameter,
)
from tests import strategies  # noqa: F401 - loads the profile

#: Text that likes to begin as ours does.
texts = st.text() | st.builds(
    lambda head, tail: "".join(head) + tail, st.lists(st.sampled_from("\0{"), max_size=4), st.text()
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.integers(10**400, 10**401),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
seconds = st.floats(0, MAX_SECONDS)
numbers = st.floats(allow_nan=False, allow_infinity=False)
heartbeats = st.builds(
    Heartbeat, count=st.integers(0), hidden=st.none() | st.booleans(), lag=st.none() | seconds,
    echo=st.none() | numbers, held=seconds, sent_at=st.none() | numbers,
)  # fmt: skip


def sent(**fields: object) -> str:
    """A client's control frame."""
    return MARK + json.dumps(fields)


# --- escaping -----------------------------------------------------------------------------------------------------


@given(texts)
def test_an_ordinary_frame_arrives_as_it_was_sent_and_is_never_taken_for_a_control_frame(text):
    assert unescaped(escaped(text)) == text
    assert not is_control(escaped(text))


@given(texts.filter(lambda text: not text.startswith(MARK)))
def test_a_frame_that_does_not_begin_as_ours_do_travels_as_it_is(text):
    assert escaped(text) is text
    assert unescaped(text) is text


@given(texts, texts)
def test_no_two_frames_travel_alike(one, other):
    assert (escaped(one) == escaped(other)) == (one == other)


# --- control frames -----------------------------------------------------------------------------------------------


@given(heartbeats)
def test_a_heartbeat_says_what_was_put_in(beat):
    fields = {name: getattr(beat, name) for name in ("count", "hidden", "lag", "echo", "held", "sent_at")}
    assert decode(sent(type="heartbeat", **fields)) == beat


@given(st.integers(0))
def test_so_does_a_confirm(count):
    assert decode(sent(type="confirm", count=count)) == Confirm(count)


def test_a_heartbeat_needs_no_more_than_a_count():
    assert decode(sent(type="heartbeat", count=0)) == Heartbeat(0)


@given(st.dictionaries(st.sampled_from(["type", "count", "hidden", "lag", "echo", "held", "sent_at"]), json_values))
@example({"type": "heartbeat", "count": 0, "echo": 10**400})
@example({"type": "heartbeat", "count": 0, "held": 10**400})
@example({"type": "heartbeat", "count": True})
def test_whatever_the_fields_say_it_is_a_frame_or_a_value_error(fields):
    decoded_or_refused(sent(**fields))
    decoded_or_refused(sent(**{"count": 0, **fields, "type": "heartbeat"}))
    decoded_or_refused(sent(**{"count": 0, **fields, "type": "confirm"}))


@given(st.text())
@example("[" * 1000)
@example("{" * 1000)
@example('{"a":' * 200)
@example('{"type":"confirm","count":' + "9" * 990 + "}")
@example("1" * 1000)
@example("NaN")
def test_whatever_the_text_it_is_a_frame_or_a_value_error(text):
    decoded_or_refused(MARK + text)
    decoded_or_refused(text)


def decoded_or_refused(text: str) -> None:
    try:
        frame = decode(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - either is right
        return
    assert frame.count >= 0
    if isinstance(frame, Heartbeat):
        assert 0 <= frame.held <= MAX_SECONDS
        assert frame.lag is None or 0 <= frame.lag <= MAX_SECONDS
        assert all(math.isfinite(value) for value in (frame.echo, frame.sent_at) if value is not None)


@pytest.mark.parametrize(
    "text",
    [
        "", MARK, "\0{", "\0{}", "\0[]", "\0null", '\0"heartbeat"', "\0{\0}",
        sent(type="hello", version=1), sent(type="probe"), sent(type=7, count=0), sent(type=["heartbeat"], count=0),
        sent(type="heartbeat"), sent(type="confirm"), sent(type="confirm", count=-1), sent(type="confirm", count=1.0),
        sent(type="confirm", count=True), sent(type="confirm", count="1"), sent(type="heartbeat", count=0, lag=-1),
        sent(type="heartbeat", count=0, lag=MAX_SECONDS + 1), sent(type="heartbeat", count=0, held="1"),
        sent(type="heartbeat", count=0, echo=math.nan), sent(type="heartbeat", count=0, sent_at=math.inf),
        sent(type="heartbeat", count=0, echo=True),
        sent(type="confirm", count=0, x="x" * MAX_CONTROL_CHARACTERS),
    ],
    ids=lambda text: repr(text[:60]),
)  # fmt: skip
def test_what_is_no_clients_control_frame(text):
    with pytest.raises(ValueError, match=r"."):
        decode(text)


@given(st.sampled_from(["hello", "heartbeat", "probe"]), st.dictionaries(st.text(), numbers))
def test_the_servers_own_frames(kind, fields):
    fields.pop("type", None)
    text = encode(kind, **fields)
    assert is_control(text)
    assert json.loads(text[1:]) == {"type": kind, **fields}


# --- the parameter ------------------------------------------------------------------------------------------------

queries = st.lists(
    st.sampled_from([PARAMETER.encode(), b"", b"_hub=2", b"_hub", b"a=1", b"x_hub=1", b"%5Fhub=1", b"q=\xff"])
    | st.binary(max_size=5).map(lambda raw: raw.replace(b"&", b"")),
    max_size=6,
)


@given(queries)
def test_the_rest_of_the_query_stays_byte_for_byte(parts):
    rest, asked = take_parameter(b"&".join(parts))
    assert asked == (PARAMETER.encode() in parts)
    assert rest == b"&".join(part for part in parts if part != PARAMETER.encode())
    assert take_parameter(rest) == (rest, False)


@pytest.mark.parametrize("url", ["ws://x/", "ws://x/?", "ws://x", "ws://x/?a=1", "ws://x/?a=1&", "ws://x/?a&b=&c=1"])
def test_a_url_that_asks_is_told_by_the_server_from_its_query(url):
    _, _, before = url.partition("?")
    _, _, query = with_parameter(url).partition("?")
    rest, asked = take_parameter(query.encode())
    assert asked
    assert parse_qsl(rest.decode(), keep_blank_values=True) == parse_qsl(before, keep_blank_values=True)
    assert parse_qs(query)["_hub"] == ["1"]


# --- what is known of a client ------------------------------------------------------------------------------------


@pytest.fixture
def client() -> Negotiated:
    return Negotiated(lambda: None)


def test_a_heartbeat_is_kept(client):
    client.frames_sent = 3
    client.missed = 2
    assert client.heartbeat(Heartbeat(2, hidden=True, lag=0.5), 10.0) is None
    assert (client.heartbeat_at, client.hidden, client.lag, client.missed) == (10.0, True, 0.5, 0)
    assert (client.frames_confirmed, client.confirmed_at) == (2, 10.0)


def test_it_proves_a_round_trip_by_our_own_clock(client):
    assert client.heartbeat(Heartbeat(0, echo=7.0, held=2.5), 10.0) == 0.5
    assert client.rtt == 0.5


@pytest.mark.parametrize(("echo", "held"), [(11.0, 0.0), (9.0, 2.0), (10.0 - MAX_SECONDS - 1, 0.0), (-1e300, 0.0)])
def test_nonsense_proves_none(client, echo, held):
    client.rtt = 0.25
    assert client.heartbeat(Heartbeat(0, echo=echo, held=held), 10.0) is None
    assert client.rtt == 0.25


@pytest.mark.parametrize("count", [0, 4])
def test_neither_what_was_never_sent_can_be_confirmed_nor_less_than_before(client, count):
    client.frames_sent = 3
    client.confirm(1, 5.0)
    with pytest.raises(ValueError, match=f"^{count} frames confirmed, 1 before, of 3 sent$"):
        client.confirm(count, 6.0)
    with pytest.raises(ValueError, match="confirmed"):
        client.heartbeat(Heartbeat(count, hidden=True), 6.0)
    assert (client.frames_confirmed, client.confirmed_at, client.heartbeat_at, client.hidden) == (1, 5.0, 0.0, None)


def test_the_same_count_again_is_no_news(client):
    client.frames_sent = 3
    client.confirm(1, 5.0)
    client.confirm(1, 6.0)
    assert client.confirmed_at == 5.0


@pytest.mark.parametrize(("fate", "confirmed"), [("received", 3), ("unconfirmed", 1), ("unknown", 1)])
def test_when_its_connection_has_ended_nothing_is_in_flight(client, fate, confirmed):
    client.frames_sent = 3
    client.confirm(1, 5.0)
    assert client.in_flight == 2
    assert client.decide(fate) == 2
    assert (client.fate, client.in_flight, client.frames_confirmed) == (fate, 0, confirmed)
    assert client.decide(fate) == 0


def test_it_speaks_from_its_first_heartbeat_on(client):
    assert not client.speaks
    client.heartbeat(Heartbeat(0), 10.0)
    assert client.speaks
