from __future__ import annotations

import logging
import sys

import pytest

from hub.alerting.receivers.apprise import MISSING, Apprise, AppriseOptions
from hub.alerting.receivers.base import DeliveryError
from hub.core.groups import ACKNOWLEDGED, FIRED, OVER
from hub.core.redaction import Secret
from tests.alerting.messages import evil, message
from tests.alerting.receivers.test_trouble import own_locals
from tests.support.receivers import BROKEN, HANG, HttpReceiver

TOKEN = "open-sesame-open-sesame"


@pytest.fixture
def server():
    with HttpReceiver() as one:
        yield one


def make(server: HttpReceiver, timeout: float = 10.0) -> Apprise:
    url = Secret(f"json://{server.url.removeprefix('http://')}/{TOKEN}")
    return Apprise("ops", AppriseOptions(type="apprise", url=url), timeout)


@pytest.mark.parametrize(("kind", "theirs"), [(FIRED, "failure"), (ACKNOWLEDGED, "info"), (OVER, "success")])
def test_a_message_goes_where_apprise_takes_it(server, kind, theirs):
    assert {} == make(server).deliver(message(kind, by="ann"), {})
    [request] = server.got
    assert (theirs, True) == (request.json["type"], "120 errors" in request.json["title"])
    assert "threshold 10 errors" in request.json["message"]


def test_what_is_less_bad_is_a_warning(server):
    make(server).deliver(message(severity="low"), {})
    assert "warning" == server.got[0].json["type"]


def test_whatever_a_tenant_is_called_it_arrives(server):
    make(server).deliver(evil(), {})
    assert "\n" not in server.got[0].json["title"]


def test_trouble_is_said_without_the_address(server, caplog):
    caplog.set_level(logging.DEBUG)
    server.down = BROKEN
    receiver = make(server)
    with pytest.raises(DeliveryError, match="apprise could not deliver it") as caught:
        receiver.deliver(message(), {})
    shown = [caplog.text, str(caught.value), repr(receiver), *own_locals(caught.value)]
    assert not [text for text in shown if TOKEN in text]


def test_one_that_hangs_takes_no_longer_than_others(server):
    server.down = HANG
    receiver = make(server, 0.3)
    with pytest.raises(DeliveryError, match="no answer within"):
        receiver.deliver(message(), {})
    with pytest.raises(DeliveryError, match="has not ended yet"):
        receiver.deliver(message(), {})


def test_an_address_that_apprise_does_not_know_is_not_shown(caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ValueError, match="apprise knows") as caught:
        AppriseOptions(type="apprise", url=Secret(f"nothing://{TOKEN}"))
    assert TOKEN not in caplog.text + str(caught.value)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ValueError, match=rf"{MISSING}: python -m pip install channels-hub\[apprise\]"):
        AppriseOptions(type="apprise", url=Secret("json://localhost"))
