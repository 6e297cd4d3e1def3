"""The hard limits of the profiles."""

import pytest

from consumers.demo.tenants import TENANTS
from consumers.demo.traffic.clients import KINDS
from consumers.demo.traffic.profiles import MIX, PROFILES, headcounts
from consumers.demo.traffic.run import Run


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_no_profile_has_more_visitors_than_it_says(profile):
    run = Run("ws://127.0.0.1:1", profile, TENANTS, seed=1)
    assert len(run.visitors) <= profile.visitors <= 2_000
    assert {visitor.tenant for visitor in run.visitors} == set(TENANTS)


@pytest.mark.parametrize("visitors", [10, 30, 300, 2_000])
def test_every_visitor_is_of_some_kind(visitors):
    counts = headcounts(visitors)
    assert sum(counts.values()) == visitors
    assert set(counts) == set(KINDS) == set(MIX)
    assert min(counts.values()) >= 1


def test_a_seed_repeats_the_visitors():
    def crowd(seed):
        run = Run("ws://127.0.0.1:1", PROFILES["busy"], TENANTS, seed)
        return [(visitor.kind, visitor.name, visitor.tenant, visitor.path()) for visitor in run.visitors]

    assert crowd(7) == crowd(7)
    assert crowd(7) != crowd(8)
