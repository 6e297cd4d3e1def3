"""
What a notice says, in words and figures that every receiver puts into its own format.

Whatever came from outside (tenants, consumers, what hosts write into rules) stands on one line here, without control
characters; it is no markup yet, so a receiver escapes it as its format asks.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from math import isfinite
from urllib.parse import urljoin, urlsplit

from hub.core.groups import ACKNOWLEDGED, CHANGED, FIRED, OVER, REPEATED, Notice
from hub.core.rules import FIRING, Alert, duration, figure

#: Alerts that a message shows one by one; of the others it says how many there are.
MAX_SHOWN = 10
#: Points of a sparkline.
MAX_POINTS = 24
#: Characters of an address in a link.
MAX_ADDRESS = 2000

_STATUS = {
    FIRED: "Firing",
    CHANGED: "Changed",
    REPEATED: "Still firing",
    ACKNOWLEDGED: "Acknowledged",
    OVER: "Resolved",
}
_BARS = "▁▂▃▄▅▆▇█"
#: They would make what follows read from the other side.
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Line:
    """
    What a message says of one alert.

    Attributes:
        alert: The alert itself.
        summary: What is wrong.
        figures: The number against the threshold.
        curve: How the number came there, as a sparkline; empty: not known.
        since: When it began to fire, wall clock.
        lasted: For how long it has fired, in words; empty: it fires still.
        new: It is told here for the first time.
        runbook: An address; empty: there is none that a link may lead to.
    """

    alert: Alert
    summary: str
    figures: str
    curve: str
    since: float
    lasted: str
    new: bool
    runbook: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """
    A notice, told to people.

    Attributes:
        notice: What it tells: severity, kind, alerts, deduplication key (``notice.incident``).
        curves: The last values of alerts, by key, oldest first, for a sparkline; may lack some.
        page: Where the operator page shows the incident, an absolute URL; empty: nobody has said where the page is.
        site: What the deployment is called.
    """

    notice: Notice
    curves: Mapping[str, tuple[float, ...]]
    page: str = ""
    site: str = ""

    @property
    def incident(self) -> str:
        """The deduplication key of the incident."""
        return self.notice.incident

    @property
    def over(self) -> bool:
        """Whether all is well again."""
        return self.notice.kind == OVER

    # --- words ---

    @property
    def status(self) -> str:
        """What has become of the incident: ``Firing``, ``Changed``, ``Still firing``, ``Acknowledged by …``."""
        by = f" by {one_line(self.notice.by)}" if self.notice.kind == ACKNOWLEDGED else ""
        return _STATUS[self.notice.kind] + by

    @cached_property
    def subject(self) -> str:
        """What it is about, in a line: an alert's own summary, or how many there are of what and where."""
        alerts = self._told
        if len(alerts) == 1:
            return one_line(alerts[0].summary)
        rules = _named(alert.rule for alert in alerts)
        tenants = f" (tenants {_named(self.tenants)})" if len(self.tenants) > 1 else ""
        one = f", tenant {self.tenants[0]}" if len(self.tenants) == 1 else ""
        return f"{len(alerts)} alerts: {rules}{one}{tenants}"

    @property
    def title(self) -> str:
        """Status and subject."""
        return f"{self.status}: {self.subject}"

    @cached_property
    def tenants(self) -> tuple[str, ...]:
        """Whom it concerns, each once."""
        names = (one_line(alert.labels.get("tenant", "")) for alert in self._told)
        return tuple(dict.fromkeys(name for name in names if name))

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """What is said of single alerts: of those that fire, the worst first, then of those that are over."""
        alerts = (*self.notice.firing, *self.notice.resolved)
        return tuple(self._line(alert) for alert in alerts[:MAX_SHOWN])

    @property
    def more(self) -> str:
        """How many alerts have no line; empty: each has one."""
        count = len(self.notice.firing) + len(self.notice.resolved) - len(self.lines)
        return f"and {count:,} more" if count else ""

    @property
    def runbook(self) -> str:
        """The first runbook that there is; empty: none."""
        return next((line.runbook for line in self.lines if line.runbook), "")

    @property
    def action(self) -> str:
        """What to do about the first alert."""
        return one_line(self._told[0].action) if self._told else ""

    @property
    def _told(self) -> tuple[Alert, ...]:
        return self.notice.firing or self.notice.resolved

    def _line(self, alert: Alert) -> Line:
        since = alert.since if alert.fired_at is None else alert.fired_at
        over = None if alert.state == FIRING else alert.resolved_at
        return Line(
            alert=alert,
            summary=one_line(alert.summary),
            figures=figures(alert),
            curve=sparkline(self.curves.get(alert.key, ())),
            since=since,
            lasted="" if over is None else duration(max(over - since, 0.0)),
            new=alert.key in self.notice.news,
            runbook=address(alert.runbook, self.page),
        )


def compose(
    notice: Notice, curves: Mapping[str, tuple[float, ...]], page_url: str | None, site: str, life: int | None = None
) -> Message:
    """
    A notice as a message.

    Args:
        notice: What is due.
        curves: The last values of its alerts, by key, oldest first.
        page_url: Where the operator page is; None: nobody has said.
        site: What the deployment is called.
        life: Of the first alert (`hub.alerting.rows.AlertRow.id`): there the page opens. None: not known.
    """
    page = urljoin(page_url, f"#alert={life}") if page_url and life is not None else page_url
    return Message(notice=notice, curves=curves, page=page or "", site=one_line(site))


def figures(alert: Alert) -> str:
    """The number against the threshold, in words; of what is over how bad it was."""
    value = alert.worst if alert.state != FIRING else alert.value
    known = "not known now" if value is None else figure(value, alert.unit)
    worst = "" if alert.state == FIRING else "at worst "
    return one_line(f"{worst}{known}, threshold {figure(alert.threshold, alert.unit)}")


def sparkline(values: Iterable[float]) -> str:
    """Numbers as a row of bars from the least to the most, the newest last; of fewer than two nothing can be seen."""
    points = [value for value in values if isfinite(value)][-MAX_POINTS:]
    if len(points) < 2:  # noqa: PLR2004 - one point is no line
        return ""
    least, most = min(points), max(points)
    step = (most - least) / (len(_BARS) - 1) or 1.0
    return "".join(_BARS[round((value - least) / step)] for value in points)


def moment(at: float) -> str:
    """A wall-clock time for people: ``2026-11-21 21:53:07 UTC``."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def timestamp(at: float) -> str:
    """A wall-clock time for programs: RFC 3339, in milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def one_line(text: str) -> str:
    """A text from outside on one line, without what a terminal, a header or a reader's eye would take for more."""
    line = " ".join(text.split())
    if line.isascii() and line.isprintable():
        return line
    return "".join(char for char in line if unicodedata.category(char) not in ("Cc", "Cs") and char not in _TURNS)


def cut(text: str, most: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def address(given: str, base: str = "") -> str:
    """An address that a link may lead to: HTTP and nothing else; empty for any other. A path is one of ``base``."""
    try:
        whole = urljoin(base, given) if given else ""
        parts = urlsplit(whole)
    except ValueError:
        return ""
    fits = whole.isprintable() and not any(char in whole for char in " <>\"'|^`{}\\") and len(whole) <= MAX_ADDRESS
    return whole if fits and parts.scheme in ("http", "https") and parts.netloc else ""


def _named(names: Iterable[str]) -> str:
    """The first few of some names, and how many there are besides."""
    each = list(dict.fromkeys(names))
    more = f" and {len(each) - _NAMED:,} more" if len(each) > _NAMED else ""
    return ", ".join(map(one_line, each[:_NAMED])) + more
