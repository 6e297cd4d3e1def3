from __future__ import annotations

import threading
import time

import pytest

from hub.alerting.receivers.base import DeliveryError
from hub.alerting.receivers.patience import Patience


def test_what_went_well_or_wrong_is_passed_on():
    patience = Patience()
    patience.call(lambda: "")
    with pytest.raises(DeliveryError, match="greylisted"):
        patience.call(lambda: "greylisted")
    patience.call(lambda: "")


def test_what_hangs_is_left_alone_and_keeps_others_out_until_it_ends():
    patience, go_on = Patience(0.1), threading.Event()

    def hang() -> str:
        go_on.wait(10)
        return ""

    began = time.monotonic()
    with pytest.raises(DeliveryError, match=r"no answer within 0.1 s"):
        patience.call(hang)
    with pytest.raises(DeliveryError, match="has not ended yet"):
        patience.call(lambda: "")
    assert time.monotonic() - began < 5
    go_on.set()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            patience.call(lambda: "")
        except DeliveryError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError("it never let anybody in again")
