from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet import abstract

from hub.instrument.servers import (
    abort,
    acknowledged_bytes,
    broke_off,
    kernel_bytes,
    outbound_bytes,
    parting_of,
    parting_when_refused,
    send_never_waits,
)
from tests.instrument.peer import Peer
from tests.support.servers import HYPERCORN, require_server
from tests.support.tcp import read, tcp_pair


class DaphneTransport(abstract.FileDescriptor):
    """Twisted's own transport, whose socket takes nothing."""

    connected = 1
    socket: Any

    def startWriting(self) -> None:  # noqa: N802 - Twisted's name
        pass


class Protocol:
    """What both servers' callables lead to: something with a transport."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    async def send(self, message: Any) -> None:
        """Bound, as uvicorn's is."""


class Writing:
    """What writes, at the end of Hypercorn's way."""

    def __init__(self, transport: Any) -> None:
        self.writer = Protocol(transport)

    async def protocol_send(self, event: Any) -> None:
        """Bound, as Hypercorn's is."""


class Http1:
    """Hypercorn's protocol of a connection that carries one stream."""

    def __init__(self, transport: Any) -> None:
        self.send = Writing(transport).protocol_send
        self.stream: Stream | None = Stream(self)

    async def stream_send(self, event: Any) -> None:
        """Bound, as Hypercorn's is."""


class Stream:
    """Hypercorn's WebSocket."""

    def __init__(self, protocol: Any) -> None:
        self.send = protocol.stream_send

    async def app_send(self, message: Any) -> None:
        """Bound, as Hypercorn's is."""


class Http2:
    """That of one that carries many."""

    def __init__(self, transport: Any) -> None:
        self.send = Writing(transport).protocol_send
        self.streams = {1: Stream(self)}

    async def stream_send(self, event: Any) -> None:
        """Bound, as Hypercorn's is."""


async def handle_reply(protocol: Protocol, message: Any) -> None:
    """Partially applied, as Daphne's is."""


def test_what_waits_in_daphne_is_read_from_twisted_s_two_buffers():
    transport = DaphneTransport(reactor=cast("Any", object()))
    send = partial(handle_reply, Protocol(transport))
    assert outbound_bytes(send) == 0
    transport.write(b"x" * 1000)
    transport.write(b"y" * 500)
    assert outbound_bytes(send) == 1500


async def test_what_waits_in_uvicorn_is_read_from_asyncio_s_transport():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    send = Protocol(transport).send
    assert outbound_bytes(send) == 0
    transport.write(b"x" * 10_000_000)
    waiting = outbound_bytes(send)
    assert waiting is not None
    assert 0 < waiting < 10_000_000
    transport.abort()
    theirs.close()


@pytest.fixture
def tcp() -> Iterator[tuple[socket.socket, socket.socket]]:
    with tcp_pair() as pair:
        yield pair


def test_what_waits_in_the_kernel_is_read_from_daphne_s_socket_as_long_as_there_is_one(tcp):
    ours, theirs = tcp
    transport = DaphneTransport(reactor=cast("Any", object()))
    send = partial(handle_reply, Protocol(transport))
    assert (kernel_bytes(send), acknowledged_bytes(send)) == (None, None)
    transport.socket = ours
    began = acknowledged_bytes(send)
    assert kernel_bytes(send) == 0
    assert began is not None
    taken = ours.send(b"x" * 1_000_000)
    waiting = kernel_bytes(send)
    assert waiting is not None
    assert 0 < waiting <= taken
    read(theirs, taken)
    assert acknowledged_bytes(send) == began + taken
    assert kernel_bytes(send) == 0
    ours.close()
    assert (kernel_bytes(send), acknowledged_bytes(send)) == (None, None)


async def test_what_waits_in_the_kernel_is_read_from_uvicorn_s_socket(tcp):
    ours, _ = tcp
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    send = Protocol(transport).send
    assert kernel_bytes(send) == 0
    transport.write(b"x" * 10_000_000)
    assert (kernel_bytes(send) or 0) > 0
    assert acknowledged_bytes(send) is not None
    transport.abort()
    await asyncio.sleep(0)
    assert (kernel_bytes(send), acknowledged_bytes(send)) == (None, None)


async def test_what_waits_in_hypercorn_is_read_from_asyncio_s_transport_and_its_socket(tcp):
    ours, _ = tcp
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    protocol = Http1(transport)
    assert protocol.stream is not None
    send = protocol.stream.app_send
    assert (outbound_bytes(send), kernel_bytes(send)) == (0, 0)
    transport.write(b"x" * 10_000_000)
    assert (outbound_bytes(send) or 0) > 0
    assert (kernel_bytes(send) or 0) > 0
    assert acknowledged_bytes(send) is not None
    # It has let go of the stream, and waits for the client to take what is left.
    protocol.stream = None
    assert (outbound_bytes(send) or 0) > 0
    abort(send)
    await asyncio.sleep(0)
    assert (kernel_bytes(send), acknowledged_bytes(send)) == (None, None)


async def test_of_a_connection_that_many_streams_share_nothing_is_known_and_it_is_never_dropped():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    send = Http2(transport).streams[1].app_send
    assert (outbound_bytes(send), kernel_bytes(send), acknowledged_bytes(send)) == (None, None, None)
    abort(send)
    assert not transport.is_closing()
    transport.abort()
    theirs.close()


HANDSHAKE = b"""GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"""


async def test_hypercorn_s_own_send_leads_to_the_connection_whose_client_does_not_read(tcp):
    """Fails on the day that Hypercorn has moved one of the places that lie on the way."""
    require_server(HYPERCORN)
    wrappers, config, tcp_server, worker_context = (
        import_module(f"hypercorn.{name}")
        for name in ("app_wrappers", "config", "asyncio.tcp_server", "asyncio.worker_context")
    )

    sends: list[Any] = []
    accepted, gone = asyncio.Event(), asyncio.Event()

    async def application(_: Any, receive: Any, send: Any) -> None:
        sends.append(send)
        await receive()
        await send({"type": "websocket.accept"})
        accepted.set()
        with suppress(asyncio.CancelledError):
            while True:
                await send({"type": "websocket.send", "text": "x" * 1_000_000})
                await asyncio.sleep(0)
                if gone.is_set():
                    return

    ours, theirs = tcp
    reader, writer = await asyncio.open_connection(sock=ours)
    server = tcp_server.TCPServer(
        wrappers.ASGIWrapper(application), asyncio.get_running_loop(), config.Config(),
        worker_context.WorkerContext(None), {}, reader, writer,
    )  # fmt: skip
    serving = asyncio.ensure_future(server.run())
    theirs.sendall(HANDSHAKE)
    async with asyncio.timeout(10):
        await accepted.wait()
        [send] = sends
        while not outbound_bytes(send):  # noqa: ASYNC110 - buffers fill by themselves
            await asyncio.sleep(0.01)
        assert (kernel_bytes(send) or 0) > 0
        assert acknowledged_bytes(send) is not None
        assert not send_never_waits(send)
        gone.set()
        abort(send)
        await serving
    assert kernel_bytes(send) is None


async def test_a_socket_that_is_none_of_tcp_tells_nothing_of_what_has_arrived():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    assert acknowledged_bytes(Protocol(transport).send) is None
    transport.abort()
    theirs.close()


def test_only_daphne_s_send_never_waits():
    assert send_never_waits(partial(handle_reply, Protocol(None)))
    assert not send_never_waits(Protocol(None).send)
    assert not send_never_waits(None)


@pytest.mark.parametrize(
    "send",
    [
        None,
        print,
        object(),
        partial(print),
        partial(print, 1),
        Protocol(None).send,
        Peer(None).send,
        Http2(None).streams[1].app_send,
        lambda message: None,
    ],
    ids=lambda send: type(send).__name__,
)
def test_of_an_unknown_server_nothing_is_known(send):
    assert (outbound_bytes(send), kernel_bytes(send), acknowledged_bytes(send)) == (None, None, None)


@pytest.mark.parametrize(
    ("disconnect", "lost"),
    [
        ({"code": 1005}, True),
        ({"code": 1005, "reason": ""}, False),
        ({"code": 1001, "reason": ""}, False),
        ({"code": 1006}, False),  # says so itself
        ({}, False),
    ],
)
def test_uvicorn_gives_a_reason_with_a_close_and_none_with_a_loss(disconnect, lost):
    uvicorn_s = type("Protocol", (Protocol,), {"__module__": "uvicorn.protocols.websockets"})(None)
    assert broke_off(uvicorn_s.send, disconnect) is lost
    assert broke_off(Protocol(None).send, disconnect) is False
    assert broke_off(None, disconnect) is False


@pytest.mark.parametrize(
    ("disconnect", "parting"),
    [
        ({"code": 1000, "reason": ""}, "left"),
        ({"code": 1005}, "left"),
        ({"code": 1006}, "left"),
        ({"code": 1012, "reason": "client's own"}, "left"),
        # It shuts down, or fails the connection.
        ({"code": 1012}, None),
        *(({"code": code, "reason": ""}, None) for code in (1002, 1007, 1009)),
    ],
)
def test_uvicorn_may_have_ended_a_connection_itself(disconnect, parting):
    uvicorn_s = type("Protocol", (Protocol,), {"__module__": "uvicorn.protocols.websockets"})(None)
    assert parting_of(uvicorn_s.send, disconnect) == parting
    assert parting_of(Protocol(None).send, disconnect) == "left"
    assert parting_of(None, disconnect) == "left"


@pytest.mark.parametrize(
    ("state", "terminated", "parting"),
    [
        # Its disconnect has the same code, whoever ended the connection.
        ("OPEN", False, "left"),
        ("CLOSED", False, "left"),
        ("LOCAL_CLOSING", False, None),
        ("OPEN", True, None),
    ],
)
def test_so_may_hypercorn(state, terminated, parting):
    hypercorn_s = type("Protocol", (Protocol,), {"__module__": "hypercorn.protocol.ws_stream"})(None)
    assert parting_of(hypercorn_s.send, {"code": 1006}) == "left"
    vars(hypercorn_s).update(
        connection=SimpleNamespace(state=SimpleNamespace(name=state)),
        context=SimpleNamespace(terminated=SimpleNamespace(is_set=lambda: terminated)),
    )
    assert parting_of(hypercorn_s.send, {"code": 1006}) == parting


def test_so_may_daphne():
    protocol = Protocol(None)
    send = partial(handle_reply, protocol)
    assert parting_of(send, {"code": 1000}) == "left"
    vars(protocol)["closedByMe"] = True
    assert parting_of(send, {"code": 1000}) == "closed"
    assert parting_of(partial(handle_reply), {"code": 1000}) == "left"


@pytest.mark.parametrize(
    ("known", "parting"),
    [
        ({"close_sent": None, "close_rcvd": None}, "left"),
        ({"close_sent": SimpleNamespace(code=1000), "close_rcvd": SimpleNamespace(code=1000)}, "left"),
        ({"close_sent": SimpleNamespace(code=1011), "close_rcvd": None}, "left"),
        ({"close_sent": SimpleNamespace(code=1012), "close_rcvd": None}, None),
        ({"state": SimpleNamespace(name="REMOTE_CLOSING")}, "left"),
        ({"state": SimpleNamespace(name="LOCAL_CLOSING")}, None),
    ],
)
def test_a_frame_is_refused_because_the_client_has_gone_or_the_server_has_ended_it(known, parting):
    protocol = Protocol(None)
    vars(protocol)["conn"] = SimpleNamespace(**known)
    assert parting_when_refused(protocol.send) == parting
    assert parting_when_refused(None) == parting_when_refused(print) == "left"
