"""
``python -m scripts.validate_deploy``: check everything in ``deploy/``, with promtool and amtool where they are.

What a machine lacks is said and not checked; with ``--strict`` it is a failure.
"""

# ruff: noqa: S603, T201 - a script may print, and run tools with arguments of its own

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
ALERTMANAGER = Path("alertmanager", "alertmanager.yml")
#: Who is told of what: labels of an alert, and the receivers it has to reach, in the order of the routes.
ROUTES = {
    "severity=critical": "pager,slack",
    "severity=high": "slack",
    "severity=medium": "slack,mail",
    "severity=low": "mail",
    "severity=unheard-of": "mail",
}
#: What Grafana would put in, for a dashboard that shows everything.
VARIABLES = {
    "$__rate_interval": "1m",
    "$__range": "1h",
    "$job": "hub",
    "$instance": ".+",
    "$consumer": ".*",
    "$tenant": ".*",
}


class FaultError(Exception):
    """Something in ``deploy/`` is not as it should be; says what."""


class UncheckedError(Exception):
    """This machine has not got what a check takes; says what."""


@dataclass(frozen=True)
class Query:
    """What a panel asks Prometheus; ``trouble`` says that there is only an answer when something goes wrong."""

    dashboard: str
    panel: str
    text: str
    trouble: bool

    def plain(self, **variables: str) -> str:
        """The query, as Grafana would send it; ``variables`` besides `VARIABLES`."""
        text = self.text
        for name, value in {**VARIABLES, **{f"${name}": value for name, value in variables.items()}}.items():
            text = re.sub(rf"{re.escape(name)}\b", value, text)
        return text

    def __str__(self) -> str:
        return f"{self.dashboard}, {self.panel}: {self.text}"


def queries() -> Iterator[Query]:
    """Every query of every panel of every dashboard."""
    for file in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json")):
        board = json.loads(file.read_text())
        for panel in board["panels"]:
            trouble = panel.get("description", "").startswith("Empty unless ")
            for target in panel.get("targets", ()):
                yield Query(board["title"], panel["title"], target["expr"], trouble)


def complete_copy(folder: Path) -> Path:
    """``deploy/`` with a secret in the place of each that has to be there; returns where it is."""
    copy = folder / "deploy"
    shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("secrets"))
    for file in copy.rglob("*.yml"):
        for name in re.findall(r"\bsecrets/(\w[\w.]*)", file.read_text()):
            secret = file.parent / "secrets" / name
            secret.parent.mkdir(exist_ok=True)
            secret.write_text("https://127.0.0.1/" if name.endswith("url") else "secret")
    return copy


# --- checks ---


def check_rules(_: Path) -> str:
    """The rules for Prometheus are those of the pack, and so are Alertmanager's inhibitions."""
    return _run(
        sys.executable, "manage.py", "hub_prometheus_rules", "--check", "--alertmanager", str(DEPLOY / ALERTMANAGER)
    )  # fmt: skip


def check_dashboards(_: Path) -> str:
    """The dashboards are what the SDK writes."""
    if find_spec("grafana_foundation_sdk") is None:
        raise UncheckedError("grafana-foundation-sdk is not installed")
    return _run(sys.executable, "-m", "scripts.dashboards", "--check")


def check_prometheus(copy: Path) -> str:
    """Prometheus can read its configuration, rules and targets."""
    return _run(_tool("promtool"), "check", "config", str(copy / "prometheus" / "prometheus.yml"))


def check_alerts(copy: Path) -> str:
    """The rules say of scripted series what they should."""
    return _run(_tool("promtool"), "test", "rules", *map(str, sorted((copy / "prometheus" / "tests").glob("*.yml"))))


def check_queries(copy: Path) -> str:
    """What the panels ask is PromQL."""
    rules = [
        {"record": f"panel:query:{number}", "expr": query.plain(counter="x_total", gauge="x", histogram="x_bucket")}
        for number, query in enumerate(queries())
    ]
    file = copy / "panels.json"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    return _run(_tool("promtool"), "check", "rules", str(file))


def check_alertmanager(copy: Path) -> str:
    """Alertmanager can read its configuration and templates."""
    return _run(_tool("amtool"), "check-config", str(copy / ALERTMANAGER))


def check_routes(copy: Path) -> str:
    """Alerts reach whom they should."""
    for labels, receivers in ROUTES.items():
        options = ["--config.file", str(copy / ALERTMANAGER), "--verify.receivers", receivers]
        _run(_tool("amtool"), "config", "routes", "test", *options, *labels.split(","))
    return f"{len(ROUTES)} routes"


CHECKS: tuple[Callable[[Path], str], ...] = (
    check_rules, check_dashboards, check_prometheus, check_alerts, check_queries, check_alertmanager, check_routes,
)  # fmt: skip


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise UncheckedError(f"{name} is not on this machine")
    return path


def _run(*command: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise FaultError(f"{' '.join(command)}\n{done.stdout}")
    return done.stdout


def main() -> int:
    """Run all checks and say what each found; returns 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m scripts.validate_deploy", description="Check what is in deploy/.")
    parser.add_argument("--strict", action="store_true", help="what can't be checked on this machine is a failure")
    strict: bool = parser.parse_args().strict
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = complete_copy(Path(folder))
        for check in CHECKS:
            about = (check.__doc__ or "").strip()
            try:
                check(copy)
            except UncheckedError as error:
                failed += strict
                print(f"not checked  {about} ({error})")
            except FaultError as error:
                failed += 1
                print(f"FAILED       {about}\n{error}")
            else:
                print(f"ok           {about}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
