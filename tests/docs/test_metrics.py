"""``docs/metrics.md`` names every metric with its type and labels, and no other."""

from __future__ import annotations

import asyncio
import re

import pytest
from prometheus_client.metrics_core import Metric

from hub.alerting.service import AlertService
from hub.alerting.setup import read_setup
from hub.bus.memory import MemoryBus
from hub.conf import Config
from hub.core import delivery, ledger, metrics, sequence
from hub.core.latency import DURATION_BOUNDS, LATENCY_BOUNDS
from hub.core.ledger import Counts
from hub.core.slowness import CAUSES
from hub.export.catalogue import LABELS, MAX_CODES
from hub.export.prometheus import HubCollector
from hub.faults import FAULTS
from hub.feed import service as feed
from hub.fleet import roster
from hub.fleet import service as fleet
from hub.instrument.state import Instruments
from hub.node import layers as node_layers
from hub.node import presence as node_presence
from hub.node.node import Node
from hub.node.slowness import Lookout
from hub.web.metrics import own_metrics
from tests.docs.markdown import prose, tables
from tests.support.processes import ROOT

DOCUMENT = ROOT / "docs" / "metrics.md"
EXTRA = {"reason", "code", "message_type", "exception", "cause", "kind"}


def exposed(metric: Metric) -> str:
    """A metric's name as Prometheus sees it."""
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def counted() -> Counts:
    """Counts in which no mapping is empty, so that every label shows."""
    counts = Counts("consumer", "tenant")
    for name in ledger.MAPPINGS:
        getattr(counts, name)["x"] = 1
    return counts


def test_the_first_table_is_what_the_exporter_collects():
    found = {}
    for metric in HubCollector([counted()], [], presence={"tenant": {"online": 1}}).collect():
        labels = set(metric.samples[0].labels) - set(LABELS) - {"le"}
        found[exposed(metric)] = (metric.type, "".join(labels))
    written = {row["metric"]: (row["type"], row["further label"]) for row in tables(DOCUMENT)[0]}
    assert written == found


async def test_the_second_table_is_what_the_hub_says_of_itself(monkeypatch):
    monkeypatch.setitem(FAULTS, "test", 1)
    config = Config()
    shared = Instruments(config)
    node = Node(shared, MemoryBus(shared.clock.monotonic, 10, 10.0))
    for attach in (node_layers.attach, node_presence.attach, fleet.attach, roster.attach, feed.attach):
        attach(node)
    own = own_metrics(node)
    await asyncio.sleep(0)  # let its tasks begin, so that they can end
    await node.stop()
    found = {exposed(Metric(name, "", kind)): (kind, label or "") for name, kind, _, label, _ in own}
    written = {row["metric"]: (row["type"], row["label"]) for row in tables(DOCUMENT)[1]}
    assert written == found


async def test_the_third_table_is_what_is_measured_of_the_process():
    shared = Instruments(Config())
    lookout = Lookout(Node(shared, MemoryBus(shared.clock.monotonic, 10, 10.0)))
    found = {name: kind for name, kind, *_ in lookout.measured()}
    assert {row["metric"]: row["type"] for row in tables(DOCUMENT)[2]} == found


async def test_the_fourth_table_is_what_alerting_says_of_itself():
    shared = Instruments(Config())
    node = Node(shared, MemoryBus(shared.clock.monotonic, 10, 10.0))
    for attach in (node_presence.attach, fleet.attach, roster.attach):
        attach(node)
    part = AlertService(node, read_setup(shared.config))
    part._on_duty = True
    found = {name: (kind, ", ".join(labels)) for name, kind, _, labels, *_ in part.measured()}
    written = {row["metric"]: (row["type"], row["labels"].replace("`", "")) for row in tables(DOCUMENT)[3]}
    part.end()
    assert written == found


def test_the_causes_are_written_as_they_are():
    assert [cause for cause in CAUSES if f"`{cause}`" not in prose(DOCUMENT)] == []


@pytest.mark.parametrize("bounds", [LATENCY_BOUNDS, DURATION_BOUNDS])
def test_the_bounds_are_written_as_they_are(bounds):
    text = " ".join(prose(DOCUMENT).split())
    assert ", ".join(f"{bound:g}" for bound in bounds) in text


def test_the_limits_are_written_as_they_are():
    text = " ".join(prose(DOCUMENT).split())
    assert f"The {Config().tenant_labels} tenants" in text
    assert f"the {Config().type_labels} most frequent" in text
    assert f"{MAX_CODES} close codes" in text
    assert f"beyond {metrics.MAX_SERIES} label sets" in text
    assert {f"`{prefix}`" for prefix in metrics.RESERVED} <= set(re.findall(r"`\w+_`", text))


def test_the_reasons_are_written_as_they_are():
    text = prose(DOCUMENT)
    reasons = (
        ledger.REJECTED, ledger.ERROR, ledger.TIMEOUT, ledger.TEARDOWN, ledger.AFTER_CLOSE, ledger.CHANNEL_FULL,
        ledger.OVER_CAPACITY, ledger.BUFFER_OVERFLOW, ledger.EXPIRED, ledger.GROUP_LOST,
        delivery.UNCONFIRMED, *sequence.KINDS,
    )  # fmt: skip
    assert [reason for reason in reasons if f"`{reason}`" not in text] == []
