from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.hours import Hours
from hub.core.matchers import parse_matchers
from hub.core.silences import (
    ACTIVE,
    COMING,
    EXPIRED,
    LINGER,
    REMEMBERED,
    Causes,
    Inhibition,
    Maintenance,
    Silence,
    expire_silences,
    merge_silences,
    pinned,
)
from tests import strategies  # noqa: F401 - loads the profile

ACME = {"tenant": "acme", "rule": "deep"}

silences = st.builds(
    Silence,
    id=st.sampled_from("abc"), matchers=st.sampled_from([parse_matchers("tenant=acme"), parse_matchers("rule=deep")]),
    starts_at=st.integers(0, 3), ends_at=st.integers(0, 3), by=st.sampled_from("xy"), why=st.just(""),
    changed_at=st.integers(0, 3),
)  # fmt: skip
places = st.lists(silences, max_size=4).map(lambda found: {silence.id: silence for silence in found})


def silence(text: str = "tenant=acme", starts_at: float = 10.0, ends_at: float = 20.0) -> Silence:
    return Silence(
        id="one", matchers=parse_matchers(text), starts_at=starts_at, ends_at=ends_at, by="ann", why="work",
        changed_at=5.0,
    )  # fmt: skip


# --- silences -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "state"), [(9, COMING), (10, ACTIVE), (19, ACTIVE), (20, EXPIRED)])
def test_a_silence_mutes_while_it_is_active(now, state):
    assert state == silence().state(now)
    assert (state == ACTIVE) == silence().mutes(ACME, now)


def test_it_mutes_what_it_matches_and_without_a_matcher_nothing():
    assert not silence("tenant=globex").mutes(ACME, 15)
    assert not silence("").mutes(ACME, 15)


def test_it_can_be_ended_early_but_not_made_longer_by_that():
    ended = silence().ended("bob", 15.0)
    assert (15.0, "bob", 15.0) == (ended.ends_at, ended.by, ended.changed_at)
    assert 20.0 == silence().ended("bob", 25.0).ends_at


@given(places, places, places)
def test_merging_is_an_algebra(one, other, third):
    assert merge_silences(one, other) == merge_silences(other, one)
    assert merge_silences(merge_silences(one, other), third) == merge_silences(one, merge_silences(other, third))
    assert merge_silences(one, one) == one


@given(places, places)
def test_of_two_versions_the_newest_holds_and_none_is_lost(one, other):
    merged = merge_silences(one, other)
    assert one.keys() | other.keys() == merged.keys()
    for name, found in merged.items():
        versions = [place[name] for place in (one, other) if name in place]
        assert found in versions
        assert max(version.changed_at for version in versions) == found.changed_at


def test_expired_ones_are_forgotten_in_time():
    kept = {"one": silence()}
    assert kept == expire_silences(kept, 20.0 + REMEMBERED - 1)
    assert {} == expire_silences(kept, 20.0 + REMEMBERED)


@given(silences)
def test_a_silence_survives_being_kept(one):
    assert one == Silence.unpack(json.loads(json.dumps(one.pack())))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("tenant=acme,rule=x", "acme"), ("tenant~acme", None), ("rule=x", None), ("tenant=a,tenant=b", None)],
)
def test_who_is_bound_to_tenants_must_name_one(text, expected):
    assert expected == pinned(parse_matchers(text), "tenant")


# --- maintenance --------------------------------------------------------------------------------------------------


def test_a_maintenance_window_mutes_what_it_matches_in_its_hours():
    window = Maintenance(
        name="backup", hours=Hours.parse("Sun 02:00-03:00 UTC"), matchers=parse_matchers("tenant=acme")
    )
    assert window.mutes(ACME, 0.0, lambda zone, now: (6, 150.0))
    assert not window.mutes(ACME, 0.0, lambda zone, now: (6, 180.0))
    assert not window.mutes({"tenant": "globex"}, 0.0, lambda zone, now: (6, 150.0))


# --- inhibitions --------------------------------------------------------------------------------------------------

LOOP = Inhibition(cause=parse_matchers("rule=loop"), effect=parse_matchers("rule~slow*|loop"), equal=("node",))


def labels(rule: str, node: str = "a") -> dict[str, str]:
    return {"rule": rule, "node": node}


def explained(causes: Causes, found: dict[str, str], now: float = 0.0) -> str | None:
    return causes.explain(causes.effect_of(found), now)


def test_a_cause_explains_its_effects_where_the_labels_are_equal():
    causes = Causes([LOOP])
    assert explained(causes, labels("slow_handler")) is None
    causes.begin("k", labels("loop"))
    assert "k" == explained(causes, labels("slow_handler"))
    assert explained(causes, labels("slow_handler", "b")) is None
    assert explained(causes, labels("errors")) is None


def test_a_cause_is_never_an_effect_so_that_two_never_mute_each_other():
    causes = Causes([LOOP])
    causes.begin("one", labels("loop"))
    causes.begin("two", labels("loop"))
    assert explained(causes, labels("loop")) is None


def test_an_inhibition_outlasts_its_last_cause_for_a_while():
    causes = Causes([LOOP])
    causes.begin("one", labels("loop"))
    causes.begin("two", labels("loop"))
    causes.end("one", labels("loop"), 100.0)
    assert "two" == explained(causes, labels("slow_handler"), 500.0)
    causes.end("two", labels("loop"), 500.0)
    assert "" == explained(causes, labels("slow_handler"), 500.0 + LINGER - 1)
    assert explained(causes, labels("slow_handler"), 500.0 + LINGER) is None
    causes.expire(500.0 + LINGER)
    assert [{}] == causes._over


def test_what_never_was_a_cause_ends_nothing():
    causes = Causes([LOOP])
    causes.begin("one", labels("loop"))
    causes.end("other", labels("loop"), 100.0)
    assert "one" == explained(causes, labels("slow_handler"), 500.0)
