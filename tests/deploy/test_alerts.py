"""An alert travels: demo traffic, a real Prometheus with the hub's rules, a real Alertmanager, a webhook; and back."""

from __future__ import annotations

import json

import pytest
import yaml

from scripts.validate_deploy import ALERTMANAGER, DEPLOY
from tests.deploy.stage import TOKEN, prometheus_config
from tests.support.alertmanager import Webhook, make_alertmanager
from tests.support.servers import DAPHNE
from tests.support.traffic import make_traffic

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.prometheus]

#: The rule of the pack, quicker: the demo has one intruder in fifty visitors.
QUICKER = {"connection_failures": {"above": 0, "window": 10, "keep": 2}}


def alertmanager_config(webhook):
    """That of ``deploy/``, with its routes and inhibitions: every receiver is the webhook, and nothing waits."""
    config = yaml.safe_load((DEPLOY / ALERTMANAGER).read_text())
    told = {"url": webhook.url, "send_resolved": True}
    return {
        "route": hurried(config["route"]),
        "inhibit_rules": config["inhibit_rules"],
        "time_intervals": config["time_intervals"],
        "receivers": [{"name": one["name"], "webhook_configs": [told]} for one in config["receivers"]],
    }


def hurried(route):
    times = {"group_wait": "0s", "group_interval": "1s"}
    return {**route, **times, "routes": [hurried(one) for one in route.get("routes", ())]}


@pytest.mark.timeout(240)
def test_an_alert_is_told_when_it_fires_and_when_it_is_over(start_server, prometheus_server, processes, tmp_path):
    env = {"HUB_METRICS_TOKEN": TOKEN, "HUB_RULES": json.dumps(QUICKER)}
    server = start_server(DAPHNE, env=env)
    server.manage("migrate", "--verbosity", "0")
    with Webhook() as webhook:
        alertmanager = make_alertmanager(alertmanager_config(webhook), tmp_path)
        processes.append(alertmanager)
        alertmanager.start()
        config = prometheus_config(server, tmp_path, alertmanager.host)
        server.manage("hub_prometheus_rules", str(tmp_path / "rules" / "hub.yml"))
        prometheus_server(config)
        traffic = make_traffic(server, tmp_path, "calm")
        processes.append(traffic)
        traffic.start()

        firing = webhook.wait_for("firing", "connection_failures", 90)
        assert ("slack", "high", "HubConnectionFailures") == (
            firing["receiver"], firing["labels"]["severity"], firing["labels"]["alertname"],
        )  # fmt: skip
        assert firing["labels"]["consumer"] in firing["annotations"]["summary"]
        assert "docs/incidents.md#connection_failures" == firing["annotations"]["runbook_url"]

        traffic.stop()
        resolved = webhook.wait_for("resolved", "connection_failures", 90)
        assert firing["startsAt"] <= resolved["endsAt"]
    # A consumer is an alert of its own; each of them is told to be firing before it is over, and to one receiver.
    for alert in webhook.told:
        if alert["labels"]["rule"] == "connection_failures":
            assert alert["receiver"] == "slack"
