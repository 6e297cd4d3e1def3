"""Sending no faster than the other end reads, and to nobody who has gone."""

import asyncio
from typing import Any

import pytest

from hub.feed.sending import BACKLOG_POLL, unless_gone, wait_for_room
from hub.instrument.servers import outbound_bytes


class Transport:
    """As much of uvicorn's protocol as the probe looks at."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.transport = self

    def get_write_buffer_size(self) -> int:
        return self.size

    async def send(self, message: Any) -> None: ...


async def test_it_waits_until_there_is_room():
    server = Transport(101)
    assert 101 == outbound_bytes(server.send)
    waiting = asyncio.create_task(wait_for_room(server.send, 100, lambda: False))
    await asyncio.sleep(2 * BACKLOG_POLL)
    assert not waiting.done()
    server.size = 100
    await asyncio.wait_for(waiting, 1)


async def test_it_waits_no_longer_than_somebody_wants_to_send():
    given_up: list[bool] = []
    waiting = asyncio.create_task(wait_for_room(Transport(101).send, 100, lambda: bool(given_up)))
    await asyncio.sleep(0)
    given_up.append(True)
    await asyncio.wait_for(waiting, 1)


async def test_a_server_that_does_not_tell_is_not_waited_for():
    await asyncio.wait_for(wait_for_room(None, 100, lambda: False), 1)


@pytest.mark.parametrize("raised", [OSError, RuntimeError, KeyError])
async def test_whatever_a_server_raises_means_that_the_other_end_has_gone(raised):
    async def send() -> None:
        raise raised("closing")

    with pytest.raises(ConnectionResetError):
        await unless_gone(send())


async def test_who_is_there_is_sent_to():
    sent: list[str] = []

    async def send() -> None:
        sent.append("frame")

    await unless_gone(send())
    assert ["frame"] == sent
