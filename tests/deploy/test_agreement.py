"""The hub's own evaluator and Prometheus say the same of the same series: the examples of the pack, for promtool."""

from __future__ import annotations

import json
import re
import tomllib
from itertools import accumulate

import pytest

from hub.alerting.pack import read_settings
from hub.alerting.promql import label_name, translate
from hub.alerting.sources import NODE_UP, watched
from hub.alerting.trial import Trial, _trial
from hub.core.looks import ABSENT
from hub.core.rules import FIRING, INACTIVE
from hub.core.series import COUNTER, GAUGE, HISTOGRAM
from hub.management.commands.hub_prometheus_rules import rules_file
from tests.support.processes import ROOT
from tests.support.prometheus import promtool

pytestmark = [pytest.mark.prometheus]

DOCUMENT = tomllib.loads((ROOT / "tests" / "alerting" / "pack.toml").read_text())
WATCHED = watched()
RULES, _ = read_settings(DOCUMENT["rules"], WATCHED)
TRIALS = [_trial(given, "", WATCHED, {rule.name for rule in RULES}) for given in DOCUMENT["tests"]]
#: Seconds that Prometheus may have scraped before a trial begins, while nothing happened.
LONGEST_BEFORE = 1000
PROCESS = {"job": "hub", "instance": "one"}


def notation(values):
    """Values as promtool's tests write them; a gauge that is not there any more is stale."""
    told = ["_" if value is None else f"{value:g}" for value in values]
    for place in range(1, len(told)):
        if told[place] == "_" and told[place - 1] not in ("_", "stale"):
            told[place] = "stale"
    return " ".join(told)


def series(name, labels, values):
    selector = ",".join(f"{label}={json.dumps(value)}" for label, value in labels.items())
    return {"series": f"{name}{{{selector}}}", "values": notation(values)}


def rules_of(trial: Trial):
    """The rules that a trial expects something of."""
    return [rule for rule in RULES if rule.name in {one.rule for one in trial.expectations}]


def before(trial: Trial) -> int:
    """Seconds before it begins: the hub takes that nothing happened then, and what looks back further waits."""
    reach = max(rule.look.reach for rule in rules_of(trial))
    return 0 if reach > LONGEST_BEFORE else int(reach)


def scraped(trial: Trial, steps: int):
    """What a process shows for a script: counters as what they have grown to, histograms by bucket."""
    quiet = int(before(trial) / trial.step)
    for script in trial.scripts:
        metric = script.metric
        labels = {
            **PROCESS,
            **{label_name(one): value for one, value in zip(metric.labels, script.values, strict=True)},
        }
        samples = [script.sample(step) for step in range(steps)]
        if metric.kind == GAUGE:
            name = "hub_info" if metric.name == NODE_UP else metric.name
            yield series(name, labels, [*([samples[0] if metric.name == NODE_UP else None] * quiet), *samples])
        elif metric.kind == COUNTER:
            yield series(metric.name, labels, [*([0] * quiet), *accumulate(sample or 0 for sample in samples)])
        else:
            assert metric.kind == HISTOGRAM
            for number, bound in enumerate([*map(str, metric.bounds), "+Inf"]):
                grown = accumulate(sum(sample[: number + 1]) if sample else 0 for sample in samples)
                yield series(f"{metric.name}_bucket", {**labels, "le": bound}, [*([0] * quiet), *grown])


def asked(expectation, beginning):
    """What promtool has to find for an expectation."""
    labels = ", ".join(
        f"{label_name(label)}={json.dumps(value)}"
        for label, value in {"rule": expectation.rule, **expectation.labels}.items()
    )
    inactive = expectation.state == INACTIVE
    # Of what is absent the threshold is the time that Prometheus waits: what is not wrong yet is pending there.
    absent = any(rule.name == expectation.rule and rule.look.kind == ABSENT for rule in RULES)
    state = f', alertstate="{FIRING if inactive else expectation.state}"' if absent or not inactive else ""
    return {
        "expr": f"group(ALERTS{{{labels}{state}}})",
        "eval_time": f"{int(beginning + expectation.at)}s",
        "exp_samples": [] if inactive else [{"labels": "{}", "value": 1}],
    }


@pytest.mark.parametrize("trial", TRIALS, ids=[re.split(r"[:,]", trial.name)[0] for trial in TRIALS])
def test_prometheus_says_what_the_hub_says(trial, tmp_path):
    steps = int(max(one.at for one in trial.expectations) / trial.step) + 1
    shown = list(scraped(trial, steps))
    if not any(one["series"].startswith("hub_info") for one in shown):
        shown.append(series("hub_info", {**PROCESS, "version": "1"}, [1] * (steps + int(before(trial) / trial.step))))
    (tmp_path / "rules.yml").write_text(rules_file(translate(rules_of(trial), WATCHED, "runbooks")))
    tests = tmp_path / "tests.json"
    tests.write_text(
        json.dumps(
            {
                "rule_files": ["rules.yml"],
                "evaluation_interval": f"{trial.step:g}s",
                "tests": [
                    {
                        "name": trial.name,
                        "interval": f"{trial.step:g}s",
                        "input_series": shown,
                        "promql_expr_test": [asked(one, before(trial)) for one in trial.expectations],
                    }
                ],
            }
        )
    )
    assert "SUCCESS" in promtool("test", "rules", str(tests))
