"""What dashboards are made of, as data: rows, panels, and what each asks Prometheus."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Which series a dashboard's variables pick: of the connections, of the processes, of the tenants.
PROCESS = 'job=~"$job", instance=~"$instance"'
TENANT = f'{PROCESS}, tenant=~"$tenant"'
ALL = f'{PROCESS}, consumer=~"$consumer", tenant=~"$tenant"'

#: Units, as Grafana names them.
COUNT, PER_SECOND, SECONDS, BYTES, BYTES_PER_SECOND, SHARE = "short", "cps", "s", "bytes", "Bps", "percentunit"
LINES, NUMBER, TABLE, HEATMAP = "lines", "number", "table", "heatmap"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """
    One panel.

    Attributes:
        queries: PromQL by legend.
        unit: Of its values.
        kind: ``lines`` over time, a ``number``, a ``table`` of now, a ``heatmap``.
        width: Of the 24 columns that a dashboard has.
        about: What its figures mean, where the title does not say it.
        trouble: What has to go wrong before there is anything to see; empty: nothing.
        repeat: The variable by whose values it is repeated.
    """

    title: str
    queries: dict[str, str]
    unit: str = COUNT
    kind: str = LINES
    width: int = 12
    about: str = ""
    trouble: str = ""
    repeat: str = ""


@dataclass(frozen=True, kw_only=True)
class Board:
    """A dashboard: its rows by title, and the variables that pick series, besides process and job."""

    uid: str
    title: str
    about: str
    variables: dict[str, str]
    rows: dict[str, tuple[Panel, ...]] = field(default_factory=dict)


def total(metric: str, by: str = "", of: str = ALL) -> str:
    """The sum of gauges."""
    return f"{_sum(by)} ({metric}{{{of}}})"


def rate(metric: str, by: str = "", of: str = ALL) -> str:
    """How fast counters grow, per second."""
    return f"{_sum(by)} (rate({metric}{{{of}}}[$__rate_interval]))"


def quantile(q: float, metric: str, by: str = "", of: str = ALL) -> str:
    """A quantile of a histogram."""
    labels = ", ".join(filter(None, ("le", by)))
    return f"histogram_quantile({q:g}, {rate(f'{metric}_bucket', labels, of)})"


def quantiles(metric: str, of: str = ALL) -> dict[str, str]:
    """Its middle and its end."""
    return {f"{100 * q:g} %": quantile(q, metric, of=of) for q in (0.5, 0.95, 0.99)}


def _sum(by: str) -> str:
    return f"sum by ({by})" if by else "sum"


def number(title: str, query: str, unit: str = COUNT) -> Panel:
    """A figure of now."""
    return Panel(title=title, queries={"": query}, unit=unit, kind=NUMBER, width=4)
