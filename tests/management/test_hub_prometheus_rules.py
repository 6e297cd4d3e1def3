from __future__ import annotations

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.test import override_settings

from hub.alerting.pack import INHIBITIONS, OFF, PACK
from hub.conf import config
from hub.management.commands.hub_prometheus_rules import BEGIN, END

OWN = {
    "look": "level", "of": "ws_connections_active", "by": ["tenant"], "above": 5000, "release": 4500, "for": 90,
    "severity": "low", "summary": "{tenant}: {value}", "runbook": "https://wiki/crowded", "labels": {"team": "chat"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh_settings():
    config.cache_clear()
    yield
    config.cache_clear()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rules" / "hub.yml"


def made(file, *arguments):
    """What the command has written, as Prometheus reads it: recordings and alerts, by name."""
    call_command("hub_prometheus_rules", str(file), *arguments)
    [group] = yaml.safe_load(file.read_text())["groups"]
    return (
        {rule["record"]: rule["expr"] for rule in group["rules"] if "record" in rule},
        {rule["alert"]: rule for rule in group["rules"] if "alert" in rule},
    )


def test_the_pack_is_written(file):
    recordings, alerts = made(file)
    assert [name for name in PACK if name not in OFF] == [rule["labels"]["rule"] for rule in alerts.values()]
    assert all(rule["expr"].split()[0] in recordings for rule in alerts.values())


@override_settings(HUB={"RULES": {"crowded": OWN, "handler_errors": {"above": 20}, "layer_filling": False}})
def test_settings_hold_for_prometheus_too(file, capsys):
    _, alerts = made(file)
    assert alerts["HubCrowded"] == {
        "alert": "HubCrowded",
        "expr": "tenant:ws_connections_active:sum > 5000\nor\ntenant:ws_connections_active:sum > 4500\n"
        '  and on (tenant) ALERTS{alertname="HubCrowded", alertstate="firing"}',
        "for": "90s",
        "keep_firing_for": "1m",
        "labels": {"team": "chat", "rule": "crowded", "severity": "low"},
        "annotations": {
            "summary": "{{ or $labels.tenant `-` }}: {{ $value | humanize }} connections",
            "runbook_url": "https://wiki/crowded",
        },
    }
    assert alerts["HubHandlerErrors"]["expr"] == "consumer_tenant:ws_handler_errors:increase5m > 20"
    assert "HubLayerFilling" not in alerts
    assert "# Left out: layer_filling: off in HUB['RULES'].\n" in file.read_text()
    assert "# Left out: node_lost: off in the pack.\n" in file.read_text()
    assert "layer_filling is left out: off in HUB['RULES']" in capsys.readouterr().out


@override_settings(
    HUB={"RULES": {"leaving": {**OWN, "look": "count", "of": "hub_events_total", "by": ["kind"], "window": 60,
                               "summary": "{kind}"}}}
)  # fmt: skip
def test_what_prometheus_does_not_have_is_left_out_by_name_with_the_reason(file):
    _, alerts = made(file)
    assert "HubLeaving" not in alerts
    assert "# Left out: leaving: Prometheus has hub_events_total without kind.\n" in file.read_text()


@override_settings(HUB={"RULES": {"handler_errors": {"above": "many"}}})
def test_wrong_rules_write_nothing(file):
    with pytest.raises(CommandError, match="'many'"):
        call_command("hub_prometheus_rules", str(file))
    assert not file.exists()


def test_runbooks_may_be_anywhere(file):
    _, alerts = made(file, "--runbooks", "https://wiki/hub")
    assert alerts["HubLoopBlocked"]["annotations"]["runbook_url"] == "https://wiki/hub#loop_blocked"


def test_a_file_that_is_out_of_date_is_told(file):
    with pytest.raises(CommandError, match=r"is out of date: run manage\.py hub_prometheus_rules"):
        call_command("hub_prometheus_rules", str(file), "--check")
    made(file)
    call_command("hub_prometheus_rules", str(file), "--check")
    file.write_text(file.read_text() + "\n")
    with pytest.raises(CommandError, match="is out of date"):
        call_command("hub_prometheus_rules", str(file), "--check")


# --- inhibitions --------------------------------------------------------------------------------------------------


def test_inhibitions_are_put_between_their_marks(file, tmp_path):
    alertmanager = tmp_path / "alertmanager.yml"
    alertmanager.write_text(f"route: {{receiver: x}}\n{BEGIN}\nold: true\n{END}\nreceivers: [{{name: x}}]\n")
    call_command("hub_prometheus_rules", str(file), "--alertmanager", str(alertmanager))
    read = yaml.safe_load(alertmanager.read_text())
    assert ["route", "inhibit_rules", "receivers"] == list(read)
    assert len(INHIBITIONS) == len(read["inhibit_rules"])
    assert read["inhibit_rules"][0] == {
        "source_matchers": ['rule="handler_errors_many"'],
        "target_matchers": ['rule="handler_errors"'],
        "equal": ["consumer", "tenant"],
    }
    # A node is an instance to Prometheus.
    assert ["instance"] in [one["equal"] for one in read["inhibit_rules"]]
    before = alertmanager.read_text()
    call_command("hub_prometheus_rules", str(file), "--alertmanager", str(alertmanager), "--check")
    assert before == alertmanager.read_text()


@override_settings(
    HUB={"INHIBITIONS": [{"cause": "rule=crowded, tenant=o'brien", "effect": "rule~latency_*", "equal": ["consumer"]}]}
)  # fmt: skip
def test_a_hosts_own_inhibitions_stand_below_those_of_the_pack(file, tmp_path):
    alertmanager = tmp_path / "alertmanager.yml"
    alertmanager.write_text(f"{BEGIN}\n{END}\n")
    call_command("hub_prometheus_rules", str(file), "--alertmanager", str(alertmanager))
    assert {
        "source_matchers": ['rule="crowded"', 'tenant="o\'brien"'],
        "target_matchers": ['rule=~"latency_.*"'],
        "equal": ["consumer"],
    } == yaml.safe_load(alertmanager.read_text())["inhibit_rules"][len(INHIBITIONS)]


@override_settings(HUB={"INHIBITIONS": [{"cause": "rule"}]})
def test_inhibitions_that_make_no_sense_are_told_and_write_nothing(file):
    with pytest.raises(CommandError, match="INHIBITIONS"):
        call_command("hub_prometheus_rules", str(file))
    assert not file.exists()


@pytest.mark.parametrize("text", ["route: {}\n", f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n"])
def test_without_one_place_for_them_nothing_is_changed(file, tmp_path, text):
    alertmanager = tmp_path / "alertmanager.yml"
    alertmanager.write_text(text)
    with pytest.raises(CommandError, match="no one place for inhibitions"):
        call_command("hub_prometheus_rules", str(file), "--alertmanager", str(alertmanager))
    assert text == alertmanager.read_text()
    assert not file.exists()


def test_a_configuration_that_is_not_there_is_told(file, tmp_path):
    with pytest.raises(CommandError, match="is not there"):
        call_command("hub_prometheus_rules", str(file), "--alertmanager", str(tmp_path / "none.yml"))
