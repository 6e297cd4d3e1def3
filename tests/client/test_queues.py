"""What waits: in order, bounded, nothing lost when somebody gives up waiting."""

import asyncio

import pytest

from hub.client.control import Control
from hub.client.errors import UnsentLimitError
from hub.client.queues import Arrival, Inbox, Outbox
from hub.core.errors import HubError

CONTROL = Control(0.0)


def arrival(number):
    return Arrival(str(number), CONTROL, float(number))


async def test_the_inbox_hands_out_in_order_and_tells_when_nothing_more_comes():
    inbox = Inbox(10)
    assert [] == list(filter(None, [inbox.oldest_at]))
    for number in (1, 2):
        inbox.put(arrival(number))
    assert inbox.oldest_at == 1.0
    inbox.end()
    assert ["1", "2"] == [(await inbox.take()).frame, (await inbox.take()).frame]
    assert [None, None] == [await inbox.take(), await inbox.take()]


async def test_whoever_gives_up_waiting_loses_nothing():
    inbox = Inbox(10)
    waiting = asyncio.create_task(inbox.take())
    await asyncio.sleep(0)
    inbox.put(arrival(1))
    waiting.cancel()
    await asyncio.wait([waiting])
    assert "1" == (await inbox.take()).frame


async def test_several_takers_get_one_each():
    inbox = Inbox(10)
    takers = [asyncio.create_task(inbox.take()) for _ in range(3)]
    await asyncio.sleep(0)
    for number in (1, 2, 3):
        inbox.put(arrival(number))
    assert {"1", "2", "3"} == {taken.frame for taken in await asyncio.wait_for(asyncio.gather(*takers), 1)}


async def test_a_full_inbox_makes_wait_until_one_is_taken_or_the_limit_is_lifted_or_the_connection_has_ended():
    inbox = Inbox(1)
    for room in (inbox.take, lifted(inbox.lift), None):
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        inbox._limit = 1
        inbox.put(arrival(1))
        waiting = asyncio.create_task(inbox.wait_for_room(ended))
        await asyncio.sleep(0)
        assert not waiting.done()
        if room is None:
            ended.set_result(None)
        else:
            await room()
        await asyncio.wait_for(waiting, 1)
        while inbox._arrivals:
            await inbox.take()


def lifted(lift):
    async def room():
        lift()

    return room


def test_what_is_put_without_room_is_bounded_too():
    inbox = Inbox(2)
    assert [True] * 4 + [False] * 2 == [inbox.put(arrival(number)) for number in range(6)]
    inbox.lift()
    assert inbox.put(arrival(7))


def test_the_outbox_is_bounded_in_messages_and_bytes_and_says_so():
    outbox = Outbox(2, 10)
    outbox.put("12345", text=True)
    with pytest.raises(UnsentLimitError, match="no more than 10 bytes"):
        outbox.put(b"123456", text=False)
    outbox.put(b"12345", text=False)
    with pytest.raises(HubError, match=r"no more than 2 messages may wait.*give connect"):
        outbox.put("", text=True)
    assert (("12345", True), 2) == (outbox.first(), len(outbox))
    outbox.drop_first()
    outbox.put("54321", text=True)
    assert 2 == len(outbox)
