"""``/metrics``: what Prometheus reads, when, and who else may."""

import asyncio
import re

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from hub import metrics as business
from hub.bus.memory import MemoryBus
from hub.conf import Config
from hub.core.layers import Depth
from hub.core.metrics import Registry
from hub.faults import FAULTS
from hub.instrument.layers.losses import Losses
from hub.instrument.state import Instruments
from hub.node.layers import LayerWatch
from hub.node.node import Node
from hub.web.metrics import layer_metrics
from tests.support.prometheus import promtool

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

CATALOGUE = {
    "ws_connections_active": "gauge", "ws_connections": "counter", "ws_connection_failures": "counter",
    "ws_disconnects": "counter", "ws_connection_duration_seconds": "histogram", "ws_messages_received": "counter",
    "ws_messages_sent": "counter", "ws_received_bytes": "counter", "ws_sent_bytes": "counter",
    "ws_message_latency_seconds": "histogram", "ws_handler_errors": "counter", "ws_message_wait_seconds": "histogram",
    "ws_frames_dropped": "counter", "ws_inbound_backlog_messages": "gauge", "ws_layer_messages": "counter",
}  # fmt: skip


@pytest.fixture
def registry(monkeypatch):
    fresh = Registry()
    for place in ("hub.metrics.REGISTRY", "hub.web.metrics.REGISTRY"):
        monkeypatch.setattr(place, fresh)
    return fresh


@pytest.fixture
def traffic(ledger, registry):
    """Two consumers, three tenants, something of everything."""
    for consumer, tenant, messages in (("Chat", "acme", 3), ("Chat", "globex", 2), ("Feed", "", 1)):
        connection = ledger.open(consumer, 0.0, lambda tenant=tenant: tenant)
        ledger.accept(connection, 0.0)
        counts = ledger.settle(connection)
        counts.arrived = messages + 1
        counts.received = {"say": messages}
        counts.sent = {"said": messages, 'odd "type"\\\n': 1}
        counts.errors = {"ValueError": 1}
        counts.lost = {"teardown": 1}
        counts.layer = {"chat.event": 2}
        for seconds in (0.004, 0.2, 7.0)[:messages]:
            counts.latency.observe(seconds)
            counts.wait.observe(seconds / 10)
    gone = ledger.open("Chat", 0.0, lambda: "acme")
    ledger.accept(gone, 0.0)
    ledger.close(gone, 4001)
    ledger.end(gone, 12.0, error=False)
    ledger.reject(ledger.open("Chat", 0.0, lambda: "acme"))
    return ledger


def scrape(query="", *, accept="", **more):
    answer = Client().get(f"/metrics{query}", headers={"accept": accept} if accept else {}, **more)
    assert answer.status_code == 200
    parse = openmetrics.text_string_to_metric_families if accept else text_string_to_metric_families
    return {family.name: family for family in parse(answer.text)}


def values(family):
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in family.samples}


def test_the_catalogue_in_both_formats(traffic):
    for accept in ("", OPENMETRICS):
        families = scrape(accept=accept)
        assert {name: families[name].type for name in CATALOGUE} == CATALOGUE
        assert all(families[name].documentation for name in families)
        assert {name for name in families if not name.startswith(("ws_", "hub_"))} == set()


def test_numbers_are_those_of_the_ledger(traffic):
    families = scrape()
    acme = (("consumer", "Chat"), ("tenant", "acme"))
    assert values(families["ws_connections_active"])["ws_connections_active", acme] == 1
    assert values(families["ws_connections"])["ws_connections_total", acme] == 2
    received = ("ws_messages_received_total", (acme[0], ("message_type", "say"), acme[1]))
    assert values(families["ws_messages_received"])[received] == 3
    assert values(families["ws_disconnects"]) == {
        ("ws_disconnects_total", (("code", "4001"), *acme)): 1,
    }
    # Nobody has vouched for the tenant of a connection that was never accepted.
    rejected = (("consumer", "Chat"), ("reason", "rejected"), ("tenant", ""))
    assert values(families["ws_connection_failures"])["ws_connection_failures_total", rejected] == 1


def test_both_formats_say_the_same(traffic):
    text, modern = scrape(), scrape(accept=OPENMETRICS)
    for name in CATALOGUE:
        assert values(text[name]) == values(modern[name])


def test_a_histogram_is_one(traffic):
    buckets = {
        sample.labels["le"]: sample.value
        for sample in scrape()["ws_message_latency_seconds"].samples
        if sample.name.endswith("_bucket") and sample.labels["tenant"] == "acme"
    }
    assert {"0.01", "0.05", "0.1", "0.5", "1.0", "5.0", "+Inf"} <= set(buckets)
    assert list(buckets.values()) == sorted(buckets.values())
    assert (buckets["0.01"], buckets["0.5"], buckets["5.0"], buckets["+Inf"]) == (1, 2, 2, 3)


def test_types_and_charset(traffic):
    assert Client().get("/metrics").headers["Content-Type"].startswith("text/plain; version=")
    modern = Client().get("/metrics", headers={"accept": OPENMETRICS})
    assert modern.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert modern.text.endswith("# EOF\n")


def test_with_and_without_a_slash(traffic):
    assert Client().get("/metrics").content == Client().get("/metrics/").content


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?name[]=ws_connections_active", {"ws_connections_active"}),
        ("?name[]=ws_connections_total", {"ws_connections"}),
        ("?name[]=ws_connections_active&name[]=hub_info", {"ws_connections_active", "hub_info"}),
        ("?name[]=ws_message_latency_seconds_count", {"ws_message_latency_seconds"}),
        ("?name[]=nothing_like_it", set()),
        ("?name[]=nothing_like_it&name[]=ws_sent_bytes_total", {"ws_sent_bytes"}),
        ("?name[]=", set()),
        ("?name[]=%00%ff", set()),
        ("?name[]=ws_connections_active&name[]=ws_connections_active", {"ws_connections_active"}),
        ("?" + "&".join(f"name[]=unknown_{number}" for number in range(500)), set()),
        ("?" + "&".join(f"name[]=unknown_{number}" for number in range(300)) + "&name[]=hub_info", {"hub_info"}),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)
def test_names_choose(traffic, query, expected):
    assert set(scrape(query)) == expected


def test_a_name_chooses_its_samples_only(traffic):
    [family] = scrape("?name[]=ws_message_latency_seconds_count").values()
    assert {sample.name for sample in family.samples} == {"ws_message_latency_seconds_count"}


def test_other_parameters_are_ignored(traffic):
    assert Client().get("/metrics?name=ws_x&format=xml").content == Client().get("/metrics").content


def test_head_has_the_headers_and_post_is_refused(traffic):
    head = Client().head("/metrics")
    assert head.status_code == 200
    assert head.headers["Content-Type"].startswith("text/plain")
    for method in ("post", "put", "delete", "patch"):
        assert getattr(Client(), method)("/metrics").status_code == 405


@pytest.mark.parametrize("hub", [{"ENABLED": False}, {"PROMETHEUS": False}])
def test_switched_off(configure, hub):
    configure(**hub)
    assert Client().get("/metrics").status_code == 404
    assert "switched off" in Client().get("/metrics/").text


@pytest.mark.parametrize(
    ("name", "value"), [("HUB_ENABLED", "0"), ("ENABLE_PROMETHEUS", "0"), ("ENABLE_PROMETHEUS", "false")]
)
def test_switched_off_by_the_environment(configure, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    configure()
    assert Client().get("/metrics").status_code == 404


# --- labels ---------------------------------------------------------------------------------------------------------


def test_tenants_beyond_the_cap_are_merged_and_sums_stay_right(configure, ledger, registry, settings):
    configure(TENANT_LABELS=5)
    from hub.instrument import state

    ledger = state.instruments().ledger
    for number in range(50):
        for _ in range(number + 1):
            ledger.accept(ledger.open("Chat", 0.0, lambda number=number: f"tenant-{number:02}"), 0.0)
    by_tenant = {
        sample.labels["tenant"]: sample.value for sample in scrape()["ws_connections"].samples
        if sample.name == "ws_connections_total"
    }  # fmt: skip
    assert set(by_tenant) == {"other", *(f"tenant-{number}" for number in range(45, 50))}
    assert sum(by_tenant.values()) == sum(range(1, 51))


def test_types_beyond_the_cap_are_merged(configure, registry):
    configure(TYPE_LABELS=3)
    from hub.instrument import state

    ledger = state.instruments().ledger
    ledger.accept(connection := ledger.open("Chat", 0.0, lambda: ""), 0.0)
    counts = ledger.settle(connection)
    counts.sent = {f"type-{number:02}": number + 1 for number in range(100)}
    counts.disconnects = {str(code): 1 for code in range(3000, 3200)}
    families = scrape()
    types = {sample.labels["message_type"]: sample.value for sample in families["ws_messages_sent"].samples}
    assert set(types) == {"type-99", "type-98", "type-97", "other"}
    assert sum(types.values()) == sum(range(1, 101))
    codes = {sample.labels["code"]: sample.value for sample in families["ws_disconnects"].samples}
    assert len(codes) == 61
    assert sum(codes.values()) == 200


def test_strange_labels_survive(ledger, registry):
    odd = 'quote" back\\slash new\nline ünï'
    ledger.accept(ledger.open("Chat", 0.0, lambda: odd), 0.0)
    for accept in ("", OPENMETRICS):
        assert odd in {sample.labels["tenant"] for sample in scrape(accept=accept)["ws_connections_active"].samples}


# --- the host's own, and the hub's ----------------------------------------------------------------------------------


def test_business_metrics_stand_on_the_same_page(traffic):
    business.counter("orders_total", "Orders placed.", labels=("shop",)).inc(2, shop="north")
    business.gauge("queue_length", "Waiting customers.").set(7)
    business.histogram("basket_euros", "Value of a basket.", buckets=(10, 100)).observe(50)
    for accept in ("", OPENMETRICS):
        families = scrape(accept=accept)
        assert values(families["orders"])["orders_total", (("shop", "north"),)] == 2
        assert values(families["queue_length"])["queue_length", ()] == 7
        assert values(families["basket_euros"])["basket_euros_bucket", (("le", "100.0"),)] == 1
    assert set(scrape("?name[]=orders_total")) == {"orders"}


def test_the_hubs_own_health(traffic):
    FAULTS["a test"] += 3
    try:
        families = scrape()
        assert values(families["hub_faults"])["hub_faults_total", (("place", "a test"),)] == 3
        assert [sample.value for sample in families["hub_info"].samples] == [1]
    finally:
        del FAULTS["a test"]


@pytest.mark.prometheus
async def test_the_channel_layers_and_what_is_not_known_of_them():
    shared = Instruments(Config())
    watch = LayerWatch(Node(shared, MemoryBus(shared.clock.monotonic, 10, 10.0)), Losses(shared))
    watch.losses.gaps["away"] = 2
    watch.depths = {
        "full": Depth(messages=90, oldest=3.5, capacity=100, fullest=0.9),
        "empty": Depth(capacity=100),
        "unbound": Depth(messages=4),
    }
    values = {name: numbers for name, _, _, label, numbers in layer_metrics(watch) if label == "layer"}
    assert values == {
        "ws_channel_layer_depth": {"full": 90, "empty": 0, "unbound": 4},
        "ws_channel_layer_oldest_seconds": {"full": 3.5, "empty": 0},
        "ws_channel_layer_capacity": {"full": 100, "empty": 100},
        "ws_channel_layer_fill_ratio": {"full": 0.9, "empty": 0},
        "ws_channel_layer_gaps": {"away": 2},
    }


def test_promtool_finds_nothing_to_complain_about(traffic):
    business.counter("orders_total", "Orders placed.", labels=("shop",)).inc(2, shop="north")
    business.histogram("basket_euros", "Value of a basket.", buckets=(10, 100)).observe(50)
    assert promtool("check", "metrics", text=Client().get("/metrics").text).strip() == ""


# --- while things move ----------------------------------------------------------------------------------------------


async def churn(ledger, until):
    """Connections come, talk and go as fast as they can."""
    number = 0
    while not until.is_set():
        number += 1
        connection = ledger.open("Chat", 0.0, lambda tenant=number % 100: f"tenant-{tenant}")
        ledger.accept(connection, 0.0)
        counts = ledger.settle(connection)
        counts.arrived += 1
        counts.received[f"type-{number % 70}"] = counts.received.get(f"type-{number % 70}", 0) + 1
        counts.latency.observe(number % 10)
        ledger.close(connection, 1000)
        ledger.end(connection, 1.0, error=False)
        if number % 20 == 0:
            await asyncio.sleep(0.001)
    return number


@pytest.mark.slow
async def test_scrapes_while_connections_churn_are_whole_and_never_go_back(ledger, registry):
    done = asyncio.Event()
    churning = asyncio.create_task(churn(ledger, done))
    before = 0.0
    for _ in range(10):
        answer = await AsyncClient().get("/metrics")
        families = {family.name: family for family in text_string_to_metric_families(answer.content.decode())}
        totals = {
            name: sum(sample.value for sample in families[name].samples if not sample.name.endswith("_created"))
            for name in ("ws_connections", "ws_disconnects", "ws_messages_received", "ws_connections_active")
        }
        # Rows are copied in slices: each is right in itself, and all of them are between two moments.
        assert totals["ws_connections"] >= before
        assert totals["ws_connections_active"] == 0
        before = totals["ws_connections"]
        for sample in families["ws_message_latency_seconds"].samples:
            assert sample.value >= 0
    done.set()
    assert await churning == sum(counts.accepted for counts in ledger) >= before > 0


async def test_a_scrape_does_not_hold_up_the_event_loop(ledger, registry):
    for number in range(1000):
        connection = ledger.open("Chat", 0.0, lambda number=number: f"tenant-{number}")
        ledger.accept(connection, 0.0)
        ledger.settle(connection).latency.observe(0.1)
    await AsyncClient().get("/metrics")  # loads what the first request loads
    loop, worst = asyncio.get_running_loop(), 0.0
    scraping = asyncio.create_task(AsyncClient().get("/metrics"))
    while not scraping.done():
        before = loop.time()
        await asyncio.sleep(0.001)
        worst = max(worst, loop.time() - before)
    assert len(re.findall("^ws_message_latency_seconds_count", (await scraping).content.decode(), re.MULTILINE)) == 201
    print(f"longest wait of the event loop during a scrape of 1,000 label sets: {1000 * worst:.1f} ms")
    assert worst < 2.0


def test_it_works_without_an_event_loop_of_ours(traffic):
    assert async_to_sync(AsyncClient().get)("/metrics").status_code == 200
