"""
Rules tried out against scripted series.

They come from a document such as this one (TOML; JSON likewise)::

    [rules.orders_failed]                 # as in HUB["RULES"]; the rule pack is there too
    look = "count"
    of = "ws_handler_errors_total"
    window = 3600
    above = 5
    severity = "high"
    summary = "{value} at {consumer}"

    [[tests]]
    name = "many errors fire, and resolve"
    step = 1                              # seconds between two samples; 1 if it is left out

    [[tests.series]]
    metric = "ws_handler_errors_total"
    labels = { consumer = "shop", tenant = "acme", exception = "ValueError" }
    values = "0x9 6 0x400"                # 0 nine times, once 6, 0 four hundred times; _ is no sample

    [[tests.expect]]
    at = 9                                # seconds
    rule = "handler_errors"
    state = "inactive"                    # or pending, or firing
    labels = { tenant = "acme" }          # of the alert; any, if they are left out

A gauge's values are what it is, a counter's what it grows by, a histogram's what is observed, once or ``times`` times.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from hub.alerting.pack import read_settings
from hub.core.errors import ConfigurationError
from hub.core.rules import FIRING, INACTIVE, PENDING, Alert, Evaluator, Rule
from hub.core.series import HISTOGRAM, Values, Watched

#: When a test begins, by the wall clock, in seconds; any moment would do.
BEGIN = 1_000_000_000.0
#: Samples that one series may have.
MAX_SAMPLES = 100_000
#: Seconds between two looks where samples are further apart.
LOOK = 10.0
STATES = (INACTIVE, PENDING, FIRING)

_VALUE = re.compile(r"(_|-?\d+(?:\.\d+)?)(?:x(\d{1,6}))?")


@dataclass(frozen=True, slots=True)
class Expectation:
    """That alerts of a rule are in some state at a moment, in seconds from the beginning."""

    at: float
    rule: str
    state: str
    labels: Mapping[str, str]

    def failure(self, active: list[Alert]) -> str | None:
        """What is otherwise; None if it is fulfilled."""
        found = [
            alert for alert in active if alert.rule == self.rule and self.labels.items() <= alert.labels.items()
        ]  # fmt: skip
        states = sorted({alert.state for alert in found}) or [INACTIVE]
        if states == [self.state]:
            return None
        where = f" with {dict(self.labels)}" if self.labels else ""
        return f"at {self.at:g} s {self.rule}{where} is {' and '.join(states)}, not {self.state}"


@dataclass(frozen=True, slots=True)
class Script:
    """What one series does: its values by step, None for no sample."""

    metric: Watched
    values: Values
    steps: tuple[float | None, ...]
    times: int

    def sample(self, step: int) -> Any:  # noqa: ANN401 - see `hub.core.series.Samples`
        """The sample of a step; None if there is none."""
        value = self.steps[step] if step < len(self.steps) else None
        if value is None or self.metric.kind != HISTOGRAM:
            return value
        counts = [0] * (len(self.metric.bounds) + 1)
        counts[bisect_left(self.metric.bounds, value)] = self.times
        return counts


@dataclass(frozen=True, slots=True)
class Trial:
    """A test: scripts that run side by side, and what is expected of the rules."""

    name: str
    step: float
    scripts: tuple[Script, ...]
    expectations: tuple[Expectation, ...]

    def run(self, rules: list[Rule], watched: Mapping[str, Watched]) -> list[str]:
        """Run it. Returns what was otherwise than expected."""
        evaluator = Evaluator(rules, watched, BEGIN)
        failures = []
        waiting = sorted(self.expectations, key=lambda one: one.at)
        for now in self._moments(waiting[-1].at):
            step, begins = divmod(now, self.step)
            if not begins:
                evaluator.take(self._samples(int(step)), BEGIN + now)
            evaluator.evaluate(BEGIN + now)
            while waiting and waiting[0].at <= now:
                failures.append(waiting.pop(0).failure(evaluator.active()))
        return [failure for failure in failures if failure is not None]

    def _moments(self, until: float) -> list[float]:
        """When it is looked at: at each sample, at each expectation, and in between as often as in reality."""
        steps = [step * self.step for step in range(int(until // self.step) + 1)]
        pauses = [begin + pause * LOOK for begin in steps for pause in range(1, ceil(self.step / LOOK))]
        return sorted({*steps, *pauses, *(one.at for one in self.expectations)})

    def _samples(self, step: int) -> dict[str, dict[Values, Any]]:
        samples: dict[str, dict[Values, Any]] = {}
        for script in self.scripts:
            sample = script.sample(step)
            if sample is not None:
                samples.setdefault(script.metric.name, {})[script.values] = sample
        return samples


def try_rules(document: object, watched: Mapping[str, Watched]) -> Iterator[tuple[str, list[str]]]:
    """
    Run the tests of a document.

    Yields:
        The name of each test, and what was otherwise than expected.

    Raises:
        ConfigurationError: The document can't be read; says what stands where, and the remedy.
    """
    if not isinstance(document, Mapping) or not document.get("tests"):
        raise ConfigurationError("there are no tests; write [[tests]] with a name, series and what to expect")
    rules, flaws = read_settings(document.get("rules", {}), watched)
    if flaws:
        raise ConfigurationError("; ".join(map(str, flaws)))
    known = {rule.name for rule in rules}
    for number, given in enumerate(_list(document["tests"], "tests")):
        trial = _trial(given, f"tests[{number}]", watched, known)
        yield trial.name, trial.run(rules, watched)


def _trial(given: object, place: str, watched: Mapping[str, Watched], rules: set[str]) -> Trial:
    given = _table(given, place, {"name", "step", "series", "expect"})
    name = str(given.get("name", place))
    step = _number(given.get("step", 1), f"{place}.step")
    scripts = [
        _script(one, f"{place}.series[{number}]", watched)
        for number, one in enumerate(_list(given.get("series", []), f"{place}.series"))
    ]
    expected = [
        _expectation(one, f"{place}.expect[{number}]", rules)
        for number, one in enumerate(_list(given.get("expect", []), f"{place}.expect"))
    ]
    if not expected or step <= 0:
        raise ConfigurationError(
            f"{place} expects nothing: write [[tests.expect]] with at, rule and state; step above 0"
        )
    if max(one.at for one in expected) / step > MAX_SAMPLES:
        raise ConfigurationError(f"{place}: more than {MAX_SAMPLES} steps; take a longer step")
    return Trial(name, step, tuple(scripts), tuple(expected))


def _script(given: object, place: str, watched: Mapping[str, Watched]) -> Script:
    given = _table(given, place, {"metric", "labels", "values", "times"})
    metric = watched.get(str(given.get("metric")))
    if metric is None:
        raise ConfigurationError(f"{place}.metric: there is no {given.get('metric')!r}; known: {', '.join(watched)}")
    labels = _table(given.get("labels", {}), f"{place}.labels", set(metric.labels))
    times = given.get("times", 1)
    if not isinstance(times, int) or times < 1:
        raise ConfigurationError(f"{place}.times is {times!r}; give how often each value is observed, from 1")
    values = tuple(str(labels.get(label, "")) for label in metric.labels)
    return Script(metric, values, _values(given.get("values"), f"{place}.values"), times)


def _values(given: object, place: str) -> tuple[float | None, ...]:
    steps: list[float | None] = []
    for part in given.split() if isinstance(given, str) else ["?"]:
        found = _VALUE.fullmatch(part)
        if found is None:
            raise ConfigurationError(f"{place} is {given!r}; write numbers such as '0x9 6 0x400', and _ for no sample")
        steps += [None if found[1] == "_" else float(found[1])] * int(found[2] or 1)
        if len(steps) > MAX_SAMPLES:
            raise ConfigurationError(f"{place}: more than {MAX_SAMPLES} samples; take a longer step")
    return tuple(steps)


def _expectation(given: object, place: str, rules: set[str]) -> Expectation:
    given = _table(given, place, {"at", "rule", "state", "labels"})
    rule, state = given.get("rule"), given.get("state")
    if rule not in rules:
        raise ConfigurationError(f"{place}.rule: no rule {rule!r} is on; those that are: {', '.join(sorted(rules))}")
    if state not in STATES:
        raise ConfigurationError(f"{place}.state is {state!r}; write one of {', '.join(STATES)}")
    labels = given.get("labels", {})
    if not isinstance(labels, Mapping) or not all(isinstance(value, str) for value in labels.values()):
        raise ConfigurationError(f"{place}.labels is {labels!r}; write {{ tenant = 'acme' }}")
    return Expectation(_number(given.get("at"), f"{place}.at"), str(rule), str(state), labels)


def _table(given: object, place: str, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{place} is {given!r}, no table; known keys: {', '.join(sorted(known))}")
    for key in given:
        if key not in known:
            raise ConfigurationError(f"{place} has an unknown key {key!r}; known: {', '.join(sorted(known))}")
    return given


def _list(given: object, place: str) -> list[Any]:
    if not isinstance(given, list):
        raise ConfigurationError(f"{place} is {given!r}, no list; write [[{place}]]")
    return given


def _number(given: object, place: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < BEGIN:
        raise ConfigurationError(f"{place} is {given!r}; give a number of seconds, from 0")
    return float(given)
