"""
From what people write to rules, and what is wrong with what they have written.

A rule is written as a dictionary (in Django's settings, JSON or TOML)::

    {
        "look": "count",
        "of": "ws_handler_errors_total",
        "where": "exception!=TimeoutError",
        "by": ["consumer", "tenant"],
        "window": 300,
        "above": 10,
        "release": 5,
        "for": 0,
        "keep": 120,
        "severity": "high",
        "summary": "{value} in {window} at {consumer}",
        "action": "Read the events handler.error of that consumer.",
        "runbook": "https://example.com/runbook#errors",
        "labels": {"team": "chat"},
    }

A flaw never stops anything: the rule that has it is left out, and the flaw says where it stands and what would be
right; the rooms above make a system check of it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.core.errors import ConfigurationError
from hub.core.looks import ABSENT, CHANGE, KINDS, LEVEL, PART, QUANTILE, RATE, RATIO, SHARE, Look
from hub.core.matchers import Matcher, parse_matchers
from hub.core.rules import ABOVE, BELOW, FIGURES, SEVERITIES, Rule, placeholders
from hub.core.series import GAUGE, HISTOGRAM, Selection, Watched

#: The longest that a rule may look back, wait or keep, in seconds.
LONGEST = 86_400.0
#: Rules that are evaluated.
MAX_RULES = 500
#: Characters of a text.
MAX_TEXT = 1000
#: Labels that a rule can't give its alerts: they have them.
OWN_LABELS = ("rule", "severity")
WINDOWED = frozenset(KINDS) - {LEVEL, PART, ABSENT}
KEYS = (
    "look", "of", "where", "by", "highest", "under", "under_where", "window", "offset", "quantile", "least",
    "above", "below", "release", "for", "keep", "severity", "summary", "action", "runbook", "unit", "labels",
)  # fmt: skip

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that can't be used: where it stands, what is wrong with it, and the remedy."""

    place: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}. {self.hint}"


class _FlawedError(Exception):
    """A value can't be used; becomes a `Flaw`."""

    def __init__(self, key: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.key, self.message, self.hint = key, message, hint


def read_rules(given: object, watched: Mapping[str, Watched], place: str) -> tuple[list[Rule], list[Flaw]]:
    """
    Rules from a dictionary by name.

    Args:
        given: What was written.
        watched: The metrics there are.
        place: Where it stands: ``HUB['RULES']``, or a file.

    Returns:
        The rules that can be used, and every flaw of the others.
    """
    if not isinstance(given, Mapping):
        return [], [Flaw(place, f"{_shown(given)} is no dictionary of rules", "Write {'name of the rule': {...}}.")]
    rules, flaws = [], []
    for name, written in given.items():
        rule, found = read_rule(name, written, watched, f"{place}[{name!r}]")
        flaws += found
        if rule is not None:
            rules.append(rule)
    if len(rules) > MAX_RULES:
        flaws.append(
            Flaw(place, f"{len(rules)} rules are too many", f"Keep to {MAX_RULES}; by labels, one does for many.")
        )
    return rules[:MAX_RULES], flaws


def read_rule(
    name: object, given: object, watched: Mapping[str, Watched], place: str
) -> tuple[Rule | None, list[Flaw]]:
    """One rule; None if it has flaws, and all of them that can be told at once."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        hint = "Use lower-case letters, digits and _, at most 64, beginning with a letter."
        return None, [Flaw(place, f"{_shown(name)} can't be a rule's name", hint)]
    if not isinstance(given, Mapping):
        return None, [
            Flaw(place, f"{_shown(given)} is no rule", "Write a dictionary with 'look', 'of', 'above', 'severity', …")
        ]
    reader = _Reader(given, watched)
    flaws = [
        Flaw(f"{place}[{key!r}]", f"a rule has no {_shown(key)}", f"Known keys: {', '.join(KEYS)}.")
        for key in given
        if key not in KEYS
    ]
    parts: dict[str, Any] = {}
    for part in (reader.look, reader.bounds, reader.times, reader.words):
        try:
            parts |= part()
        except _FlawedError as flaw:
            flaws.append(Flaw(f"{place}[{flaw.key!r}]", flaw.message, flaw.hint))
    if flaws:
        return None, flaws
    rule = Rule(name=name, **parts)
    flaws = _flaws_of_texts(rule, place)
    return (None, flaws) if flaws else (rule, [])


class _Reader:
    """
    Reads the parts of one rule.

    Args:
        given: What was written.
        watched: The metrics there are.
    """

    def __init__(self, given: Mapping[Any, Any], watched: Mapping[str, Watched]) -> None:
        self._given = given
        self._watched = watched

    # --- parts ---

    def look(self) -> dict[str, Any]:
        """What it looks at, and the unit of its number."""
        kind = self._one_of("look", tuple(KINDS))
        of_kind, under_kind = KINDS[kind]
        of = self._metric("of", of_kind, kind)
        by = self._by(of)
        look = Look(
            kind=kind,
            of=Selection(of.name, self._where("where", of), by, highest=self._switch("highest", of)),
            under=self._under(kind, under_kind, by),
            window=self._number_of(kind in WINDOWED, "window", kind, 1.0, LONGEST),
            offset=self._number_of(kind == CHANGE, "offset", kind, 1.0, LONGEST),
            q=self._number_of(kind == QUANTILE, "quantile", kind, 0.0, 1.0),
            least=self._number("least", least=0.0, default=0.0),
        )
        if look.offset and look.offset < look.window:
            hint = f"Give at least the window, {look.window:g} seconds."
            raise _FlawedError("offset", f"{look.offset:g} is less than the window: the two would overlap", hint)
        return {"look": look, "unit": self._text("unit", default=_unit_of(kind, of))}

    def bounds(self) -> dict[str, Any]:
        """On which side of what it is wrong."""
        sides = [side for side in (ABOVE, BELOW) if side in self._given]
        if len(sides) != 1:
            hint = "Give one of the two, a number: 'above': 10."
            raise _FlawedError(
                ABOVE, "it is not said beyond what something is wrong" if not sides else "both sides are named", hint
            )
        [side] = sides
        threshold = self._number(side)
        release = self._number("release", default=threshold)
        if (release > threshold) if side == ABOVE else (release < threshold):
            hint = f"Give a number {'of at most' if side == ABOVE else 'of at least'} {threshold:g}."
            raise _FlawedError(
                "release", f"{release:g} lies beyond the threshold: it would fire and resolve at once", hint
            )
        return {"side": side, "threshold": threshold, "release": release}

    def times(self) -> dict[str, Any]:
        """How long it waits and keeps, and how bad it is."""
        return {
            "wait": self._number("for", least=0.0, most=LONGEST, default=0.0),
            "keep": self._number("keep", least=0.0, most=LONGEST, default=60.0),
            "severity": self._one_of("severity", SEVERITIES),
        }

    def words(self) -> dict[str, Any]:
        """What is said of it."""
        runbook = self._text("runbook", default="")
        if runbook and not re.fullmatch(r"(https?://|/)[^\s\"'<>]+", runbook):
            raise _FlawedError(
                "runbook", f"{_shown(runbook)} is no address", "Begin with https:// or /, without spaces."
            )
        labels = self._given.get("labels", {})
        if not isinstance(labels, Mapping) or not all(_is_label(key, value) for key, value in labels.items()):
            hint = f"Write {{'team': 'chat'}}: texts; names of letters, digits and _, but {' and '.join(OWN_LABELS)}."
            raise _FlawedError("labels", f"{_shown(labels)} are no labels", hint)
        return {
            "summary": self._text("summary"),
            "action": self._text("action", default=""),
            "runbook": runbook,
            "labels": tuple(sorted(labels.items())),
        }

    # --- values ---

    def _metric(self, key: str, kind: str, look: str) -> Watched:
        name = self._text(key)
        metric = self._watched.get(name)
        if metric is None:
            raise _FlawedError(key, f"there is no metric {_shown(name)}", f"Known: {', '.join(sorted(self._watched))}.")
        if metric.kind != kind:
            fitting = ", ".join(sorted(one.name for one in self._watched.values() if one.kind == kind))
            hint = f"Take one of {fitting}; or another 'look'."
            raise _FlawedError(key, f"{name} is a {metric.kind}, and {look!r} looks at a {kind}", hint)
        return metric

    def _by(self, metric: Watched) -> tuple[str, ...]:
        default = tuple(label for label in ("consumer", "tenant") if label in metric.labels)
        given = self._given.get("by", default)
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise _FlawedError(
                "by", f"{_shown(given)} is no list of labels", f"Write some of {list(metric.labels)}, or []."
            )
        _check_labels("by", given, metric)
        if len(set(given)) < len(given):
            raise _FlawedError("by", f"{_shown(given)} names a label twice", "Name each of them once.")
        return tuple(given)

    def _where(self, key: str, metric: Watched) -> tuple[Matcher, ...]:
        try:
            matchers = parse_matchers(self._given.get(key, ""))
        except ConfigurationError as error:
            raise _FlawedError(key, str(error), "A list of such texts will do as well.") from error
        _check_labels(key, [matcher.label for matcher in matchers], metric)
        return matchers

    def _under(self, kind: str, metric_kind: str | None, by: tuple[str, ...]) -> Selection | None:
        if metric_kind is None:
            self._unused("under", kind)
            return None
        metric = self._metric("under", metric_kind, kind)
        if not set(by) <= set(metric.labels):
            hint = f"{metric.name} has the labels {', '.join(metric.labels)}."
            raise _FlawedError("by", f"both metrics must have the labels {', '.join(by)}", hint)
        return Selection(metric.name, self._where("under_where", metric), by)

    def _unused(self, key: str, kind: str) -> float:
        if key in self._given:
            raise _FlawedError(key, f"{kind!r} has no use for it", "Leave it out, or take another 'look'.")
        return 0.0

    def _number_of(self, used: bool, key: str, kind: str, least: float, most: float) -> float:  # noqa: FBT001
        return self._number(key, least=least, most=most) if used else self._unused(key, kind)

    def _switch(self, key: str, metric: Watched) -> bool:
        given = self._given.get(key, False)
        if not isinstance(given, bool) or (given and metric.kind != GAUGE):
            raise _FlawedError(key, f"{_shown(given)} for a {metric.kind}", "True or False, and True for gauges only.")
        return given

    def _number(
        self, key: str, *, least: float | None = None, most: float | None = None, default: float | None = None
    ) -> float:
        given = self._given.get(key, default)
        valid = isinstance(given, int | float) and not isinstance(given, bool) and abs(given) <= 1e15  # noqa: PLR2004
        if not valid or (least is not None and given < least) or (most is not None and given > most):
            wanted = " ".join(
                [
                    *([f"of at least {least:g}"] if least is not None else []),
                    *([f"of at most {most:g}"] if most else []),
                ]
            )
            unit = ", in seconds" if key in ("window", "offset", "for", "keep") else ""
            told = f"{_shown(given)} can't be it" if key in self._given else "it is missing"
            raise _FlawedError(key, told, f"Give a number {wanted}{unit}.".replace("number .", "number."))
        return float(given)

    def _text(self, key: str, default: str | None = None) -> str:
        given = self._given.get(key, default)
        if not isinstance(given, str) or (not given.strip() and default is None) or len(given) > MAX_TEXT:
            told = f"{_shown(given)} can't be it" if key in self._given else "it is missing"
            raise _FlawedError(key, told, f"Give a text of at most {MAX_TEXT} characters.")
        return given

    def _one_of(self, key: str, choices: tuple[str, ...]) -> str:
        given = self._given.get(key)
        if given not in choices:
            told = f"{_shown(given)} can't be it" if key in self._given else "it is missing"
            raise _FlawedError(key, told, f"Give one of {', '.join(choices)}.")
        return str(given)


def _check_labels(key: str, labels: Iterable[object], metric: Watched) -> None:
    for label in labels:
        if label not in metric.labels:
            hint = f"It has {', '.join(metric.labels)}." if metric.labels else "It has none."
            raise _FlawedError(key, f"{metric.name} has no label {_shown(label)}", hint)


def _is_label(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, str)
        and _LABEL.fullmatch(name) is not None
        and name not in OWN_LABELS
        and len(value) <= MAX_TEXT
    )


def _unit_of(kind: str, metric: Watched) -> str:
    if kind in (PART, RATIO, SHARE):
        return "ratio"
    if kind == CHANGE:
        return "times"
    if kind == ABSENT or metric.kind == HISTOGRAM:
        return "seconds"
    return f"{metric.unit} a second".strip() if kind == RATE else metric.unit


def _flaws_of_texts(rule: Rule, place: str) -> list[Flaw]:
    """Names in braces that nothing stands for."""
    words = {*FIGURES, *rule.look.of.by, *dict(rule.labels)}
    hint = f"Known: {', '.join(sorted(words))}."
    return [
        Flaw(f"{place}[{key!r}]", f"nothing stands for {{{name}}}", hint)
        for key, text in (("summary", rule.summary), ("action", rule.action))
        for name in placeholders(text)
        if name not in words
    ]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004
