"""Waits in the queue of a whole process: whose fault they are, and whose they are not."""

from __future__ import annotations

from typing import Any

import pytest
from channels.layers import channel_layers

from hub.core.layers import Queue
from hub.instrument.layers.base import Instrumented
from hub.node.queues import Queues, Wait
from tests.node.test_evidence import Entry, Waits

THRESHOLD, AHEAD = 0.5, 1_000_000.0


class Layer(Instrumented):
    """A layer that keeps a queue for the process."""

    hub_alias = "default"

    def __init__(self) -> None:
        self.hub_queue = Queue()
        self.asking = True

    def hub_asking(self) -> bool:
        return self.asking


@pytest.fixture
def layer(monkeypatch) -> Layer:
    made = Layer()
    monkeypatch.setattr(channel_layers, "backends", {"default": made, "bare": object()})
    return made


@pytest.fixture
def queues() -> Queues:
    return Queues(THRESHOLD)


def all_of_it(since: float, until: float) -> float:
    return until - since


def look(queues: Queues, now: float, *busy: Any) -> list[Wait]:
    return queues.look(busy, now, AHEAD + now)


def seconds(queues: Queues, now: float, *busy: Any) -> float | None:
    longest = queues.longest(look(queues, now, *busy), all_of_it, AHEAD)
    return None if longest is None else longest[0]


def put(layer: Layer, sent_at: float, now: float) -> None:
    """A message waits in the queue, as somebody has seen."""
    assert layer.hub_queue is not None
    layer.hub_queue.see(AHEAD + sent_at, 7, AHEAD + now)


def test_what_waits_though_somebody_asks_for_it_is_the_layer_s_fault(queues, layer):
    put(layer, 10.0, 10.5)
    [wait] = look(queues, 10.75)
    assert {"layer": "default", "waiting": 7, "oldest_seconds": 0.75, "asking": True} == wait.details()
    assert 0.75 == seconds(queues, 10.75)


def test_what_has_waited_is_told_once_it_is_taken(queues, layer):
    assert layer.hub_queue is not None
    layer.hub_queue.take(AHEAD + 10.0, AHEAD + 11.0)
    assert 1.0 == seconds(queues, 11.0625)
    assert seconds(queues, 11.125) is None


def test_a_short_wait_is_not_looked_into(queues, layer):
    put(layer, 10.0, 10.0)
    assert [] == look(queues, 10.25)


def in_dispatch(started_at: float) -> Entry:
    """A consumer that has a channel."""
    entry = Entry(started_at=started_at)
    entry.connection.link = Waits(None)
    return entry


def test_while_nobody_asks_and_a_handler_is_slow_it_is_the_handler_s(queues, layer):
    layer.asking = False
    put(layer, 10.0, 10.5)
    assert seconds(queues, 11.0, in_dispatch(10.25)) is None
    # It asks again, and gets it at once.
    layer.asking = True
    layer.hub_queue.take(AHEAD + 10.0, AHEAD + 11.0625)
    assert seconds(queues, 11.125) is None


def test_while_nobody_asks_and_nobody_is_there_it_is_nobody_s(queues, layer):
    layer.asking = False
    put(layer, 10.0, 10.5)
    assert seconds(queues, 12.0) is None


def test_nobody_asks_because_of_many_small_steps(queues, layer):
    layer.asking = False
    put(layer, 10.0, 10.5)
    assert 1.0 == seconds(queues, 11.0, in_dispatch(10.875), in_dispatch(0.0))


def test_a_consumer_that_hangs_does_not_hide_the_small_steps_of_others(queues, layer):
    layer.asking = False
    put(layer, 10.0, 10.5)
    assert 1.0 == seconds(queues, 11.0, in_dispatch(1.0), in_dispatch(10.875))


def test_whoever_has_no_channel_can_t_take_anything(queues, layer):
    layer.asking = False
    put(layer, 10.0, 10.5)
    assert seconds(queues, 11.0, in_dispatch(1.0), Entry(started_at=10.875)) is None


def test_a_blocked_loop_is_no_wait(queues, layer):
    put(layer, 10.0, 10.5)
    assert queues.longest(look(queues, 11.0), lambda *_: 0.0, AHEAD) is None


def test_the_longest_of_all_layers_is_told(queues, layer):
    other = Layer()
    channel_layers.backends |= {"other": other}  # type: ignore[dict-item]  # as good as one
    put(layer, 10.0, 10.5)
    put(other, 9.0, 10.5)
    assert 2.0 == seconds(queues, 11.0)


def test_a_layer_without_such_a_queue_has_no_such_waits(queues, layer):
    layer.hub_queue = None
    assert [] == look(queues, 11.0)
