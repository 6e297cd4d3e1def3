"""The limit of a profile."""

import asyncio

from consumers.demo.traffic.pace import Pace


async def test_no_more_than_the_rate_gets_through():
    pace, passed = Pace(rate=200), 0

    async def sender():
        nonlocal passed
        while True:
            await pace.wait()
            passed += 1

    senders = [asyncio.create_task(sender()) for _ in range(20)]
    await asyncio.sleep(0.5)
    for task in senders:
        task.cancel()
    # A burst of half a second, and half a second of time: a busy machine makes it fewer, nothing makes it more.
    assert passed <= 200 + len(senders)
