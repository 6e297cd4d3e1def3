"""What the tests of ``deploy/`` run: a site under demo traffic, scraped as ``deploy/`` says, only more often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from scripts.validate_deploy import DEPLOY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import Server

TOKEN = "of-a-test-of-its-own"


def prometheus_config(server: Server, folder: Path, alertmanager: str = "127.0.0.1:9") -> dict[str, Any]:
    """
    The configuration of ``deploy/``: this site alone, scraped and evaluated every second.

    Args:
        folder: Where Prometheus looks for what the configuration names; rules, targets, secrets are written there.
        alertmanager: Its host and port.
    """
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
    [alertmanagers] = config["alerting"]["alertmanagers"]
    alertmanagers["static_configs"] = [{"targets": [alertmanager]}]
    [job] = [job for job in config["scrape_configs"] if job["job_name"] == "hub"]
    config["scrape_configs"] = [{**job, "scrape_interval": "1s"}]
    for name in ("rules", "targets", "secrets"):
        (folder / name).mkdir()
    for file in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
        (folder / "rules" / file.name).write_text(file.read_text())
    (folder / "targets" / "hub.yml").write_text(yaml.safe_dump([{"targets": [server.host]}]))
    (folder / "secrets" / "hub.token").write_text(TOKEN)
    return config
