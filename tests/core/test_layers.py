from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hub.core.layers import (
    CALM_BELOW,
    FILLING_FROM,
    KEPT,
    MAX_CHANNELS,
    MAX_RUNS,
    MAX_RUNS_OF_TENANT,
    MAX_TOLD_APART,
    SEEN_TRUSTED,
    Drop,
    Drops,
    Filling,
    Queue,
    Runs,
)


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


def test_the_longest_wait_of_those_that_were_taken_is_told_once():
    queue = Queue()
    assert queue.longest(10.0) is None
    queue.take(9.0, 10.0)
    queue.take(8.0, 10.5)
    queue.take(10.5, 11.0)
    assert (8.0, 10.5) == queue.longest(11.0)
    assert queue.longest(11.0) is None


def test_what_still_waits_has_waited_until_now():
    queue = Queue()
    queue.see(9.0, 3, 10.0)
    assert [(9.0, 10.0), (9.0, 12.0)] == [queue.longest(10.0), queue.longest(12.0)]
    assert 3 == queue.messages


def test_who_is_the_oldest_is_unknown_once_the_oldest_was_taken():
    queue = Queue()
    queue.see(9.0, 3, 10.0)
    queue.take(9.0, 10.5)
    assert (9.0, 10.5) == queue.longest(11.0)
    assert queue.longest(12.0) is None


def test_a_look_that_is_long_ago_says_nothing():
    queue = Queue()
    queue.see(9.0, 3, 10.0)
    assert queue.longest(10.0 + SEEN_TRUSTED) is not None
    assert queue.longest(10.0 + SEEN_TRUSTED + 0.1) is None


def test_an_empty_queue_says_so():
    queue = Queue()
    queue.see(9.0, 3, 10.0)
    queue.see(None, 0, 11.0)
    assert queue.longest(11.0) is None


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 10)), min_size=1))
def test_no_wait_is_longer_than_the_one_that_is_told(waits):
    queue = Queue()
    for until, seconds in waits:
        queue.take(until - seconds, until)
    longest = queue.longest(100.0)
    assert longest is not None
    assert longest[1] - longest[0] == max(until - (until - seconds) for until, seconds in waits)


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


# --- runs ---------------------------------------------------------------------------------------------------------


def drop(count: int = 1, tenant: str = "acme", group: str = "room", channels: tuple[str, ...] = ("a",)) -> Drop:
    return Drop("expired", "chat", tenant, group, count, set(channels), {"7"})


def test_losses_of_one_kind_that_follow_each_other_are_one_run():
    runs = Runs()
    runs.add(drop(2), 10.0)
    runs.add(drop(3, channels=("b",)), 20.0)
    runs.add(drop(1, group="other"), 30.0)
    one, other = runs
    assert (5, 10.0, 20.0, {"a", "b"}, {"7"}) == (one.messages, one.since, one.at, one.channels, one.connections)
    assert ("other", 1, 30.0, 30.0) == (other.group, other.messages, other.since, other.at)


def test_a_run_that_was_over_for_long_is_another_one():
    runs = Runs()
    runs.add(drop(2), 10.0)
    runs.add(drop(1), 10.0 + KEPT + 1)
    [run] = runs
    assert (1, 11.0 + KEPT) == (run.messages, run.since)


def test_a_gap_has_no_number():
    runs = Runs()
    runs.add_gap("default", 10.0)
    runs.add_gap("default", 20.0)
    [run] = runs
    assert ("unknown", None, "default", 10.0, 20.0) == (run.reason, run.messages, run.layer, run.since, run.at)


def test_a_run_is_kept_for_a_while_after_its_last_loss():
    runs = Runs()
    runs.add(drop(group="one"), 10.0)
    runs.add(drop(group="two"), 20.0)
    runs.add(drop(group="one"), 30.0)
    runs.expire(20.0 + KEPT)
    assert ["two", "one"] == [run.group for run in runs]
    runs.expire(30.0 + KEPT)
    assert ["one"] == [run.group for run in runs]
    runs.expire(31.0 + KEPT)
    assert [] == list(runs)


def test_who_loses_much_does_not_hide_what_others_lose():
    runs = Runs()
    runs.add(drop(tenant="quiet"), 1.0)
    for number in range(3 * MAX_RUNS):
        runs.add(drop(group=str(number)), 2.0 + number)
    assert {"quiet", "acme"} == {run.tenant for run in runs}
    assert MAX_RUNS_OF_TENANT == sum(run.tenant == "acme" for run in runs)
    for number in range(3 * MAX_RUNS):
        runs.add(drop(tenant=f"tenant {number}"), 1000.0 + number)
    assert MAX_RUNS == len(list(runs))


def test_channels_of_a_run_are_told_apart_up_to_a_bound():
    runs = Runs()
    runs.add(drop(channels=tuple(map(str, range(MAX_TOLD_APART + 9)))), 1.0)
    [run] = runs
    assert MAX_TOLD_APART == len(run.channels)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 9), st.integers(0, 100)), max_size=40))
def test_within_the_time_that_they_are_kept_no_loss_is_missing_from_the_runs(losses):
    runs, now = Runs(), 0.0
    for group, count, seconds in losses:
        now += seconds / 100
        runs.add(drop(count, group=group), now)
    assert sum(count for _, count, _ in losses) == sum(run.messages or 0 for run in runs)
