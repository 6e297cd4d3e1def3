"""What every test may ask for, and the rule about skipping: loud at the end, forbidden where all must run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from asgiref.sync import SyncToAsync
from django.db import connections

from hub.node import executor
from tests.support.browser import PAGE_TIMEOUT_MILLISECONDS, chromium
from tests.support.order import long_first
from tests.support.processes import ROOT
from tests.support.prometheus import Prometheus, make_prometheus
from tests.support.redis import RedisServer, make_redis
from tests.support.require import everything_is_required
from tests.support.servers import SERVER_KINDS, Server, ServerKind, make_server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from playwright.sync_api import Page
    from pytest import TerminalReporter  # noqa: PT013  a name of pytest's, for the type only

    from tests.support.processes import Process

PROCESSES = pytest.StashKey[list["Process"]]()


class StartServer(Protocol):
    """What the fixture ``start_server`` hands out."""

    def __call__(
        self,
        kind: ServerKind,
        application: str = "hub.asgi:application",
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        port: int | None = None,
    ) -> Server:
        """Start a server and wait until it accepts; it is stopped when the test ends."""


class StartPrometheus(Protocol):
    """What the fixture ``prometheus_server`` hands out."""

    def __call__(self, config: Mapping[str, Any]) -> Prometheus:
        """Start a Prometheus and wait until it accepts; it is stopped when the test ends."""


# --- the order ----------------------------------------------------------------------------------------------------


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is ``long`` begins first: at the end everybody else would wait for it."""
    workers: int = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = long_first(items, [item for item in items if item.get_closest_marker("long")], workers)


# --- the database -------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _threads_without_connections(request: pytest.FixtureRequest) -> Iterator[None]:
    """
    Close what a test opened in the thread that all sync code shares, and in the hub's own.

    These threads outlive the test. Channels' sweep and the hub's would ask the connection left there how it is, and
    pytest-django lets nobody ask in a test without a database.
    """
    yield
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()
    if request.node.get_closest_marker("django_db") is not None:
        _close_connections_of(executor._POOL)


def _close_connections_of(pool: ThreadPoolExecutor) -> None:
    together = Barrier(pool._max_workers)

    def close() -> None:
        together.wait(30)
        connections.close_all()

    for closed in [pool.submit(close) for _ in range(pool._max_workers)]:
        closed.result()


# --- processes ----------------------------------------------------------------------------------------------------


@pytest.fixture
def processes(request: pytest.FixtureRequest) -> Iterator[list[Process]]:
    """Processes of this test: stopped at its end, their logs shown if it fails."""
    started: list[Process] = []
    request.node.stash[PROCESSES] = started
    with ExitStack() as stack:
        stack.callback(lambda: [process.stop() for process in reversed(started)])
        yield started


@pytest.fixture(params=SERVER_KINDS, ids=str)
def server_kind(request: pytest.FixtureRequest) -> ServerKind:
    """Each server and WebSocket implementation in turn."""
    kind: ServerKind = request.param
    return kind


@pytest.fixture
def start_server(processes: list[Process], tmp_path: Path) -> StartServer:
    """Start real ASGI servers: ``start_server(kind, "module:application", env={...})``."""

    def start(
        kind: ServerKind,
        application: str = "hub.asgi:application",
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        port: int | None = None,
    ) -> Server:
        made = make_server(kind, application, folder=tmp_path, env=env or {}, cwd=cwd, port=port)
        processes.append(made)
        made.start()
        return made

    return start


@pytest.fixture
def redis_server(processes: list[Process], tmp_path: Path) -> RedisServer:
    """A Redis of this test's own, running and empty."""
    made = make_redis(tmp_path)
    processes.append(made)
    made.start()
    return made


@pytest.fixture
def prometheus_server(processes: list[Process], tmp_path: Path) -> StartPrometheus:
    """Start a Prometheus: ``prometheus_server(scrape_config(server.host))``."""

    def start(config: Mapping[str, Any]) -> Prometheus:
        made = make_prometheus(config, tmp_path)
        processes.append(made)
        made.start()
        return made

    return start


@pytest.fixture
def browser_page() -> Iterator[Page]:
    """A page of a fresh Chromium, with nothing stored."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PAGE_TIMEOUT_MILLISECONDS)
        yield page


# --- what the run says --------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs of a failed test's processes; make a failure of a skip where everything has to run."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and everything_is_required():
        report.outcome = "failed"
        report.longrepr = f"Skipped, though HUB_REQUIRE_ALL=1: {reason(report)}"
    if report.failed:
        for process in item.stash.get(PROCESSES, []):
            report.sections.append((f"log of {process.name} on port {process.port}", process.log_text()[-20_000:]))
    return report


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped, in one line."""
    longrepr = report.longrepr
    return str(longrepr[2] if isinstance(longrepr, tuple) else longrepr).removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """List what was skipped and why, so that a green run without half of its tests does not look like one."""
    skipped: list[pytest.TestReport] = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section(f"{len(skipped)} SKIPPED: this run did not check", yellow=True, bold=True)
        for report in skipped:
            terminalreporter.line(f"{report.nodeid}: {reason(report)}", yellow=True)
