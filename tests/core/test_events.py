from __future__ import annotations

from collections import Counter
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.events import SEVERITY_BY_KIND, Event, EventLimiter
from tests import strategies

kinds = st.sampled_from(["connection.opened", "handler.error"])
offers = st.tuples(kinds, strategies.names, strategies.names, st.integers(0, 3))


@pytest.mark.parametrize("kind", SEVERITY_BY_KIND)
def test_every_kind_has_a_severity(kind):
    assert Event(kind=kind, at=1.0).severity in {"info", "warning", "error"}


def offer(limiter: EventLimiter, offered: list[tuple[str, str, str, int]]) -> tuple[Counter, Counter]:
    """What passed, and what the summaries of each second and of the end add to it."""
    passed: Counter[tuple[str, ...]] = Counter()
    summarised: Counter[tuple[str, ...]] = Counter()
    for second, group in groupby(sorted(offered, key=lambda one: one[3]), key=lambda one: one[3]):
        for kind, tenant, consumer, _ in group:
            passed[kind, tenant, consumer] += limiter.admit(kind, tenant, consumer, second + 0.5)
        for event in limiter.summaries(7.0):
            summarised[event.kind, event.tenant, event.consumer] += event.count
    return passed, summarised


@given(st.lists(offers), st.integers(1, 4))
def test_no_event_is_lost_passed_and_summarised_make_what_was_offered(offered, per_second):
    passed, summarised = offer(EventLimiter(per_second), offered)
    assert Counter(one[:3] for one in offered) == passed + summarised


@given(st.lists(offers), st.integers(1, 4))
def test_of_each_kind_and_second_no_more_than_the_cap_pass(offered, per_second):
    limiter = EventLimiter(per_second)
    passed: Counter[tuple[str, int]] = Counter()
    for kind, tenant, consumer, second in sorted(offered, key=lambda one: one[3]):
        passed[kind, second] += limiter.admit(kind, tenant, consumer, second + 0.1)
    due = Counter((kind, second) for kind, _, _, second in offered)
    assert {key: min(count, per_second) for key, count in due.items()} == dict(passed)


def test_a_wave_is_one_summary_per_kind_tenant_and_consumer():
    limiter = EventLimiter(1)
    for tenant in ["north", "north", "south", "south", "south"]:
        limiter.admit("connection.opened", tenant, "chat", 1.0)
    assert [
        Event(kind="connection.opened", at=9.0, tenant="north", consumer="chat", count=1),
        Event(kind="connection.opened", at=9.0, tenant="south", consumer="chat", count=3),
    ] == limiter.summaries(9.0)


def test_a_summary_is_given_once():
    limiter = EventLimiter(1)
    for _ in range(3):
        limiter.admit("connection.opened", "", "chat", 1.0)
    assert [2] == [event.count for event in limiter.summaries(2.0)]
    assert [] == limiter.summaries(3.0)


def test_one_kind_does_not_hold_back_another():
    limiter = EventLimiter(1)
    assert limiter.admit("connection.opened", "", "chat", 1.0)
    assert limiter.admit("handler.error", "", "chat", 1.0)
    assert not limiter.admit("handler.error", "other", "chat", 1.9)
    assert limiter.admit("handler.error", "", "chat", 2.0)
