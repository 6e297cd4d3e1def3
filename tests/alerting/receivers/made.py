"""Receivers as settings would make them, each with the server that it tells, and what is secret in it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub.alerting.receivers.alertmanager import Alertmanager, AlertmanagerOptions
from hub.alerting.receivers.options import Address
from hub.alerting.receivers.pagerduty import PagerDuty, PagerDutyOptions
from hub.alerting.receivers.slack import Slack, SlackOptions
from hub.alerting.receivers.webhook import Webhook, WebhookOptions
from hub.core.redaction import Secret
from tests.support import receivers

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "open-sesame-open-sesame"
#: Seconds that an attempt may take in tests.
SHORT = 0.5


@dataclass
class Pair:
    receiver: Any
    server: Any
    secrets: tuple[str, ...]


def slack_webhook(timeout: float = 10.0) -> Iterator[Pair]:
    with receivers.Slack() as server:
        options = SlackOptions(type="slack", url=Address(server.webhook))
        yield Pair(Slack("ops", options, timeout), server, (receivers.SLACK_PATH,))


def slack_bot(timeout: float = 10.0) -> Iterator[Pair]:
    with receivers.Slack() as server:
        options = SlackOptions(
            type="slack", token=Secret(receivers.SLACK_TOKEN), channel="#alerts", api=Address(f"{server.url}/api/")
        )
        yield Pair(Slack("ops", options, timeout), server, (receivers.SLACK_TOKEN,))


def pagerduty(timeout: float = 10.0) -> Iterator[Pair]:
    with receivers.PagerDuty() as server:
        options = PagerDutyOptions(
            type="pagerduty", routing_key=Secret(receivers.ROUTING_KEY), url=Address(f"{server.url}/v2/enqueue")
        )
        yield Pair(PagerDuty("ops", options, timeout), server, (receivers.ROUTING_KEY,))


def webhook(timeout: float = 10.0) -> Iterator[Pair]:
    with receivers.Webhook() as server:
        options = WebhookOptions(
            type="webhook", url=Address(f"{server.url}/hooks/{PASSWORD}"), secret=Secret(receivers.WEBHOOK_SECRET),
            token=Secret(receivers.SLACK_TOKEN),
        )  # fmt: skip
        secrets = (PASSWORD, receivers.WEBHOOK_SECRET, receivers.SLACK_TOKEN)
        yield Pair(Webhook("ops", options, timeout), server, secrets)


def alertmanager(timeout: float = 10.0) -> Iterator[Pair]:
    with receivers.Alertmanager() as server:
        options = AlertmanagerOptions(
            type="alertmanager", url=Address(f"{server.url}/"), user="hub", password=Secret(PASSWORD)
        )
        # In base64, as it is sent.
        yield Pair(Alertmanager("ops", options, timeout), server, (PASSWORD, "b3Blbi1zZXNhbWUtb3Blbi1zZXNhbWU"))


MAKERS = {maker.__name__: maker for maker in (slack_webhook, slack_bot, pagerduty, webhook, alertmanager)}


@contextmanager
def made(name: str, timeout: float = 10.0) -> Iterator[Pair]:
    yield from MAKERS[name](timeout)
