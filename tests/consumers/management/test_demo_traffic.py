"""``manage.py demo_traffic``: what it refuses, and a run against the real site."""

import re
import time

import httpx
import pytest
from django.core.management import CommandError, call_command

from consumers.demo.tenants import TENANTS
from tests.support.servers import DAPHNE, UVICORN


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--url", "ws://10.0.0.1:8000"], "--allow-remote"),
        (["--url", "http://127.0.0.1:8000"], "ws://"),
        (["--tenants", "acme,hooli"], "hooli"),
        (["--duration", "0"], "more than 0"),
        (["--every", "-1"], "more than 0"),
        (["--profile", "hurricane"], "calm"),
    ],
)
def test_a_refusal_names_the_remedy(arguments, remedy):
    with pytest.raises(CommandError, match=remedy):
        call_command("demo_traffic", *arguments)


@pytest.mark.server
@pytest.mark.parametrize("kind", [DAPHNE, UVICORN], ids=str)
def test_the_hub_counts_what_the_visitors_count(kind, site):
    server = site(kind)
    arguments = ["--profile", "calm", "--duration", "20", "--every", "2", "--seed", "3"]
    printed = server.manage("demo_traffic", "--url", server.ws_url, *arguments)

    assert printed.count(" open ") >= 5
    opened = last_number(printed, r"opened ([\d,]+)")
    sent = last_number(printed, r"sent ([\d,]+) messages")
    received = last_number(printed, r"received ([\d,]+) \(")
    assert opened >= 15

    metrics = scrape_when_idle(server.url)
    assert total(metrics, "ws_connections_total") == opened
    assert total(metrics, "ws_disconnects_total") == opened
    # A consumer that ends in the middle of a conversation does not handle the rest of it; a client that cuts
    # its connection does not hear the rest of it.
    assert 0.9 * sent <= total(metrics, "ws_messages_received_total") <= sent
    assert received <= total(metrics, "ws_messages_sent_total")
    tenants = re.findall(r'^ws_connections_total{.*tenant="(\w+)"} [1-9]', metrics, re.MULTILINE)
    assert set(tenants) == set(TENANTS)


def last_number(text, pattern):
    return int(re.findall(pattern, text)[-1].replace(",", ""))


def total(metrics, name):
    """The sum over all label sets of a metric."""
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", metrics, re.MULTILINE))


def scrape_when_idle(url):
    """The metrics once every connection has ended at the server's side as well."""
    deadline = time.monotonic() + 30
    while total(metrics := httpx.get(f"{url}/metrics").raise_for_status().text, "ws_connections_active"):
        assert time.monotonic() < deadline, metrics
        time.sleep(0.2)
    return metrics
