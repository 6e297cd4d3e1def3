"""What the client makes of frames and when it says what, without a socket."""

import json
import math

import pytest

from hub.client.control import CONFIRM_AFTER, DEAD_INTERVALS, Control
from hub.core import control as wire
from hub.core.control import Confirm, Heartbeat, Negotiated, encode

NUL = "\0"


def hello(**fields):
    return encode("hello", **{"version": 1, "interval": 30.0, "at": 7.5, **fields})


def negotiated(now=100.0, **fields):
    control = Control(now)
    assert control.receive(hello(**fields), now) is None
    return control


@pytest.mark.parametrize(
    "first",
    [
        "hello", b"\0{}", "", NUL, NUL + "{", NUL + "{}", NUL + "[]", NUL * 2 + hello(), hello().encode(),
        hello(version=2), hello(interval=0), hello(interval=-1), encode("hello", version=1, interval=True),
        encode("heartbeat", at=1), NUL + '{"type":"hello","version":1,"interval":NaN}',
        NUL + '{"type":"hello","version":1,"interval":"30"}', NUL + "[" * 5000,
    ],
)  # fmt: skip
def test_any_other_first_frame_makes_the_connection_plain_and_every_frame_the_applications(first):
    control = Control(100.0)
    assert control.receive(first, 100.0) == first
    assert control.negotiated is False
    for frame in (hello(), encode("probe", at=1.0), NUL * 3, b"\0"):
        assert control.receive(frame, 101.0) == frame
        assert control.outgoing(frame, text=True) == frame
    assert not control.taken(101.0)
    assert math.inf == control.next_due
    assert control.due(1e9, 0) is None
    assert not control.dead(1e9)


def test_a_hello_is_answered_at_once_then_heartbeats_follow_at_its_interval():
    control = negotiated(100.0, interval=20.0)
    assert 100.0 == control.next_due
    beat = wire.decode(control.due(100.25, 1e9))
    assert beat == Heartbeat(count=0, lag=0.0, echo=7.5, held=0.25, sent_at=1e9)
    assert control.due(100.25, 1e9) is None
    assert 120.25 == control.next_due
    assert wire.decode(control.due(120.25, 1e9)) == Heartbeat(count=0, lag=0.0, sent_at=1e9)


def test_what_it_says_is_what_the_server_understands():
    server = Negotiated(lambda: None)
    control = negotiated(100.0, at=50.0)
    server.frames_sent = 3
    for _ in range(2):
        control.receive("frame", 100.1)
        control.taken(100.1)
    beat = wire.decode(control.due(100.25, 1e9))
    assert isinstance(beat, Heartbeat)
    assert server.heartbeat(beat, 50.3) == pytest.approx(0.05)
    control.taken(101.0)
    confirm = wire.decode(control.due(101.1, 1e9))
    assert confirm == Confirm(3)
    server.confirm(confirm.count, 51.1)
    assert 3 == server.frames_confirmed


def test_a_probe_is_answered_at_once_with_its_own_echo():
    control = negotiated()
    control.due(100.0, 1e9)
    assert control.receive(encode("probe", at=9.0), 110.0) is None
    assert 110.0 == control.next_due
    beat = wire.decode(control.due(110.5, 1e9))
    assert (9.0, 0.5) == (beat.echo, beat.held)


@pytest.mark.parametrize("frame", [NUL + "{", encode("later", at=1), encode("probe"), NUL + "{}", hello(version=9)])
def test_control_frames_that_make_no_sense_are_nobodys(frame):
    control = negotiated()
    assert control.receive(frame, 101.0) is None
    assert control.negotiated


def test_frames_that_begin_with_u0000_are_escaped_both_ways_binary_ones_not():
    control = negotiated()
    for text in ("", "a", NUL, NUL + "{", NUL + '{"type":"probe"}', NUL * 3):
        assert control.receive(control.outgoing(text, text=True), 101.0) == text
        assert control.outgoing(text.encode(), text=True) == wire.escaped(text).encode()
        assert control.receive(text.encode(), 101.0) == control.outgoing(text.encode(), text=False) == text.encode()


def test_confirms_come_soon_while_frames_flow_and_none_when_idle():
    control = negotiated()
    control.due(100.0, 1e9)
    assert control.taken(101.0)
    assert not control.taken(101.01)
    assert 101.0 + CONFIRM_AFTER == control.next_due
    assert control.due(101.05, 1e9) is None
    assert {"type": "confirm", "count": 2} == json.loads(control.due(101.075, 1e9)[1:])
    assert control.due(101.2, 1e9) is None
    assert 130.0 == control.next_due
    # A heartbeat carries the count as well: no confirm beside it.
    assert control.taken(129.99)
    assert wire.decode(control.due(130.0, 1e9)).count == 3
    assert control.due(130.5, 1e9) is None


def test_before_a_close_what_was_taken_is_confirmed_unless_it_is_already():
    control = negotiated()
    assert control.last() is None
    assert control.taken(101.0)
    assert wire.decode(control.last() or "") == wire.Confirm(1)
    assert control.last() is None
    assert control.taken(102.0)
    assert control.due(102.1, 1e9) is not None
    assert control.last() is None
    plain = Control(100.0, asked=False)
    plain.taken(101.0)
    assert plain.last() is None


def test_a_server_that_owes_answers_is_dead_after_so_much_silence():
    control = negotiated(100.0, interval=10.0)
    dead_at = 100.0 + DEAD_INTERVALS * 10.0
    for now in (100.0, 110.0, 120.0):
        control.due(now, 1e9)
    assert dead_at == control.next_due
    assert not control.dead(dead_at - 0.01)
    assert control.dead(dead_at)
    control.receive(encode("heartbeat", at=1), 124.0)
    assert not control.dead(dead_at)


def test_silence_while_nobody_reads_or_we_were_held_up_does_not_count():
    control = negotiated(100.0, interval=10.0)
    control.parked = True
    assert not control.dead(1000.0)
    control.resumed(1000.0)
    assert not control.dead(1024.0)
    assert control.dead(1025.0)
    assert not control.late(2000.0, 2000.9)
    assert control.dead(2000.9)
    assert control.late(1990.0, 2000.0)
    assert not control.dead(2000.0)
    assert control.due(2000.0, 1e9) is not None


def test_the_heartbeat_says_how_old_the_oldest_waiting_frame_is():
    control = Control(100.0, lambda: 1.5)
    control.receive(hello(), 100.0)
    assert '"lag":1.5' in (control.due(100.0, 1e9) or "")
