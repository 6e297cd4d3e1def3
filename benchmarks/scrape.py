"""
A scrape of 1,000 label sets: the hub's endpoint beside prometheus_client's own holding the same series.

A monitored server gets 1,000 connections, one for each of 5 consumers x 200 tenants. Its exposition is then built
again out of prometheus_client's Counter, Gauge and Histogram, served by its `make_asgi_app` on the same server.
"""

import tempfile
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, make_asgi_app
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from benchmarks import figures
from benchmarks.apps import LABEL_CONSUMERS, LABEL_TENANTS, Application, Side
from benchmarks.figures import Measurement, Row, Spread, Verdict
from benchmarks.load import LoadClient
from benchmarks.machine import Machine
from benchmarks.servers import Server, ServerKind, start_server

HUB = "hub"
PROMETHEUS = "prometheus_client"
IDLE = "idle"
HUB_PATH = "/hub/metrics"
PROMETHEUS_PATH = "/"
FORMATS = {
    "text": "text/plain;version=0.0.4",
    "OpenMetrics": "application/openmetrics-text;version=1.0.0",
}


def measure_scrape(machine: Machine, rounds: int, client: LoadClient) -> Measurement:
    """Scrape both endpoints in turn, in both formats, and watch their event loops meanwhile."""
    measurement = Measurement(f"scrape: {LABEL_CONSUMERS * LABEL_TENANTS:,} label sets")
    with start_server(ServerKind.UVICORN, Side.MONITORED, machine.server_core) as hub:
        client.hold([hub.address(f"labels/{consumer}/tenant-{tenant}") for consumer, tenant in _list_label_sets()])
        exposition = hub.get(HUB_PATH, Accept=FORMATS["text"])
        with tempfile.NamedTemporaryFile(suffix=".prom") as series:
            series.write(exposition)
            series.flush()
            with _start_prometheus(machine, Path(series.name)) as prometheus:
                _compare(measurement, hub, prometheus, rounds)
        client.release()
    measurement.notes.append(
        "GET over HTTP on uvicorn, from request to last byte. prometheus_client encodes on the event loop; the hub "
        "off it. The delay is how late a sleep of 1 ms ends on the server's loop, at worst; idle: without a scrape."
    )
    return measurement


def _start_prometheus(machine: Machine, series: Path) -> Any:
    return start_server(ServerKind.UVICORN, PROMETHEUS, machine.server_core, f"--series={series}")


def _list_label_sets() -> Iterator[tuple[int, int]]:
    return ((consumer, tenant) for consumer in range(LABEL_CONSUMERS) for tenant in range(LABEL_TENANTS))


@dataclass(frozen=True, slots=True)
class Scrape:
    """One scrape, or none for as long as one: seconds, the longest delay of the loop within them, samples."""

    elapsed: float
    delay: float
    samples: int = 0


Scrapes = dict[str, list[Scrape]]


def _compare(measurement: Measurement, hub: Server, prometheus: Server, rounds: int) -> None:
    for name, accept in FORMATS.items():
        scrapes: Scrapes = {HUB: [], PROMETHEUS: [], IDLE: []}
        for _ in range(rounds):
            scrapes[HUB].append(_scrape(hub, HUB_PATH, accept))
            scrapes[PROMETHEUS].append(_scrape(prometheus, PROMETHEUS_PATH, accept))
            scrapes[IDLE].append(_watch(hub, scrapes[HUB][-1].elapsed))
        measurement.rows.extend(_make_rows(name, scrapes))
        measurement.verdicts.extend(_judge(name, scrapes))


def _scrape(server: Server, path: str, accept: str) -> Scrape:
    server.read_delay()
    began = perf_counter()
    body = server.get(path, Accept=accept)
    elapsed = perf_counter() - began
    return Scrape(elapsed, server.read_delay(), sum(not line.startswith(b"#") for line in body.splitlines()))


def _watch(server: Server, seconds: float) -> Scrape:
    """Watch the loop while nobody scrapes: the machine delays it too."""
    server.read_delay()
    sleep(seconds)
    return Scrape(seconds, server.read_delay())


def _make_rows(name: str, scrapes: Scrapes) -> Iterator[Row]:
    for side, several in scrapes.items():
        yield Row(
            {
                "format": name,
                "side": side,
                "samples": str(several[-1].samples or ""),
                "scrape ms": "" if side == IDLE else Spread.over([scrape.elapsed * 1e3 for scrape in several]),
                "longest loop delay ms": Spread.over([scrape.delay * 1e3 for scrape in several]),
            }
        )


def _judge(name: str, scrapes: Scrapes) -> Iterator[Verdict]:
    pairs = zip(scrapes[HUB], scrapes[PROMETHEUS], strict=True)
    yield Verdict(figures.SCRAPE_TIME, name, Spread.over([ours.elapsed / theirs.elapsed for ours, theirs in pairs]))
    yield Verdict(figures.SCRAPE_DELAY, name, Spread.over([scrape.delay * 1e3 for scrape in scrapes[HUB]]))


def build_prometheus(exposition: str) -> Application:
    """Build prometheus_client's own endpoint over instruments that hold the series of `exposition`."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    for family in text_string_to_metric_families(exposition):
        if family.samples and family.type in _REBUILD:
            _REBUILD[family.type](family, registry)
    application: Application = make_asgi_app(registry)
    return application


def _rebuild_counter(family: Metric, registry: CollectorRegistry) -> None:
    names = tuple(family.samples[0].labels)
    counter = Counter(family.name, family.documentation, names, registry=registry)
    for sample in family.samples:
        _label(counter, sample.labels).inc(sample.value)


def _rebuild_gauge(family: Metric, registry: CollectorRegistry) -> None:
    names = tuple(family.samples[0].labels)
    gauge = Gauge(family.name, family.documentation, names, registry=registry)
    for sample in family.samples:
        _label(gauge, sample.labels).set(sample.value)


def _rebuild_histogram(family: Metric, registry: CollectorRegistry) -> None:
    """Observe each bucket's bound as often as the bucket counts: the series are equal, only the sums differ."""
    buckets = [sample for sample in family.samples if sample.name.endswith("_bucket")]
    bounds = sorted({float(sample.labels["le"]) for sample in buckets})
    names = tuple(name for name in buckets[0].labels if name != "le")
    histogram = Histogram(family.name, family.documentation, names, buckets=bounds, registry=registry)
    below: Tally[tuple[str, ...]] = Tally()
    for sample in buckets:
        labels = {name: sample.labels[name] for name in names}
        key = tuple(labels.values())
        child = _label(histogram, labels)
        for _ in range(int(sample.value) - below[key]):
            child.observe(float(sample.labels["le"]))
        below[key] = int(sample.value)


def _label(metric: Any, labels: dict[str, str]) -> Any:
    return metric.labels(**labels) if labels else metric


_REBUILD: dict[str, Callable[[Metric, CollectorRegistry], None]] = {
    "counter": _rebuild_counter,
    "gauge": _rebuild_gauge,
    "histogram": _rebuild_histogram,
}
