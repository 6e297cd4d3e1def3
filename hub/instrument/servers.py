"""
Probes of the servers: what waits behind a connection, read off the server's own callables.

The attributes are private to the servers, so each probe looks before it leaps: a server that is unknown, or has
changed, gives None, which means *unknown*.
"""

import socket
import struct
import sys
from collections.abc import Mapping
from types import MethodType
from typing import Any

from hub.core.delivery import ANSWERED, AWAITED, CLOSED, GONE, LEFT

if sys.platform == "linux":
    from fcntl import ioctl
    from termios import TIOCOUTQ

#: RFC 6455, section 7.4.1: a close frame came, without a code in it.
CODE_NO_STATUS = 1005
#: What uvicorn fails a connection with itself: protocol error, no UTF-8, too big (RFC 6455, section 7.4.1).
FAILURES = (1002, 1007, 1009)
#: With this one it gives up a client that answers no ping.
CODE_NO_PONG = 1011
#: With this one it shuts down (the IANA's registry of close codes: service restart).
CODE_RESTART = 1012
#: The state of a connection, by wsproto's name, that has been closed from here and not from there.
LOCAL_CLOSING = "LOCAL_CLOSING"

_INT = struct.Struct("=i")
#: linux/tcp.h, struct tcp_info: how long it is up to and with tcpi_bytes_acked, and where that stands.
_TCP_INFO_BYTES = 128
_BYTES_ACKED = struct.Struct("=120xQ")


def outbound_bytes(raw_send: object) -> int | None:
    """
    Bytes that the server has taken and not yet handed to the kernel.

    Args:
        raw_send: The server's own ``send``, as the outermost wrapper sees it.
    """
    try:
        return _daphne_outbound(raw_send) if _is_daphnes(raw_send) else _asyncio_outbound(raw_send)
    except (AttributeError, IndexError, TypeError):
        return None


def kernel_bytes(raw_send: object) -> int | None:
    """
    Bytes that the kernel has taken and the other end has not acknowledged; None where there is nobody to ask.

    Linux only (``SIOCOUTQ``, tcp(7), which is called ``TIOCOUTQ`` as well); elsewhere it means something else.
    """
    if sys.platform != "linux":
        return None
    # What the kernel may write to: half the price of having it copied, and it is asked of many clients.
    unsent = bytearray(_INT.size)
    try:
        ioctl(_socket(raw_send).fileno(), TIOCOUTQ, unsent)
    except (AttributeError, IndexError, OSError, TypeError, ValueError):
        return None
    return int(_INT.unpack(unsent)[0])


def acknowledged_bytes(raw_send: object) -> int | None:
    """Bytes that the other end's kernel has acknowledged since the connection began; Linux only, since 4.1."""
    if sys.platform != "linux":
        return None
    try:
        told = _socket(raw_send).getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        acknowledged: int = _BYTES_ACKED.unpack(told)[0]
    except (AttributeError, IndexError, OSError, TypeError, ValueError, struct.error):
        return None
    return acknowledged


def drops_empty_frames(raw_send: object) -> bool:
    """Whether the server swallows frames without a payload: Daphne does."""
    return _is_daphnes(raw_send)


def send_never_waits(raw_send: object) -> bool:
    """Whether ``send`` returns at once, whatever the client does: Daphne's does."""
    return _is_daphnes(raw_send)


def waits_before_it_sends(raw_send: object) -> bool:
    """Whether a ``send`` that is cancelled has sent nothing; of uvicorn's legacy implementation nobody knows."""
    return _is_of(raw_send, "uvicorn.") and hasattr(getattr(raw_send, "__self__", None), "writable")


def send_close_frame(raw_send: Any, code: int) -> bool:  # noqa: ANN401 - a server's private object
    """
    Send a close frame where the server's ``websocket.close`` would refuse the code. Returns whether that was done.

    Daphne takes 1000 and 3000 to 4999 only; what it sends 1011 with itself takes any.
    """
    if not _is_daphnes(raw_send):
        return False
    try:
        raw_send.args[0].sendCloseFrame(code=code)
    except Exception:  # noqa: BLE001 - autobahn raises nothing narrower
        return False
    return True


def abort(raw_send: object) -> None:
    """Drop a connection together with all that waits for its client; nothing happens where it is gone already."""
    try:
        _abort_of(raw_send)()
    except (AttributeError, IndexError, TypeError):
        return


def _abort_of(raw_send: Any) -> Any:  # noqa: ANN401 - a server's private object
    if _is_daphnes(raw_send):
        return raw_send.args[0].transport.abortConnection
    return _asyncio_transport(raw_send).abort


def _is_daphnes(raw_send: object) -> bool:
    """Whether ``send`` is Daphne's, which binds its protocol as an argument; others' is a method of theirs."""
    # First of all, for asking a method for what it does not have takes half a microsecond.
    return type(raw_send) is not MethodType and hasattr(raw_send, "args")


def _socket(raw_send: Any) -> Any:  # noqa: ANN401 - a server's private object
    """The socket behind a connection; asked anew each time, for its number may be another's once it is closed."""
    if _is_daphnes(raw_send):
        return raw_send.args[0].transport.socket
    return _asyncio_transport(raw_send).get_extra_info("socket")


def _asyncio_transport(raw_send: Any) -> Any:  # noqa: ANN401 - a server's private object
    """
    Asyncio's transport behind a connection.

    ``send`` is bound to uvicorn's protocol, which keeps it, or to Hypercorn's stream, which hands everything on to its
    protocol, and that to the one that writes. A protocol with many ``streams``, as that of HTTP/2, has no ``stream``:
    what waits in a connection that they share is nobody's in particular.
    """
    owner = raw_send.__self__
    if hasattr(owner, "transport"):
        return owner.transport
    protocol = owner.send.__self__
    return protocol.send.__self__.writer.transport if protocol.stream in (owner, None) else None


def broke_off(raw_send: object, disconnect: Mapping[str, Any]) -> bool:
    """
    Whether a ``websocket.disconnect`` tells of a connection that is lost, though its code says that it was closed.

    uvicorn gives 1005 for a lost connection, as for a close without a code; only with the latter comes a reason.
    """
    if disconnect.get("code") != CODE_NO_STATUS or "reason" in disconnect:
        return False
    return _is_of(raw_send, "uvicorn.")


def parting_of(raw_send: Any, disconnect: Mapping[str, Any]) -> str | None:  # noqa: ANN401 - a server's private object
    """
    Whose doing a ``websocket.disconnect`` is that no close of the consumer came before.

    Returns:
        `LEFT` or `CLOSED`; None: the server has ended it, without waiting for an answer.
    """
    if _is_daphnes(raw_send):
        # Daphne closes connections by itself that are a day old.
        return CLOSED if getattr(next(iter(raw_send.args), None), "closedByMe", False) else LEFT
    return None if _uvicorn_ended(raw_send, disconnect) or _hypercorn_ended(raw_send) else LEFT


def _uvicorn_ended(raw_send: object, disconnect: Mapping[str, Any]) -> bool:
    code = disconnect.get("code")
    own = code in FAILURES or (code == CODE_RESTART and "reason" not in disconnect)
    return own and _is_of(raw_send, "uvicorn.")


def _hypercorn_ended(raw_send: object) -> bool:
    """Its codes say nothing of it: it has sent a close frame that nobody answered, or it shuts down."""
    if not _is_of(raw_send, "hypercorn."):
        return False
    stream = getattr(raw_send, "__self__", None)
    state = getattr(getattr(stream, "connection", None), "state", None)
    terminated = getattr(getattr(stream, "context", None), "terminated", None)
    return getattr(state, "name", "") == LOCAL_CLOSING or (terminated is not None and terminated.is_set())


def parting_when_refused(raw_send: object) -> str | None:
    """Whose doing it is that the server takes no frame more; uvicorn refuses them also when it has ended it itself."""
    protocol = getattr(raw_send, "__self__", None)
    closing = getattr(protocol, "conn", protocol)
    if getattr(getattr(closing, "state", None), "name", "") == LOCAL_CLOSING:
        return None
    ours, answer = getattr(closing, "close_sent", None), getattr(closing, "close_rcvd", None)
    own = ours is not None and answer is None and ours.code != CODE_NO_PONG
    return None if own else LEFT


def close_answer(raw_send: object) -> str | None:
    """What became of the server's close frame; None: nobody can know, or the client's own crossed it."""
    try:
        return _daphne_answer(raw_send) if _is_daphnes(raw_send) else _uvicorn_answer(raw_send)
    except (AttributeError, IndexError, TypeError):
        return None


def _daphne_answer(raw_send: Any) -> str | None:  # noqa: ANN401 - a server's private object
    """Autobahn waits a second for the answer, and drops the connection."""
    protocol = raw_send.args[0]
    if not protocol.closedByMe:
        return GONE
    if not protocol.wasClean:
        return GONE if protocol.state == protocol.STATE_CLOSED else AWAITED
    # An answer has the code of what it answers (RFC 6455, section 5.5.1).
    return ANSWERED if protocol.remoteCloseCode == protocol.localCloseCode else None


def _uvicorn_answer(raw_send: Any) -> str | None:  # noqa: ANN401 - a server's private object
    """Both implementations over ``websockets`` know of both close frames; the one over ``wsproto`` forgets them."""
    protocol = raw_send.__self__
    closing = getattr(protocol, "conn", protocol)
    answer, ours = closing.close_rcvd, closing.close_sent
    if closing.close_rcvd_then_sent:
        return GONE
    if answer is not None and ours is not None:
        return ANSWERED if answer.code == ours.code else None
    return GONE if protocol.transport.is_closing() else AWAITED


def _is_of(raw_send: object, package: str) -> bool:
    """Whether ``send`` is a method of something of a package's, whose name ends in a dot here."""
    return type(getattr(raw_send, "__self__", None)).__module__.startswith(package)


def _daphne_outbound(raw_send: Any) -> int:  # noqa: ANN401 - a server's private object
    """Daphne binds its protocol as the first argument; Twisted keeps two buffers."""
    transport = raw_send.args[0].transport
    waiting: int = len(transport.dataBuffer) - transport.offset + transport._tempDataLen  # noqa: SLF001 - there is no other way
    return waiting


def _asyncio_outbound(raw_send: Any) -> int:  # noqa: ANN401 - a server's private object
    waiting: int = _asyncio_transport(raw_send).get_write_buffer_size()
    return waiting
