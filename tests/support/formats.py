"""What Slack, PagerDuty and Alertmanager document of the formats and limits of what they take."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Our own markup: dates. Everything else in angle brackets came from outside.
_DATE = re.compile(r"<!date\^\d+\^[^|<>]*\|[^<>|]*>")


def slack_flaws(payload: Mapping[str, Any]) -> list[str]:
    """What Slack would refuse of a message, and what came through that should have been escaped."""
    known = {"text", "blocks", "channel", "ts", "thread_ts", "reply_broadcast", "unfurl_links", "unfurl_media"}
    text, blocks = payload.get("text", ""), payload.get("blocks", [])
    found = [] if set(payload) <= known else [f"unknown arguments {set(payload) - known}"]
    if not 0 < len(text) <= 4000:
        found.append("text, for notifications, is missing or longer than 4,000")
    if len(blocks) > 50:
        found.append(f"{len(blocks)} blocks, more than 50")
    texts = [one for block in blocks for one in _texts(block)]
    if sum(len(one["text"]) for one in texts) > 10_000:
        found.append("msg_blocks_too_long")
    found += [flaw for block in blocks for flaw in _block_flaws(block)]
    found += [f"not escaped: {one!r}" for one in (text, *(one["text"] for one in texts)) if not _escaped(one)]
    return found


def _escaped(text: str) -> bool:
    return not re.search(r"[<>]|&(?!amp;|lt;|gt;)", _DATE.sub("", text))


def _texts(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The text objects of a block."""
    own = [block["text"]] if "text" in block else []
    elements = [one.get("text") if one["type"] == "button" else one for one in block.get("elements", [])]
    return [*own, *block.get("fields", []), *elements]


#: Of each block: its keys, characters of its texts, whether they may have markup, and how many elements it has.
_BLOCKS: dict[str, tuple[set[str], int, bool, int]] = {
    "header": ({"text"}, 150, False, 0),
    "section": ({"text", "fields"}, 3000, True, 10),
    "context": ({"elements"}, 3000, True, 10),
    "actions": ({"elements"}, 75, False, 25),
    "divider": (set(), 0, False, 0),
}


def _block_flaws(block: Mapping[str, Any]) -> Iterator[str]:
    kind = block["type"]
    if kind not in _BLOCKS:
        yield f"a block of type {kind}"
        return
    keys, most, markup, elements = _BLOCKS[kind]
    own = set(block) - {"type", "block_id"}
    if not own <= keys or (keys and not own):
        yield f"{kind} has {own}"
    if len(block.get("elements", block.get("fields", [{}]))) not in range(1, max(elements, 1) + 1):
        yield f"{kind} with too few or too many elements"
    for one in _texts(block):
        known = {"plain_text": {"type", "text", "emoji"}, "mrkdwn": {"type", "text", "verbatim"}}
        if not set(one) <= known[one["type"]] or (one["type"] == "mrkdwn" and not markup):
            yield f"{kind} has a text {one}"
        if not 0 < len(one["text"]) <= (2000 if one in block.get("fields", []) else most):
            yield f"{kind} has a text of {len(one['text'])} characters"
    if kind == "actions":
        yield from _button_flaws(block["elements"])


def _button_flaws(buttons: list[dict[str, Any]]) -> Iterator[str]:
    names = [one.get("action_id", "") for one in buttons]
    if len(set(names)) < len(names) or not all(0 < len(one) <= 255 for one in names):
        yield f"action_id: {names}"
    for one in buttons:
        if one["type"] != "button" or not re.fullmatch(r"https?://\S+", one["url"]) or len(one["url"]) > 3000:
            yield f"no button with a link: {one}"


def pagerduty_flaws(event: Mapping[str, Any], size: int) -> list[str]:
    """What the API would refuse, or cut off, of an event."""
    flaws = [] if size <= 512 * 1024 else ["more than 512 KB"]

    def require(right: bool, flaw: str) -> None:
        if not right:
            flaws.append(flaw)

    known = {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"}
    require(set(event) <= known, f"unknown {set(event) - known}")
    require(event.get("event_action") in ("trigger", "acknowledge", "resolve"), "event_action")
    require(0 < len(event.get("dedup_key", "")) <= 255, "dedup_key")
    for link in event.get("links", []):
        require(set(link) <= {"href", "text"} and link["href"].startswith("http"), "links")
    if event.get("event_action") != "trigger":
        return flaws
    payload = event.get("payload", {})
    known = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
    require(set(payload) <= known, f"unknown {set(payload) - known} in payload")
    require(0 < len(payload.get("summary", "")) <= 1024, "summary")
    require(bool(payload.get("source")), "source")
    require(payload.get("severity") in ("critical", "error", "warning", "info"), "severity")
    require(datetime.fromisoformat(payload.get("timestamp", "2026-01-01")).tzinfo is not None, "timestamp")
    return flaws


def alertmanager_flaws(alert: Mapping[str, Any]) -> list[str]:
    """What the API would refuse of an alert."""
    flaws = []
    known = {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
    if not set(alert) <= known or not alert.get("labels", {}).get("alertname"):
        flaws.append(f"keys {set(alert)}, labels {alert.get('labels')}")
    for name, value in (*alert.get("labels", {}).items(), *alert.get("annotations", {}).items()):
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) or not isinstance(value, str) or not value:
            flaws.append(f"label or annotation {name}={value!r}")
    starts, ends = (datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt"))
    if starts.tzinfo is None or ends.tzinfo is None or starts > ends:
        flaws.append("times")
    if "generatorURL" in alert and not re.fullmatch(r"https?://\S+", alert["generatorURL"]):
        flaws.append("generatorURL")
    return flaws
