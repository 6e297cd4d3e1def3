"""What a test of the books needs: members of groups, servers that publish, and what host and hub have counted."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import ClientConnection, connect

from tests.support.servers import Server

APPLICATION = "tests.layers.application:application"
CONSUMERS = "tests.layers.consumers."


@contextmanager
def members(servers: list[Server], count: int, tenant: str = "acme", kind: str = "room") -> Iterator[list[Any]]:
    """So many connections, spread over the servers; closed at the end."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(connect(f"{servers[index % len(servers)].ws_url}/{tenant}/{kind}/"))
            for index in range(count)
        ]


def hang(connections: list[ClientConnection]) -> None:
    """Let the handlers of some members hang until they are released."""
    for member in connections:
        member.send(json.dumps({"type": "hang"}))
    for member in connections:
        assert json.loads(member.recv(timeout=20)) == {"type": "hanging"}


def release(servers: list[Server]) -> None:
    for server in servers:
        assert httpx.get(f"{server.url}/release/").status_code == 200


def publish(server: Server, group: str, count: int) -> None:
    assert httpx.get(f"{server.url}/publish/{group}/{count}/", timeout=60).status_code == 200


def handled(servers: list[Server]) -> Counter[str]:
    """What reached the members, by the host's own count."""
    total: Counter[str] = Counter()
    for server in servers:
        total.update(httpx.get(f"{server.url}/known/").json())
    return total


def metric(servers: list[Server], name: str, *labels: str) -> Counter[tuple[str, ...]]:
    """A metric of all servers, summed by labels."""
    total: Counter[tuple[str, ...]] = Counter()
    for server in servers:
        text = httpx.get(f"{server.url}/hub/metrics").text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name:
                    total[tuple(sample.labels.get(label, "") for label in labels)] += int(sample.value)
    return total


def lost(servers: list[Server], *labels: str) -> Counter[tuple[str, ...]]:
    return metric(servers, "ws_frames_dropped_total", *(labels or ("reason",)))


def balance(servers: list[Server], sent: int, seconds: float = 20.0) -> None:
    """Wait until all that was sent is handled or lost; more would be as wrong as less."""
    deadline = time.monotonic() + seconds
    found = -1
    while time.monotonic() < deadline:
        found = handled(servers).total() + lost(servers).total()
        if found >= sent:
            break
        time.sleep(0.1)
    time.sleep(0.3)
    assert (sent, found) == (handled(servers).total() + lost(servers).total(), found), (
        f"handled {handled(servers)}, lost {lost(servers, 'consumer', 'reason')}"
    )
