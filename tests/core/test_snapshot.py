from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from hub.core.ledger import Counts
from hub.core.snapshot import NodeSnapshot, change_of, merge
from tests.strategies import counts

Rows = dict[tuple[str, str], Counts]

rows = st.lists(counts(), max_size=2).map(lambda found: {(row.consumer, row.tenant): row for row in found})


def packed(part: Rows) -> dict:
    return {key: row.pack() for key, row in part.items()}


def snapshot(part: Rows) -> NodeSnapshot:
    return NodeSnapshot(
        node="host:1", boot="b00t", host="host", pid=1, version="0", started_at=1.0, at=2.0,
        rows=[row.pack() for row in part.values()], loop_lag=0.25,
    )  # fmt: skip


@given(rows)
def test_a_snapshot_travels_as_plain_values(part):
    # Through JSON: a bus on Redis will not carry Python's objects.
    travelled = NodeSnapshot.unpack(json.loads(json.dumps(snapshot(part).pack())))
    assert snapshot(part) == travelled
    assert packed(part) == packed(travelled.counts())


@given(rows, rows)
def test_merging_is_commutative(one, other):
    assert packed(merge([one, other])) == packed(merge([other, one]))


@given(rows, rows, rows)
def test_merging_is_associative(a, b, c):
    assert packed(merge([merge([a, b]), c])) == packed(merge([a, merge([b, c])]))


@given(rows)
def test_merging_with_nothing_changes_nothing(part):
    assert packed(part) == packed(merge([part, {}])) == packed(merge([{}, part]))


@given(rows, rows)
def test_the_parts_of_a_merge_stay_as_they_are(a, b):
    before = packed(a), packed(b)
    merge([a, b, a])
    assert before == (packed(a), packed(b))


def change(now, before):
    changes = {key: change_of(row, before.get(key)) for key, row in now.items()}
    return {key: row for key, row in changes.items() if row is not None}


@given(rows)
def test_what_did_not_change_is_left_out(part):
    again = {key: Counts.unpack(row.pack()) for key, row in part.items()}
    assert {} == change(part, part) == change(part, again)


@given(rows, rows)
def test_the_change_added_to_what_was_before_makes_what_is_now(before, more):
    now = merge([before, more])
    rebuilt = merge([before, change(now, before)])
    assert packed(now) == packed(rebuilt)


@given(rows)
def test_a_key_that_is_new_has_changed_by_all_of_it(part):
    assert packed(part) == packed(change(part, {}))
