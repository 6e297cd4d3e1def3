"""Binary readings and their acknowledgements."""

import pytest
from channels.testing import WebsocketCommunicator

from consumers.demo.telemetry import ACKNOWLEDGE_EVERY, ACKNOWLEDGEMENT, CLOSE_MALFORMED, READING

PATH = "/ws/demo/globex/telemetry/"


def reading(sequence):
    return READING.pack(sequence, 1_700_000_000.5, 3, 21.5)


async def test_every_tenth_reading_is_acknowledged(connect):
    machine = await connect(PATH)
    for sequence in range(1, 2 * ACKNOWLEDGE_EVERY + 1):
        await machine.send_to(bytes_data=reading(sequence))
    assert ACKNOWLEDGEMENT.unpack(await machine.receive_from()) == (10, 10, 0)
    assert ACKNOWLEDGEMENT.unpack(await machine.receive_from()) == (20, 20, 0)
    assert await machine.receive_nothing()


async def test_holes_in_the_sequence_are_counted(connect):
    machine = await connect(PATH)
    for sequence in (5, 6, 9, 10, 11, 12, 14, 15, 16, 17):
        await machine.send_to(bytes_data=reading(sequence))
    assert ACKNOWLEDGEMENT.unpack(await machine.receive_from()) == (17, 10, 3)


@pytest.mark.parametrize("frame", [{"text_data": "21.5"}, {"bytes_data": b"\x00" * (READING.size - 1)}])
async def test_anything_else_ends_the_connection(application, frame):
    machine = WebsocketCommunicator(application, PATH)
    await machine.connect()
    await machine.send_to(**frame)
    assert await machine.receive_output() == {"type": "websocket.close", "code": CLOSE_MALFORMED}
    await machine.disconnect()


async def test_unknown_tenants_are_turned_away(application):
    accepted, _ = await WebsocketCommunicator(application, "/ws/demo/hooli/telemetry/").connect()
    assert not accepted
