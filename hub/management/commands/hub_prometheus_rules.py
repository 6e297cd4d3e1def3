"""``manage.py hub_prometheus_rules``: write, or check, the alert rules for Prometheus, and what inhibits what."""

import re
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hub.alerting.pack import OFF, PACK, read_settings
from hub.alerting.promql import AlertingRule, Rules, label_name, quoted, seconds, selecting, translate
from hub.alerting.receivers.settings import read_inhibitions
from hub.alerting.sources import watched
from hub.conf import config
from hub.core.matchers import Matcher
from hub.core.silences import Inhibition
from hub.metrics import REGISTRY

RULES = Path("deploy/prometheus/rules/hub.yml")
RUNBOOKS = "docs/incidents.md"
MADE_BY = "Made by `manage.py hub_prometheus_rules`"
#: What stands between these two lines of an Alertmanager's configuration is made.
BEGIN, END = f"# {MADE_BY}: begin", "# end"


class Command(BaseCommand):
    """See the module."""

    help = "Write the alert rules that are on for Prometheus, made from the rule pack and HUB['RULES']."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("file", nargs="?", type=Path, default=RULES, help=f"where to (default {RULES})")
        parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
        parser.add_argument(
            "--alertmanager", type=Path, metavar="FILE", help="an Alertmanager's configuration: write inhibitions, too"
        )
        parser.add_argument(
            "--runbooks", metavar="ADDRESS",
            help="what runbook_url begins with, where a rule has no runbook of its own "
            f"(default HUB['RUNBOOKS'], or {RUNBOOKS})",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        """Write or check."""
        known = watched(REGISTRY.pack())
        rules, flaws = read_settings(config().rules, known)
        inhibitions, wrong = read_inhibitions(config())
        if flaws or wrong:
            raise CommandError("\n".join(map(str, (*flaws, *wrong))))
        made = translate(rules, known, options["runbooks"] or config().runbooks or RUNBOOKS)
        off = PACK.keys() - {rule.name for rule in rules}
        made.left_out |= {name: "off in the pack" if name in OFF else "off in HUB['RULES']" for name in sorted(off)}
        files = {options["file"]: rules_file(made)}
        if alertmanager := options["alertmanager"]:
            files[alertmanager] = with_inhibitions(alertmanager, inhibitions)
        for file, text in files.items():
            self._write(file, text, only_check=options["check"])
        for name, reason in made.left_out.items():
            self.stdout.write(f"{name} is left out: {reason}")

    def _write(self, file: Path, text: str, *, only_check: bool) -> None:
        if only_check:
            if not file.is_file() or file.read_text() != text:
                raise CommandError(f"{file} is out of date: run manage.py hub_prometheus_rules")
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.stdout.write(f"{file} written")


# --- YAML ---


def rules_file(made: Rules) -> str:
    """A file of Prometheus's, with what is left out, and why."""
    lines = [f"# {MADE_BY}. Change the rules, not this file."]
    lines += [f"# Left out: {name}: {reason}." for name, reason in made.left_out.items()]
    lines += ["groups:", "  - name: hub", "    rules:"]
    for name, expression in made.recordings.items():
        lines += [f"      - record: {name}", *_expression(expression)]
    for alert in made.alerts:
        lines += _alert(alert)
    return "\n".join(lines) + "\n"


def _expression(text: str) -> list[str]:
    return ["        expr: |-", *(f"          {line}" for line in text.splitlines())]


def _alert(alert: AlertingRule) -> Iterator[str]:
    yield f"      - alert: {alert.name}"
    yield from _expression(alert.expression)
    if alert.wait:
        yield f"        for: {seconds(alert.wait)}"
    if alert.keep:
        yield f"        keep_firing_for: {seconds(alert.keep)}"
    for key, texts in (("labels", alert.labels), ("annotations", alert.annotations)):
        yield f"        {key}:"
        yield from (f"          {name}: {quoted(text)}" for name, text in texts.items())


def with_inhibitions(file: Path, inhibitions: Iterable[Inhibition]) -> str:
    """
    An Alertmanager's configuration, with its inhibitions made anew.

    Raises:
        CommandError: There is no place for them.
    """
    if not file.is_file():
        raise CommandError(f"{file} is not there")
    place = re.compile(f"^( *){re.escape(BEGIN)}\n.*?^ *{re.escape(END)}$", re.MULTILINE | re.DOTALL)
    made = ["inhibit_rules:", *(line for one in inhibitions for line in _inhibition(one))]
    text, places = place.subn(
        lambda found: "\n".join(found[1] + line for line in (BEGIN, *made, END)), file.read_text()
    )
    if places != 1:
        raise CommandError(f"{file} has no one place for inhibitions; write these two lines into it:\n{BEGIN}\n{END}")
    return text


def _inhibition(inhibition: Inhibition) -> Iterator[str]:
    yield "  - source_matchers:"
    yield from map(_matcher, inhibition.cause)
    yield "    target_matchers:"
    yield from map(_matcher, inhibition.effect)
    yield f"    equal: [{', '.join(map(label_name, inhibition.equal))}]"


def _matcher(matcher: Matcher) -> str:
    quoted_once = selecting(matcher).replace("'", "''")
    return f"      - '{quoted_once}'"
