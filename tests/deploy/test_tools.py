"""``make check`` finds nothing wrong with ``deploy/``; here it is made wrong, and that is found and said."""

from __future__ import annotations

import shutil

import pytest

from scripts import validate_deploy
from scripts.validate_deploy import CHECKS, DEPLOY, main
from tests.support.require import require

pytestmark = [pytest.mark.prometheus]

ABOUT = {check.__name__: check.__doc__ for check in CHECKS}
RULES, TESTS, SCRAPED = "prometheus/rules/hub.yml", "prometheus/tests/hub.yml", "prometheus/rules/scrape.yml"
PROMETHEUS, TARGETS = "prometheus/prometheus.yml", "prometheus/targets/hub.yml"
ALERTMANAGER, TEMPLATE = "alertmanager/alertmanager.yml", "alertmanager/templates/hub.tmpl"
BOARD = "grafana/dashboards/hub-itself.json"


@pytest.fixture
def copy(tmp_path):
    require("promtool")
    require("amtool")
    copy = tmp_path / "copy"
    shutil.copytree(DEPLOY, copy)
    # One test of the rules is as good as all, for which promtool takes seconds.
    tests = (copy / TESTS).read_text()
    (copy / TESTS).write_text("\n  - name: ".join(tests.split("\n  - name: ")[:2]))
    return copy


def found(copy, monkeypatch, capsys, *checks):
    """What the script says of some checks."""
    monkeypatch.setattr(validate_deploy, "CHECKS", tuple(check for check in CHECKS if check.__name__ in checks))
    assert 1 == main(str(copy))
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("check", "file", "right", "wrong", "told"),
    [
        ("check_rules", RULES, "increase1m > 50", "increase1m > 5000", "deploy/prometheus/rules/hub.yml is out"),
        ("check_rules", ALERTMANAGER, "# end", "", "has no one place for inhibitions"),
        ("check_dashboards", BOARD, '"title": "Faults"', '"title": "Flaws"', "hub-itself.json is out of date"),
        ("check_prometheus", PROMETHEUS, "scrape_interval: 5s", "scrape_interval: often", "not a valid duration"),
        ("check_prometheus", PROMETHEUS, "rule_files:", "rules:", "field rules not found"),
        ("check_prometheus", SCRAPED, "up{job=", "up{job", "could not parse expression"),
        ("check_prometheus", TARGETS, "[", "[[", "deploy/prometheus/targets/hub.yml"),
        ("check_alerts", RULES, "increase1m > 50", "increase1m > 5000", "exp:"),
        ("check_alerts", TESTS, "eval_time: 2m\n", "eval_time: soon\n", "deploy/prometheus/tests/hub.yml"),
        ("check_alertmanager", ALERTMANAGER, "receiver: pager", "receiver: nobody", 'undefined receiver "nobody"'),
        ("check_alertmanager", ALERTMANAGER, "location: Europe/Berlin", "location: Berlin", "time zone Berlin"),
        ("check_alertmanager", TEMPLATE, '{{ define "hub.title" -}}', "{{ define -}}", "hub.tmpl:1"),
        ("check_routes", ALERTMANAGER, "critical|high", "high", "severity=critical is told to pager, and should be to"),
        ("check_queries", BOARD, "sum by (place", "sum by place", "The hub itself, Faults: sum by place"),
        ("check_queries", BOARD, '"panels": [', '"panels": 1, "old": [', "hub-itself.json is no dashboard"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found_and_said(check, file, right, wrong, told, copy, monkeypatch, capsys):
    text = (copy / file).read_text()
    assert right in text
    (copy / file).write_text(text.replace(right, wrong))
    said = found(copy, monkeypatch, capsys, check)
    assert f"FAILED       {ABOUT[check]}" in said
    assert told in said
    assert str(copy.parent) not in said


def test_a_file_that_is_not_there_or_no_text_fails_its_check_alone(copy, monkeypatch, capsys):
    (copy / ALERTMANAGER).unlink()
    (copy / BOARD).write_bytes(b"\xff\xfe")
    said = found(copy, monkeypatch, capsys, "check_prometheus", "check_alertmanager", "check_queries")
    assert f"ok           {ABOUT['check_prometheus']}" in said
    assert "'deploy/alertmanager/alertmanager.yml' does not exist" in said
    assert "deploy/grafana/dashboards/hub-itself.json is no dashboard" in said
    assert "3 checks: 2 failed, 0 not done" in said


def test_a_folder_that_is_no_copy_is_told(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(str(tmp_path))
    assert f"{tmp_path} is no copy of deploy/" in capsys.readouterr().err


def test_a_tool_that_never_ends_is_told(copy, monkeypatch, capsys):
    monkeypatch.setattr(validate_deploy, "PATIENCE", 0.001)
    assert "has not ended after 0.001 s" in found(copy, monkeypatch, capsys, "check_alertmanager")


def test_a_machine_without_the_tools_checks_less_and_says_so(copy, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(validate_deploy, "CHECKS", (validate_deploy.check_prometheus,))
    assert 0 == main(str(copy))
    assert f"NOT CHECKED  {ABOUT['check_prometheus']} (promtool is not on this machine" in capsys.readouterr().out
    assert 1 == main(str(copy), "--strict")
