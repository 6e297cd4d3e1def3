"""
What channel layers lose in real servers, by reason, and for whom; see `test_balance` for the books of all backends.
"""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest

from tests.layers.stage import APPLICATION, CONSUMERS, balance, handled, hang, lost, members, metric, publish, release
from tests.support.servers import DAPHNE, UVICORN

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.mark.parametrize("server_kind", [DAPHNE, UVICORN], ids=str)
@pytest.mark.parametrize("kind", ["room", "wrapped", "plain"])
def test_in_memory_the_books_balance_under_overflow(start_server, server_kind, kind):
    server = start_server(server_kind, APPLICATION, env={"LAYER": "memory", "CAPACITY": "10"})
    with members([server], 50, kind=kind) as connections:
        hang(connections[:20])
        publish(server, "acme", 40)
        release([server])
        balance([server], 50 * 40)
    consumer = f"{CONSUMERS}{kind.capitalize()}"
    told = lost([server], "consumer", "tenant", "reason")
    assert {(consumer, "acme", "over_capacity")} == set(told)
    # Ten fit, and one was taken before its turn; a slower loop lets others overflow as well.
    assert 20 * 29 <= told.total()


def test_in_redis_the_books_balance_when_a_group_of_fifty_in_three_processes_overflows(start_server, redis_server):
    env = {"LAYER": "core", "CAPACITY": "10", "REDIS_URL": redis_server.url}
    servers = [start_server(UVICORN, APPLICATION, env=env) for _ in range(3)]
    with members(servers, 50) as connections:
        # All members of the first process hang: its queue in Redis fills, then messages are lost for all of them.
        hang(connections[::3])
        # Some of the second do: their buffers overflow, while others go on.
        hang(connections[1:20:3])
        for server in servers:
            publish(server, "acme", 40)
        release(servers)
        balance(servers, 50 * 120)
    reasons = lost(servers)
    assert reasons["over_capacity",] > 0
    assert reasons["buffer_overflow",] > 0
    assert {("over_capacity",), ("buffer_overflow",)} == set(reasons)
    # The process that sent knows its own members; of the others', nobody can say whose they are.
    assert {f"{CONSUMERS}Room", "unknown"} == {consumer for (consumer,) in lost(servers, "consumer")}


def test_pubsub_loses_nothing_and_keeps_what_waits(start_server, redis_server):
    env = {"LAYER": "pubsub", "REDIS_URL": redis_server.url}
    servers = [start_server(UVICORN, APPLICATION, env=env) for _ in range(2)]
    with members(servers, 20) as connections:
        hang(connections[:5])
        publish(servers[0], "acme", 200)
        release(servers)
        balance(servers, 20 * 200)
        waits = metric(servers, "ws_layer_wait_seconds_count", "tenant")
        assert 20 * 200 == waits["acme",]
    assert 0 == lost(servers).total()


def test_what_expires_in_redis_while_everybody_hangs_is_found(start_server, redis_server):
    env = {"LAYER": "core", "EXPIRY": "3", "REDIS_URL": redis_server.url}
    server = start_server(UVICORN, APPLICATION, env=env)
    with members([server], 1) as [member]:
        hang([member])
        publish(server, "acme", 20)
        deadline = time.monotonic() + 20
        while not lost([server]):
            assert time.monotonic() < deadline, "nobody noticed"
            time.sleep(0.2)
        release([server])
        balance([server], 20)
    # One was taken before the handler hung for the rest of it.
    assert Counter({("expired",): 19}) == lost([server])


def test_what_waits_for_a_consumer_that_fails_is_lost_by_name(start_server, redis_server):
    for env in ({"LAYER": "memory"}, {"LAYER": "core", "REDIS_URL": redis_server.url}):
        server = start_server(UVICORN, APPLICATION, env=env)
        with members([server], 4) as [failing, *others]:
            hang([failing])
            failing.send(json.dumps({"type": "fail"}))
            publish(server, "acme", 30)
            release([server])
            balance([server], 4 * 30)
            assert len(others) == 3
        # Its turn came between the two messages of the client: one was handled.
        assert Counter({("teardown",): 29}) == lost([server])


def test_what_a_killed_server_had_is_unknown_and_what_is_sent_to_it_counts_while_redis_knows_it(
    start_server, redis_server
):
    env = {"LAYER": "core", "CAPACITY": "10", "REDIS_URL": redis_server.url}
    alive, killed = [start_server(UVICORN, APPLICATION, env=env) for _ in range(2)]
    with members([alive], 5), members([killed], 4):
        publish(alive, "acme", 20)
        balance([alive, killed], 9 * 20)
        killed.kill()
        publish(alive, "acme", 30)
        # Ten fit into the queue of a process that is no more, and nobody will ever say so: it left no metrics.
        balance([alive], 5 * 50 + 4 * 20)
    assert Counter({("unknown", "over_capacity"): 4 * 20}) == lost([alive], "consumer", "reason")


@pytest.mark.timeout(180)
def test_a_redis_that_restarts_in_mid_traffic_is_a_gap(start_server, redis_server):
    env = {"LAYER": "core", "REDIS_URL": redis_server.url}
    server = start_server(UVICORN, APPLICATION, env=env)
    with members([server], 10) as connections:
        hang(connections[:1])
        publish(server, "acme", 20)
        time.sleep(1.5)
        redis_server.restart()
        deadline = time.monotonic() + 30
        while not metric([server], "ws_channel_layer_gaps_total", "layer")["default",]:
            assert time.monotonic() < deadline, "nobody noticed"
            time.sleep(0.2)
    # All that the hub puts a number to was really lost; the rest it calls unknown.
    assert handled([server]).total() + lost([server]).total() <= 200
    # And it goes on: who comes now gets everything.
    with members([server], 3, tenant="globex"):
        # But for those that a connection to the old Redis, kept in a pool, has ended: Channels lets them fail.
        time.sleep(1.0)
        alive = metric([server], "ws_connections_active", "tenant")["globex",]
        before = handled([server]).total() + lost([server]).total()
        publish(server, "globex", 20)
        balance([server], before + alive * 20)
        assert alive
    assert 1 == metric([server], "ws_channel_layer_gaps_total", "layer")["default",]
