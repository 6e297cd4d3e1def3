"""However its input flaps, alerting makes no more messages than the design allows, and tells the truth in the end."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.alerting.receivers.base import DeliveryError
from hub.core.groups import FIRED, OVER
from hub.models import AlertRecord, Delivery
from tests import strategies  # noqa: F401 - loads the profile
from tests.alerting.stage import BACKLOG, PACE, Samples, Sink, Site, make_setup
from tests.handclock import HandClock

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.timeout(600)]

TENANTS = ("acme", "globex", "initech")
SEVERITIES = ("critical", "low")
#: How long each number stays, and the numbers of all tenants: well, wrong, or not there.
STEPS = st.lists(
    st.tuples(st.integers(1, 60), st.tuples(*[st.sampled_from([0.0, 50.0, None])] * len(TENANTS))),
    min_size=1,
    max_size=12,
)
CALM = 300


def samples_of(numbers: tuple[float | None, ...]) -> Samples:
    pairs = zip(TENANTS, numbers, strict=True)
    return {BACKLOG: {("chat", tenant): number for tenant, number in pairs if number is not None}}


@settings(max_examples=20)
@given(steps=STEPS, wait=st.sampled_from([0, 10]), fails=st.sampled_from([0, 2, 3]))
def test_flapping_makes_no_more_messages_than_the_design_allows(steps, wait, fails):
    with transaction.atomic():
        clock, sink = HandClock(), Sink()
        if fails:
            sink.trouble = lambda _: DeliveryError("no") if sink.attempts % fails else None
        site = Site(make_setup(sink, severities=SEVERITIES, **{"for": wait}), clock)
        for seconds, numbers in steps:
            site.live(seconds, samples_of(numbers))
        site.live(CALM, samples_of((0.0,) * len(TENANTS)), step=5)
        check(sink, sum(seconds for seconds, _ in steps) + CALM)
        transaction.set_rollback(True)


def check(sink: Sink, seconds: int) -> None:
    told = sink.told
    # None twice, and of each incident in their order, from the one that something fires to the one that all is over.
    assert len(told) == len(set(told))
    for incident in dict(told):
        numbers = [number for each, number in told if each == incident]
        kinds = [message.notice.kind for message in sink.calls if message.incident == incident]
        assert list(range(1, len(numbers) + 1)) == numbers
        assert ([FIRED], [OVER]) == (kinds[:1], kinds[-1:])
        assert {FIRED: 1, OVER: 1} == {kind: kinds.count(kind) for kind in (FIRED, OVER)}
    # No more than so many: `hub.core.groups`.
    allowed = 2 * (seconds / PACE.interval + 1)
    routed = Counter(message.notice.labels["rule"] for message in sink.calls)
    assert {rule: count for rule, count in routed.items() if count > allowed} == {}
    # The rest is silence.
    assert not Delivery.objects.exclude(state="delivered").exists()
    assert not AlertRecord.objects.exclude(state="resolved").exists()
