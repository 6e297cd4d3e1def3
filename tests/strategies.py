"""What Hypothesis draws for several tests, and how much of it. Importing this loads the profile."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from hub.core.latency import Histogram
from hub.core.ledger import HISTOGRAMS, MAPPINGS, NUMBERS, Counts

# A busy machine is no defect: examples are bounded in number, not in time.
settings.register_profile("hub", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hub")

#: Few names, so that they meet.
names = st.sampled_from(["", "a", "b", "chat.say", "other"])
#: Sums of binary fractions are exact in any order: an algebra of floats holds without rounding.
eighths = st.integers(0, 800).map(lambda number: number / 8)
numbers = st.integers(0, 10**9)
mappings = st.dictionaries(names, st.integers(1, 10**6), max_size=4)


@st.composite
def histograms(draw: st.DrawFn, bounds: tuple[float, ...]) -> Histogram:
    """Some values, observed."""
    histogram = Histogram(bounds)
    for value in draw(st.lists(eighths, max_size=6)):
        histogram.observe(value)
    return histogram


@st.composite
def counts(draw: st.DrawFn, consumer: st.SearchStrategy[str] = names, tenant: st.SearchStrategy[str] = names) -> Counts:
    """A row of the ledger with anything in it."""
    row = Counts(draw(consumer), draw(tenant))
    for name in NUMBERS:
        setattr(row, name, draw(numbers))
    for name in MAPPINGS:
        setattr(row, name, draw(mappings))
    for name in HISTOGRAMS:
        setattr(row, name, draw(histograms(tuple(getattr(row, name).bounds))))
    return row
