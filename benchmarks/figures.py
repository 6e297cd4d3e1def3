"""
What a measurement hands over: spreads, rows and verdicts.

The targets are DESIGN's; each is written down once, here, and a verdict is one of them beside what was measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """The same figure over several rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


class Bound(StrEnum):
    AT_LEAST = ">="
    AT_MOST = "<="


@dataclass(frozen=True, slots=True)
class Target:
    """A promise of the design: a figure in `unit` that must be at least, or at most, `limit`."""

    what: str
    bound: Bound
    limit: float
    unit: str

    def is_met_by(self, figure: float) -> bool:
        return figure >= self.limit if self.bound is Bound.AT_LEAST else figure <= self.limit


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target, where it was measured, and the measured spread; its median decides."""

    target: Target
    where: str
    measured: Spread

    @property
    def met(self) -> bool:
        return self.target.is_met_by(self.measured.median)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a measurement's own table: what was measured, and its cells by column name."""

    cells: dict[str, str | Spread]


@dataclass(frozen=True, slots=True)
class Measurement:
    """Everything one measurement found: a table, its verdicts and what a reader must know."""

    title: str
    rows: list[Row] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


ECHO_20 = Target("echo, monitored / bare, 20 in flight", Bound.AT_LEAST, 4, "x")
ECHO_1 = Target("echo, monitored / bare, 1 in flight", Bound.AT_LEAST, 2, "x")
ECHO_RAW = Target("echo, monitored / raw ASGI", Bound.AT_LEAST, 0.7, "x")
QUERY = Target("query on every message, monitored / bare", Bound.AT_LEAST, 1, "x")
ACCOUNTING = Target("added accounting per message pair", Bound.AT_MOST, 2, "us")
MEMORY = Target("memory per idle connection, monitored - bare", Bound.AT_MOST, 1024, "B")
SCRAPE_TIME = Target("scrape of 1,000 label sets, hub / prometheus_client", Bound.AT_MOST, 1, "x")
SCRAPE_DELAY = Target("longest delay of the event loop during a scrape", Bound.AT_MOST, 10, "ms")
RULES = Target("50 alert rules on 10,000 series, evaluated once", Bound.AT_MOST, 100, "ms")
RULES_GROWTH = Target("time per series, 40,000 of them / 2,500", Bound.AT_MOST, 1.5, "x")
ALERTS = Target("from the event to the request at Slack, p99", Bound.AT_MOST, 1, "s")
IDLE = Target("watchdog and lookout of an idle process, share of a core", Bound.AT_MOST, 0.1, "%")
FLAGS = Target("healthy clients under storm that were flagged slow", Bound.AT_MOST, 0.1, "%")
PRESENCE = Target("presence of 10,000 members at 30 s, share of a core", Bound.AT_MOST, 2, "%")
