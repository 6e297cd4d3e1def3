"""
From what people write to routes, maintenance windows and inhibitions, and what is wrong with what they have written.

A route is written as a dictionary; the list of them is in the order in which they are tried::

    {
        "name": "pager",
        "match": "severity=critical, tenant!=demo",
        "receivers": ["pagerduty"],
        "by": ["rule"],
        "hours": "Mon-Fri 09:00-17:00 Europe/Berlin",
        "hold": False,
        "go_on": False,
        "wait": 0.25,
        "interval": 60,
        "repeat": 1800,
        "digest": False,
        "escalate": [{"after": 900, "receivers": ["boss"]}],
    }

A maintenance window is ``{"name": …, "match": …, "hours": …}``, an inhibition
``{"cause": "rule=loop_blocked", "effect": "rule~slow*", "equal": ["node"]}``. What has a flaw is left out; what a route
that is left out would have taken goes on to the later ones and at last to the receivers of last resort.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from hub.core.errors import ConfigurationError
from hub.core.hours import Hours, Local
from hub.core.matchers import Matcher, parse_matchers
from hub.core.routing import Escalation, Pace, Route
from hub.core.rulebook import LONGEST, Flaw
from hub.core.silences import Inhibition, Maintenance

ROUTE_KEYS = (
    "name", "match", "receivers", "by", "hours", "hold", "go_on", "wait", "interval", "repeat", "digest", "escalate",
)  # fmt: skip
PACE_KEYS = ("wait", "interval", "repeat", "digest")
#: Routes, windows or inhibitions that are read.
MAX_ENTRIES = 200
#: A receiver is told of news at most so often, in seconds.
LEAST_INTERVAL = 10.0

Entry = TypeVar("Entry")


class Reader:
    """
    Reads what is written about who is told.

    Args:
        receivers: Names that there are.
        local: Knows the time zones.
    """

    def __init__(self, receivers: Iterable[str], local: Local) -> None:
        self._receivers = tuple(receivers)
        self._local = local

    # --- lists ---

    def routes(self, given: object, place: str) -> tuple[list[Route], list[Flaw]]:
        """Routes, in their order; of two with one name the first."""
        routes, flaws = _each(given, place, ROUTE_KEYS, self._route)
        found: dict[str, Route] = {}
        for route in routes:
            if route.name in found:
                flaws.append(Flaw(place, f"two routes are called {route.name!r}", "Give each a name of its own."))
            found.setdefault(route.name, route)
        return list(found.values()), flaws

    def maintenance(self, given: object, place: str) -> tuple[list[Maintenance], list[Flaw]]:
        """Maintenance windows."""
        return _each(given, place, ("name", "match", "hours"), self._window)

    def inhibitions(self, given: object, place: str) -> tuple[list[Inhibition], list[Flaw]]:
        """Inhibitions."""
        return _each(given, place, ("cause", "effect", "equal"), self._inhibition)

    # --- entries ---

    def _route(self, given: Mapping[str, Any]) -> Route:
        hours = None if given.get("hours") is None else self._hours(given["hours"])
        hold = _switch(given, "hold")
        if hold and hours is None:
            raise ConfigurationError("'hold' without 'hours' has nothing to wait for; name the hours")
        return Route(
            name=_text(given, "name"),
            receivers=self._known(given.get("receivers"), "receivers"),
            matchers=parse_matchers(given.get("match", "")),
            by=_labels(given.get("by", ["rule"]), "by"),
            hours=hours,
            hold=hold,
            pace=_pace(given),
            escalations=self._escalations(given.get("escalate", [])),
            go_on=_switch(given, "go_on"),
        )

    def _window(self, given: Mapping[str, Any]) -> Maintenance:
        hours = self._hours(given.get("hours"))
        return Maintenance(name=_text(given, "name"), hours=hours, matchers=parse_matchers(given.get("match", "")))

    def _inhibition(self, given: Mapping[str, Any]) -> Inhibition:
        cause, effect = (_some(parse_matchers(given.get(side, "")), side) for side in ("cause", "effect"))
        return Inhibition(cause=cause, effect=effect, equal=_labels(given.get("equal", []), "equal"))

    # --- values ---

    def _hours(self, given: object) -> Hours:
        hours = Hours.parse(given)
        # A zone that there is not must be found now, and not when the first alert fires.
        hours.open(0.0, self._local)
        return hours

    def _known(self, given: object, key: str) -> tuple[str, ...]:
        names = _labels(given, key)
        for name in names:
            if name not in self._receivers:
                raise ConfigurationError(
                    f"{key}: there is no receiver {name!r}; known: {', '.join(self._receivers) or 'none'}"
                )
        return names

    def _escalations(self, given: object) -> tuple[Escalation, ...]:
        if not isinstance(given, list | tuple):
            raise ConfigurationError(f"escalate is {given!r}; write [{{'after': 900, 'receivers': [...]}}]")
        return tuple(self._escalation(one) for one in given)

    def _escalation(self, given: object) -> Escalation:
        if not isinstance(given, Mapping) or given.keys() != {"after", "receivers"}:
            raise ConfigurationError(f"{given!r} is no escalation; write {{'after': 900, 'receivers': [...]}}")
        return Escalation(
            after=_seconds(given, "after", 0.0, 1.0), receivers=self._known(given["receivers"], "receivers")
        )


def _each(
    given: object, place: str, keys: tuple[str, ...], read: Callable[[Mapping[str, Any]], Entry]
) -> tuple[list[Entry], list[Flaw]]:
    """Read a list entry by entry."""
    if not isinstance(given, list | tuple) or len(given) > MAX_ENTRIES:
        hint = f"Write a list of at most {MAX_ENTRIES} dictionaries."
        return [], [Flaw(place, "this is no such list", hint)]
    entries, flaws = [], []
    for number, one in enumerate(given):
        try:
            entries.append(read(_table(one, keys)))
        except ConfigurationError as error:
            message, _, hint = str(error).partition("; ")
            flaws.append(Flaw(f"{place}[{number}]", message, f"{hint[:1].upper()}{hint[1:]}."))
    return entries, flaws


def _table(given: object, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{given!r} is no dictionary; known keys: {', '.join(keys)}")
    for key in given:
        if key not in keys:
            raise ConfigurationError(f"there is no key {key!r}; known keys: {', '.join(keys)}")
    return given


def _pace(given: Mapping[str, Any]) -> Pace | None:
    if not any(key in given for key in PACE_KEYS):
        return None
    usual = Pace()
    return Pace(
        wait=_seconds(given, "wait", usual.wait),
        interval=_seconds(given, "interval", usual.interval, LEAST_INTERVAL),
        repeat=_seconds(given, "repeat", usual.repeat, LEAST_INTERVAL),
        digest=_switch(given, "digest"),
    )


def _seconds(given: Mapping[str, Any], key: str, default: float, least: float = 0.0) -> float:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= 7 * LONGEST:
        raise ConfigurationError(f"{key} is {value!r}; give a number of seconds of at least {least:g}")
    return float(value)


def _switch(given: Mapping[str, Any], key: str) -> bool:
    value = given.get(key, False)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{key} is {value!r}; write True or False")
    return value


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key)
    if not isinstance(value, str) or not value.strip() or len(value) > 100:  # noqa: PLR2004 - characters of a name
        raise ConfigurationError(f"{key} is {value!r}; give a text of at most 100 characters")
    return value


def _labels(given: object, key: str) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) and one for one in given):
        raise ConfigurationError(f"{key} is {given!r}; write a list of names, or []")
    return tuple(dict.fromkeys(given))


def _some(matchers: tuple[Matcher, ...], key: str) -> tuple[Matcher, ...]:
    if not matchers:
        raise ConfigurationError(f"{key} matches everything; name the alerts, as in 'rule=loop_blocked'")
    return matchers
