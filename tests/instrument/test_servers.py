from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any, cast

import pytest
from twisted.internet import abstract

from hub.instrument.servers import broke_off, outbound_bytes
from tests.instrument.peer import Peer


class DaphneTransport(abstract.FileDescriptor):
    """Twisted's own transport, whose socket takes nothing."""

    connected = 1

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
    assert outbound_bytes(send) is None


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
