"""
The books of all three backends: every message to a member of a group was handled, or is lost by a reason.

The host counts what reached its members, the hub what was lost; their sum is what was sent, to the last message. Where
a backend makes it impossible to know, the hub says so, in a counter of its own, and puts no number to it.
"""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.layers.stage import APPLICATION, balance, handled, hang, lost, members, metric, publish, release
from tests.support.redis import RedisServer
from tests.support.servers import DAPHNE, UVICORN, Server, ServerKind

pytestmark = [pytest.mark.server, pytest.mark.slow]

#: Starts so many servers over the backend of the test.
Start = Callable[..., list[Server]]

BACKENDS = ("memory", "core", "pubsub")
#: Those whose processes share a group: in memory, each has its own.
SHARED = ("core", "pubsub")
EVERY_SERVER = pytest.mark.parametrize("server_kind", [DAPHNE, UVICORN], ids=str)


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def start(request, start_server, backend) -> Start:
    def started(count: int, kind: ServerKind = UVICORN, **env: str) -> list[Server]:
        redis = {} if backend == "memory" else {"REDIS_URL": request.getfixturevalue("redis_server").url}
        return [start_server(kind, APPLICATION, env={"LAYER": backend, **redis, **env}) for _ in range(count)]

    return started


def hang_up(member: Any) -> None:
    """The client is gone without a close frame: no more than that is seen of one that was killed."""
    member.socket.shutdown(socket.SHUT_RDWR)


def members_of(server: int, count: int, servers: int) -> int:
    """How many of so many members are connected to one server, as `members` spreads them."""
    return len(range(server, count, servers))


def reached_by(backend: str, server: int, count: int, servers: int) -> int:
    """To how many members a message goes that one server sends to their group."""
    return count if backend in SHARED else members_of(server, count, servers)


def test_a_group_of_fifty_in_three_processes_overflows(start, backend):
    servers = start(3, CAPACITY="10")
    with members(servers, 50) as connections:
        hang(connections[::3])
        hang(connections[1:20:3])
        for server in servers:
            publish(server, "acme", 40)
        release(servers)
        balance(servers, 40 * sum(reached_by(backend, number, 50, 3) for number in range(3)))
    reasons = {reason for (reason,) in lost(servers)}
    assert reasons == {
        "memory": {"over_capacity"}, "core": {"over_capacity", "buffer_overflow"}, "pubsub": set(),
    }[backend]  # fmt: skip


def test_messages_expire(start, backend):
    [server] = start(1, EXPIRY="2")
    with members([server], 3) as connections:
        hang(connections[:1])
        publish(server, "acme", 20)
        # As long as somebody receives, what is sent to a process reaches its buffers; there nothing expires.
        time.sleep(3.0)
        publish(server, "acme", 10)
        release([server])
        # In memory, who let a message expire is out of all groups: the second ten are not sent to it.
        sent = 3 * 20 + (2 if backend == "memory" else 3) * 10
        balance([server], sent + (1 if backend == "memory" else 0))
    expected = {("expired",): 19, ("group_lost",): 1} if backend == "memory" else {}
    assert Counter(expected) == lost([server])


@pytest.mark.timeout(180)
@pytest.mark.parametrize("backend", SHARED)
def test_redis_restarts_in_mid_traffic(start, backend, redis_server: RedisServer):
    servers = start(2)
    with members(servers, 10) as connections:
        hang(connections[:1])
        publish(servers[0], "acme", 20)
        time.sleep(1.5)
        redis_server.restart()
        deadline = time.monotonic() + 30
        while not all(metric([server], "ws_channel_layer_gaps_total", "layer")["default",] for server in servers):
            assert time.monotonic() < deadline, "nobody noticed"
            time.sleep(0.2)
    # All that the hub puts a number to was really lost; of the rest it says that nobody can know.
    assert handled(servers).total() + lost(servers).total() - lost(servers)["group_lost",] <= 10 * 20
    # And it goes on: who comes now gets everything.
    release(servers)
    with members(servers, 6, tenant="globex"):
        # But for those that a connection to the old Redis, kept in a pool, has ended: Channels lets them fail.
        time.sleep(1.0)
        alive = metric(servers, "ws_connections_active", "tenant")["globex",]
        before = handled(servers).total() + lost(servers).total()
        publish(servers[1], "globex", 20)
        balance(servers, before + alive * 20)
        assert alive


def test_a_server_is_killed(start, backend):
    alive, killed = start(2, CAPACITY="10")
    with members([alive], 5), members([killed], 4):
        publish(alive, "acme", 20)
        before = 20 * (9 if backend in SHARED else 5)
        balance([alive, killed], before)
        reached_there = handled([killed]).total()
        killed.kill()
        publish(alive, "acme", 30)
        # Redis keeps ten for a process that is no more, and nobody will ever say so; in pub/sub nobody listens.
        told = 4 * 20 if backend == "core" else 0
        balance([alive], before - reached_there + 5 * 30 + told)
    assert told == lost([alive]).total()


@EVERY_SERVER
def test_a_client_is_killed(start, backend, server_kind):
    [server] = start(1, server_kind)
    with members([server], 4) as [killed, *others]:
        hang([killed])
        publish(server, "acme", 30)
        hang_up(killed)
        time.sleep(0.5)
        release([server])
        balance([server], 4 * 30)
        # What is sent from now on has nobody to miss it.
        publish(server, "acme", 10)
        balance([server], 4 * 30 + 3 * 10)
        assert len(others) == 3
    reasons = lost([server])
    assert {("teardown",)} == set(reasons)
    # The end stood behind what hung, its turn came between the messages of the group: one may have been before it.
    assert 28 <= reasons.total() <= 30


@EVERY_SERVER
@pytest.mark.parametrize("kind", ["room", "wrapped"])
def test_a_consumer_is_cancelled(start, backend, server_kind, kind):
    [server] = start(1, server_kind)
    with members([server], 4, kind=kind) as [cancelled, *others]:
        hang([cancelled])
        cancelled.send(json.dumps({"type": "cancel"}))
        publish(server, "acme", 30)
        # What has reached the others waits for it, too: on their way through Redis messages reach nobody who leaves.
        balance([server], 3 * 30)
        release([server])
        balance([server], 4 * 30)
        publish(server, "acme", 10)
        balance([server], 4 * 30 + 3 * 10)
        assert len(others) == 3
    assert {("teardown",)} == set(lost([server]))


@pytest.mark.long
@pytest.mark.timeout(420)
def test_a_million_messages(start, backend):
    # As long as it may take, nothing that hangs is to expire: then its members would be out of the group.
    servers = start(3, EXPIRY="600")
    sent, each, rounds = 0, 1000, 0
    began = time.monotonic()
    with members(servers, 50) as connections:
        hang(connections[:2])
        while sent < 1_000_000:
            number = rounds % 3
            publish(servers[number], "acme", each)
            sent += each * reached_by(backend, number, 50, 3)
            rounds += 1
        release(servers)
        balance(servers, sent, seconds=120)
    reached = handled(servers).total()
    print(f"{backend}: {sent} sent, {reached} handled, {sent - reached} lost, in {time.monotonic() - began:.0f} s")
    assert 0 < reached
