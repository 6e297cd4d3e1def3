from __future__ import annotations

import pytest

from hub.conf import Config
from hub.core.events import Event
from hub.core.ledger import Connection
from hub.instrument import state
from hub.instrument.state import Instruments
from tests.handclock import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def made(clock) -> Instruments:
    return Instruments(Config(events_per_second=2), clock)


@pytest.fixture
def sent(made) -> list[Event]:
    events: list[Event] = []
    made.listeners.append(events.append)
    return events


def opened(made: Instruments, tenant: str = "north") -> Connection:
    return made.ledger.open("chat", made.clock.monotonic(), lambda: tenant)


# --- events of a connection's life --------------------------------------------------------------------------------


def test_a_clean_life_is_two_events(made, sent, clock):
    connection = opened(made)
    made.accepted(connection)
    clock.advance(2.5)
    made.ledger.disconnect(connection, 1001)
    made.ended(connection, None)
    assert [
        Event(kind="connection.opened", at=1_001_000.0, tenant="north", consumer="chat", connection="1"),
        Event(
            kind="connection.closed", at=1_001_002.5, tenant="north", consumer="chat", connection="1",
            details={"code": 1001, "seconds": 2.5},
        ),
    ] == sent  # fmt: skip


def test_whatever_is_said_twice_is_one_event(made, sent):
    connection = opened(made)
    for _ in range(2):
        made.accepted(connection)
    for _ in range(2):
        made.ended(connection, None)
    assert ["connection.opened", "connection.closed"] == [event.kind for event in sent]


def test_a_rejection_is_one_event_and_no_failure_besides(made, sent):
    connection = opened(made)
    made.rejected(connection)
    made.ended(connection, None)
    assert ["connection.rejected"] == [event.kind for event in sent]


@pytest.mark.parametrize(("error", "reason"), [(ValueError("x"), "error"), (None, "timeout")])
def test_a_connection_that_is_never_accepted_has_failed(made, sent, error, reason):
    made.ended(opened(made), error)
    assert [("connection.failed", {"reason": reason})] == [(event.kind, event.details) for event in sent]


# --- errors of handlers -------------------------------------------------------------------------------------------


def raise_in_handler(
    made: Instruments, text: str = "no ann@example.org", kind: str = "websocket.receive"
) -> Connection:
    connection = opened(made)
    try:
        raise LookupError(text)
    except LookupError as error:
        made.handler_error(connection, kind, error)
    return connection


def test_an_error_of_a_handler_is_counted_and_tells_where_without_personal_data(made, sent):
    connection = raise_in_handler(made)
    [event] = sent
    assert {"LookupError": 1} == made.ledger.settle(connection).errors
    assert ("handler.error", "error", "1") == (event.kind, event.severity, event.connection)
    assert ("LookupError: no [e-mail]", "websocket.receive", "raise_in_handler") == (
        event.details["error"], event.details["message"], event.details["function"],
    )  # fmt: skip
    assert str(event.details["file"]).endswith("test_state.py")


def test_a_message_type_is_redacted_as_well(made, sent):
    raise_in_handler(made, kind="for.ann@example.org")
    assert "ann@" not in str(sent[0].details["message"])


def test_an_exception_that_was_never_raised_has_no_place_to_tell(made, sent):
    made.handler_error(opened(made), "x", ValueError("y"))
    assert {"error", "message"} == set(sent[0].details)


def test_an_exception_that_cannot_even_be_shown_does_no_harm(made, sent):
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    made.handler_error(opened(made), "x", Unspeakable())
    assert "Unspeakable" in str(sent[0].details["error"])


def test_a_wave_is_capped_and_still_counted(made, sent):
    connections = [raise_in_handler(made) for _ in range(10)]
    assert 2 == len(sent)
    assert {"LookupError": 10} == made.ledger.settle(connections[0]).errors
    [summary] = made.limiter.summaries(0.0)
    assert ("handler.error", 8) == (summary.kind, summary.count)


# --- the border ---------------------------------------------------------------------------------------------------


def test_a_listener_that_fails_stops_neither_the_others_nor_the_connection(made, sent, faults):
    made.listeners.insert(0, lambda event: 1 / 0)
    made.accepted(opened(made))
    assert (1, {"event listener": 1}) == (len(sent), dict(faults))


def test_a_starter_that_fails_does_not_stop_the_connection(made, monkeypatch, faults):
    called: list[str] = []
    monkeypatch.setattr(state, "_starters", [lambda: 1 / 0, lambda: called.append("second")])
    made.start()
    made.start()
    assert (["second", "second"], {"node start": 2}) == (called, dict(faults))


def test_a_starter_is_registered_once(monkeypatch):
    monkeypatch.setattr(state, "_starters", [])

    def starter() -> None:
        pass

    state.on_first_call(starter)
    state.on_first_call(starter)
    assert [starter] == state._starters


def test_a_process_has_one_set_of_instruments(shared):
    assert state.instruments() is state.instruments() is shared
    state.reset()
    assert state.instruments() is not shared
