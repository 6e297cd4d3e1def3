from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet import abstract

from hub.instrument.servers import (
    acknowledged_bytes,
    broke_off,
    kernel_bytes,
    outbound_bytes,
    parting_of,
    parting_when_refused,
    send_never_waits,
)
from tests.instrument.peer import Peer
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
