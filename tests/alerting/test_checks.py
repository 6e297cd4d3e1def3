from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from hub.alerting.checks import check_receivers, check_rules


@override_settings(HUB={"RULES": {"handler_errors": {"above": 20}, "layer_filling": False}})
def test_rules_that_can_be_used_are_no_error():
    assert [] == check_rules()


@override_settings(HUB={"RULES": {"handler_errors": {"above": "many"}}})
def test_one_that_cannot_is_an_error_with_place_value_and_remedy():
    [message] = check_rules()
    assert ("hub.E005", True, True) == (message.id, "'many'" in message.msg, "number" in str(message.hint))
    assert "HUB['RULES']['handler_errors']['above']" in message.msg


@pytest.mark.django_db
@override_settings(HUB={"RULES": {"nothing": False}})
def test_django_runs_the_check():
    assert "hub.E005" in [message.id for message in run_checks()]


@override_settings(HUB={"RECEIVERS": {"ops": {"type": "email", "to": ["ops@example.com"]}}, "LAST_RESORT": ["ops"]})
def test_receivers_and_routes_that_can_be_used_are_no_error():
    assert [] == check_receivers()


@override_settings(HUB={"RECEIVERS": {"ops": {"type": "slack", "url": "xoxb-secret"}}, "ROUTES": [{"name": "a"}]})
def test_those_that_cannot_are_errors_with_place_and_remedy_and_without_secrets():
    receiver, route = check_receivers()
    assert ("hub.E006", "hub.E007") == (receiver.id, route.id)
    assert ("HUB['RECEIVERS']['ops']" in receiver.msg, "url, token, channel" in str(receiver.hint)) == (True, True)
    assert "HUB['ROUTES'][0]" in route.msg
    assert "xoxb-secret" not in str(receiver)
