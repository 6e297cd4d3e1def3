from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import ConfigurationError
from hub.core.policy import SILENT_INTERVALS, Policy
from tests import strategies  # noqa: F401 - loads the profile


def test_the_defaults_are_those_of_the_design():
    policy = Policy()
    assert (policy.interval, policy.stale_after, policy.timeout, policy.grace) == (30.0, 60.0, 300.0, 5.0)


@given(st.floats(), st.floats(), st.floats())
def test_a_policy_goes_stale_before_it_times_out_or_says_why_it_cannot_be(interval, timeout, grace):
    try:
        policy = Policy(interval, timeout, grace)
    except ConfigurationError as error:
        assert "give" in str(error)  # noqa: PT017 - either is right
        return
    assert 0 < policy.interval < policy.stale_after <= policy.timeout or math.isinf(policy.interval)
    assert policy.grace >= 0


def test_a_time_out_of_two_intervals_will_do():
    assert Policy(10.0, SILENT_INTERVALS * 10.0).stale_after == 20.0


def test_a_shorter_one_is_refused_with_the_least_that_will_do():
    with pytest.raises(ConfigurationError, match=r"time-out of 19 s .* intervals of 10 s; give at least 20 s"):
        Policy(10.0, 19.0)


@pytest.mark.parametrize(
    ("interval", "grace"), [(0.0, 5.0), (-1.0, 5.0), (math.nan, 5.0), (30.0, -0.1), (30.0, math.nan)]
)
def test_what_is_no_duration_is_refused(interval, grace):
    with pytest.raises(ConfigurationError, match="can't be used"):
        Policy(interval=interval, grace=grace)
