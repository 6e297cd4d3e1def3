"""
Groups: the alerts that one receiver is told of in one message, and which message is due when.

A group is *waiting* from its first alert until that is told; it then is *open*, an incident with a key of its own,
until everything that was told is over and that was told too. So for one group there is

- one message that something fires, after the pace's ``wait``;
- at most one in ``interval`` that more fires or some of it is over, but one at once if something is worse than all
  that was told (three times at most, as there are four severities);
- one for each ``repeat`` while nobody has acknowledged, and one when somebody has;
- one that all is over, not sooner than ``interval`` after the message before. What fires again until then was never
  told to be over, and is not told again.

In any time T one severity thus makes at most ``2 * (T / interval + 1)`` messages, however its alerts come and go, and
whoever was told that something fires is told when it is over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.core.routing import Post
from hub.core.rules import SEVERITIES, Alert, key_of

FIRED, CHANGED, REPEATED, ACKNOWLEDGED, OVER = "fired", "changed", "repeated", "acknowledged", "resolved"
#: Alerts that have come and gone which a digest remembers.
MAX_PASSED = 1000
_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}
_UNTOLD = len(SEVERITIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """
    A message that is due to one receiver.

    Attributes:
        incident: The same in all messages of an incident: the receiver's deduplication key.
        number: Of the message within its incident, from 1: with ``incident`` it names the message itself.
        kind: ``fired``, ``changed``, ``repeated``, ``acknowledged`` or ``resolved``.
        labels: Those that all its alerts agree in.
        severity: The worst of those that fire; when all is over, of those that did.
        since: When the incident was told first, wall clock.
        firing: Alerts that fire, the worst first.
        news: Keys of those that are told here for the first time.
        resolved: Alerts that were told and are over since the message before, or have come and gone.
        by: Who has acknowledged all that fires; empty: nobody.
    """

    incident: str
    number: int
    kind: str
    at: float
    route: str
    receiver: str
    labels: Mapping[str, str]
    severity: str
    since: float
    firing: tuple[Alert, ...] = ()
    news: frozenset[str] = frozenset()
    resolved: tuple[Alert, ...] = ()
    by: str = ""

    def pack(self) -> dict[str, Any]:
        """Plain values, for the outbox; see `unpack`."""
        alerts = {name: [alert.pack() for alert in getattr(self, name)] for name in ("firing", "resolved")}
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, **alerts, "labels": dict(self.labels), "news": sorted(self.news)}

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> "Notice":
        """The counterpart of `pack`."""
        alerts = {name: tuple(map(Alert.unpack, packed[name])) for name in ("firing", "resolved")}
        return cls(**{**packed, **alerts, "news": frozenset(packed["news"])})


@dataclass(slots=True)
class Group:
    """
    What one receiver was told of some alerts.

    Attributes:
        post: Whom it is told to, and how often.
        told: Alerts that were told and fire, by key.
        over: Alerts that were told and are over, which was not told.
        passed: Alerts that have come and gone and were not told, of a digest.
        waiting_since: When the first alert that was not told came, while the group is waiting.
        incident: The key of the incident while it is open; empty otherwise.
        worst: Rank of the worst that was told in this incident.
        acknowledged: It was told that somebody has acknowledged.
    """

    post: Post
    told: dict[str, Alert] = field(default_factory=dict)
    over: dict[str, Alert] = field(default_factory=dict)
    passed: dict[str, Alert] = field(default_factory=dict)
    waiting_since: float | None = None
    incident: str = ""
    number: int = 0
    since: float = 0.0
    told_at: float = 0.0
    worst: int = _UNTOLD
    acknowledged: bool = False

    @property
    def idle(self) -> bool:
        """Whether it can be forgotten."""
        return not self.incident and self.waiting_since is None and not self.passed

    @property
    def wait_ends_at(self) -> float | None:
        """When the first alert will have waited for more of its kind; None: the group is not waiting."""
        if self.incident or self.waiting_since is None:
            return None
        return self.waiting_since + (self.post.pace.wait if self.post.after is None else self.post.after)

    # --- what becomes of its alerts ---

    def begin(self, alert: Alert) -> None:
        """An alert fires; if that it was over was not told, it goes on."""
        if self.over.pop(alert.key, None) is not None:
            self.told[alert.key] = alert

    def end(self, alert: Alert) -> None:
        """An alert of the group is over."""
        if self.told.pop(alert.key, None) is not None:
            self.over[alert.key] = alert
        elif self.post.pace.digest and len(self.passed) < MAX_PASSED:
            self.passed[alert.key] = alert

    # --- what is due ---

    def due(self, current: Mapping[str, Alert], by: str, now: float, *, open_now: bool) -> Notice | None:
        """
        The message that is due now; it counts as told.

        Args:
            current: Alerts of the group that fire and are not muted.
            by: Who has acknowledged all that fires; empty: nobody.
            now: Wall-clock time, in seconds.
            open_now: Whether anything may be told at this hour.
        """
        self.acknowledged = self.acknowledged and bool(by)
        kind = self._kind_of_open(current, by, now) if self.incident else self._kind_of_waiting(current, now)
        return self._tell(kind, current, by, now) if kind is not None and open_now else None

    def _kind_of_waiting(self, current: Mapping[str, Alert], now: float) -> str | None:
        if not current and not self.passed:
            self.waiting_since = None
            return None
        if self.waiting_since is None:
            self.waiting_since = now
        ends_at = self.wait_ends_at
        if ends_at is not None and now < ends_at:
            return None
        return FIRED if current else OVER

    def _kind_of_open(self, current: Mapping[str, Alert], by: str, now: float) -> str | None:
        pace, passed = self.post.pace, now - self.told_at
        news = [alert for key, alert in current.items() if key not in self.told]
        if not self.told and not news:
            return OVER if passed >= pace.interval else None
        if any(_RANK[alert.severity] < self.worst for alert in news):
            return CHANGED
        if (news or self.over or self.passed) and passed >= pace.interval:
            return CHANGED
        if by and not self.acknowledged:
            return ACKNOWLEDGED
        # What is muted by now fires, but nobody wants to hear of it.
        return REPEATED if current and not by and passed >= pace.repeat else None

    def _tell(self, kind: str, current: Mapping[str, Alert], by: str, now: float) -> Notice:
        if not self.incident:
            self._open(now)
        firing = {**self.told, **current}
        resolved = (*self.over.values(), *self.passed.values())
        ranks = [_RANK[alert.severity] for alert in firing.values() or resolved]
        self.worst = min(self.worst, *ranks)
        self.number += 1
        notice = Notice(
            incident=self.incident, number=self.number, kind=kind, at=now, route=self.post.route,
            receiver=self.post.receiver, labels=dict(self.post.labels), severity=SEVERITIES[min(ranks)],
            since=self.since, firing=tuple(sorted(firing.values(), key=_order)),
            news=frozenset(current.keys() - self.told.keys()), resolved=resolved, by=by,
        )  # fmt: skip
        self.told, self.over, self.passed, self.told_at, self.acknowledged = firing, {}, {}, now, bool(by)
        if kind == OVER:
            self._close()
        return notice

    def _open(self, now: float) -> None:
        where = {f"label {label}": value for label, value in self.post.labels}
        after = "" if self.post.after is None else repr(self.post.after)
        self.incident = key_of(
            {**where, "route": self.post.route, "receiver": self.post.receiver, "after": after, "at": repr(now)}
        )
        self.since, self.waiting_since = now, None

    def _close(self) -> None:
        self.incident, self.number, self.worst, self.acknowledged, self.told = "", 0, _UNTOLD, False, {}

    # --- what is kept ---

    def pack(self) -> dict[str, Any]:
        """Plain values, but for the post; see `restore`."""
        alerts = {
            name: [alert.pack() for alert in kept.values()]
            for name, kept in (("told", self.told), ("over", self.over), ("passed", self.passed))
        }
        return {**alerts, **{name: getattr(self, name) for name in _PLAIN}}

    @classmethod
    def restore(cls, post: Post, packed: Mapping[str, Any]) -> "Group":
        """The counterpart of `pack`."""
        group = cls(post)
        for name in ("told", "over", "passed"):
            setattr(group, name, {alert.key: alert for alert in map(Alert.unpack, packed[name])})
        for name in _PLAIN:
            setattr(group, name, packed[name])
        return group


_PLAIN = ("waiting_since", "incident", "number", "since", "told_at", "worst", "acknowledged")


def _order(alert: Alert) -> tuple[int, float, str]:
    return _RANK[alert.severity], alert.since, alert.key
