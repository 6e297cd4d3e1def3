from __future__ import annotations

import pytest
from django.core.checks import CheckMessage, run_checks
from django.test import override_settings

from hub.checks import REQUIRED_APPS, check_apps, check_environment, check_metrics_access, check_settings


def ids(messages: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in messages]


@pytest.mark.django_db
def test_the_site_itself_is_set_up_rightly():
    assert [] == [message for message in run_checks() if str(message.id).startswith("hub.")]


@override_settings(HUB={"ENABELD": True, "SWEEP_INTERVAL": "500ms"})
def test_settings_that_cannot_be_used_are_errors_with_key_value_and_remedy():
    unknown, invalid = check_settings()
    assert ["hub.E001", "hub.E002"] == ids([unknown, invalid])
    assert ("ENABELD" in unknown.msg, "ENABLED" in str(unknown.hint)) == (True, True)
    assert ("SWEEP_INTERVAL" in invalid.msg, "'500ms'" in invalid.msg, "seconds" in str(invalid.hint)) == (
        True,
        True,
        True,
    )


@override_settings(HUB={"TENANT": "an.unknown key"})
def test_a_value_does_not_change_what_kind_of_error_it_is():
    assert ["hub.E002"] == ids(check_settings())


@override_settings(HUB={"WAT": 1})
@pytest.mark.django_db
def test_django_runs_the_checks():
    assert "hub.E001" in ids(run_checks())


@pytest.mark.parametrize("missing", REQUIRED_APPS)
def test_what_the_page_needs_to_know_its_operators(monkeypatch, missing):
    monkeypatch.setattr("hub.checks.apps.is_installed", lambda name: name != missing)
    [message] = check_apps()
    assert ("hub.E003", True, True) == (message.id, missing in message.msg, missing in str(message.hint))


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "0.0.0.0/0.0.0.0"])
def test_metrics_for_everybody_are_warned_of(network):
    with override_settings(HUB={"METRICS_NETWORKS": ["127.0.0.1/32", network]}):
        [message] = check_metrics_access()
    assert ("hub.W001", True) == (message.id, "METRICS_NETWORKS" in str(message.hint))


@pytest.mark.parametrize("networks", [[], ["10.0.0.0/8"]])
def test_metrics_for_some_are_not(networks):
    with override_settings(HUB={"METRICS_NETWORKS": networks}):
        assert [] == check_metrics_access()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HUB_SLOW_THRESHOLD_MS", "WEBSOCKET_SLOW_CONSUMER_THRESHOLD_MS"),
        ("HUB_EVENT_PER_SECOND", "HUB_EVENTS_PER_SECOND"),
        ("HUB_ENABLE", "HUB_ENABLED"),
    ],
)  # fmt: skip
def test_a_variable_that_is_misspelt_is_named_with_the_one_that_is_meant(monkeypatch, name, meant):
    monkeypatch.setenv(name, "1")
    [message] = check_environment()
    assert ("hub.W002", True, True) == (message.id, name in message.msg, f" {meant}?" in str(message.hint))


@pytest.mark.parametrize(
    "name", ["HUB_VAR", "HUB_REQUIRE_ALL", "HUB_PROTOCOL", "HUB_EVENTS_PER_SECOND", "JUPYTERHUB_USER"]
)
def test_a_variable_of_somebody_else_is_no_concern_of_the_hub_s(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert [] == check_environment()
