"""
PagerDuty, Events API v2: an incident of ours is an alert of theirs by its deduplication key
(https://developer.pagerduty.com/docs/events-api-v2/trigger-events).
"""

from collections.abc import Mapping
from typing import Any

from hub.alerting.message import Message, cut, one_line, timestamp
from hub.alerting.receivers.base import ATTEMPT_TIMEOUT, DeliveryError
from hub.alerting.receivers.http import Answer, Http
from hub.alerting.receivers.options import Address, Options
from hub.core.groups import ACKNOWLEDGED, OVER
from hub.core.redaction import Secret
from hub.core.rules import CRITICAL, HIGH, LOW, MEDIUM

#: Characters of a summary; what is longer PagerDuty cuts off.
MAX_SUMMARY = 1024
#: Characters of any other text; an event may have 512 KB.
MAX_DETAIL = 500
#: Length of an integration key.
KEY_LENGTH = 32
SEVERITIES = {CRITICAL: "critical", HIGH: "error", MEDIUM: "warning", LOW: "info"}
_ACTIONS = {ACKNOWLEDGED: "acknowledge", OVER: "resolve"}


class PagerDutyOptions(Options, frozen=True, kw_only=True):
    """
    Of a PagerDuty receiver.

    Attributes:
        routing_key: The integration key of a service, or of an event orchestration.
        url: Where events go; of a service region in the EU ``https://events.eu.pagerduty.com/v2/enqueue``.
    """

    routing_key: Secret
    url: Address = Address("https://events.pagerduty.com/v2/enqueue")

    def __post_init__(self) -> None:
        if len(self.routing_key.value) != KEY_LENGTH or not self.routing_key.value.isalnum():
            raise ValueError(f"Expected a `routing_key` of {KEY_LENGTH} letters and digits")


class PagerDuty:
    """Tells PagerDuty; see `hub.alerting.receivers.base.Receiver`."""

    kind = "pagerduty"

    def __init__(self, name: str, options: PagerDutyOptions, timeout: float = ATTEMPT_TIMEOUT) -> None:
        self.name, self.per_minute = name, options.per_minute
        self._options = options
        self._http = Http((options.routing_key,), timeout)

    def deliver(self, message: Message, memory: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - the contract's
        """See the contract; there is nothing to remember."""
        event = {"routing_key": self._options.routing_key, **event_of(message)}
        answer = self._http.post(self._options.url, event)
        self._http.require(answer)
        if not _is_success(answer):
            raise DeliveryError(f"answered {answer.status}, and not 'success'{self._http.quote(answer)}")
        return {}


def _is_success(answer: Answer) -> bool:
    said = answer.json
    return isinstance(said, dict) and said.get("status") == "success"


def event_of(message: Message) -> dict[str, Any]:
    """The message as an event, without its key."""
    action = _ACTIONS.get(message.notice.kind, "trigger")
    event: dict[str, Any] = {"event_action": action, "dedup_key": message.incident}
    if action != "trigger":
        return event
    links = {"Operator page": message.page, "Runbook": message.runbook}
    event |= {
        "client": message.site or "Channels Hub",
        "payload": _payload(message),
        "links": [{"href": address, "text": words} for words, address in links.items() if address],
    }
    return event | ({"client_url": message.page} if message.page else {})


def _payload(message: Message) -> dict[str, Any]:
    notice = message.notice
    labels = {name: cut(one_line(value), MAX_DETAIL) for name, value in notice.labels.items() if value}
    return {
        "summary": cut(message.subject, MAX_SUMMARY),
        "source": cut(labels.get("node") or ", ".join(message.tenants) or message.site or "fleet", MAX_DETAIL),
        "severity": SEVERITIES.get(notice.severity, "critical"),
        "timestamp": timestamp(notice.since),
        "class": notice.firing[0].rule if notice.firing else notice.route,
        "group": notice.route,
        "component": cut(labels.get("consumer", "channels"), MAX_DETAIL),
        "custom_details": {
            "status": message.status,
            "tenants": cut(", ".join(message.tenants), MAX_DETAIL),
            "labels": labels,
            "action": cut(message.action, MAX_DETAIL),
            "alerts": [
                f"{line.alert.severity}: {cut(line.summary, MAX_DETAIL)} ({line.figures}) {line.curve}".rstrip()
                for line in message.lines
            ],
            "further": message.more,
        },
    }
