"""Messages for tests of receivers: of one alert or of many, with what a tenant may be called at worst."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hub.alerting.message import Message, compose
from hub.core.groups import FIRED, OVER, Notice
from hub.core.rules import FIRING, RESOLVED, Alert, key_of

AT = 1_795_000_000.0
INCIDENT = "0123456789abcdef01234567"
PAGE = "https://hub.example.com/hub/"
#: Of the first alert of every message, as the page knows it.
LIFE = 7
#: A tenant that would like to be markup, a mention, a header and a second line.
EVIL = (
    "<!channel> *bold* <http://evil.example|x> & `code` <script>alert(1)</script>\r\nBcc: eve@example.com\n\n"
    "\u202eevil\x1b[31m :fire: \ud800"
)


def alert(tenant: str = "acme", **changes: Any) -> Alert:
    labels = {"rule": "handler_errors", "severity": "high", "consumer": "chat", "tenant": tenant}
    summary = f"chat, tenant {tenant}: 120 errors within 5 min"
    usual = Alert(
        key=key_of(labels), rule="handler_errors", severity="high", labels=labels, state=FIRING, since=AT - 90,
        fired_at=AT - 60, value=120.0, worst=150.0, threshold=10.0, unit="errors", summary=summary,
        action="Look at the events handler.error.", runbook="https://runbooks.example.com/errors",
    )  # fmt: skip
    return replace(usual, **changes)


def resolved(one: Alert) -> Alert:
    return replace(one, state=RESOLVED, resolved_at=AT + 600)


def notice(kind: str = FIRED, *alerts: Alert, **changes: Any) -> Notice:
    told = alerts or (alert(),)
    usual = Notice(
        incident=INCIDENT, number=1, kind=kind, at=AT, route="everything", receiver="ops",
        labels={"rule": "handler_errors"}, severity="high", since=AT - 59,
        firing=() if kind == OVER else told, news=frozenset({told[0].key}) if kind == FIRED else frozenset(),
        resolved=tuple(map(resolved, told)) if kind == OVER else (),
    )  # fmt: skip
    return replace(usual, **changes)


def message(kind: str = FIRED, *alerts: Alert, page: str | None = PAGE, **changes: Any) -> Message:
    one = notice(kind, *alerts, **changes)
    curves = {told.key: (0.0, 3.0, 40.0, 120.0) for told in one.firing[:3]}
    return compose(one, curves, page, "Production", LIFE)


def storm(count: int = 200, kind: str = FIRED) -> Message:
    return message(kind, *(alert(f"tenant-{number:03}") for number in range(count)))


def evil(kind: str = FIRED) -> Message:
    return message(kind, alert(EVIL), by=f"ann {EVIL}" if kind == "acknowledged" else "")
