"""The shop, on its good days and its bad ones."""

from urllib.parse import quote

import pytest
from channels.testing import WebsocketCommunicator

from consumers.demo.accounts import make_token
from consumers.demo.orders import MAX_QUANTITY, PRICES, Orders

PATH = f"/ws/demo/orders/?token={quote(make_token('ada', 'acme'))}"


@pytest.fixture(autouse=True)
def good_day(monkeypatch):
    for accident in ("outage_share", "slow_share", "declined_share"):
        monkeypatch.setattr(Orders, accident, 0.0)


async def add(shop, product, quantity=1):
    await shop.send_json_to({"type": "add", "product": product, "quantity": quantity})
    return await shop.receive_json_from()


async def test_a_basket_is_filled_reduced_and_paid(connect):
    shop = await connect(PATH)
    assert await add(shop, "mug", 2) == {"type": "basket", "items": {"mug": 2}, "value": 2 * PRICES["mug"]}
    await add(shop, "lamp")
    await shop.send_json_to({"type": "coupon", "code": "SAVE10"})
    value = (await shop.receive_json_from())["value"]
    assert value == round(0.9 * (2 * PRICES["mug"] + PRICES["lamp"]), 2)

    await shop.send_json_to({"type": "checkout"})
    order = await shop.receive_json_from()
    assert (order["type"], order["value"]) == ("order", value)
    await shop.send_json_to({"type": "checkout"})
    assert (await shop.receive_json_from())["type"] == "error"


async def test_a_basket_has_a_limit(connect):
    shop = await connect(PATH)
    assert (await add(shop, "mug", 10**9))["items"] == {"mug": MAX_QUANTITY}


async def test_a_declined_payment_keeps_the_basket(connect, monkeypatch):
    monkeypatch.setattr(Orders, "declined_share", 1.0)
    shop = await connect(PATH)
    await add(shop, "desk")
    await shop.send_json_to({"type": "checkout"})
    assert (await shop.receive_json_from())["type"] == "error"
    assert (await add(shop, "desk"))["items"] == {"desk": 2}


async def test_a_slow_payment_is_a_payment(connect, monkeypatch):
    monkeypatch.setattr(Orders, "slow_share", 1.0)
    shop = await connect(PATH)
    await add(shop, "desk")
    await shop.send_json_to({"type": "checkout"})
    assert (await shop.receive_json_from())["type"] == "order"


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"type": "add", "product": "unicorn", "quantity": 1}, KeyError),
        ({"type": "coupon", "code": "SAVE-A-LOT"}, ValueError),
    ],
)
async def test_what_the_shop_does_not_expect_is_an_error_of_its_handler(application, message, error):
    shop = WebsocketCommunicator(application, PATH)
    await shop.connect()
    await shop.send_json_to(message)
    with pytest.raises(error):
        await shop.receive_output()


async def test_an_outage_fails_the_handshake(application, monkeypatch):
    monkeypatch.setattr(Orders, "outage_share", 1.0)
    with pytest.raises(ConnectionError):
        await WebsocketCommunicator(application, PATH).connect()


@pytest.mark.parametrize("query", ["", "?token=", "?token=ada%40acme%3Aforged"])
async def test_without_a_good_token_nobody_gets_in(application, query):
    accepted, code = await WebsocketCommunicator(application, f"/ws/demo/orders/{query}").connect()
    assert (accepted, code) == (False, 4401)
