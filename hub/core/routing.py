"""
Routing: who is told of an alert, how soon, how often, and why.

Routes are tried in their order. The first one that fits is taken; the search ends there unless the route says
``go_on``. An alert that no route fits goes to the receivers of last resort, so that none is told to nobody.

A route does not fit outside its hours, unless it holds: then it fits, and what it has to tell waits until they begin.

For the rooms around: `explain` is what ``hub_route`` prints; receivers are names here, the outbox knows what they are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hub.core.hours import Hours, Local
from hub.core.matchers import Matcher, match
from hub.core.rules import CRITICAL, HIGH, LOW, MEDIUM

#: The route of what fits no other.
LAST_RESORT = "last resort"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """
    How soon and how often one group of alerts is told of; in seconds.

    Attributes:
        wait: From the first alert to the first message: what fires meanwhile is in it.
        interval: The least between a message and the next one that tells of more alerts, or that all is over. A new
            alert worse than all that were told is told at once.
        repeat: From a message to its repetition, while nobody has acknowledged.
        digest: Alerts that have come and gone before anybody was told are told too.
    """

    wait: float = 0.25
    interval: float = 60.0
    repeat: float = 4 * 3600.0
    digest: bool = False


#: Where a route says nothing of it: as soon as somebody has to act.
PACES = {
    CRITICAL: Pace(repeat=1800.0),
    HIGH: Pace(repeat=3600.0),
    MEDIUM: Pace(wait=10.0, interval=300.0, repeat=4 * 3600.0),
    LOW: Pace(wait=300.0, interval=3600.0, repeat=24 * 3600.0, digest=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """Whom to tell as well when nobody has acknowledged for so many seconds."""

    after: float
    receivers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    Who is told of some alerts.

    Attributes:
        name: Unique.
        receivers: Who; none: nobody is, on purpose.
        matchers: Of which alerts.
        by: Labels by which alerts are grouped: those that agree in all of them are one message. Without a pace of its
            own a route never puts different severities into one.
        hours: When it fits; None: always.
        hold: Outside its hours it fits as well, and what it tells waits.
        pace: None: that of the alert's severity, see `PACES`.
        escalations: Who is told if nobody acknowledges.
        go_on: Later routes are tried as well.
    """

    name: str
    receivers: tuple[str, ...]
    matchers: tuple[Matcher, ...] = ()
    by: tuple[str, ...] = ("rule",)
    hours: Hours | None = None
    hold: bool = False
    pace: Pace | None = None
    escalations: tuple[Escalation, ...] = ()
    go_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """
    One receiver's place in a route: what is told there is grouped and counted by itself.

    Attributes:
        after: Of an escalation: seconds without acknowledgement after which it is told; else None.
    """

    route: str
    receiver: str
    labels: tuple[tuple[str, str], ...]
    pace: Pace
    hours: Hours | None = None
    after: float | None = None

    @property
    def key(self) -> tuple[str, str, float | None, tuple[tuple[str, str], ...]]:
        """What alerts must agree in to be one message."""
        return self.route, self.receiver, self.after, self.labels


@dataclass(frozen=True, slots=True)
class Reason:
    """What became of an alert at one route, and why, in words."""

    route: str
    taken: bool
    why: str
    posts: tuple[Post, ...] = field(default=())


class Routing:
    """
    Who is told of what.

    Args:
        routes: In the order in which they are tried.
        last_resort: Receivers of what no route fits.
    """

    def __init__(self, routes: Iterable[Route], last_resort: Iterable[str]) -> None:
        self.routes = tuple(routes)
        self._last = Route(name=LAST_RESORT, receivers=tuple(last_resort))

    @property
    def receivers(self) -> list[str]:
        """The names of all there are, each once."""
        named = [
            receiver
            for route in (*self.routes, self._last)
            for group in (route.receivers, *(escalation.receivers for escalation in route.escalations))
            for receiver in group
        ]
        return list(dict.fromkeys(named))

    def explain(self, labels: Mapping[str, str], now: float, local: Local) -> list[Reason]:
        """What becomes of an alert with these labels at each route, up to the one where the search ends."""
        reasons, taken = [], False
        for route in self.routes:
            why_not = _why_not(route, labels, now, local)
            if why_not is not None:
                reasons.append(Reason(route.name, taken=False, why=why_not))
                continue
            taken = True
            reasons.append(Reason(route.name, taken=True, why=_why(route), posts=_posts(route, labels)))
            if not route.go_on:
                break
        if not taken:
            reasons.append(Reason(LAST_RESORT, taken=True, why="no route fits", posts=_posts(self._last, labels)))
        return reasons

    def posts(self, labels: Mapping[str, str], now: float, local: Local) -> list[Post]:
        """Where an alert with these labels is told, each place once."""
        posts = [post for reason in self.explain(labels, now, local) for post in reason.posts]
        return list({post.key: post for post in posts}.values())


def _why_not(route: Route, labels: Mapping[str, str], now: float, local: Local) -> str | None:
    for matcher in route.matchers:
        if not match((matcher,), labels):
            return f"{matcher} does not match: {matcher.label} is {labels.get(matcher.label, '')!r}"
    if route.hours is not None and not route.hold and not route.hours.open(now, local):
        return f"outside of its hours, {route.hours}"
    return None


def _why(route: Route) -> str:
    matched = ", ".join(map(str, route.matchers)) + " matches" if route.matchers else "it takes everything"
    if route.hours is not None:
        matched += f"; told in its hours, {route.hours}"
    return f"{matched}; the next ones are tried too" if route.go_on else matched


def _posts(route: Route, labels: Mapping[str, str]) -> tuple[Post, ...]:
    pace = route.pace or PACES.get(labels.get("severity", ""), Pace())
    # What is urgent must not wait at the pace of what is not.
    by = route.by if route.pace is not None or "rule" in route.by else tuple(dict.fromkeys((*route.by, "severity")))
    group = tuple((label, labels.get(label, "")) for label in by)
    places: list[tuple[str, float | None]] = [(receiver, None) for receiver in route.receivers]
    for escalation in route.escalations:
        places += [(receiver, escalation.after) for receiver in escalation.receivers]
    return tuple(
        Post(route=route.name, receiver=receiver, labels=group, pace=pace, after=after,
             hours=route.hours if route.hold else None)
        for receiver, after in places
    )  # fmt: skip
