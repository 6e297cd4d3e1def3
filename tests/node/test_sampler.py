from __future__ import annotations

import asyncio

from hub.core.ledger import Counts, Ledger
from hub.node.sampler import SLICE, Sampler


def ledger_of(size: int) -> Ledger:
    ledger = Ledger()
    for number in range(size):
        ledger.settle(ledger.open(f"consumer {number}", 0.0, str)).accepted = number
    return ledger


async def test_an_empty_ledger_gives_no_rows():
    assert [] == await Sampler(Ledger()).sample()


async def test_every_row_is_copied():
    ledger = ledger_of(3)
    rows = await Sampler(ledger).sample()
    for counts in ledger:
        counts.accepted += 100
    assert [0, 1, 2] == [Counts.unpack(row).accepted for row in rows]


async def test_others_have_their_turn_between_two_slices():
    turns = 0

    async def bystander() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(bystander())
    rows = await Sampler(ledger_of(10 * SLICE)).sample()
    task.cancel()
    assert (10 * SLICE, True) == (len(rows), 9 <= turns <= 11)


async def test_the_ledger_may_grow_while_it_is_sampled():
    ledger = ledger_of(3 * SLICE)

    async def grow() -> None:
        for number in range(5):
            ledger.settle(ledger.open(f"new {number}", 0.0, str))
            await asyncio.sleep(0)

    rows, _ = await asyncio.gather(Sampler(ledger).sample(), grow())
    assert len(rows) == 3 * SLICE
