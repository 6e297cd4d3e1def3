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
PACKAGES = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}
#: Seconds that a check may take.
PATIENCE = 120
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


def queries(deploy: Path = DEPLOY) -> Iterator[Query]:
    """
    Every query of every panel of every dashboard.

    Raises:
        FaultError: A file is no dashboard.
    """
    for file in sorted((deploy / "grafana" / "dashboards").glob("*.json")):
        try:
            board = json.loads(file.read_text())
            for panel in board["panels"]:
                trouble = panel.get("description", "").startswith("Empty unless ")
                for target in panel.get("targets", ()):
                    yield Query(board["title"], panel["title"], target["expr"], trouble)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise FaultError(f"{file} is no dashboard: {error!r}") from error


def complete_copy(folder: Path, deploy: Path = DEPLOY) -> Path:
    """``deploy/`` with a secret in the place of each that has to be there; returns where it is."""
    copy = folder / "deploy"
    shutil.copytree(deploy, copy, ignore=shutil.ignore_patterns("secrets"))
    for file in copy.rglob("*.yml"):
        for name in re.findall(r"\bsecrets/(\w[\w.]*)", file.read_text(errors="replace")):
            secret = file.parent / "secrets" / name
            secret.parent.mkdir(exist_ok=True)
            secret.write_text("https://127.0.0.1/" if name.endswith("url") else "secret")
    return copy


# --- checks ---


def check_rules(copy: Path) -> None:
    """The rules for Prometheus are those of the pack, and so are Alertmanager's inhibitions."""
    rules = str(copy / "prometheus" / "rules" / "hub.yml")
    _run(
        sys.executable, "manage.py", "hub_prometheus_rules", rules, "--check",
        "--alertmanager", str(copy / ALERTMANAGER),
    )  # fmt: skip


def check_dashboards(copy: Path) -> None:
    """The dashboards are what the SDK writes."""
    if find_spec("grafana_foundation_sdk") is None:
        raise UncheckedError("grafana-foundation-sdk is not installed")
    _run(sys.executable, "-m", "scripts.dashboards", str(copy / "grafana" / "dashboards"), "--check")


def check_prometheus(copy: Path) -> None:
    """Prometheus can read its configuration, rules and targets."""
    _run(_tool("promtool"), "check", "config", str(copy / "prometheus" / "prometheus.yml"))


def check_alerts(copy: Path) -> None:
    """The rules say of scripted series what they should."""
    _run(_tool("promtool"), "test", "rules", *map(str, sorted((copy / "prometheus" / "tests").glob("*.yml"))))


def check_queries(copy: Path) -> None:
    """What the panels ask is PromQL."""
    file = copy / "panel.json"
    rules = [
        {
            "record": "panel:query",
            "labels": {"number": str(number)},
            "expr": query.plain(counter="x_total", gauge="x", histogram="x_bucket"),
        }
        for number, query in enumerate(queries(copy))
    ]
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    tool = _tool("promtool")
    try:
        _run(tool, "check", "rules", str(file))
    except FaultError:
        # Which of them it is promtool says by number only, and of the first alone.
        for query, rule in zip(queries(copy), rules, strict=True):
            file.write_text(json.dumps({"groups": [{"name": "panel", "rules": [rule]}]}))
            try:
                _run(tool, "check", "rules", str(file))
            except FaultError as error:
                raise FaultError(f"{query}\n{error}") from None
        raise


def check_alertmanager(copy: Path) -> None:
    """Alertmanager can read its configuration and templates."""
    _run(_tool("amtool"), "check-config", str(copy / ALERTMANAGER))


def check_routes(copy: Path) -> None:
    """Alerts reach whom they should."""
    options = ["--config.file", str(copy / ALERTMANAGER)]
    for labels, receivers in ROUTES.items():
        told = _run(_tool("amtool"), "config", "routes", "test", *options, *labels.split(",")).split()[-1]
        if told != receivers:
            raise FaultError(f"{copy / ALERTMANAGER}: {labels} is told to {told}, and should be to {receivers}")


CHECKS: tuple[Callable[[Path], None], ...] = (
    check_rules, check_dashboards, check_prometheus, check_alerts, check_queries, check_alertmanager, check_routes,
)  # fmt: skip


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise UncheckedError(f"{name} is not on this machine; Debian: apt-get install {PACKAGES[name]}")
    return path


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            timeout=PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise FaultError(f"{' '.join(command)}\nhas not ended after {PATIENCE} s") from None
    if done.returncode:
        raise FaultError(f"{' '.join(command)}\n{done.stdout.strip()}")
    return done.stdout


def check_all(copy: Path) -> tuple[list[str], list[str]]:
    """Run all checks and say what each found; returns those that failed, and those that this machine can't do."""
    failed: list[str] = []
    unchecked: list[str] = []
    for check in CHECKS:
        about = (check.__doc__ or "").strip()
        try:
            check(copy)
        except UncheckedError as error:
            unchecked.append(about)
            print(f"NOT CHECKED  {about} ({error})")
        except FaultError as error:
            failed.append(about)
            # The copy is gone when somebody reads this.
            print(f"FAILED       {about}\n{error}".replace(str(copy), "deploy"))
        else:
            print(f"ok           {about}")
    return failed, unchecked


def main(*arguments: str) -> int:
    """Check everything; returns 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m scripts.validate_deploy", description="Check what is in deploy/.")
    parser.add_argument("folder", nargs="?", type=Path, default=DEPLOY, help="a copy of it (default: deploy)")
    parser.add_argument("--strict", action="store_true", help="what can't be checked on this machine is a failure")
    options = parser.parse_args(arguments)
    if not (options.folder / "prometheus").is_dir():
        parser.error(f"{options.folder} is no copy of deploy/: there is no folder prometheus in it")
    with tempfile.TemporaryDirectory() as folder:
        failed, unchecked = check_all(complete_copy(Path(folder), options.folder))
    print(f"{len(CHECKS)} checks: {len(failed)} failed, {len(unchecked)} not done")
    return 1 if failed or (options.strict and unchecked) else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
