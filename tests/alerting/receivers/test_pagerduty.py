from __future__ import annotations

import pytest

from hub.alerting.receivers.base import RefusedError
from hub.alerting.receivers.pagerduty import MAX_SUMMARY, SEVERITIES, event_of
from hub.core.groups import ACKNOWLEDGED, CHANGED, FIRED, OVER, REPEATED
from hub.core.redaction import Secret
from tests.alerting.messages import INCIDENT, PAGE, alert, message, storm
from tests.alerting.receivers.made import made
from tests.support.formats import pagerduty_flaws


@pytest.fixture
def pair():
    with made("pagerduty") as one:
        yield one


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (FIRED, "triggered"),
        (CHANGED, "triggered"),
        (REPEATED, "triggered"),
        (ACKNOWLEDGED, "acknowledged"),
        (OVER, "resolved"),
    ],
)
def test_an_incident_goes_through_its_states(pair, kind, state):
    pair.receiver.deliver(message(), {})
    pair.receiver.deliver(message(kind, number=2, by="ann"), {})
    assert ({INCIDENT: state}, []) == (pair.server.incidents, pair.server.flaws)


def test_an_event_says_who_where_and_why():
    event = event_of(message())
    payload = event["payload"]
    assert "chat, tenant acme: 120 errors within 5 min" == payload["summary"]
    assert ("acme", "error", "handler_errors") == (payload["source"], payload["severity"], payload["class"])
    assert event["client_url"].startswith(PAGE)
    assert ["Operator page", "Runbook"] == [link["text"] for link in event["links"]]
    [line] = payload["custom_details"]["alerts"]
    assert "120 errors, threshold 10 errors" in line


@pytest.mark.parametrize(("ours", "theirs"), SEVERITIES.items())
def test_severities_are_theirs(ours, theirs):
    assert theirs == event_of(message(severity=ours))["payload"]["severity"]


@pytest.mark.parametrize("one", [storm(1000), message(FIRED, alert("x" * 5000)), message(page=None)])
def test_the_worst_event_keeps_to_the_limits(one):
    event = event_of(one)
    assert [] == pagerduty_flaws(event, 0)
    assert len(event["payload"]["summary"]) <= MAX_SUMMARY


def test_a_wrong_key_is_refused_with_their_reason(pair):
    pair.receiver._options.routing_key.value = "b" * 32
    with pytest.raises(RefusedError, match=r"answered 400: .*Event object is invalid"):
        pair.receiver.deliver(message(), {})
    assert "b" * 32 not in repr(Secret("b" * 32))
