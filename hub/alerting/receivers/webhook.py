"""
A webhook of anybody's: JSON in a shape that has a version, signed as https://www.standardwebhooks.com says.

The signature is HMAC-SHA256 over message id, timestamp and body, joined by full stops. Id and ``Idempotency-Key`` are
the same whenever the same message is sent another time.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from hub.alerting.message import Message, timestamp
from hub.alerting.receivers.base import ATTEMPT_TIMEOUT
from hub.alerting.receivers.http import Http
from hub.alerting.receivers.options import Address, Options, PerMinute
from hub.clock import SYSTEM, Clock
from hub.core.redaction import Secret
from hub.core.rules import Alert

#: Of the shape of what is sent: grows when a receiver would have to change.
VERSION = 1
_PREFIX = "whsec_"
_LEAST_SECRET = 16


class WebhookOptions(Options, frozen=True, kw_only=True):
    """
    Of a webhook.

    Attributes:
        url: Where messages go.
        secret: Signs them: ``whsec_`` and base64, or any text of 16 characters or more.
        token: Sent as a bearer token besides.
    """

    url: Address
    secret: Secret
    token: Secret | None = None
    per_minute: PerMinute = 300.0

    def __post_init__(self) -> None:
        if len(self.secret.value) < _LEAST_SECRET:
            raise ValueError(f"Expected a `secret` of {_LEAST_SECRET} characters or more")
        _key(self.secret)


class Webhook:
    """Tells a program; see `hub.alerting.receivers.base.Receiver`."""

    kind = "webhook"

    def __init__(
        self, name: str, options: WebhookOptions, timeout: float = ATTEMPT_TIMEOUT, clock: Clock = SYSTEM
    ) -> None:
        self.name, self.per_minute = name, options.per_minute
        self._options, self._clock = options, clock
        self._http = Http(
            tuple(one for one in (options.url, options.secret, options.token) if one is not None), timeout
        )

    def deliver(self, message: Message, memory: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - the contract's
        """See the contract; there is nothing to remember."""
        name, at = message_id(message), str(int(self._clock.wall()))
        body = msgspec.json.encode(_utf8(document(message)))
        headers: dict[str, Secret | str] = {
            "Idempotency-Key": name,
            "webhook-id": name,
            "webhook-timestamp": at,
            "webhook-signature": sign(self._options.secret, name, at, body),
        }
        if self._options.token is not None:
            headers["Authorization"] = Secret(f"Bearer {self._options.token.value}")
        self._http.require(self._http.post(self._options.url, body, headers))
        return {}


def message_id(message: Message) -> str:
    """What no other message has."""
    return f"{message.incident}-{message.notice.number}"


def sign(secret: Secret, name: str, at: str, body: bytes) -> str:
    """The signature of a message: ``v1,`` and base64."""
    signed = hmac.digest(_key(secret), f"{name}.{at}.".encode() + body, "sha256")
    return f"v1,{b64encode(signed).decode()}"


def _key(secret: Secret) -> bytes:
    """
    The bytes of a secret.

    Raises:
        ValueError: It is said to be base64, and is not.
    """
    if not secret.value.startswith(_PREFIX):
        return secret.value.encode()
    try:
        return b64decode(secret.value.removeprefix(_PREFIX), validate=True)
    except ValueError:
        raise ValueError("Expected base64 behind `whsec_` in `secret`") from None


def document(message: Message) -> dict[str, Any]:
    """The message as plain values: what docs/alerts.md describes."""
    notice = message.notice
    return {
        "version": VERSION,
        "id": message_id(message),
        "incident": message.incident,
        "number": notice.number,
        "kind": notice.kind,
        "severity": notice.severity,
        "title": message.title,
        "at": timestamp(notice.at),
        "since": timestamp(notice.since),
        "by": notice.by,
        "site": message.site,
        "page": message.page,
        "route": notice.route,
        "labels": dict(notice.labels),
        "tenants": list(message.tenants),
        "firing": [_alert(alert, message) for alert in notice.firing],
        "resolved": [_alert(alert, message) for alert in notice.resolved],
    }


def _utf8(given: Any) -> Any:  # noqa: ANN401 - plain values
    """Plain values without what UTF-8 has no room for: halves of characters, in what tenants are called."""
    if isinstance(given, dict):
        return {_utf8(key): _utf8(value) for key, value in given.items()}
    if isinstance(given, list):
        return [_utf8(value) for value in given]
    return given.encode("utf-8", "replace").decode() if isinstance(given, str) else given


def _alert(alert: Alert, message: Message) -> dict[str, Any]:
    times = {name: getattr(alert, name) for name in ("since", "fired_at", "resolved_at")}
    return {
        **alert.pack(),
        **{name: None if at is None else timestamp(at) for name, at in times.items()},
        "new": alert.key in message.notice.news,
        "curve": list(message.curves.get(alert.key, ())),
    }
