from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from hub.core.latency import LATENCY_BOUNDS
from hub.core.ledger import Counts, increment
from hub.core.presence import STATES
from hub.export.exposition import escape, write_families
from hub.export.prometheus import HubCollector, exposition
from tests.strategies import counts, names

ACCEPTS = (
    "",
    "text/plain;version=0.0.4",
    "application/openmetrics-text; version=1.0.0",
    "application/openmetrics-text;q=1",
)
OWN = [("hub_faults", "counter", "Faults.", "place", {"bus": 2.0})]


def by_library(collector: HubCollector, accept: str) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    body: bytes = choose_encoder(accept)[0](registry)
    return body


@pytest.mark.slow
@pytest.mark.parametrize("accept", ACCEPTS)
@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(counts(), max_size=6, unique_by=lambda row: (row.consumer, row.tenant)),
    presence=st.dictionaries(names, st.dictionaries(st.sampled_from(STATES), st.integers(0, 10**6)), max_size=4),
)
def test_the_families_are_byte_for_byte_those_of_prometheus_client(accept, rows, presence) -> None:
    collector = HubCollector(rows, [], OWN, presence=presence, max_tenants=2, max_types=3)
    assert exposition(collector, accept, [])[0] == by_library(collector, accept)


@pytest.mark.parametrize("accept", ACCEPTS)
def test_label_values_are_escaped_as_prometheus_client_does(accept: str) -> None:
    row = Counts('a"b\\c\nd', "ünïcode 🐙")
    increment(row.received, 'x"\\\n', 3)
    increment(row.disconnects, "1000", 2)
    row.latency.observe(0.3)
    collector = HubCollector([row], [], presence={"ünïcode 🐙": {"online": 1}, 'a"b\\c\nd': {"idle": 2}})
    assert exposition(collector, accept, [])[0] == by_library(collector, accept)


def test_escape() -> None:
    assert escape('a\\b"c\nd') == 'a\\\\b\\"c\\nd'


def test_long_families_come_in_parts() -> None:
    rows = {(f"consumer{number}", ""): Counts(f"consumer{number}", "") for number in range(300)}
    parts = list(write_families(rows, {}, 50, openmetrics=False))
    assert max(part.count("\n") for part in parts) <= 1000
    assert "".join(parts).count("ws_message_latency_seconds_bucket{") == 300 * (len(LATENCY_BOUNDS) + 1)
