"""
Every number is true: after a churn on a real server each counter equals what the load client counted.

Where a client vanishes in mid-frame nobody can know how far it got: there each counter lies between what is proven
and what was sent, equals what the host itself has seen cross its border, and the balance closes.
"""

import json
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import StartServer
from tests.support.processes import ROOT, environment
from tests.support.servers import DAPHNE, UVICORN, Server, ServerKind

#: uvicorn reads no pong of a client whose messages wait, and ends the connection for it: not on a busy machine.
PATIENT_UVICORN = replace(UVICORN, options=(*UVICORN.options, "--ws-ping-interval", "600"))
APPLICATION = "tests.truth.application:application"
WITNESSED = "tests.truth.application:witnessed_application"
GAUGES = ("ws_connections_active", "ws_inbound_backlog_messages")
#: Everything that a load client can count too.
COUNTED = (
    "ws_connections_total",
    "ws_connection_failures_total",
    "ws_disconnects_total",
    "ws_messages_received_total",
    "ws_messages_sent_total",
    "ws_layer_messages_total",
    "ws_received_bytes_total",
    "ws_sent_bytes_total",
    "ws_handler_errors_total",
    "ws_frames_dropped_total",
    "ws_message_latency_seconds_count",
    "ws_message_wait_seconds_count",
    "ws_connection_duration_seconds_count",
)
#: Names of the consumers in the host's own counts, and what the hub calls them.
CONSUMERS = {"telemetry": "telemetry", "chat": "chat", "legacy": "legacy", "plain": "tests.truth.consumers.Plain"}

Numbers = dict[str, dict[tuple[tuple[str, str], ...], float]]


def scrape(server: Server) -> Numbers:
    """What Prometheus would read: metric -> labels -> value."""
    answer = httpx.get(f"{server.url}/hub/metrics", timeout=30.0)
    assert answer.status_code == 200, answer.text
    numbers: Numbers = defaultdict(dict)
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            numbers[sample.name][tuple(sorted(sample.labels.items()))] = sample.value
    return numbers


def settled(server: Server) -> Numbers:
    """The numbers once all connections are gone; the gauges that say so are part of what is tested."""
    deadline = time.monotonic() + 30.0
    while any(scrape(server)["ws_connections_active"].values()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return scrape(server)


def load(mode: str, server: Server, connections: int, frames: int, kind: ServerKind, *, inbox: bool) -> Any:
    """Run the load client; returns what it has counted."""
    arguments = [mode, server.host, str(connections), str(frames), kind.id, str(int(inbox))]
    done = subprocess.run(
        [sys.executable, "-m", "tests.truth.load", *arguments],
        cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, check=False, timeout=450,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:4000]
    return json.loads(done.stdout)


def nonzero(series: dict[tuple[tuple[str, str], ...], float]) -> dict[tuple[tuple[str, str], ...], float]:
    return {labels: value for labels, value in series.items() if value}


def by_consumer(numbers: Numbers, metric: str) -> dict[str, float]:
    """A metric's sums over all labels but the consumer."""
    sums: dict[str, float] = defaultdict(float)
    for labels, value in numbers[metric].items():
        sums[dict(labels)["consumer"]] += value
    return sums


PATIENT = [pytest.mark.slow, pytest.mark.timeout(480)]
CHURNS = [
    pytest.param(PATIENT_UVICORN, True, 20_000, 56, id="uvicorn", marks=[*PATIENT, pytest.mark.long]),
    pytest.param(DAPHNE, True, 2_000, 60, id="daphne", marks=PATIENT),
    pytest.param(PATIENT_UVICORN, False, 1_000, 20, id="uvicorn-channels-own-loop", marks=pytest.mark.slow),
    pytest.param(DAPHNE, False, 600, 20, id="daphne-channels-own-loop", marks=pytest.mark.slow),
]


@pytest.mark.server
@pytest.mark.parametrize(("kind", "inbox", "connections", "frames"), CHURNS)
def test_every_counter_equals_what_the_client_counted(
    start_server: StartServer, tmp_path: Path, kind: ServerKind, inbox: bool, connections: int, frames: int
) -> None:
    server = start_server(kind, APPLICATION, env=settings_of(tmp_path, inbox=inbox))
    counted = load("churn", server, connections, frames, kind, inbox=inbox)
    numbers = settled(server)
    for metric in COUNTED:
        expected = {tuple(sorted(labels.items())): value for labels, value in counted.get(metric, ())}
        assert nonzero(numbers[metric]) == expected, metric
    for gauge in GAUGES:
        assert numbers[gauge], f"{gauge} is not there"
        assert nonzero(numbers[gauge]) == {}, gauge
    if connections >= 20_000:
        assert sum(by_consumer(numbers, "ws_messages_received_total").values()) >= 1_000_000


KILLS = [
    pytest.param(PATIENT_UVICORN, True, 1_500, 40, id="uvicorn"),
    pytest.param(DAPHNE, True, 1_500, 40, id="daphne"),
    pytest.param(PATIENT_UVICORN, False, 600, 40, id="uvicorn-channels-own-loop"),
    pytest.param(DAPHNE, False, 600, 40, id="daphne-channels-own-loop"),
]


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "inbox", "connections", "frames"), KILLS)
def test_clients_killed_in_mid_frame(
    start_server: StartServer, tmp_path: Path, kind: ServerKind, inbox: bool, connections: int, frames: int
) -> None:
    server = start_server(kind, WITNESSED, env=settings_of(tmp_path, inbox=inbox))
    bounds = load("kill", server, connections, frames, kind, inbox=inbox)
    numbers = settled(server)
    known = httpx.get(f"{server.url}/known/", timeout=30.0).json()
    for metric in GAUGES:
        assert nonzero(numbers[metric]) == {}, metric
    for name, label in CONSUMERS.items():
        check_bounds(numbers, label, bounds[name])
        check_balance(numbers, label, {what: known[what].get(name, 0) for what in known}, monitored=name != "plain")


def check_bounds(numbers: Numbers, consumer: str, bounds: dict[str, int]) -> None:
    """Proven <= counted <= sent."""
    connections = bounds.get("connections", 0)
    assert connections > 0, f"no connection of {consumer}: the test shows nothing"
    total = {metric: by_consumer(numbers, metric)[consumer] for metric in COUNTED}
    assert total["ws_connections_total"] == connections
    assert total["ws_disconnects_total"] == connections
    assert total["ws_connection_failures_total"] == 0
    assert bounds["answered"] <= total["ws_messages_received_total"] <= bounds["sent"]
    assert bounds["answered"] <= total["ws_messages_sent_total"] <= bounds["sent"]
    assert total["ws_received_bytes_total"] <= bounds["sent_bytes"]
    assert bounds["answered_bytes"] <= total["ws_sent_bytes_total"]


def check_balance(numbers: Numbers, consumer: str, known: dict[str, int], *, monitored: bool) -> None:
    """Arrived = received + waiting + lost; and each as the host itself has seen it."""
    received = by_consumer(numbers, "ws_messages_received_total")[consumer]
    sent = by_consumer(numbers, "ws_messages_sent_total")[consumer]
    waiting = by_consumer(numbers, "ws_inbound_backlog_messages")[consumer]
    dropped: dict[str, float] = defaultdict(float)
    for labels, value in numbers["ws_frames_dropped_total"].items():
        dropped[dict(labels)["reason"]] += value if dict(labels)["consumer"] == consumer else 0
    said = f"{consumer}: received {received}, sent {sent}, waiting {waiting}, dropped {dict(dropped)}; seen {known}"
    # Handed to the consumer: who is cancelled on the way to its handler has been, and tells nobody.
    handled = known["handled"] if monitored else known["arrived"]  # a wrapper can't see what is handled
    assert handled <= received <= handled + known["cancelled"], said
    assert received + waiting + dropped["teardown"] >= known["arrived"], said
    assert sent <= known["sent"], said
    assert sent + dropped["after_close"] == known["sent"] + known["refused"], said


def settings_of(folder: Path, *, inbox: bool) -> dict[str, str]:
    """The environment of a server, with or without the hub's own loop and sweep."""
    return {"HUB_INBOX": str(int(inbox)), "HUB_SWEEP": str(int(inbox)), "TRUTH_DB": str(folder / "host.sqlite3")}
