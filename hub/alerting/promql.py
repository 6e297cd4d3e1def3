"""
The rules as Prometheus would ask them: PromQL over what each process has on its metrics page.

A rule becomes recordings, the numbers that it looks at, and an alert, which compares the last of them. They say what
the hub's own evaluator says, as far as scrapes can:

- a label ``node`` is Prometheus's ``instance``: processes have no other name there;
- a counter's series begins to exist with what it has counted already (a first lost frame is a series that starts at
  one), which ``increase`` takes for nothing: of a series that began within the window, and later than its process was
  seen, all is growth;
- ``release`` is a second threshold, for what fires already; ``keep`` is ``keep_firing_for``;
- an episode of slowness that is over before the next scrape is seen in the counter, and one of the event loop only
  there: nothing is scraped off a blocked loop.

What Prometheus does not have is left out, with the reason.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hub.alerting.sources import EVENTS, NODE_UP, SLOW
from hub.core.looks import ABSENT, COUNT, FORGOTTEN_AFTER, LEVEL, PART, QUANTILE, RATE, RATIO, Look
from hub.core.matchers import EQUAL, LIKE, NOT_EQUAL, NOT_LIKE, Matcher
from hub.core.rules import ABOVE, Rule, duration, figure
from hub.core.series import Selection, Watched

NODE, INSTANCE = "node", "instance"
#: A gauge that every process has from its first scrape on.
PRESENT = "hub_info"
#: How far back an episode that is over is looked for, in seconds.
EPISODE_WINDOW = 60.0
_EPISODES = "ws_slow_episodes_total"
_PLAIN = {LIKE: EQUAL, NOT_LIKE: NOT_EQUAL}
_UNITS = ((3600, "h"), (60, "m"), (1, "s"))
_SPECIAL = re.compile(r"([\\.+*?()\[\]{}^$|])")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertingRule:
    """
    An alert of Prometheus's.

    Attributes:
        name: Of the alert; the rule's own is the label ``rule``.
        wait: Seconds that it is pending.
        keep: Seconds that it goes on when all is well.
    """

    name: str
    expression: str
    wait: float
    keep: float
    labels: dict[str, str]
    annotations: dict[str, str]


@dataclass(slots=True)
class Rules:
    """What there is for Prometheus: recordings by name, in the order they build on each other, alerts, and the rest."""

    recordings: dict[str, str] = field(default_factory=dict)
    alerts: list[AlertingRule] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


class _NotThereError(Exception):
    """Prometheus does not have what a rule looks at; says what."""


def translate(rules: Iterable[Rule], watched: Mapping[str, Watched], runbooks: str) -> Rules:
    """
    Rules for Prometheus.

    Args:
        rules: The hub's.
        watched: The metrics there are.
        runbooks: Where there is a heading for each rule, for those without a runbook of their own; an address.
    """
    made = Rules()
    for rule in rules:
        try:
            for selection in (rule.look.of, rule.look.under):
                if selection is not None:
                    _check(selection, watched)
        except _NotThereError as error:
            made.left_out[rule.name] = str(error)
        else:
            made.alerts.append(_alert(rule, made.recordings, runbooks))
    return made


def _check(selection: Selection, watched: Mapping[str, Watched]) -> None:
    metric = selection.metric
    named = {matcher.label for matcher in selection.where}
    if NODE in named:
        raise _NotThereError("it names a node, and Prometheus knows processes by where it scrapes them")
    labels = watched[metric].labels if metric == EVENTS else ()
    lacking = [label for label in labels if label in {*named, *selection.by} and label != NODE]
    if lacking:
        raise _NotThereError(f"Prometheus has {metric} without {' and '.join(lacking)}")


# --- recordings ---


class _Book:
    """
    Numbers that are recorded, under names by what they are.

    Args:
        recordings: Those there are; it adds to them.
        rule: Whose numbers these are.
    """

    def __init__(self, recordings: dict[str, str], rule: Rule) -> None:
        self._recordings = recordings
        self._rule = rule

    def record(self, by: Iterable[str], metric: str, operation: str, expression: str) -> str:
        """Record a number, unless it is; returns its name."""
        name = f"{'_'.join(by) or 'hub'}:{metric.removesuffix('_total')}:{operation}"
        if self._recordings.setdefault(name, expression) != expression:
            # The same number of other series.
            name = f"{name}:{self._rule.name}"
            self._recordings[name] = expression
        return name

    def number(self) -> str:
        """The number that the rule looks at."""
        look = self._rule.look
        by = _by(look.of)
        span = seconds(look.window)
        if look.kind == LEVEL:
            return self._level(look.of, by)
        if look.kind == PART and look.under is not None:
            of, under = (_aggregated("sum", by, _selector(each)) for each in (look.of, look.under))
            return self.record(by, look.of.metric, PART, f"({of} >= {_number(look.least)})\n/\n({under} > 0)")
        if look.kind == QUANTILE:
            return self._quantile(look, by)
        grown = self.grown(look.of, look.window)
        if look.kind == COUNT:
            return grown
        if look.kind == RATE:
            return self.record(by, look.of.metric, f"rate{span}", f"{grown} / {_number(look.window)}")
        text = self._change(look, grown) if look.under is None else self._part(look, look.under, grown)
        return self.record(by, look.of.metric, f"{look.kind}{span}", text)

    def _level(self, of: Selection, by: tuple[str, ...]) -> str:
        how = "max" if of.highest else "sum"
        level = _aggregated(how, by, _selector(of))
        if of.metric != SLOW or self._rule.wait:
            return self.record(by, of.metric, how, level)
        opened = self.grown(Selection(_EPISODES, of.where, of.by), EPISODE_WINDOW)
        return self.record(by, of.metric, f"seen{seconds(EPISODE_WINDOW)}", f"{opened} > 0\nor\n{level}")

    def grown(self, of: Selection, window: float, suffix: str = "", also: tuple[str, ...] = ()) -> str:
        """By how much counters have grown within a window."""
        by = (*_by(of), *also)
        text = _aggregated("sum", by, _grown(_selector(of, suffix), window))
        return self.record(by, of.metric + suffix, f"increase{seconds(window)}", text)

    def _quantile(self, look: Look, by: tuple[str, ...]) -> str:
        buckets = self.grown(look.of, look.window, "_bucket", ("le",))
        least = f'sum by ({", ".join(by)}) ({buckets}{{le="+Inf"}}) >= {_number(max(1, look.least))}'
        text = f"histogram_quantile({_number(look.q)}, {buckets})\nand\n{least}"
        return self.record(by, look.of.metric, f"p{100 * look.q:g}_{seconds(look.window)}".replace(".", "_"), text)

    def _change(self, look: Look, grown: str) -> str:
        before = _aggregated("sum", _by(look.of), _grown(_selector(look.of), look.window, look.offset))
        # What was not counted before was none, if somebody was there to count it; no number is a multiple of nothing.
        under = _indented(f"{before}{_OR}{grown} * 0")
        return f"({grown} >= {_number(look.least)})\n/\nclamp_min(\n{under},\n  1\n)\nand {_watched(look)}"

    def _part(self, look: Look, under: Selection, grown: str) -> str:
        least = max(1, look.least)
        if look.kind == RATIO:
            return f"{grown}\n/\n({self.grown(under, look.window)} >= {_number(least)})"
        level = _aggregated("sum", _by(under), _selector(under))
        return f"({grown} >= {_number(least)})\n/\n(\n{_indented(f'{grown} + {level}{_OR}{grown}')}\n)"


_OR = "\nor\n"


def label_name(label: str) -> str:
    """What a label of the hub's is called in Prometheus."""
    return INSTANCE if label == NODE else label


def _by(selection: Selection) -> tuple[str, ...]:
    return tuple(map(label_name, selection.by))


def _selector(selection: Selection, suffix: str = "") -> str:
    metric = PRESENT if selection.metric == NODE_UP else selection.metric
    where = ", ".join(map(selecting, selection.where))
    return f"{metric}{suffix}{{{where}}}" if where else f"{metric}{suffix}"


def selecting(matcher: Matcher) -> str:
    """A matcher as Prometheus and Alertmanager write it."""
    sign, value = matcher.sign, matcher.value
    if not {"*", "|"} & set(value):
        # One that leaves no choice is plain.
        sign = _PLAIN.get(sign, sign)
    if sign in _PLAIN:
        value = regex(value)
    return f"{label_name(matcher.label)}{'=~' if sign == LIKE else sign}{quoted(value)}"


def regex(pattern: str) -> str:
    """A matcher's alternatives as a regular expression, anchored as Prometheus's are."""
    return "|".join(
        ".*".join(_SPECIAL.sub(r"\\\1", part) for part in alternative.split("*")) for alternative in pattern.split("|")
    )


def quoted(text: str) -> str:
    """A text in quotation marks; PromQL's are JSON's, and YAML's too."""
    return json.dumps(text, ensure_ascii=False)


def _aggregated(how: str, by: Iterable[str], of: str) -> str:
    labels = ", ".join(by)
    head = f"{how} by ({labels})" if labels else how
    return f"{head} (\n{_indented(of)}\n)" if "\n" in of else f"{head} ({of})"


def _grown(selector: str, window: float, offset: float = 0.0) -> str:
    """By how much each series of a counter has grown, those that have begun to exist included."""
    ago = f" offset {seconds(offset)}" if offset else ""
    within = f"[{seconds(window)}]{ago}"
    return (
        f"{selector}{ago}\n"
        f"  unless {selector} offset {seconds(window + offset)}\n"
        f"  and count_over_time({selector}{within})\n"
        f"    < on (job, {INSTANCE}) group_left sum by (job, {INSTANCE}) (count_over_time({PRESENT}{within}))"
        f"{_OR}increase({selector}{within})"
    )


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def seconds(number: float) -> str:
    """Seconds as Prometheus writes a duration: ``5m``, ``90s``."""
    if number != int(number):
        return f"{round(1000 * number)}ms"
    size, unit = next((size, unit) for size, unit in _UNITS if number % size == 0)
    return f"{int(number) // size}{unit}"


def _number(value: float) -> str:
    return f"{value:.15g}"


# --- alerts ---


def _alert(rule: Rule, recordings: dict[str, str], runbooks: str) -> AlertingRule:
    absent = rule.look.kind == ABSENT
    words = {
        **{label: _label(label_name(label)) for label in rule.look.of.by},
        **{name: _escaped(value) for name, value in rule.labels},
        "rule": rule.name, "severity": rule.severity, "window": duration(rule.look.window),
        "threshold": figure(rule.threshold, rule.unit),
        "value": f"more than {duration(rule.threshold)}" if absent else _value(rule.unit),
    }  # fmt: skip
    words["worst"] = words["value"]
    annotations = {"summary": _text(rule.summary, words), "action": _text(rule.action, words)}
    annotations["runbook_url"] = _escaped(rule.runbook or f"{runbooks}#{rule.name}")
    labels = {**{name: _escaped(value) for name, value in rule.labels}, "rule": rule.name, "severity": rule.severity}
    return AlertingRule(
        name=alert_name(rule.name),
        expression=_absent(rule.look) if absent else _compared(rule, _Book(recordings, rule).number()),
        # Of what is absent the threshold is a time, so that it is what Prometheus waits for.
        wait=rule.wait + (rule.threshold if absent else 0.0),
        keep=rule.keep,
        labels=labels,
        annotations={name: text for name, text in annotations.items() if text},
    )


def alert_name(rule: str) -> str:
    """What a rule's alert is called: ``HubHandlerErrors``."""
    return "Hub" + "".join(part.capitalize() for part in rule.split("_"))


def _compared(rule: Rule, number: str) -> str:
    sign = ">" if rule.side == ABOVE else "<"
    text = f"{number} {sign} {_number(rule.threshold)}"
    if rule.release != rule.threshold:
        by = ", ".join(_by(rule.look.of))
        firing = f'ALERTS{{alertname="{alert_name(rule.name)}", alertstate="firing"}}'
        text += f"{_OR}{number} {sign} {_number(rule.release)}\n  and on ({by}) {firing}"
    if rule.side == ABOVE or not rule.look.window:
        return text
    # Too little was counted within a part of a window: that says nothing yet.
    return f"(\n{_indented(text)}\n)\nand {_watched(rule.look)}"


def _watched(look: Look) -> str:
    """That somebody was there to count when the window began."""
    return f"on () group({PRESENT} offset {seconds(look.reach)})"


def _absent(look: Look) -> str:
    by, selector = _by(look.of), _selector(look.of)
    known = _aggregated("group", by, f"last_over_time({selector}[{seconds(FORGOTTEN_AFTER)}])")
    return f"{known}\nunless\n{_aggregated('group', by, selector)}"


# --- texts ---


def _text(template: str, words: Mapping[str, str]) -> str:
    """A text of a rule as a template of Prometheus's."""
    parts = _PLACEHOLDER.split(template)
    return "".join(
        (words.get(part, f"{{{part}}}") if place % 2 else _escaped(part)) for place, part in enumerate(parts)
    )


def _escaped(text: str) -> str:
    """A text that is no template, whatever stands in it."""
    return text.replace("{", "{{ `{` }}")


def _label(name: str) -> str:
    return f"{{{{ or $labels.{name} `-` }}}}"


def _value(unit: str) -> str:
    """The number for people, as `hub.core.rules.figure` writes it."""
    if unit == "ratio":
        return "{{ $value | humanizePercentage }}"
    if unit == "seconds":
        return "{{ $value | humanizeDuration }}"
    if unit == "times":
        return "{{ printf `%.3g` $value }} times"
    return f"{{{{ $value | humanize }}}} {_escaped(unit)}".rstrip()
