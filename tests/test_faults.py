from __future__ import annotations

import logging

import pytest

from hub.faults import FAULTS, record_fault


@pytest.fixture(autouse=True)
def _no_faults(monkeypatch):
    monkeypatch.setattr("hub.faults.FAULTS", type(FAULTS)())


def fault(place: str) -> None:
    try:
        raise KeyError("missing")
    except KeyError as error:
        record_fault(place, error)


def test_each_fault_is_counted_by_place():
    from hub import faults

    for place in ("a", "b", "a"):
        fault(place)
    assert {"a": 2, "b": 1} == dict(faults.FAULTS)


def test_the_first_fault_of_a_place_is_logged_with_its_traceback_and_no_other(caplog):
    with caplog.at_level(logging.DEBUG, "hub"):
        for place in ("a", "a", "b"):
            fault(place)
    assert ["fault in a", "fault in b"] == [record.message.split(": ")[1].split(" (")[0] for record in caplog.records]
    assert "KeyError: 'missing'" in caplog.text
    assert 'raise KeyError("missing")' in caplog.text


def test_a_fault_that_was_never_raised_can_be_recorded_too(caplog):
    with caplog.at_level(logging.DEBUG, "hub"):
        record_fault("a", OverflowError("too many"))
    assert "OverflowError: too many" in caplog.text
