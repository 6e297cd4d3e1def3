"""
What becomes of the frames that a negotiated client has not confirmed when its connection ends.

A client that was closed from here has received all of them once it answers the close frame. Servers differ in when
they tell: Daphne keeps the consumer until then; uvicorn lets it go at once, and has to be asked for a while.
"""

import asyncio

from hub.core.delivery import UNCONFIRMED, UNKNOWN, fate_of
from hub.core.ledger import Connection
from hub.faults import record_fault
from hub.instrument.layers.losses import losses
from hub.instrument.servers import close_answer
from hub.instrument.state import Instruments

#: Pauses between two questions for the answer, in seconds: uvicorn waits for it ten seconds, and drops the connection.
PAUSES = (0.05, 0.2, 0.75, 2.0, 4.0, 5.0)


def record_end(shared: Instruments, connection: Connection) -> None:
    """A consumer is done with a connection; the last moment in which its server is known."""
    control = connection.control
    if control is not None and control.speaks:
        _ask(shared, connection, connection.raw_send, PAUSES)


def _ask(shared: Instruments, connection: Connection, raw_send: object, pauses: tuple[float, ...]) -> None:
    try:
        shared.ledger.record_delivery(connection)
        fate = fate_of(connection.parting, close_answer(raw_send))
        if fate is None and pauses and connection.control is not None and connection.control.in_flight:
            loop = asyncio.get_running_loop()
            loop.call_later(pauses[0], _ask, shared, connection, raw_send, pauses[1:])
            return
        lost = shared.ledger.record_fate(connection, fate or UNKNOWN)
        if lost:
            losses().tell_frames(UNCONFIRMED, connection, lost)
    except Exception as error:  # noqa: BLE001 - the border: nothing may keep a connection from ending
        record_fault("delivery", error)
