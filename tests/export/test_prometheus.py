from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from hub.core.ledger import MAPPINGS, Counts, increment
from hub.core.metrics import Counter, Distribution, Gauge, Registry
from hub.export.catalogue import COUNTERS, GAUGES, HISTOGRAMS, LABELLED, LABELLED_GAUGES, OTHER, capped
from hub.export.prometheus import HubCollector, cumulative, exposition
from tests.strategies import counts

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
OWN = [
    ("hub_info", "gauge", "Version.", "version", {"1": 1.0}),
    ("hub_faults", "counter", "Faults.", "place", {"bus": 2.0}),
    ("hub_events", "counter", "Events.", None, {"": 7.0}),
]


def business() -> Registry:
    registry = Registry()
    registry.register(Counter("orders_total", 'Orders "placed".', ("shop",))).inc(3, shop='no\\rth "1"\n')
    registry.register(Gauge("baskets", "Open.")).set(2.5)
    registry.register(Distribution("prices", "Prices.", buckets=(1, 10))).observe(4)
    return registry


def row(consumer: str = "chat", tenant: str = "north", accepted: int = 0) -> Counts:
    made = Counts(consumer, tenant)
    made.accepted = accepted
    return made


Samples = dict[tuple[str, frozenset], float]


def samples(text: str, parse=parse_text) -> Samples:
    found: Samples = {}
    for family in parse(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def page(rows, names=(), accept="", **caps) -> str:
    body, _ = exposition(HubCollector(rows, business().pack(), OWN, **caps), accept, list(names))
    return body.decode()


def labelled(found: Samples, name: str, label: str) -> dict:
    """Values of one metric by one label, all else summed."""
    tally: dict[str, float] = {}
    for (sample, labels), value in found.items():
        if sample == name:
            tally[dict(labels)[label]] = tally.get(dict(labels)[label], 0) + value
    return tally


# --- the page -----------------------------------------------------------------------------------------------------


def test_every_metric_of_the_catalogue_is_there():
    busy = row()
    for name in MAPPINGS:
        increment(getattr(busy, name), "x")
    found = {name for name, _ in samples(page([busy]))}
    expected = {name for name, *_ in (*GAUGES, *LABELLED_GAUGES)}
    expected |= {f"{name}_total" for name, *_ in (*COUNTERS, *LABELLED)}
    expected |= {name + suffix for name, *_ in HISTOGRAMS for suffix in ("_bucket", "_sum", "_count")}
    expected |= {
        "orders_total",
        "baskets",
        "prices_bucket",
        "prices_sum",
        "prices_count",
        "hub_info",
        "hub_faults_total",
        "hub_events_total",
    }
    assert expected == found


def test_a_process_that_has_counted_nothing_has_a_page_too():
    assert samples(page([]))["baskets", frozenset()] == 2.5


@given(st.lists(counts(), max_size=2, unique_by=lambda row: (row.consumer, row.tenant)))
def test_both_formats_say_what_the_counts_say(rows):
    for accept, parse in (("", parse_text), (OPENMETRICS, parse_openmetrics)):
        found = samples(page(rows, accept=accept), parse)
        for counted in rows:
            labels = {"consumer": counted.consumer, "tenant": counted.tenant}
            key = frozenset(labels.items())
            assert counted.active == found["ws_connections_active", key]
            assert counted.accepted == found["ws_connections_total", key]
            assert counted.latency.count == found["ws_message_latency_seconds_count", key]
            for code, number in counted.disconnects.items():
                assert number == found["ws_disconnects_total", frozenset((labels | {"code": code}).items())]


def test_business_metrics_keep_their_numbers_labels_and_escapes():
    found = samples(page([]))
    assert found["orders_total", frozenset({("shop", 'no\\rth "1"\n')})] == 3
    assert found["prices_bucket", frozenset({("le", "10.0")})] == 1


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain"),
        ("text/plain", "text/plain"),
        ("*/*", "text/plain"),
        (OPENMETRICS, "application/openmetrics-text"),
    ],
)
def test_the_accept_header_chooses_the_format(accept, content_type):
    body, given = exposition(HubCollector([row()], []), accept, [])
    assert given.startswith(content_type)
    assert body.endswith(b"# EOF\n") == (content_type != "text/plain")


# --- name[] -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["ws_connections_active"], {"ws_connections_active"}),
        (["ws_connections_total", "baskets"], {"ws_connections_total", "baskets"}),
        (["hub_faults_total", "orders_total"], {"hub_faults_total", "orders_total"}),
        (["ws_message_wait_seconds_count"], {"ws_message_wait_seconds_count"}),
        (["no_such_metric"], set()),
    ],
)
def test_only_what_was_asked_for(names, expected):
    assert expected == {name for name, _ in samples(page([row()], names))}


def test_describing_names_every_family_that_is_collected():
    busy = row()
    collector = HubCollector([busy], business().pack(), OWN)
    assert {family.name for family in collector.collect()} == {family.name for family in collector.describe()}


# --- caps ---------------------------------------------------------------------------------------------------------


def test_tenants_beyond_the_cap_merge_into_other_and_the_busiest_keep_their_names():
    rows = [row(tenant=name, accepted=accepted) for name, accepted in (("a", 1), ("b", 9), ("c", 5), ("d", 2))]
    found = samples(page(rows, max_tenants=2))
    assert {"b": 9, "c": 5, OTHER: 3} == labelled(found, "ws_connections_total", "tenant")


def test_a_tenant_really_called_other_is_not_counted_twice():
    rows = [row(tenant=OTHER, accepted=9), row(tenant="a", accepted=1), row("ticker", OTHER, accepted=1)]
    found = samples(page(rows, max_tenants=1))
    assert {OTHER: 11} == labelled(found, "ws_connections_total", "tenant")
    assert {"chat": 10, "ticker": 1} == labelled(found, "ws_connections_total", "consumer")


def test_types_beyond_the_cap_merge_into_other():
    busy = row()
    busy.received = {"a": 1, "b": 9, OTHER: 4, "c": 5, "d": 2}
    found = samples(page([busy], max_types=2))
    assert {"b": 9, "c": 5, OTHER: 7} == labelled(found, "ws_messages_received_total", "message_type")


def test_close_codes_are_capped_too_but_not_as_narrowly():
    busy = row()
    busy.disconnects = {str(code): 1 for code in range(4000, 4200)}
    kept = labelled(samples(page([busy], max_types=2)), "ws_disconnects_total", "code")
    assert (61, 140, 200) == (len(kept), kept[OTHER], sum(kept.values()))


@given(
    st.lists(counts(), max_size=4, unique_by=lambda row: (row.consumer, row.tenant)),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_caps_lose_no_number(rows, max_tenants, max_types):
    before = [counted.pack() for counted in rows]
    found = samples(page(rows, max_tenants=max_tenants, max_types=max_types))
    assert before == [counted.pack() for counted in rows]
    tenants = labelled(found, "ws_connections_total", "tenant")
    types = labelled(found, "ws_messages_sent_total", "message_type")
    assert sum(counted.accepted for counted in rows) == sum(tenants.values())
    assert sum(sum(counted.sent.values()) for counted in rows) == sum(types.values())
    assert len(tenants.keys() - {OTHER}) <= max_tenants
    assert len(types.keys() - {OTHER}) <= max_types


@given(st.lists(counts(), max_size=3, unique_by=lambda row: (row.consumer, row.tenant)), st.integers(1, 3))
def test_capping_merges_whole_rows(rows, max_tenants):
    total, merged = Counts(), Counts()
    for counted in rows:
        total.add(counted)
    for counted in capped(rows, max_tenants).values():
        merged.add(counted)
    assert total.pack() == merged.pack()


def test_buckets_are_cumulative_and_end_with_all():
    assert [("0.5", 1.0), ("1.0", 1.0), ("+Inf", 4.0)] == cumulative((0.5, 1.0), [1, 0, 3])


# --- presence -----------------------------------------------------------------------------------------------------


def test_members_are_shown_by_tenant_and_state_within_the_cap():
    rows = [row(tenant="a", accepted=9), row(tenant="b", accepted=1), row(tenant="c", accepted=1)]
    presence = {"a": {"online": 3, "stale": 0}, "b": {"online": 1}, "c": {"online": 2, "idle": 4}}
    body, _ = exposition(HubCollector(rows, [], presence=presence, max_tenants=1), "", [])
    shown = {line for line in body.decode().splitlines() if line.startswith("ws_presence_members")}
    assert shown == {
        'ws_presence_members{state="online",tenant="a"} 3.0',
        'ws_presence_members{state="stale",tenant="a"} 0.0',
        'ws_presence_members{state="online",tenant="other"} 3.0',
        'ws_presence_members{state="idle",tenant="other"} 4.0',
    }


def test_heartbeats_are_counted_by_consumer_and_tenant():
    busy = row()
    busy.heartbeats, busy.heartbeats_missed, busy.garbled = 7, 2, 3
    busy.rtt.observe(0.02)
    body, _ = exposition(HubCollector([busy], []), "", [])
    lines = body.decode().splitlines()
    for name, value in (
        ("ws_heartbeats_total", 7), ("ws_heartbeats_missed_total", 2), ("ws_control_frames_garbled_total", 3),
        ("ws_client_rtt_seconds_count", 1),
    ):  # fmt: skip
        [line] = [line for line in lines if line.startswith(name + "{")]
        assert line.endswith(f" {float(value)}")
