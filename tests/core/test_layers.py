from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hub.core.layers import CALM_BELOW, FILLING_FROM, MAX_CHANNELS, Drops, Filling


def test_a_layer_that_fills_is_news_once():
    filling = Filling()
    assert [False, True, False, False, False] == [filling.look(fullest) for fullest in (0.79, 0.8, 1.0, 0.7, 0.85)]


def test_it_is_news_again_when_it_was_calm():
    filling = Filling()
    assert [True, False, False, True] == [filling.look(fullest) for fullest in (0.9, 0.51, 0.5, 0.9)]


@given(st.lists(st.floats(0, 1.5), max_size=40))
def test_between_two_news_it_was_always_calm(looks):
    filling = Filling()
    news = [index for index, fullest in enumerate(looks) if filling.look(fullest)]
    assert all(looks[index] >= FILLING_FROM for index in news)
    assert all(min(looks[one:other]) <= CALM_BELOW for one, other in pairwise(news))


def test_losses_of_one_cause_are_one_drop():
    drops = Drops()
    assert not drops
    key = ("expired", "chat", "acme", "room")
    drops.add(key, 2, "a", "1")
    drops.add(key, 1, "b", "2")
    drops.add(("expired", "chat", "globex", "room"), 1, "", "")
    assert drops
    one, other = drops.take()
    assert (3, {"a", "b"}, {"1", "2"}) == (one.count, one.channels, one.connections)
    assert ("expired", "chat", "globex", "room", 1, set()) == (
        other.reason, other.consumer, other.tenant, other.group, other.count, other.channels,
    )  # fmt: skip
    assert not drops
    assert [] == drops.take()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 9)), max_size=50))
def test_no_loss_is_forgotten_or_told_twice(losses):
    drops = Drops()
    told = 0
    for index, (consumer, count) in enumerate(losses):
        drops.add(("expired", consumer, "", ""), count, "", "")
        if index % 7 == 0:
            told += sum(drop.count for drop in drops.take())
    assert sum(count for _, count in losses) == told + sum(drop.count for drop in drops.take())


def test_channels_are_remembered_up_to_a_bound():
    drops = Drops()
    for number in range(MAX_CHANNELS + 5):
        drops.add(("expired", "", "", ""), 1, str(number), str(number))
    [drop] = drops.take()
    assert (MAX_CHANNELS + 5, MAX_CHANNELS, MAX_CHANNELS) == (drop.count, len(drop.channels), len(drop.connections))
