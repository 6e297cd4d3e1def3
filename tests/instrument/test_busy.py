"""The register: whoever is in dispatch stands in it, with what there is to know, and nobody else does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer

from hub import MonitoredConsumerMixin
from hub.core.errors import ConfigurationError
from hub.instrument.busy import BUSY, DEFAULT_THRESHOLD, SENT
from hub.instrument.stacks import RunningCalls, await_chain, dispatched, sends, thread_call
from tests.instrument.peer import Peer


class Waiting(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """Waits in its handler until the test lets it go on."""

    hub_consumer = "waiting"

    async def receive(self, text_data: str = "", bytes_data: Any = None) -> None:
        if text_data == "fail":
            raise ValueError("as told")
        await self.scope["go_on"].wait()
        await self.send(text_data=text_data)


class Wrapped(Waiting):
    hub_consumer = "waiting"
    hub_inbox = False


async def settled(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a condition of a test's own has no event
            await asyncio.sleep(0.001)


@pytest.fixture
async def peer_of(shared):
    """Connect to a consumer; at the end nobody is left in the register."""
    peers = []

    async def connect(consumer: Any) -> Peer:
        peer = Peer(consumer.as_asgi(), go_on=asyncio.Event())
        peers.append(peer)
        await peer.connect()
        return peer

    yield connect
    for peer in peers:
        peer.scope["go_on"].set()
        if not peer.task.done():
            await peer.disconnect()
    assert set() == BUSY


@pytest.mark.parametrize("consumer", [Waiting, Wrapped])
async def test_a_consumer_stands_in_it_while_it_handles_a_message(peer_of, shared, consumer):
    peer = await peer_of(consumer)
    await settled(lambda: not BUSY)
    before = shared.clock.monotonic()
    peer.text("one", "two")
    await settled(lambda: any(entry.started_at for entry in BUSY))
    [entry] = BUSY
    assert ("waiting", peer.task, DEFAULT_THRESHOLD) == (entry.connection.consumer, entry.task, entry.threshold)
    assert before <= entry.started_at <= shared.clock.monotonic()
    message: Any = dispatched(await_chain(entry.task))
    assert "one" == message["text"]
    peer.scope["go_on"].set()
    assert ["one", "two"] == [(await peer.next())["text"] for _ in range(2)]
    await settled(lambda: not BUSY)
    assert 0.0 == entry.started_at


async def test_its_inbox_says_how_many_messages_wait_and_since_when(peer_of, shared):
    peer = await peer_of(Waiting)
    peer.text("one", "two", "three")
    await settled(lambda: any(entry.inbox.waiting() == 2 for entry in BUSY))
    [entry] = BUSY
    assert entry.started_at - 1 < entry.inbox.oldest() <= shared.clock.monotonic()
    peer.scope["go_on"].set()
    await settled(lambda: not BUSY)
    assert (0, None) == (entry.inbox.waiting(), entry.inbox.oldest())


@pytest.mark.parametrize("consumer", [Waiting, Wrapped])
@pytest.mark.parametrize("end", ["raise", "cancel"])
async def test_however_it_ends_it_leaves_the_register(peer_of, consumer, end):
    peer = await peer_of(consumer)
    if end == "raise":
        peer.text("fail")
        assert isinstance(await peer.end(), ValueError)
    else:
        peer.text("one")
        await settled(lambda: any(entry.started_at for entry in BUSY))
        await peer.cancel()
    assert set() == BUSY


async def test_a_connection_at_rest_does_not_stand_in_it(peer_of):
    await peer_of(Waiting)
    await settled(lambda: not BUSY)


@pytest.mark.parametrize("consumer", [Waiting, Wrapped])
async def test_switched_off_nobody_stands_in_it(setup, consumer):
    setup(SLOW_DETECTION=False)
    peer = Peer(consumer.as_asgi(), go_on=asyncio.Event())
    await peer.connect()
    peer.text("one")
    await asyncio.sleep(0.05)
    assert set() == BUSY
    peer.scope["go_on"].set()
    await peer.next()
    await peer.disconnect()


async def test_a_class_has_a_threshold_of_its_own_over_that_of_the_settings(setup):
    class Patient(Waiting):
        hub_slow_threshold_ms = 2500

    setup(SLOW_THRESHOLD_MS=100)
    for consumer, threshold in ((Waiting, 0.1), (Patient, 2.5)):
        peer = Peer(consumer.as_asgi(), go_on=asyncio.Event())
        await peer.connect()
        peer.text("one")
        await settled(lambda: any(entry.started_at for entry in BUSY))
        assert {threshold} == {entry.threshold for entry in BUSY}
        peer.scope["go_on"].set()
        await peer.next()
        await peer.disconnect()


@pytest.mark.parametrize("threshold", [0, -1])
def test_a_threshold_that_is_none_is_refused(threshold):
    with pytest.raises(ConfigurationError, match="hub_slow_threshold_ms"):
        type("Wrong", (Waiting,), {"hub_slow_threshold_ms": threshold})


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_time_after_which_a_slow_client_is_closed_that_is_none_is_refused(seconds):
    with pytest.raises(ConfigurationError, match="hub_close_slow_client_after"):
        type("Wrong", (Waiting,), {"hub_close_slow_client_after": seconds})


@pytest.mark.parametrize("consumer", [Waiting, Wrapped])
async def test_a_slow_client_is_closed_once_and_what_its_consumer_still_sends_is_swallowed(peer_of, shared, consumer):
    peer = await peer_of(type("Strict", (consumer,), {"hub_close_slow_client_after": 1.5, "hub_consumer": "strict"}))
    peer.scope["go_on"].set()
    await peer.ask("one")
    [entry] = SENT.values()
    assert 1.5 == entry.close_after
    for _ in range(2):
        entry.close_slow_client()
    assert {"type": "websocket.close", "code": 1013} == await peer.next()
    peer.text("two")
    await settled(lambda: not BUSY)
    await peer.disconnect(1006)
    assert 3 == len(peer.sent)
    [row] = shared.ledger
    assert ({"1013": 1}, {"after_close": 1}, 0) == (row.disconnects, row.lost, row.active)


async def test_a_server_that_refuses_the_code_is_given_a_private_one(peer_of):
    peer = await peer_of(Waiting)
    peer.scope["go_on"].set()
    send = peer.send

    async def refuse(message: Any) -> None:
        if message.get("code") == 1013:
            raise ValueError("invalid close code")
        await send(message)

    await peer.ask("one")
    entry: Any = next(iter(SENT.values()))
    entry._send = refuse
    entry.close_slow_client()
    assert {"type": "websocket.close", "code": 4013} == await peer.next()


@pytest.mark.parametrize("base", [AsyncWebsocketConsumer, WebsocketConsumer])
async def test_a_consumer_that_waits_for_the_server_to_take_a_frame_is_seen_to(shared, base):
    def receive(self: Any, text_data: str = "", bytes_data: Any = None) -> Any:
        return self.send(text_data=text_data)

    room = asyncio.Event()
    consumer: Any = type("Sending", (MonitoredConsumerMixin, base), {"receive": receive})
    peer = Peer(consumer.as_asgi())

    async def wait_for_room(message: Any) -> None:
        if message["type"] == "websocket.send":
            await room.wait()
        peer.from_application.put_nowait(message)

    peer.send = wait_for_room  # type: ignore[method-assign]
    await peer.connect()
    peer.text("one")
    await settled(lambda: any(sends(where(entry)) for entry in BUSY))
    room.set()
    assert "one" == (await peer.next())["text"]
    await settled(lambda: not any(sends(where(entry)) for entry in BUSY))
    await peer.disconnect()


# --- what was sent to ---------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def nobody_sent_to():
    SENT.clear()
    yield
    assert {} == SENT


@pytest.mark.parametrize("consumer", [Waiting, Wrapped])
async def test_the_first_frame_puts_a_connection_there_and_the_next_ones_once_somebody_has_looked(peer_of, consumer):
    peer = await peer_of(consumer)
    peer.scope["go_on"].set()
    assert {} == SENT
    assert "one" == await peer.ask("one")
    [(connection, entry)] = SENT.items()
    assert (connection, DEFAULT_THRESHOLD, True) == (entry.connection, entry.threshold, connection.touched)
    SENT.clear()
    assert "two" == await peer.ask("two")
    assert {} == SENT
    connection.touched = False
    assert "three" == await peer.ask("three")
    assert {connection} == set(SENT)


@pytest.mark.parametrize("end", ["disconnect", "cancel"])
async def test_a_connection_that_has_ended_does_not_stand_there(peer_of, end):
    peer = await peer_of(Waiting)
    peer.scope["go_on"].set()
    await peer.ask("one")
    [connection] = SENT
    await getattr(peer, end)()
    assert {} == SENT
    assert connection.touched, "a frame after the end would put it there again"


async def test_switched_off_nobody_is_put_there(setup):
    setup(SLOW_DETECTION=False)
    peer = Peer(Waiting.as_asgi(), go_on=asyncio.Event())
    await peer.connect()
    peer.scope["go_on"].set()
    await peer.ask("one")
    assert {} == SENT
    await peer.disconnect()


def where(entry: Any) -> list[Any]:
    """The frames that an entry waits in, in its task or in a thread."""
    frames = await_chain(entry.task)
    call = thread_call(frames)
    return frames if call is None else RunningCalls().frames_of(call)
