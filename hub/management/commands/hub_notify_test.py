"""``manage.py hub_notify_test RECEIVER``: send a real message that says it is a test, and that it is over."""

from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hub.alerting.message import compose
from hub.alerting.receivers.base import DeliveryError, Receiver
from hub.alerting.receivers.settings import NO_RECEIVERS, read_receivers
from hub.clock import SYSTEM
from hub.conf import config
from hub.core.groups import FIRED, OVER, Notice
from hub.core.rules import FIRING, LOW, RESOLVED, SEVERITIES, Alert, key_of

RULE = "hub_notify_test"
#: What the test's number was: a sparkline shows that it can be seen.
CURVE = (1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0)


class Command(BaseCommand):
    """See the module."""

    help = "Send a test message to a receiver, and after it that all is over. Nothing is kept of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("receiver", help="its name in HUB['RECEIVERS']")
        parser.add_argument("--severity", choices=SEVERITIES, default=LOW, help=f"of the test; {LOW}")
        parser.add_argument("--leave-open", action="store_true", help="don't say that it is over")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        """Send it."""
        receiver = _receiver(options["receiver"])
        memory: dict[str, Any] = {}
        for notice in _notices(receiver.name, options["severity"], SYSTEM.wall()):
            if notice.kind == OVER and options["leave_open"]:
                break
            message = compose(notice, {notice.incident: CURVE}, config().page_url, config().site_name)
            began = SYSTEM.monotonic()
            try:
                memory = receiver.deliver(message, memory)
            except DeliveryError as error:
                after = "" if error.retry_after is None else f"; it asks to be left alone for {error.retry_after:g} s"
                raise CommandError(f"{receiver.name} ({receiver.kind}), {notice.kind}: {error}{after}") from None
            took = SYSTEM.monotonic() - began
            self.stdout.write(f"{receiver.name} ({receiver.kind}), {notice.kind}: delivered in {1000 * took:.0f} ms")


def _receiver(name: str) -> Receiver:
    receivers, flaws = read_receivers(config())
    if name in receivers:
        return receivers[name]
    wrong = "".join(f"\n{flaw}" for flaw in flaws) or ("" if receivers else f"\n{NO_RECEIVERS}")
    raise CommandError(
        f"there is no receiver {name!r} that can be used; known: {', '.join(receivers) or 'none'}{wrong}"
    )


def _notices(receiver: str, severity: str, now: float) -> Iterator[Notice]:
    """That something fires, and that it is over."""
    labels = {"rule": RULE, "severity": severity}
    incident = key_of({**labels, "receiver": receiver, "at": repr(now)})
    alert = Alert(
        key=incident, rule=RULE, severity=severity, labels=labels, state=FIRING, since=now - 60.0, fired_at=now - 60.0,
        value=CURVE[-1], worst=CURVE[-1], threshold=10.0, unit="tests",
        summary="This is a test: nothing is wrong", action="Nothing has to be done.",
    )  # fmt: skip
    fired = Notice(
        incident=incident, number=1, kind=FIRED, at=now, route="a test", receiver=receiver, labels=labels,
        severity=severity, since=now, firing=(alert,), news=frozenset({alert.key}),
    )  # fmt: skip
    yield fired
    over = replace(alert, state=RESOLVED, resolved_at=now)
    yield replace(fired, number=2, kind=OVER, firing=(), news=frozenset(), resolved=(over,))
