"""Metrics, rules and alerts for the tests of the rooms that decide what is told."""

from __future__ import annotations

from typing import Any

from hub.core.rulebook import read_rule
from hub.core.rules import Alert, Rule
from hub.core.series import COUNTER, GAUGE, HISTOGRAM, Watched

BOUNDS = (0.1, 0.5, 1.0, 5.0)
WATCHED = {
    one.name: one
    for one in (
        Watched("errors_total", COUNTER, ("consumer", "tenant"), "errors"),
        Watched("received_total", COUNTER, ("consumer", "tenant"), "messages"),
        Watched("depth", GAUGE, ("consumer", "tenant"), "messages"),
        Watched("seconds", HISTOGRAM, ("consumer", "tenant"), "seconds", BOUNDS),
        Watched("up", GAUGE, ("node",)),
    )
}
CHAT = ("chat", "acme")


def rule(name: str = "deep", wait: float | None = None, **written: Any) -> Rule:
    """A rule that looks at a gauge, unless it is written otherwise."""
    default = {"look": "level", "of": "depth", "above": 10, "severity": "high", "summary": "{value} of {threshold}"}
    given = {key: value for key, value in {**default, "for": wait, **written}.items() if value is not None}
    found, flaws = read_rule(name, given, WATCHED, "here")
    assert not flaws, list(map(str, flaws))
    assert found is not None
    return found


def states(changes: list[Alert]) -> list[str]:
    return [change.state for change in changes]
