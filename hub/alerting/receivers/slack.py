"""
Slack: Block Kit through an incoming webhook, or by a bot that keeps the first message of an incident as the incident is
and answers it in its thread (https://docs.slack.dev/reference/block-kit/blocks, …/methods/chat.postMessage).

What comes from outside stands in ``plain_text`` objects only, where Slack knows no markup, and is escaped all the same;
what is ``mrkdwn`` is made of our own words and numbers.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import Annotated, Any

from msgspec import Meta

from hub.alerting.message import Line, Message, moment, one_line
from hub.alerting.receivers.base import ATTEMPT_TIMEOUT, DeliveryError, RefusedError
from hub.alerting.receivers.http import Answer, Http
from hub.alerting.receivers.options import Address, Options
from hub.core.groups import ACKNOWLEDGED, OVER
from hub.core.redaction import Secret
from hub.core.rules import CRITICAL, HIGH, LOW, MEDIUM

#: Characters of a header, of a text for notifications, of a section, of a field, of all texts of a message together.
#: Slack's own limits are 150, 4,000, 3,000, 2,000, and about 10,000 that it documents nowhere.
MAX_HEADER, MAX_TEXT, MAX_SECTION, MAX_FIELD = 150, 1000, 300, 200
#: Errors of the API after which the same message may arrive another time.
PASSING = frozenset({
    "fatal_error", "internal_error", "rate_limited", "ratelimited", "request_timeout", "service_unavailable",
    "team_added_to_org", "message_limit_exceeded", "accesslimited",
})  # fmt: skip
#: Errors that say that the first message of an incident is not there any more, or can't be changed.
LOST = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
#: Errors that concern blocks alone: the text arrives without them.
NO_BLOCKS = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})

_NO_PREVIEWS = {"unfurl_links": False, "unfurl_media": False}
_MARKS = {CRITICAL: "🔴", HIGH: "🟠", MEDIUM: "🟡", LOW: "🔵"}
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_ERROR = re.compile(r"[a-z0-9_]{1,60}")


class SlackOptions(Options, frozen=True, kw_only=True):
    """
    Of a Slack receiver: ``url``, or ``token`` and ``channel``.

    Attributes:
        url: Of an incoming webhook.
        token: Of a bot with the scope ``chat:write``.
        channel: Where the bot writes: an id, or a name with ``#``.
        api: Where Slack's API is.
    """

    url: Address | None = None
    token: Secret | None = None
    channel: Annotated[str, Meta(pattern=r"^(#[^\s<>&]{1,80}|[A-Z0-9]{6,20})$")] | None = None
    api: Address = Address("https://slack.com/api/")

    def __post_init__(self) -> None:
        if (self.url is None) == (self.token is None) or (self.token is None) != (self.channel is None):
            raise ValueError("Expected either `url`, or `token` and `channel`")


class _LostError(RefusedError):
    """The message that should be changed or answered is not there any more."""


class Slack:
    """Tells a Slack channel; see `hub.alerting.receivers.base.Receiver`."""

    kind = "slack"

    def __init__(self, name: str, options: SlackOptions, timeout: float = ATTEMPT_TIMEOUT) -> None:
        self.name, self.per_minute = name, options.per_minute
        self._options = options
        self._http = Http(tuple(one for one in (options.url, options.token) if one is not None), timeout)

    def deliver(self, message: Message, memory: Mapping[str, Any]) -> dict[str, Any]:
        """See the contract. A bot remembers ``channel`` and ``ts`` of the first message."""
        if self._options.url is not None:
            self._send_to_webhook(self._options.url, {**blocks_of(message), **_NO_PREVIEWS})
            return {}
        if "ts" in memory and self._is_updated(message, memory):
            return dict(memory)
        first = {**blocks_of(message), **_NO_PREVIEWS, "channel": self._options.channel}
        posted = self._call("chat.postMessage", first)
        channel, ts = posted.get("channel"), posted.get("ts")
        return {"channel": channel, "ts": ts} if isinstance(channel, str) and isinstance(ts, str) else {}

    def _is_updated(self, message: Message, memory: Mapping[str, Any]) -> bool:
        """Change the first message and answer it; False: it is not there any more."""
        try:
            # First what may be done twice: if the answer fails, all of it is tried again.
            self._call("chat.update", {**blocks_of(message), **memory})
            self._answer(message, memory)
        except _LostError:
            return False
        return True

    def _answer(self, message: Message, memory: Mapping[str, Any]) -> None:
        """Say in the thread what is new; what calls for somebody is shown in the channel as well."""
        quiet = message.notice.kind in (ACKNOWLEDGED, OVER)
        self._call(
            "chat.postMessage",
            {
                "channel": memory["channel"], "thread_ts": memory["ts"], "reply_broadcast": not quiet,
                "text": _fit(message.title, MAX_TEXT), "blocks": [_plain(message.title)],
                **_NO_PREVIEWS,
            },
        )  # fmt: skip

    def _send_to_webhook(self, url: Address, payload: Mapping[str, Any]) -> None:
        answer = self._http.post(url, payload)
        if answer.body.decode(errors="replace").strip() in NO_BLOCKS and "blocks" in payload:
            self._send_to_webhook(url, _without_blocks(payload))
            return
        self._http.require(answer)
        if answer.body.strip() == b"ok" or _result(answer) is not None:
            return
        raise DeliveryError(
            f"answered {answer.status}, and not 'ok'{self._http.quote(answer)}", self._http.rest(answer)
        )

    def _call(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a method of the API. Returns its result."""
        url, token = Address(f"{self._options.api.value.rstrip('/')}/{method}"), self._options.token
        authorization = Secret(f"Bearer {token.value}" if token is not None else "")
        answer = self._http.post(url, arguments, {"Authorization": authorization})
        self._http.require(answer)
        result = _result(answer)
        if result is not None:
            return result
        code = _error(answer)
        if not code:
            raise DeliveryError(f"{method}: answered {answer.status}, and no 'ok'{self._http.quote(answer)}")
        if code in NO_BLOCKS and "blocks" in arguments:
            return self._call(method, _without_blocks(arguments))
        if code in LOST:
            raise _LostError(f"{method}: {code}")
        if code in PASSING:
            raise DeliveryError(f"{method}: {code}", self._http.rest(answer))
        raise RefusedError(f"{method}: {code}")


def _result(answer: Answer) -> dict[str, Any] | None:
    """What a method returns; None: it failed."""
    said = answer.json
    return said if isinstance(said, dict) and said.get("ok") is True else None


def _without_blocks(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "blocks"}


def _error(answer: Answer) -> str:
    """Slack's name of an error; empty if there is none that looks like one."""
    said = answer.json
    code = said.get("error") if isinstance(said, dict) else None
    return code if isinstance(code, str) and _ERROR.fullmatch(code) else ""


# --- the message --------------------------------------------------------------------------------------------------


def escape(text: str) -> str:
    """Text from outside: on one line, with the three characters that Slack asks to be escaped."""
    return one_line(text).translate(_ESCAPES)


def blocks_of(message: Message) -> dict[str, Any]:
    """The message in Block Kit, and as text for notifications."""
    title = f"{_mark(message)} {message.title}"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _fit(title, MAX_HEADER), "emoji": False}},
        {"type": "section", "fields": _fields(message)},
    ]
    for line in message.lines:
        blocks += [_plain(line.summary), _small(_figures(line))]
    if message.more:
        blocks.append(_small(message.more))
    if message.action and not message.over:
        blocks.append(_plain(message.action))
    buttons = _buttons(message)
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    return {"text": _fit(title, MAX_TEXT), "blocks": blocks}


def _mark(message: Message) -> str:
    return "✅" if message.over else _MARKS.get(message.notice.severity, "⚪")


def _fields(message: Message) -> list[dict[str, Any]]:
    shown = {
        "Severity": message.notice.severity,
        "Tenant": ", ".join(message.tenants) or "none in particular",
        "Since": moment(message.notice.since),
        "Site": message.site,
    }
    return [
        {"type": "plain_text", "text": _fit(f"{name}: {value}", MAX_FIELD), "emoji": False}
        for name, value in shown.items()
        if value
    ]


def _figures(line: Line) -> str:
    """The figures of an alert, as ``mrkdwn``: what is ours, so that Slack shows the reader's own time."""
    at = int(line.since)
    since = f"<!date^{at}^{{date_short_pretty}} {{time_secs}}|{moment(line.since)}>"
    when = f"for {line.lasted}, from {since}" if line.lasted else f"since {since}"
    new = "new" if line.new and not line.lasted else ""
    parts = (new, line.alert.severity, escape(line.figures), line.curve, when)
    return " · ".join(part for part in parts if part)


def _buttons(message: Message) -> list[dict[str, Any]]:
    links = {"Open in the hub": message.page, "Runbook": message.runbook}
    return [
        {"type": "button", "action_id": f"hub-{number}", "url": url, "text": {"type": "plain_text", "text": words}}
        for number, (words, url) in enumerate(links.items())
        if url
    ]


def _plain(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "plain_text", "text": _fit(text, MAX_SECTION), "emoji": False}}


def _small(markup: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": markup, "verbatim": True}]}


def _fit(text: str, most: int) -> str:
    """Text from outside, escaped, and still of at most so many characters, with no half of an escape at its end."""
    line = one_line(text) or "-"
    pieces = [char.translate(_ESCAPES) for char in line]
    ends = list(accumulate(map(len, pieces)))
    if ends[-1] <= most:
        return "".join(pieces)
    return "".join(pieces[: bisect_right(ends, most - 1)]) + "…"
