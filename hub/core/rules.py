"""
Rules: when something is wrong, said as data, and what that makes of each series at each moment.

A rule is *inactive* for a series until its number passes the threshold. Then it is *pending*, and once that has been so
for the rule's ``wait`` without interruption it is *firing*: an alert. It goes on while the number stays beyond
``release``; after it has been within for ``keep`` seconds in a row the alert is *resolved*, for good: the next one is
another alert. So one series makes at most one alert in ``wait + keep`` seconds, however it jumps.

What is not known ends nothing and begins nothing: while nobody knows (`Evaluator.hold`, a pause between two looks, a
window that reaches back beyond the beginning) time stands still for pending and recovering alerts.

What the rooms around it have to do: hand over the samples of each tick (`Evaluator.take`) and single ones in between
(`Evaluator.add`, for events that must not wait), call `evaluate` after either, in a thread of their own and one call
at a time; `hold` instead while the fleet's view is unknown; keep `Evaluator.pack` with the evaluator's epoch, in the
same transaction as the messages that follow from the changes, and begin with `restore` of it. All times are wall-clock
seconds, so that another host can go on.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from hub.core.looks import Look, Series
from hub.core.series import Samples, Values, Watched

INACTIVE, PENDING, FIRING, RESOLVED = "inactive", "pending", "firing", "resolved"
CRITICAL, HIGH, MEDIUM, LOW = "critical", "high", "medium", "low"
#: Worst first. Somebody has to act at once, within 1 h, 4 h, 24 h.
SEVERITIES = (CRITICAL, HIGH, MEDIUM, LOW)
ABOVE, BELOW = "above", "below"
#: Between two evaluations further apart than so many seconds nobody knows what was.
LONGEST_PAUSE = 15.0
#: Seconds between two times that series at rest are let go of.
FORGET_INTERVAL = 60.0

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_BEYOND: dict[str, Callable[[float, float], bool]] = {ABOVE: operator.gt, BELOW: operator.lt}
_MINUTE, _HOUR = 60, 3600
#: Names that a rule's texts may put in braces, besides the labels of its series.
FIGURES = ("value", "worst", "threshold", "window", "rule", "severity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    When something is wrong.

    Attributes:
        name: Unique.
        look: What it looks at.
        side: ``above`` or ``below``: on which side of the threshold it is wrong.
        threshold: Beyond it something is wrong.
        release: Not beyond it any more, all is well again.
        wait: Seconds that it has to be wrong without interruption before it fires.
        keep: Seconds that all has to be well without interruption before it is resolved.
        severity: One of `SEVERITIES`.
        summary: What is wrong, in a line; ``{value}``, ``{threshold}`` and labels of the series may stand in it.
        action: What to do about it, likewise.
        runbook: Where more of that stands; empty: nowhere.
        unit: Of its number, for people: see `figure`.
        labels: Of its alerts, besides those of their series.
    """

    name: str
    look: Look
    threshold: float
    release: float
    severity: str
    summary: str
    side: str = ABOVE
    wait: float = 0.0
    keep: float = 60.0
    action: str = ""
    runbook: str = ""
    unit: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    def beyond(self, value: float | None) -> bool:
        """Whether a number begins or goes on being wrong enough for an alert."""
        return value is not None and _BEYOND[self.side](value, self.threshold)

    def remains(self, value: float | None) -> bool:
        """Whether a number keeps an alert firing; at the release all is well, unless that is the threshold itself."""
        return value is not None and (_BEYOND[self.side](value, self.release) or self.beyond(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """
    What a rule says of one series, from the moment it is pending on. Times are wall-clock seconds.

    Attributes:
        key: The same for the same rule and labels.
        labels: Those of the series and of the rule, with ``rule`` and ``severity``.
        since: When it began to be wrong.
        fired_at: None while it is pending.
        resolved_at: None until then.
        value: Its number when it last changed state or was looked at.
        worst: The farthest that it was beyond the threshold.
    """

    key: str
    rule: str
    severity: str
    labels: Mapping[str, str]
    state: str
    since: float
    value: float | None
    worst: float
    threshold: float
    fired_at: float | None = None
    resolved_at: float | None = None
    unit: str = ""
    summary: str = ""
    action: str = ""
    runbook: str = ""

    def pack(self) -> dict[str, Any]:
        """Plain values, to be kept; see `unpack`."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "labels": dict(self.labels)}

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> "Alert":
        """The counterpart of `pack`."""
        return cls(**packed)


@dataclass(slots=True)
class _State:
    """What a rule says of one series; times as in `Alert`, ``calm_at``: since when all has been well."""

    since: float
    worst: float
    value: float | None
    fired_at: float | None = None
    calm_at: float | None = None


@dataclass(slots=True)
class _Book:
    """A rule and what it says of all its series."""

    rule: Rule
    states: dict[Values, _State] = field(default_factory=dict)


class Evaluator:
    """
    Says of all rules and series what has changed.

    Args:
        rules: With names of their own.
        watched: The metrics there are; the rules look at no other.
        now: Wall-clock time, in seconds.
    """

    def __init__(self, rules: Iterable[Rule], watched: Mapping[str, Watched], now: float) -> None:
        self._books = [_Book(rule) for rule in rules]
        self.series = Series((book.rule.look for book in self._books), watched, now)
        self._now = self._forgotten_at = now

    # --- what comes in ---

    def take(self, samples: Mapping[str, Samples], now: float) -> None:
        """Take the samples of a tick, by metric."""
        self.series.take(samples, now)

    def add(self, metric: str, values: Values, grown: Any, now: float) -> bool:  # noqa: ANN401 - see `Samples`
        """Take one sample between two ticks. Returns whether there is anything to evaluate for it."""
        return self.series.add(metric, values, grown, now)

    # --- what comes out ---

    def evaluate(self, now: float, metrics: frozenset[str] | None = None) -> list[Alert]:
        """
        Look at everything once.

        Args:
            now: Wall-clock time, in seconds; one before the last evaluation counts as that.
            metrics: Only at rules that look at one of these.

        Returns:
            The alerts that have changed: they are pending, firing, resolved, or inactive (they never fired).
        """
        now = max(now, self._now)
        if now - self._now > LONGEST_PAUSE:
            self.hold(now)
        changes: list[Alert] = []
        for book in self._books:
            if metrics is None or book.rule.look.metrics & metrics:
                self._evaluate(book, now, changes)
        if metrics is None:
            self._now = now
            self._forget(now)
        return changes

    def hold(self, now: float) -> None:
        """Nobody knows anything since the last evaluation: nothing has begun and nothing has ended."""
        now = max(now, self._now)
        pause = now - self._now
        for book in self._books:
            for state in book.states.values():
                if state.fired_at is None:
                    state.since = min(state.since + pause, now)
                if state.calm_at is not None:
                    state.calm_at = min(state.calm_at + pause, now)
        self._now = now

    def _evaluate(self, book: _Book, now: float, changes: list[Alert]) -> None:
        rule, states = book.rule, book.states
        beyond, threshold = _BEYOND[rule.side], rule.threshold
        known = self.series.known(rule.look, now)
        # What is counted within a part of a window is too much already, and never too little.
        begins = known or (rule.side == ABOVE and not rule.look.compares)
        seen: dict[Values, float | None] = {}
        begun: dict[Values, _State] = {}
        for series, value in self.series.find(rule.look, now):
            if series in states:
                seen[series] = value
            elif begins and value is not None and beyond(value, threshold):
                begun[series] = _State(now, value, value)
        for series, state in list(states.items()) if states else ():
            change = self._renew(book, series, state, seen.get(series), now, known=known)
            if change is not None:
                changes.append(change)
        states.update(begun)
        for series, state in begun.items():
            changes.append(self._settle(book, series, state, now) or _alert(rule, series, state, PENDING))

    def _settle(self, book: _Book, series: Values, state: _State, now: float) -> Alert | None:
        """Let it fire if it has been pending for long enough."""
        if state.fired_at is not None or now - state.since < book.rule.wait:
            return None
        state.fired_at = now
        return _alert(book.rule, series, state, FIRING)

    def _renew(
        self, book: _Book, series: Values, state: _State, value: float | None, now: float, *, known: bool
    ) -> Alert | None:
        """Take the number of a series that is pending or firing. Returns the alert if that changes it."""
        rule = book.rule
        state.value = value
        if state.fired_at is None:
            if not rule.beyond(value):
                del book.states[series]
                return _alert(rule, series, state, INACTIVE)
            state.worst = _worse(rule, state.worst, value)
            return self._settle(book, series, state, now)
        if rule.remains(value):
            state.calm_at = None
            state.worst = _worse(rule, state.worst, value)
            return None
        if not known:
            # What is seen is a part of the window: it may be well only because the rest is not known.
            state.calm_at = None
            return None
        if state.calm_at is None:
            state.calm_at = now
        if now - state.calm_at < rule.keep:
            return None
        del book.states[series]
        return replace(_alert(rule, series, state, RESOLVED), resolved_at=now)

    def _forget(self, now: float) -> None:
        if now - self._forgotten_at < FORGET_INTERVAL:
            return
        self._forgotten_at = now
        kept: dict[Look, set[Values]] = {}
        for book in self._books:
            kept.setdefault(book.rule.look, set()).update(book.states)
        self.series.forget(now, kept)

    def active(self) -> list[Alert]:
        """All alerts that are pending or firing."""
        return [
            _alert(book.rule, series, state, PENDING if state.fired_at is None else FIRING)
            for book in self._books
            for series, state in book.states.items()
        ]

    # --- what is kept ---

    def pack(self) -> dict[str, Any]:
        """What another evaluator has to know to go on, as plain values."""
        states = [
            [book.rule.name, list(series), state.since, state.worst, state.value, state.fired_at, state.calm_at]
            for book in self._books
            for series, state in book.states.items()
        ]
        return {"at": self._now, "states": states}

    def restore(self, packed: Mapping[str, Any]) -> None:
        """
        Go on where another evaluator was, and know nothing of the time in between.

        What belongs to a rule that is gone, or looks at other labels now, is left out: whoever keeps the alerts
        resolves them (`hub.core.alerts.Alerts.withdraw`).
        """
        books = {book.rule.name: book for book in self._books}
        self._now = min(self._now, packed["at"])
        for name, series, *numbers in packed["states"]:
            book = books.get(name)
            if book is not None and len(series) == len(book.rule.look.of.by):
                since, worst, value, fired_at, calm_at = numbers
                book.states[tuple(series)] = _State(since, worst, value, fired_at, calm_at)


def _worse(rule: Rule, worst: float, value: float | None) -> float:
    return worst if value is None or not _BEYOND[rule.side](value, worst) else value


def _alert(rule: Rule, series: Values, state: _State, name: str) -> Alert:
    own = dict(zip(rule.look.of.by, series, strict=True))
    labels = {**own, **dict(rule.labels), "rule": rule.name, "severity": rule.severity}
    words = {**labels, **_figures(rule, state)}
    return Alert(
        key=key_of(labels), rule=rule.name, severity=rule.severity, labels=labels, state=name, since=state.since,
        value=state.value, worst=state.worst, threshold=rule.threshold, fired_at=state.fired_at, unit=rule.unit,
        summary=render(rule.summary, words), action=render(rule.action, words), runbook=rule.runbook,
    )  # fmt: skip


def key_of(labels: Mapping[str, str]) -> str:
    """A short name for some labels, the same wherever and whenever it is made."""
    # Length first, so that no two sets of labels are written alike, whatever stands in them.
    text = "".join(f"{len(part)}:{part}" for pair in sorted(labels.items()) for part in pair)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _figures(rule: Rule, state: _State) -> dict[str, str]:
    value = state.worst if state.value is None else state.value
    return {
        "value": figure(value, rule.unit),
        "worst": figure(state.worst, rule.unit),
        "threshold": figure(rule.threshold, rule.unit),
        "window": duration(rule.look.window),
    }


def render(template: str, words: Mapping[str, str]) -> str:
    """A text with what stands in braces filled in; an empty label reads ``-``, a name that is not there stays."""
    return _PLACEHOLDER.sub(lambda found: words.get(found[1], found[0]) or "-", template)


def placeholders(template: str) -> list[str]:
    """Names that stand in braces."""
    return _PLACEHOLDER.findall(template)


def figure(value: float, unit: str) -> str:
    """A number for people: seconds as ms, s, min or h, a ``ratio`` in percent, ``times`` as a multiple."""
    if unit == "ratio":
        return f"{100 * value:.3g} %"
    if unit == "times":
        return f"{_rounded(value)} times"
    if unit == "seconds":
        return duration(value)
    number = _rounded(value)
    what, _, per = unit.partition(" ")
    return f"{number} {what.removesuffix('s') if number == '1' else what} {per}".rstrip()


def _rounded(value: float) -> str:
    """Whole, or with three digits."""
    whole = value == int(value) or abs(value) >= 1000  # noqa: PLR2004
    return f"{value:,.0f}" if whole else f"{value:,.3g}"


def duration(seconds: float) -> str:
    """Seconds for people."""
    if abs(seconds) < 1:
        return f"{1000 * seconds:.3g} ms"
    for size, unit in ((_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
