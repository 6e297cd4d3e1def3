from __future__ import annotations

from datetime import datetime

import pytest

from hub.alerting.receivers.alertmanager import EXPIRES, alerts_of
from hub.core.groups import CHANGED, OVER, REPEATED
from hub.core.routing import PACES
from tests.alerting.messages import AT, PAGE, alert, message, resolved, storm
from tests.alerting.receivers.made import made


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture
def pair():
    with made("alertmanager") as one:
        yield one


def test_an_alert_fires_there_until_it_is_over(pair):
    pair.receiver.deliver(message(), {})
    [sent] = pair.server.alerts.values()
    assert (AT - 60, AT + EXPIRES) == (seconds(sent["startsAt"]), seconds(sent["endsAt"]))
    assert ("handler_errors", "Production", "acme") == tuple(
        sent["labels"][name] for name in ("alertname", "site", "tenant")
    )
    assert sent["generatorURL"].startswith(PAGE)
    assert "120 errors, threshold 10 errors" == sent["annotations"]["figures"]
    pair.receiver.deliver(message(OVER, number=2), {})
    [sent] = pair.server.alerts.values()
    assert (AT - 60, AT + 600) == (seconds(sent["startsAt"]), seconds(sent["endsAt"]))
    assert [] == pair.server.flaws


def test_what_fires_does_not_end_there_between_two_messages():
    assert max(pace.repeat for pace in PACES.values()) < EXPIRES


def test_a_repetition_moves_the_end(pair):
    pair.receiver.deliver(message(), {})
    pair.receiver.deliver(message(REPEATED, at=AT + 1800), {})
    [sent] = pair.server.alerts.values()
    assert AT + 1800 + EXPIRES == seconds(sent["endsAt"])


def test_each_alert_of_a_storm_is_one_there(pair):
    pair.receiver.deliver(storm(), {})
    assert (200, 1, []) == (len(pair.server.alerts), len(pair.server.got), pair.server.flaws)


def test_of_some_that_are_over_only_these_end():
    sent = alerts_of(message(CHANGED, alert("one"), resolved=(resolved(alert("two")),)), EXPIRES)
    assert [AT + EXPIRES, AT + 600] == [seconds(one["endsAt"]) for one in sent]


def test_it_logs_in(pair):
    pair.receiver.deliver(message(), {})
    [request] = pair.server.got
    assert request.headers["authorization"].startswith("Basic ")


def test_empty_labels_are_left_out():
    [sent] = alerts_of(message("fired", alert("", runbook="", action=""), page=None), EXPIRES)
    assert "tenant" not in sent["labels"]
    assert {"summary", "figures"} == set(sent["annotations"])
    assert "generatorURL" not in sent
