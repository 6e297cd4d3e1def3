"""
Probes of the servers: what waits behind a connection, read off the server's own callables.

The attributes are private to the servers, so each probe looks before it leaps: a server that is unknown, or has
changed, gives None, which means *unknown*.
"""

from typing import Any


def outbound_bytes(raw_send: object) -> int | None:
    """
    Bytes that the server has taken and not yet handed to the kernel.

    Args:
        raw_send: The server's own ``send``, as the outermost wrapper sees it.
    """
    try:
        return _daphne_outbound(raw_send) if hasattr(raw_send, "args") else _uvicorn_outbound(raw_send)
    except (AttributeError, IndexError, TypeError):
        return None


def _daphne_outbound(raw_send: Any) -> int:  # noqa: ANN401 - a server's private object
    """Daphne binds its protocol as the first argument; Twisted keeps two buffers."""
    transport = raw_send.args[0].transport
    waiting: int = len(transport.dataBuffer) - transport.offset + transport._tempDataLen  # noqa: SLF001 - there is no other way
    return waiting


def _uvicorn_outbound(raw_send: Any) -> int:  # noqa: ANN401 - a server's private object
    """A bound method of uvicorn's protocol, which keeps the asyncio transport."""
    waiting: int = raw_send.__self__.transport.get_write_buffer_size()
    return waiting
