"""The ticker, and the task behind it."""

import asyncio

import pytest
from channels.testing import WebsocketCommunicator

from consumers.demo import ticker
from consumers.demo.ticker import SYMBOLS, markets
from tests.support.until import until

PATH = "/ws/demo/acme/ticker/"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(ticker, "INTERVAL", 0.01)


def trading():
    return [task for task in asyncio.all_tasks() if task.get_name() == "demo.ticker.acme"]


async def test_prices_come_by_themselves_to_everybody(connect):
    ada, ben = await connect(PATH), await connect(PATH)
    for person in (ada, ben):
        prices = await person.receive_json_from()
        assert prices["type"] == "prices"
        assert set(prices["prices"]) == set(SYMBOLS)
    assert len(trading()) == 1


async def test_watching_narrows_the_prices_down(connect):
    ada = await connect(PATH)
    await ada.send_json_to({"type": "watch", "symbols": ["FERN", "NONE", "BOLT"]})
    while (message := await ada.receive_json_from())["type"] == "prices":
        pass
    assert message == {"type": "watching", "symbols": ["BOLT", "FERN"]}
    assert set((await ada.receive_json_from())["prices"]) == {"BOLT", "FERN"}


async def test_nobody_listens_nobody_trades(application):
    ada = WebsocketCommunicator(application, PATH)
    await ada.connect()
    await ada.receive_json_from()
    assert trading()

    await ada.disconnect()
    await until(lambda: not trading())

    assert not markets["acme"].listeners


async def test_trading_resumes_with_the_next_listener(application, connect):
    ada = WebsocketCommunicator(application, PATH)
    await ada.connect()
    await ada.disconnect()
    await until(lambda: not trading())

    ben = await connect(PATH)

    assert (await ben.receive_json_from())["type"] == "prices"


async def test_what_is_not_understood_gets_an_error(connect):
    ada = await connect(PATH)
    await ada.send_json_to({"type": "watch", "symbols": "BOLT"})
    while (message := await ada.receive_json_from())["type"] == "prices":
        pass
    assert message["type"] == "error"


async def test_unknown_tenants_are_turned_away(application):
    accepted, _ = await WebsocketCommunicator(application, "/ws/demo/hooli/ticker/").connect()
    assert not accepted
