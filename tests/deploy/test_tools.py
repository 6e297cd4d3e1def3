"""promtool and amtool find nothing wrong with ``deploy/``, and find what is made wrong."""

from __future__ import annotations

import pytest

from scripts import validate_deploy
from scripts.validate_deploy import ALERTMANAGER, CHECKS, FaultError, UncheckedError, complete_copy
from tests.support.require import require

pytestmark = [pytest.mark.prometheus]


@pytest.fixture(autouse=True)
def _tools():
    require("promtool")
    require("amtool")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nothing_is_wrong(check, tmp_path):
    check(complete_copy(tmp_path))


@pytest.mark.parametrize(
    ("check", "file", "right", "wrong"),
    [
        ("check_prometheus", "prometheus/prometheus.yml", "scrape_interval: 5s", "scrape_interval: often"),
        ("check_prometheus", "prometheus/rules/scrape.yml", "up{job=", "up{job"),
        ("check_alerts", "prometheus/rules/hub.yml", "increase1m > 50", "increase1m > 5000"),
        ("check_alertmanager", str(ALERTMANAGER), "receiver: pager", "receiver: nobody"),
        ("check_alertmanager", "alertmanager/templates/hub.tmpl", '{{ define "hub.title" -}}', "{{ define -}}"),
        ("check_routes", str(ALERTMANAGER), "critical|high", "high"),
    ],
)
def test_what_is_wrong_is_found(check, file, right, wrong, tmp_path):
    copy = complete_copy(tmp_path)
    text = (copy / file).read_text()
    assert right in text
    (copy / file).write_text(text.replace(right, wrong))
    with pytest.raises(FaultError):
        getattr(validate_deploy, check)(copy)


def test_a_query_that_is_no_promql_is_found(monkeypatch, tmp_path):
    query = validate_deploy.Query("Board", "panel", "sum by (", trouble=False)
    monkeypatch.setattr(validate_deploy, "queries", lambda: iter([query]))
    with pytest.raises(FaultError):
        validate_deploy.check_queries(complete_copy(tmp_path))


def test_a_machine_without_the_tools_checks_less_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UncheckedError, match="promtool is not on this machine"):
        validate_deploy.check_prometheus(complete_copy(tmp_path))
