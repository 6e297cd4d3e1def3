"""``manage.py hub_rules check|list|test``: the alert rules that are on, and whether they do what they should."""

import json
import tomllib
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hub.alerting.pack import PACK, read_settings
from hub.alerting.sources import watched
from hub.alerting.trial import try_rules
from hub.conf import config
from hub.core.errors import ConfigurationError
from hub.core.rulebook import Flaw
from hub.core.rules import Rule, duration, figure
from hub.metrics import REGISTRY


class Command(BaseCommand):
    """See the module."""

    help = "Check the alert rules, list them, or try them out against scripted series."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        what = parser.add_subparsers(dest="what", required=True)
        what.add_parser("check", help="say what is wrong with HUB['RULES']; exit with 1 if anything is")
        listing = what.add_parser("list", help="list the rules that are on, and the names of those that are off")
        listing.add_argument("--json", action="store_true", help="print JSON")
        trial = what.add_parser("test", help="run the tests of a file (TOML or JSON); exit with 1 if any fails")
        trial.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        """Check, list or test."""
        if options["what"] == "test":
            self._test(options["file"])
            return
        rules, flaws = _rules()
        if options["what"] == "list":
            self._list(rules, as_json=options.get("json", False))
        for flaw in flaws:
            self.stderr.write(str(flaw))
        if flaws:
            raise CommandError(f"{len(flaws)} of what HUB['RULES'] says can't be used")
        if options["what"] == "check":
            self.stdout.write(f"{len(rules)} rules are on; nothing is wrong with them.")

    def _list(self, rules: list[Rule], *, as_json: bool) -> None:
        off = sorted(PACK.keys() - {rule.name for rule in rules})
        if as_json:
            self.stdout.write(json.dumps({"on": [_told(rule) for rule in rules], "off": off}, indent=2))
            return
        width = max((len(rule.name) for rule in rules), default=0)
        for rule in rules:
            self.stdout.write(f"{rule.name:<{width}}  {rule.severity:<8}  {_in_words(rule)}")
        self.stdout.write(f"Off: {', '.join(off) or 'none'}.")

    def _test(self, file: Path) -> None:
        failed = run = 0
        try:
            for name, failures in try_rules(_document(file), watched(REGISTRY.pack())):
                run += 1
                failed += bool(failures)
                self.stdout.write(f"{'FAILED' if failures else 'ok'}: {name}")
                for failure in failures:
                    self.stdout.write(f"  {failure}")
        except ConfigurationError as error:
            raise CommandError(f"{file}: {error}") from error
        if failed:
            raise CommandError(f"{failed} of {run} tests failed")


def _rules() -> tuple[list[Rule], list[Flaw]]:
    return read_settings(config().rules, watched(REGISTRY.pack()))


def _document(file: Path) -> object:
    try:
        text = file.read_text()
        return json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} can't be read: {error}") from error


def _told(rule: Rule) -> dict[str, Any]:
    look = rule.look
    return {
        "name": rule.name, "severity": rule.severity, "look": look.kind, "of": look.of.metric,
        "where": [str(matcher) for matcher in look.of.where], "by": list(look.of.by), "window": look.window,
        rule.side: rule.threshold, "release": rule.release, "for": rule.wait, "keep": rule.keep,
        "summary": rule.summary, "action": rule.action, "runbook": rule.runbook, "labels": dict(rule.labels),
    }  # fmt: skip


def _in_words(rule: Rule) -> str:
    look = rule.look
    where = f" where {', '.join(map(str, look.of.where))}" if look.of.where else ""
    under = f" to {look.under.metric}" if look.under is not None else ""
    window = f" within {duration(look.window)}" if look.window else ""
    wait = f", for {duration(rule.wait)}" if rule.wait else ""
    by = f", by {', '.join(look.of.by)}" if look.of.by else ""
    what = f"{look.kind} of {look.of.metric}{where}{under}{window}"
    return f"{what} {rule.side} {figure(rule.threshold, rule.unit)}{wait}{by}"
