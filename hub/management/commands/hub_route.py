"""``manage.py hub_route 'severity=critical,tenant=acme'``: who would be told of an alert with these labels, and why."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hub.alerting.message import moment
from hub.alerting.receivers.settings import NO_RECEIVERS, Plan, read_plan, read_receivers
from hub.alerting.zones import local
from hub.clock import SYSTEM
from hub.conf import config
from hub.core.errors import ConfigurationError
from hub.core.matchers import EQUAL, parse_matchers
from hub.core.routing import Post
from hub.core.rules import SEVERITIES, duration


class Command(BaseCommand):
    """See the module."""

    help = "Say who would be told of an alert with some labels, and why. Nobody is told."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("labels", help="such as 'severity=critical,tenant=acme,rule=loop_blocked'")
        parser.add_argument("--at", help="when, as 2026-11-21T03:00 (UTC, unless it says otherwise); now", default="")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        """Print what becomes of it, route by route."""
        labels, now = _labels(options["labels"]), _time(options["at"])
        receivers, flaws = read_receivers(config())
        plan, wrong = read_plan(config(), receivers)
        for flaw in (*flaws, *wrong):
            self.stderr.write(str(flaw))
        if not receivers:
            self.stderr.write(NO_RECEIVERS)
        self._explain(plan, labels, now)

    def _explain(self, plan: Plan, labels: dict[str, str], now: float) -> None:
        self.stdout.write(f"At {moment(now)}:")
        for window in plan.maintenance:
            if window.mutes(labels, now, local):
                self.stdout.write(f"  nobody is told while the maintenance {window.name!r} lasts, {window.hours}")
        for reason in plan.routing.explain(labels, now, local):
            self.stdout.write(f"  {'->' if reason.taken else '  '} {reason.route}: {reason.why}")
            for post in reason.posts:
                self.stdout.write(f"       {_in_words(post)}")
        told = dict.fromkeys(post.receiver for post in plan.routing.posts(labels, now, local) if post.after is None)
        self.stdout.write(f"Told: {', '.join(told) or 'nobody'}.")


def _labels(text: str) -> dict[str, str]:
    try:
        matchers = parse_matchers(text)
    except ConfigurationError as error:
        raise CommandError(str(error)) from error
    for matcher in matchers:
        if matcher.sign != EQUAL:
            raise CommandError(f"{matcher} is no label; an alert has label=value, as in severity=critical")
    labels = {matcher.label: matcher.value for matcher in matchers}
    severity = labels.get("severity")
    if severity is not None and severity not in SEVERITIES:
        raise CommandError(f"there is no severity {severity!r}; write one of {', '.join(SEVERITIES)}")
    return labels


def _time(text: str) -> float:
    if not text:
        return SYSTEM.wall()
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is no time; write 2026-11-21T03:00 or 2026-11-21T03:00+01:00") from error
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def _in_words(post: Post) -> str:
    pace = post.pace
    first = (
        f"after {duration(pace.wait)}" if post.after is None else f"if nobody acknowledges for {duration(post.after)}"
    )
    held = f", held until {post.hours}" if post.hours is not None else ""
    group = ", ".join(f"{label}={value or '-'}" for label, value in post.labels) or "everything"
    again = f"news every {duration(pace.interval)}, again every {duration(pace.repeat)} until acknowledged"
    return f"{post.receiver}: {first}{held}; {again}{'; a digest' if pace.digest else ''}; one message for {group}"
