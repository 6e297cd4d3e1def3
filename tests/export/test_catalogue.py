"""The catalogue: everything that is counted has one metric, and caps lose nothing but names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core import ledger
from hub.core.latency import Histogram
from hub.core.ledger import MAPPINGS, NUMBERS, Counts
from hub.export.catalogue import (
    COUNTERS,
    GAUGES,
    HISTOGRAMS,
    LABELLED,
    LABELLED_GAUGES,
    MAX_CODES,
    OTHER,
    PRESENCE,
    capped,
    capped_members,
    capped_values,
    kept_tenants,
)
from tests.strategies import counts

NUMBERED = (*GAUGES, *COUNTERS)
MAPPED = (*LABELLED_GAUGES, *LABELLED)
#: Counted, but shown only as part of a sum: `Counts.waiting`.
IN_A_SUM = {"arrived", "inbound_lost"}

many_counts = st.lists(counts(), max_size=12, unique_by=lambda row: (row.consumer, row.tenant))


def names() -> list[str]:
    return [row[0] for table in (GAUGES, COUNTERS, LABELLED_GAUGES, LABELLED, HISTOGRAMS) for row in table]


# --- what there is ------------------------------------------------------------------------------------------------


def test_each_metric_is_there_once_and_named_as_prometheus_wants_it():
    assert len(set(names())) == len(names())
    assert [name for name in (*names(), PRESENCE[0]) if not re.fullmatch(r"ws_[a-z_]+[a-z]", name)] == []
    # The exposition adds it to counters, and to nothing else.
    assert [name for name in names() if name.endswith("_total")] == []
    assert [name for name, *_ in HISTOGRAMS if not name.endswith("_seconds")] == []


def test_each_says_in_a_sentence_what_it_is():
    helps = [row[1] for row in (*NUMBERED, *MAPPED, *HISTOGRAMS, PRESENCE)]
    assert len(set(helps)) == len(helps)
    assert [text for text in helps if not re.fullmatch(r"[A-Z].+\.", str(text))] == []


@pytest.mark.parametrize("name", sorted(set(NUMBERS) - IN_A_SUM))
def test_each_number_that_is_counted_is_shown_by_one_metric(name):
    row = Counts()
    setattr(row, name, 7)
    assert [7] == [value for value in (number(row) for _, _, number in NUMBERED) if value]


def test_what_waits_is_what_arrived_and_was_neither_handled_nor_lost():
    row = Counts()
    row.arrived, row.inbound_lost, row.received = 10, 2, {"text": 3, "binary": 1}
    shown = {name: number(row) for name, _, number in NUMBERED if number(row)}
    assert {"ws_inbound_backlog_messages": 4} == shown


@pytest.mark.parametrize("name", MAPPINGS)
def test_each_mapping_that_is_counted_is_shown_by_one_metric(name):
    row = Counts()
    setattr(row, name, {"x": 7})
    assert [{"x": 7}] == [values for values in (mapped(row) for *_, mapped in MAPPED) if values]


@pytest.mark.parametrize("name", ledger.HISTOGRAMS)
def test_each_distribution_that_is_counted_is_shown_by_one_metric(name):
    row = Counts()
    row.histogram_of(name).observe(0.1)
    shown: list[Histogram] = [of(row) for _, _, of in HISTOGRAMS]
    assert [row.histogram_of(name)] == [histogram for histogram in shown if sum(histogram.counts)]


# --- caps ---------------------------------------------------------------------------------------------------------


def total(rows: list[Counts]) -> Counts:
    whole = Counts()
    for row in rows:
        whole.add(row)
    return whole


@pytest.mark.slow
@given(many_counts, st.integers(0, 5))
def test_a_cap_on_tenants_loses_nothing_and_changes_no_row(rows, cap):
    before = [row.pack() for row in rows]
    merged = capped(rows, cap)
    assert total(list(merged.values())).same(total(rows))
    assert [row.pack() for row in rows] == before
    assert len({tenant for _, tenant in merged} - {OTHER}) <= cap
    assert {consumer for consumer, _ in merged} == {row.consumer for row in rows}


@pytest.mark.slow
@given(many_counts, st.integers(0, 5))
def test_the_busiest_tenants_keep_their_names(rows, cap):
    accepted: dict[str, int] = {}
    for row in rows:
        accepted[row.tenant] = accepted.get(row.tenant, 0) + row.accepted
    kept = kept_tenants(rows, cap)
    assert len(kept) == min(cap, len(accepted))
    others = [accepted[tenant] for tenant in accepted.keys() - kept]
    assert all(accepted[tenant] >= number for tenant in kept for number in others)
    assert kept == kept_tenants(reversed(rows), cap), "a tie must not make names come and go"


@given(
    st.dictionaries(st.sampled_from("abcd"), st.dictionaries(st.sampled_from(["online", "idle"]), st.integers(0, 9))),
    st.sets(st.sampled_from("abcd")),
)
def test_members_of_tenants_without_a_name_of_their_own_are_counted_together(presence, kept):
    merged = capped_members(presence, kept)
    for state in ("online", "idle"):
        expected = sum(states.get(state, 0) for states in presence.values())
        assert expected == sum(number for (_, shown), number in merged.items() if shown == state)
    assert {tenant for tenant, _ in merged} <= kept | {OTHER}


@pytest.mark.slow
@given(many_counts, st.integers(0, 4))
def test_rare_values_of_a_label_are_counted_together(rows, cap):
    values_of = capped_values(rows, "message_type", lambda row: row.received, cap)
    shown = [values_of(row) for row in rows]
    assert [sum(row.received.values()) for row in rows] == [sum(values.values()) for values in shown]
    totals = total(rows).received
    seen = {name for values in shown for name in values}
    assert len(seen - {OTHER}) <= cap
    assert all(totals[hidden] <= totals[name] for hidden in totals.keys() - seen for name in seen - {OTHER})


def test_close_codes_have_a_cap_of_their_own():
    row = Counts()
    row.disconnects = {str(3000 + number): number for number in range(1, 2 * MAX_CODES)}
    shown = capped_values([row], "code", lambda counts: counts.disconnects, 1)(row)
    assert len(shown) == MAX_CODES + 1
    assert sum(shown.values()) == sum(row.disconnects.values())
