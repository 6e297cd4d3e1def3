"""What stands in ``deploy/`` names what there is: metrics, labels, rules, receivers, settings, notes."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from hub.alerting.pack import INHIBITIONS, PACK
from hub.conf import ENVIRONMENT, RECEIVER_VARIABLES
from hub.core.rules import SEVERITIES
from scripts.validate_deploy import ALERTMANAGER, DEPLOY, ROUTES, queries
from tests.docs.markdown import anchors, tables
from tests.support.processes import ROOT

RULES = [
    rule
    for file in sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
BOARDS = {file.stem: json.loads(file.read_text()) for file in (DEPLOY / "grafana" / "dashboards").glob("*.json")}
METRICS = {row["metric"]: row for table in tables(ROOT / "docs" / "metrics.md") for row in table}
#: What Prometheus says of its scrapes, and of its alerts.
PROMETHEUS_OWN = {"up", "scrape_duration_seconds", "scrape_samples_scraped", "ALERTS"}
CONFIGURATION = yaml.safe_load((DEPLOY / ALERTMANAGER).read_text())


def known(metric):
    name = re.sub(r"_(bucket|count|sum)$", "", metric)
    return metric in METRICS or METRICS.get(name, {}).get("type") == "histogram" or metric in PROMETHEUS_OWN


def metrics_of(expression):
    """The metrics that an expression names: what stands before a selector or a range, or looks like the hub's."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    return set(re.findall(r"\b([a-zA-Z_:]\w*)(?=[{\[])|\b((?:ws|hub)_\w+)\b", bare))


def names(expression):
    recorded = {name for name in RECORDED if name in expression}
    bare = expression
    for name in sorted(recorded, key=len, reverse=True):
        bare = bare.replace(name, "")
    return {a or b for a, b in metrics_of(bare)} - {"__name__", ""}


# --- rules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_looks_at_metrics_that_there_are(rule):
    assert [] == [name for name in names(rule["expr"]) if not known(name)]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule):
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["action"]
    document, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor == rule["labels"]["rule"]
    assert anchor in anchors(ROOT / document)


def test_every_rule_of_the_pack_has_notes():
    assert PACK.keys() <= anchors(ROOT / "docs" / "incidents.md")


def test_every_alert_is_tried_out():
    tried = (DEPLOY / "prometheus" / "tests" / "hub.yml").read_text()
    assert [] == [rule["labels"]["rule"] for rule in ALERTS if f'{{rule="{rule["labels"]["rule"]}"}}' not in tried]


# --- Alertmanager -------------------------------------------------------------------------------------------------


def test_what_inhibits_what_is_the_packs():
    assert len(INHIBITIONS) == len(CONFIGURATION["inhibit_rules"])


def test_every_severity_is_tried_out():
    assert {f"severity={severity}" for severity in SEVERITIES} <= ROUTES.keys()


def test_no_secret_stands_in_a_configuration():
    for file in DEPLOY.rglob("*.yml"):
        for line in file.read_text().splitlines():
            key, _, value = line.strip().removeprefix("- ").partition(":")
            if re.search(r"(api_url|password|routing_key|token|secret|credentials)", key) and value.strip():
                assert key.endswith("_file"), f"{file}: {line}"


def test_what_tenants_are_called_is_no_markup_in_slack():
    [slack] = [one for one in CONFIGURATION["receivers"] if one["name"] == "slack"]
    [config] = slack["slack_configs"]
    assert "text" not in config["mrkdwn_in"]
    template = (DEPLOY / "alertmanager" / "templates" / "hub.tmpl").read_text()
    for name in ("hub.slack.title", "hub.slack.text"):
        body = template.partition(f'define "{name}"')[2].partition("{{ define")[0]
        for found in re.findall(r"\{\{[^}]*(?:Annotations|GroupLabels)[^}]*\}\}", body):
            assert "hub.slack.escaped" in found or found.startswith("{{ with"), found


# --- dashboards ---------------------------------------------------------------------------------------------------


def test_the_dashboards_are_those_that_are_told():
    told = (ROOT / "docs" / "deployment.md").read_text()
    assert 5 == len(BOARDS)
    for uid, board in BOARDS.items():
        assert (uid, f"*{board['title']}*" in told) == (board["uid"], True)


@pytest.mark.parametrize("query", tuple(queries()), ids=str)
def test_a_panel_asks_for_metrics_that_there_are(query):
    assert [] == [name for name in names(query.text) if not known(name)]


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_are_told_apart_and_ask_the_picked_prometheus(board):
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["targets"]
            references = [target["refId"] for target in panel["targets"]]
            assert sorted(set(references)) == references
        for asking in (panel, *panel.get("targets", ())):
            assert panel["type"] == "row" or asking["datasource"]["uid"] == "${datasource}"


def test_only_counters_are_asked_for_rates():
    for query in queries():
        for metric in re.findall(r"(?:rate|increase)\((\w+)\{", query.text):
            base = re.sub(r"_(bucket|count|sum)$", "", metric)
            assert METRICS[metric if metric in METRICS else base]["type"] in ("counter", "histogram"), query


# --- the environment ----------------------------------------------------------------------------------------------


def test_the_environment_template_names_what_there_is():
    told = set(re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "environment.example").read_text(), re.MULTILINE))
    site = {row["variable"] for table in tables(ROOT / "docs" / "settings.md") for row in table if "variable" in row}
    assert told <= {*ENVIRONMENT.values(), *RECEIVER_VARIABLES, *site}
    assert {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "HUB_METRICS_TOKEN"} <= told
