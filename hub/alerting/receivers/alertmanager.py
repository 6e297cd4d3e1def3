"""
Prometheus's Alertmanager, API v2: each alert by itself, for its own grouping, routes and silences
(https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml).

An alert there ends at ``endsAt``. It is sent again with each message of its incident, and the end lies ``expires``
beyond: more than the longest usual repetition, so that one that fires never ends by itself, and one of a hub that is
gone does in the end.
"""

from collections.abc import Mapping
from typing import Any

from hub.alerting.message import Message, figures, one_line, timestamp
from hub.alerting.receivers.base import ATTEMPT_TIMEOUT
from hub.alerting.receivers.http import Http
from hub.alerting.receivers.options import Address, Options, PerMinute, basic
from hub.core.redaction import Secret
from hub.core.rules import FIRING, Alert

PATH = "/api/v2/alerts"
#: Seconds after a message at which what it tells of ends unless it is told again; the longest usual repetition twice.
EXPIRES = 2 * 86_400.0


class AlertmanagerOptions(Options, frozen=True, kw_only=True):
    """
    Of an Alertmanager.

    Attributes:
        url: Its address, without the path of the API.
        user, password: For basic authentication.
        token: Or a bearer token.
        expires: Seconds after a message at which its alerts end there unless they are told again.
    """

    url: Address
    user: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    expires: float = EXPIRES
    per_minute: PerMinute = 600.0

    def __post_init__(self) -> None:
        if (self.user is None) != (self.password is None) or (self.user is not None and self.token is not None):
            raise ValueError("Expected `user` and `password`, or `token`, or none of them")
        if not 60 <= self.expires <= 365 * 86_400:  # noqa: PLR2004 - a minute to a year
            raise ValueError("Expected `expires` of 60 seconds or more")


class Alertmanager:
    """Tells an Alertmanager; see `hub.alerting.receivers.base.Receiver`."""

    kind = "alertmanager"

    def __init__(self, name: str, options: AlertmanagerOptions, timeout: float = ATTEMPT_TIMEOUT) -> None:
        self.name, self.per_minute = name, options.per_minute
        self._options = options
        self._url = Address(options.url.value.rstrip("/") + PATH)
        self._authorization = self._authorize()
        secrets = (options.password, options.token, self._authorization)
        self._http = Http(tuple(one for one in secrets if one is not None), timeout)

    def _authorize(self) -> Secret | None:
        options = self._options
        if options.user is not None and options.password is not None:
            return basic(options.user, options.password)
        return None if options.token is None else Secret(f"Bearer {options.token.value}")

    def deliver(self, message: Message, memory: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - the contract's
        """See the contract; there is nothing to remember."""
        headers = {} if self._authorization is None else {"Authorization": self._authorization}
        self._http.require(self._http.post(self._url, alerts_of(message, self._options.expires), headers))
        return {}


def alerts_of(message: Message, expires: float) -> list[dict[str, Any]]:
    """The message as alerts of Alertmanager's."""
    return [_alert(alert, message, expires) for alert in (*message.notice.firing, *message.notice.resolved)]


def _alert(alert: Alert, message: Message, expires: float) -> dict[str, Any]:
    starts = alert.since if alert.fired_at is None else alert.fired_at
    over = alert.resolved_at if alert.state != FIRING else None
    ends = message.notice.at + expires if over is None else over
    labels = {"alertname": alert.rule, "site": message.site, **alert.labels}
    annotations = {
        "summary": alert.summary,
        "description": alert.action,
        "figures": figures(alert),
        "runbook_url": alert.runbook,
    }
    told = {
        "labels": _texts(labels),
        "annotations": _texts(annotations),
        "startsAt": timestamp(starts),
        "endsAt": timestamp(max(ends, starts)),
    }
    return told | ({"generatorURL": message.page} if message.page else {})


def _texts(given: Mapping[str, str]) -> dict[str, str]:
    """Texts without the empty ones, which Alertmanager takes for none."""
    return {name: one_line(value) for name, value in given.items() if one_line(value)}
