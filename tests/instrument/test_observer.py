from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from channels.exceptions import StopConsumer
from daphne.ws_protocol import WebSocketProtocol

from hub.core.ledger import Counts
from hub.instrument.inbox import CONTROL, FROM_LAYER, LAST
from hub.instrument.observer import Observer
from hub.instrument.state import Instruments
from tests.handclock import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def observer(shared: Instruments, clock: HandClock) -> Observer:
    shared.clock = clock
    connection = shared.ledger.open("chat", clock.monotonic(), lambda: "north")
    shared.accepted(connection)
    return Observer(shared, connection)


def row(observer: Observer) -> Counts:
    return observer.instruments.ledger.settle(observer.connection)


class Server:
    """A server's ``send`` that notes what it gets, answers, and may fail."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.got: list = []
        self.error = error

    async def __call__(self, message):
        self.got.append(message)
        if self.error is not None:
            raise self.error
        return "answer"


def text(content: str) -> dict:
    return {"type": "websocket.send", "text": content}


# --- towards the server -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        text("x"),
        {"type": "websocket.close"},
        {"type": "websocket.accept"},
        {},
        {"type": None},
        {"type": ["x"]},
        None,
        7,
        "text",
    ],
    ids=repr,
)
async def test_whatever_is_sent_reaches_the_server_as_it_is_and_its_answer_comes_back(observer, message):
    server = Server()
    assert await observer.observe_send(server)(message) == "answer"
    assert server.got[0] is message


async def test_frames_are_counted_when_the_server_has_taken_them(observer):
    send = observer.observe_send(Server())
    await send(text("abc"))
    await send({"type": "websocket.send", "bytes": b"de"})
    await send({"type": "websocket.send", "text": None, "bytes": b"f"})
    assert ({"text": 1, "binary": 2}, 6) == (row(observer).sent, row(observer).sent_bytes)


@pytest.mark.parametrize(("error", "lost"), [(BrokenPipeError(), {"after_close": 1}), (RuntimeError(), {})])
async def test_a_frame_that_the_server_refused_is_not_counted_as_sent(observer, error, lost):
    with pytest.raises(type(error)):
        await observer.observe_send(Server(error))(text("x"))
    assert ({}, 0, lost) == (row(observer).sent, row(observer).sent_bytes, row(observer).lost)


@pytest.mark.parametrize(("state", "lost"), [("STATE_OPEN", {}), ("STATE_CLOSING", {"after_close": 1})])
async def test_an_error_of_the_server_s_says_that_the_client_is_gone_if_the_server_knows_it(observer, state, lost):
    protocol: Any = WebSocketProtocol()
    protocol.state = getattr(protocol, state)
    observer.connection.raw_send = partial(print, protocol)
    with pytest.raises(RuntimeError):
        await observer.observe_send(Server(RuntimeError()))(text("x"))
    assert ({}, lost) == (row(observer).sent, row(observer).lost)


@pytest.mark.parametrize("error", [None, RuntimeError("closed")])
async def test_a_frame_after_the_close_is_lost_whether_the_server_raises_or_not(observer, error):
    await observer.observe_send(Server())({"type": "websocket.close", "code": 4001})
    send = observer.observe_send(Server(error))
    if error is None:
        assert await send(text("x")) == "answer"
    else:
        with pytest.raises(RuntimeError):
            await send(text("x"))
    assert ({}, {"after_close": 1}) == (row(observer).sent, row(observer).lost)


async def test_a_close_is_known_before_the_server_has_taken_it(observer):
    async def send(message):
        # The client answers while the server still works on it.
        observer.arrived({"type": "websocket.disconnect", "code": 1005}, 0.0)

    await observer.observe_send(send)({"type": "websocket.close", "code": 4001})
    assert observer.connection.code == 4001


async def test_an_accept_that_the_server_refused_opens_nothing(shared):
    connection = shared.ledger.open("chat", 1.0, lambda: "")
    with pytest.raises(OSError, match="gone"):
        await Observer(shared, connection).observe_send(Server(OSError("gone")))({"type": "websocket.accept"})
    assert (0, 0.0) == (shared.ledger.active, connection.accepted_at)


@pytest.mark.parametrize("kind", ["websocket.close", "websocket.http.response.start"])
async def test_an_answer_before_the_accept_is_a_rejection(shared, events, kind):
    connection = shared.ledger.open("chat", 1.0, lambda: "")
    await Observer(shared, connection).observe_send(Server())({"type": kind})
    assert ["connection.rejected"] == [event.kind for event in events]


# --- from the server ----------------------------------------------------------------------------------------------


def test_what_arrives_waits_until_it_is_handled(observer):
    assert observer.arrived({"type": "websocket.receive", "text": "x"}, 7.0) == 1
    assert (1, 1) == (row(observer).arrived, row(observer).waiting)


def test_the_disconnect_is_the_last_thing_to_arrive(observer):
    assert observer.arrived({"type": "websocket.connect"}, 0.0) == CONTROL
    assert observer.arrived({"type": "websocket.disconnect", "code": 1001}, 0.0) == LAST
    assert (1001, 0) == (observer.connection.code, row(observer).arrived)


# --- in the handler -----------------------------------------------------------------------------------------------


async def dispatch(observer, clock, message, error=None, seconds=0.2, arrived_at=999.5):
    async def handler(got):
        assert got is message
        clock.advance(seconds)
        if error is not None:
            raise error

    kind = str(message.get("type"))
    size = 5 if kind == "websocket.receive" else FROM_LAYER if kind.startswith("chat.") else CONTROL
    return await observer.observe_dispatch(handler)(message, arrived_at, size)


RECEIVE = {"type": "websocket.receive", "text": "hello"}


async def test_a_handler_s_time_and_the_wait_before_it_are_measured(observer, clock):
    assert await dispatch(observer, clock, RECEIVE) == pytest.approx(1000.2)
    counts = row(observer)
    assert ({"text": 1}, 5) == (counts.received, counts.received_bytes)
    assert (counts.latency.sum, counts.wait.sum) == pytest.approx((0.2, 0.5))


async def test_a_wait_that_is_not_known_is_not_guessed(observer, clock):
    await dispatch(observer, clock, {"type": "chat.say"}, arrived_at=0.0)
    assert ({"chat.say": 1}, 1, 0) == (row(observer).layer, row(observer).latency.count, row(observer).wait.count)


@pytest.mark.parametrize("kind", ["websocket.connect", "websocket.disconnect"])
async def test_the_handshake_and_the_end_are_no_messages(observer, clock, kind):
    await dispatch(observer, clock, {"type": kind})
    assert (0, {}, {}) == (row(observer).latency.count, row(observer).received, row(observer).layer)


@pytest.mark.parametrize(
    ("error", "errors"), [(ValueError(), {"ValueError": 1}), (StopConsumer(), {}), (asyncio.CancelledError(), {})]
)
async def test_a_message_counts_as_received_however_its_handler_ends(observer, clock, error, errors):
    with pytest.raises(type(error)) as raised:
        await dispatch(observer, clock, RECEIVE, error)
    assert raised.value is error
    assert ({"text": 1}, errors) == (row(observer).received, row(observer).errors)


@pytest.mark.parametrize("message", [{}, {"type": None}, {"type": 7}])
async def test_nonsense_reaches_the_handler_and_is_not_counted(observer, clock, message):
    await dispatch(observer, clock, message)
    assert row(observer).latency.count == 0


# --- around a loop that is not ours -------------------------------------------------------------------------------


def source(*messages):
    remaining = list(messages)

    async def receive():
        return remaining.pop(0)

    return receive


async def nothing(message):
    """A handler."""


async def test_what_a_foreign_loop_took_and_never_dispatched_is_lost(observer):
    messages = [{"type": "websocket.receive", "text": str(number)} for number in range(3)]
    receive, handle = observer.observe_receive(source(*messages)), observer.observe_own_dispatch(nothing)
    await handle(await receive())
    await receive()
    await receive()
    observer.settle_unhandled()
    counts = row(observer)
    assert (3, {"text": 1}, 2, {"teardown": 2}, 0) == (
        counts.arrived, counts.received, counts.inbound_lost, counts.lost, counts.waiting,
    )  # fmt: skip


async def test_a_loop_that_never_dispatches_handles_what_it_takes(observer):
    receive = observer.observe_receive(source(RECEIVE, RECEIVE))
    await receive()
    await receive()
    observer.settle_unhandled()
    counts = row(observer)
    assert ({"text": 2}, 10, {}, 0) == (counts.received, counts.received_bytes, counts.lost, counts.waiting)


async def test_where_nothing_is_known_of_handlers_a_message_is_received_at_once(observer):
    receive = observer.observe_received(source(RECEIVE, {"type": "websocket.disconnect", "code": 1001}))
    assert await receive() is RECEIVE
    await receive()
    assert ({"text": 1}, 0, 1001) == (row(observer).received, row(observer).waiting, observer.connection.code)


def test_messages_lost_in_an_inbox_are_counted_by_source(observer):
    for _ in range(2):
        observer.arrived(RECEIVE, 0.0)
    observer.lost_in_teardown([[RECEIVE, RECEIVE, {"type": "websocket.disconnect"}], [{"type": "chat.say"}]])
    assert ({"teardown": 3}, 2, 0) == (row(observer).lost, row(observer).inbound_lost, row(observer).waiting)
