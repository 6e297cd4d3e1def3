"""
The ``ws_*`` families as text, byte for byte what prometheus_client's encoders make of `HubCollector`.

Written straight from the counts, because the general way makes some objects per sample: with 1,000 label sets that
is a second of work and garbage which, though in a thread of its own, keeps the event loop waiting for the
interpreter. Business metrics, the hub's own and ``name[]`` stay with prometheus_client; a test holds the two equal.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import utils

from hub.core.latency import Histogram
from hub.core.ledger import Counts
from hub.core.snapshot import Key
from hub.export.catalogue import (
    COUNTERS,
    GAUGES,
    HISTOGRAMS,
    LABELLED,
    LABELLED_GAUGES,
    PRESENCE,
    Mapped,
    capped_values,
)

#: A number as prometheus_client writes it.
go_float: Callable[[float], str] = utils.floatToGoString
#: Lines of a part: about a millisecond of work.
PART = 200


class Series:
    """The label sets of a scrape, escaped once."""

    def __init__(self, rows: Mapping[Key, Counts]) -> None:
        self.rows = [
            (f'consumer="{escape(consumer)}"', f'tenant="{escape(tenant)}"', counts)
            for (consumer, tenant), counts in rows.items()
        ]
        self.counts = rows


def escape(value: str) -> str:
    """A label value as it stands between quotation marks."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def write_families(
    rows: Mapping[Key, Counts], members: Mapping[Key, int], max_types: int, *, openmetrics: bool
) -> Iterator[str]:
    """
    The families in the order of the catalogue, in parts to be joined.

    Args:
        rows: By consumer and tenant, capped.
        members: By tenant and state, capped.
        max_types: Values of a further label that keep their names.
        openmetrics: OpenMetrics names a counter's family without ``_total``.
    """
    series = Series(rows)
    total = "" if openmetrics else "_total"
    for name, help_text, number in GAUGES:
        yield _head(name, help_text, "gauge")
        yield from _parts(f"{name}{{{c},{t}}} {go_float(number(row))}\n" for c, t, row in series.rows)
    for name, help_text, number in COUNTERS:
        yield _head(name + total, help_text, "counter")
        yield from _parts(f"{name}_total{{{c},{t}}} {go_float(number(counts))}\n" for c, t, counts in series.rows)
    for name, help_text, label, mapped in LABELLED_GAUGES:
        yield _head(name, help_text, "gauge")
        yield from _parts(_labelled(series, name, label, mapped, max_types))
    for name, help_text, label, mapped in LABELLED:
        yield _head(name + total, help_text, "counter")
        yield from _parts(_labelled(series, f"{name}_total", label, mapped, max_types))
    for name, help_text, histogram in HISTOGRAMS:
        yield _head(name, help_text, "histogram")
        yield from _parts(line for c, t, counts in series.rows for line in _histogram(name, c, t, histogram(counts)))
    name, help_text = PRESENCE
    yield _head(name, help_text, "gauge")
    yield from _parts(
        f'{name}{{state="{state}",tenant="{escape(tenant)}"}} {go_float(number)}\n'
        for (tenant, state), number in members.items()
    )


def _head(name: str, help_text: str, kind: str) -> str:
    return f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"


def _parts(lines: Iterable[str]) -> Iterator[str]:
    part: list[str] = []
    for line in lines:
        part.append(line)
        if len(part) == PART:
            yield "".join(part)
            part.clear()
    yield "".join(part)


def _labelled(series: Series, name: str, label: str, mapped: Mapped, max_types: int) -> Iterator[str]:
    values_of = capped_values(series.counts.values(), label, mapped, max_types)
    for consumer, tenant, counts in series.rows:
        for value, number in values_of(counts).items():
            # prometheus_client sorts labels by name.
            pairs = ",".join(sorted((consumer, tenant, f'{label}="{escape(value)}"'), key=_name))
            yield f"{name}{{{pairs}}} {go_float(number)}\n"


def _name(pair: str) -> str:
    return pair.partition("=")[0]


def _histogram(name: str, consumer: str, tenant: str, histogram: Histogram) -> Iterator[str]:
    running = 0
    # "le" stands between "consumer" and "tenant".
    head, tail = f'{name}_bucket{{{consumer},le="', f'",{tenant}}} '
    for bound, count in zip((*map(go_float, histogram.bounds), "+Inf"), histogram.counts, strict=True):
        running += count
        yield f"{head}{bound}{tail}{go_float(running)}\n"
    yield f"{name}_count{{{consumer},{tenant}}} {go_float(running)}\n"
    yield f"{name}_sum{{{consumer},{tenant}}} {go_float(histogram.sum)}\n"
