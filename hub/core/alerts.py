"""
The life of alerts once they fire: muted or not, acknowledged or not, told to whom, and when that is due.

An alert is *muted* while a silence, a maintenance window or another alert that explains it (an inhibition) says so; it
fires all the same. One that is not muted belongs to the groups (`hub.core.groups`) where routing puts it, once and for
as long as it fires: who was told of it is told that it is over.

What the rooms around it have to do, in one transaction with the evaluator's epoch: hand over what `Evaluator.evaluate`
has returned (`take`), take what is `due`, and write that into the outbox under `Notice.incident` and `Notice.number`
(together a key that no other message has), with `pack`, the history of alerts and their changes. Time passes: call
`due` every second, while it is `watchful` several times in it, and when `next_wait` says. Silences and acknowledgements
come from operators by way of the database, which `put_silences` merges. After a start `restore`, then `withdraw` what
no rule says any more.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from hub.core.groups import Group, Notice
from hub.core.hours import Local
from hub.core.matchers import Matcher, match
from hub.core.routing import Pace, Post, Routing
from hub.core.rules import FIRING, RESOLVED, Alert
from hub.core.silences import Causes, Inhibition, Maintenance, Silence, expire_silences, merge_silences

SILENCED, IN_MAINTENANCE, INHIBITED = "silenced", "in maintenance", "inhibited"

PostKey = tuple[str, str, float | None, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Muted:
    """Why an alert is not told: ``silenced``, ``in maintenance`` or ``inhibited``, and by what, a name or a key."""

    how: str
    by: str


@dataclass(slots=True, eq=False)
class Firing:
    """
    An alert that fires, and what has become of it.

    Attributes:
        posts: Where it is told; None until it is not muted for the first time.
        holders: Groups that were told of it, and not that it was over, when it began to fire again.
        muted: Why it was not told at the last look; None if it was.
        acknowledged_by: Who has acknowledged it; empty: nobody.
        acknowledged_at: Wall-clock time, in seconds.
    """

    alert: Alert
    effects: list[tuple[int, tuple[str, ...]]]
    posts: tuple[Post, ...] | None = None
    holders: tuple[Post, ...] = ()
    muted: Muted | None = None
    acknowledged_by: str = ""
    acknowledged_at: float | None = None


class Alerts:
    """
    All alerts that fire, and what is told of them.

    Args:
        routing: Who is told.
        local: Knows the time of day in time zones.
        inhibitions: Which alerts explain others.
        maintenance: When nothing is told.

    Attributes:
        firing: By key.
        silences: By id.
    """

    def __init__(
        self,
        routing: Routing,
        local: Local,
        inhibitions: Iterable[Inhibition] = (),
        maintenance: Iterable[Maintenance] = (),
    ) -> None:
        self._routing = routing
        self._local = local
        self._maintenance = tuple(maintenance)
        self._causes = Causes(inhibitions)
        self._groups: dict[PostKey, Group] = {}
        # Where somebody may have to be told yet that an alert is over.
        self._waning: dict[str, tuple[Post, ...]] = {}
        self.firing: dict[str, Firing] = {}
        self.silences: dict[str, Silence] = {}

    # --- what comes in ---

    def take(self, changes: Iterable[Alert], now: float) -> None:
        """Take what an evaluation has changed; who is only pending is nobody's concern."""
        for alert in changes:
            if alert.state == FIRING:
                self._begin(alert)
            elif alert.state == RESOLVED:
                self._end(alert, now)

    def _begin(self, alert: Alert) -> None:
        known = self.firing.get(alert.key)
        if known is not None:
            known.alert = alert
            return
        self.firing[alert.key] = Firing(alert, self._causes.effect_of(alert.labels))
        self._causes.begin(alert.key, alert.labels)
        holders = [post for post in self._waning.pop(alert.key, ()) if self._is_over(alert.key, post)]
        for post in holders:
            self._groups[post.key].begin(alert)
        self.firing[alert.key].holders = tuple(holders)

    def _end(self, alert: Alert, now: float) -> None:
        known = self.firing.pop(alert.key, None)
        if known is None:
            return
        self._causes.end(alert.key, alert.labels, now)
        placed = known.holders if known.posts is None else known.posts
        posts = [post for post in placed if post.key in self._groups]
        for post in posts:
            self._groups[post.key].end(alert)
        self._waning[alert.key] = tuple(posts)

    def _is_over(self, key: str, post: Post) -> bool:
        """Whether it was not told there yet that an alert is over."""
        return post.key in self._groups and key in self._groups[post.key].over

    def renew(self, alerts: Iterable[Alert]) -> None:
        """Take the newest figures of alerts that fire, so that repetitions don't tell old ones."""
        for alert in alerts:
            known = self.firing.get(alert.key)
            if known is not None and alert.state == FIRING:
                known.alert = alert

    def withdraw(self, active: Iterable[str], now: float) -> list[Alert]:
        """
        Resolve what fires and is in nobody's charge any more, as its rule is gone.

        Args:
            active: Keys of what the evaluator has.

        Returns:
            What was resolved.
        """
        kept = set(active)
        gone = [
            replace(one.alert, state=RESOLVED, resolved_at=now) for key, one in self.firing.items() if key not in kept
        ]
        self.take(gone, now)
        return gone

    # --- what operators say ---

    def put_silences(self, silences: Mapping[str, Silence]) -> None:
        """Take silences as they are elsewhere; of each the newest version holds."""
        self.silences = merge_silences(self.silences, silences)

    def acknowledge(self, keys: Iterable[str], by: str, now: float) -> list[str]:
        """Somebody takes care of alerts. Returns the keys of those for which that is news."""
        news = [key for key in keys if key in self.firing and not self.firing[key].acknowledged_by]
        for key in news:
            self.firing[key].acknowledged_by, self.firing[key].acknowledged_at = by, now
        return news

    def unacknowledge(self, keys: Iterable[str]) -> list[str]:
        """Nobody takes care of alerts any more. Returns the keys of those for which that is news."""
        news = [key for key in keys if key in self.firing and self.firing[key].acknowledged_by]
        for key in news:
            self.firing[key].acknowledged_by, self.firing[key].acknowledged_at = "", None
        return news

    def preview(self, matchers: Iterable[Matcher]) -> list[Alert]:
        """What fires and would be silenced by such matchers."""
        matchers = tuple(matchers)
        return [one.alert for one in self.firing.values() if matchers and match(matchers, one.alert.labels)]

    # --- what goes out ---

    def due(self, now: float) -> list[Notice]:
        """The messages that are due now; they count as told."""
        self.silences = expire_silences(self.silences, now)
        self._causes.expire(now)
        current = self._current(now)
        notices = []
        for key, group in list(self._groups.items()):
            entries = current.get(key, {})
            if group.post.after is not None:
                entries = {name: one for name, one in entries.items() if not one.acknowledged_by or name in group.told}
            open_now = group.post.hours is None or group.post.hours.open(now, self._local)
            alerts = {name: one.alert for name, one in entries.items()}
            notice = group.due(alerts, self._acknowledged(group, alerts), now, open_now=open_now)
            if notice is not None:
                notices.append(notice)
            if group.idle and key not in current:
                del self._groups[key]
        self._waning = {
            key: posts for key, posts in self._waning.items() if any(self._is_over(key, post) for post in posts)
        }
        return notices

    @property
    def watchful(self) -> bool:
        """Whether the time alone may make a message due."""
        return bool(self.firing or self._groups)

    def next_wait(self, now: float) -> float:
        """Seconds until the first message of a group has waited for more of its kind; infinite if none waits."""
        waits = (group.wait_ends_at - now for group in self._groups.values() if group.wait_ends_at is not None)
        # What has waited long enough waits for something else: for its hour.
        return min((seconds for seconds in waits if seconds > 0), default=inf)

    def _current(self, now: float) -> dict[PostKey, dict[str, Firing]]:
        """What fires and is not muted, by where it is told."""
        mute = self._mute_at(now)
        current: dict[PostKey, dict[str, Firing]] = {}
        for key, one in self.firing.items():
            one.muted = mute(one)
            if one.muted is not None:
                continue
            if one.posts is None:
                one.posts = self._place(one, now)
            for post in one.posts:
                current.setdefault(post.key, {})[key] = one
                if post.key not in self._groups:
                    self._groups[post.key] = Group(post)
        return current

    def _mute_at(self, now: float) -> Callable[[Firing], Muted | None]:
        """What says of an alert why it is not told now."""
        silences = [silence for silence in self.silences.values() if silence.starts_at <= now < silence.ends_at]
        windows = [window for window in self._maintenance if window.hours.open(now, self._local)]

        def mute(one: Firing) -> Muted | None:
            labels = one.alert.labels
            for silence in silences:
                if silence.mutes(labels, now):
                    return Muted(SILENCED, silence.id)
            for window in windows:
                if match(window.matchers, labels):
                    return Muted(IN_MAINTENANCE, window.name)
            cause = self._causes.explain(one.effects, now) if one.effects else None
            return None if cause is None else Muted(INHIBITED, cause)

        return mute

    def _place(self, one: Firing, now: float) -> tuple[Post, ...]:
        """Where an alert is told from now on."""
        routed = self._routing.posts(one.alert.labels, now, self._local)
        return tuple({post.key: post for post in (*one.holders, *routed)}.values())

    def _acknowledged(self, group: Group, current: Mapping[str, Alert]) -> str:
        """Who has acknowledged all that fires in a group; empty: nobody."""
        who = [self.firing[key].acknowledged_by for key in {**group.told, **current}]
        return who[0] if who and all(who) else ""

    # --- what is kept ---

    def pack(self) -> dict[str, Any]:
        """What another process has to know to go on, as plain values; silences and rules are kept elsewhere."""
        return {
            "firing": [
                {
                    "alert": one.alert.pack(),
                    "posts": None if one.posts is None else [_plain(post.key) for post in one.posts],
                    "holders": [_plain(post.key) for post in one.holders],
                    "acknowledged": [one.acknowledged_by, one.acknowledged_at],
                }
                for one in self.firing.values()
            ],
            "groups": [[_plain(key), group.pack()] for key, group in self._groups.items()],
            "explained": self._causes.pack(),
        }

    def restore(self, packed: Mapping[str, Any], now: float) -> None:
        """
        Go on where another process was. A group whose route is gone is told at the usual pace until all is over.
        """
        self._causes.restore(packed["explained"])
        for plain, kept in packed["groups"]:
            group = Group.restore(_lost(_post_key(plain)), kept)
            sample = next(iter((*group.told.values(), *group.over.values(), *group.passed.values())), None)
            if sample is not None:
                group.post = self._posts_of([plain], sample, now)[0]
            self._groups[group.post.key] = group
            for key in group.over:
                self._waning[key] = (*self._waning.get(key, ()), group.post)
        for kept in packed["firing"]:
            alert = Alert.unpack(kept["alert"])
            one = self.firing[alert.key] = Firing(alert, self._causes.effect_of(alert.labels))
            self._causes.begin(alert.key, alert.labels)
            one.posts = None if kept["posts"] is None else self._posts_of(kept["posts"], alert, now)
            one.holders = self._posts_of(kept["holders"], alert, now)
            one.acknowledged_by, one.acknowledged_at = kept["acknowledged"]

    def _posts_of(self, plain: Iterable[Iterable[Any]], alert: Alert, now: float) -> tuple[Post, ...]:
        """Places by their keys: as they are routed today, or as they were."""
        routed = {post.key: post for post in self._routing.posts(alert.labels, now, self._local)}
        return tuple(routed.get(key) or _lost(key) for key in map(_post_key, plain))


def _plain(key: PostKey) -> list[Any]:
    return [*key[:3], [list(pair) for pair in key[3]]]


def _post_key(plain: Iterable[Any]) -> PostKey:
    route, receiver, after, labels = plain
    return route, receiver, after, tuple((label, value) for label, value in labels)


def _lost(key: PostKey) -> Post:
    """A place that is in no route any more."""
    route, receiver, after, labels = key
    return Post(route=route, receiver=receiver, labels=labels, pace=Pace(), after=after)
