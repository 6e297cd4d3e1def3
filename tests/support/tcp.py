"""A connection over TCP within this process, whose other end has room for little and reads when it is told to."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Ours, which never blocks, and theirs."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        theirs.connect(listening.getsockname())
        ours, _ = listening.accept()
        with ours:
            ours.setblocking(False)
            yield ours, theirs


def read(theirs: socket.socket, size: int) -> None:
    """Read exactly so many bytes."""
    while size:
        size -= len(theirs.recv(min(size, 65_536)))
