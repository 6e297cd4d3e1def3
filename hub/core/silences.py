"""
What keeps alerts from being told: silences, maintenance windows, inhibitions. None of them keeps an alert from firing,
nor from being told that it is over once somebody was told that it fires.

A silence is *coming*, then *active*, then *expired*; ending it early expires it. It may be changed in several places
at once: of two versions the one changed last holds, everywhere (`merge_silences`).

For the rooms around: what an operator who is bound to tenants writes must name one of them, see `pinned`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from hub.core.hours import Hours, Local
from hub.core.matchers import EQUAL, Matcher, match

COMING, ACTIVE, EXPIRED = "coming", "active", "expired"
#: Seconds that an inhibition outlasts its cause: what it caused takes a while to recover.
LINGER = 60.0
#: Seconds that an expired silence is remembered, so that an older version of it can't come back.
REMEMBERED = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """
    Somebody does not want to be told, for a while. Times are wall-clock seconds.

    Attributes:
        id: Unique.
        matchers: Of which alerts; at least one.
        starts_at: From when on.
        ends_at: Until when.
        by: Who said so.
        why: For those who wonder.
        changed_at: When this version was made.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: float
    ends_at: float
    by: str
    why: str
    changed_at: float

    def state(self, now: float) -> str:
        """``coming``, ``active`` or ``expired``."""
        return COMING if now < self.starts_at else ACTIVE if now < self.ends_at else EXPIRED

    def mutes(self, labels: Mapping[str, str], now: float) -> bool:
        """Whether an alert with these labels is not told now."""
        return self.starts_at <= now < self.ends_at and bool(self.matchers) and match(self.matchers, labels)

    def ended(self, by: str, now: float) -> "Silence":
        """The silence, ended before its time."""
        return replace(self, ends_at=min(self.ends_at, now), by=by, changed_at=now)

    def pack(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "matchers": [[one.label, one.sign, one.value] for one in self.matchers]}

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> "Silence":
        """The counterpart of `pack`."""
        return cls(**{**packed, "matchers": tuple(Matcher(*one) for one in packed["matchers"])})


def merge_silences(one: Mapping[str, Silence], other: Mapping[str, Silence]) -> dict[str, Silence]:
    """
    What follows from two places' silences, by id: of each the newest version. Commutative, associative, idempotent.
    """
    merged = dict(one)
    for name, silence in other.items():
        before = merged.get(name)
        if before is None or _version(silence) > _version(before):
            merged[name] = silence
    return merged


def _version(silence: Silence) -> tuple[Any, ...]:
    # Changed at the same moment in two places: the earlier end holds, as who is told too much loses less.
    return silence.changed_at, -silence.ends_at, silence.starts_at, silence.by, silence.why, silence.matchers


def expire_silences(silences: Mapping[str, Silence], now: float) -> dict[str, Silence]:
    """Those that are not long expired."""
    return {name: silence for name, silence in silences.items() if now - silence.ends_at < REMEMBERED}


def pinned(matchers: Iterable[Matcher], label: str) -> str | None:
    """The one value of a label that matchers demand; None if they let several pass."""
    found = {matcher.value for matcher in matchers if matcher.label == label and matcher.sign == EQUAL}
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """A silence that comes back every week; ``matchers`` as those of a `Silence`, none means all alerts."""

    name: str
    hours: Hours
    matchers: tuple[Matcher, ...] = ()

    def mutes(self, labels: Mapping[str, str], now: float, local: Local) -> bool:
        """Whether an alert with these labels is not told now."""
        return match(self.matchers, labels) and self.hours.open(now, local)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inhibition:
    """
    While one alert fires, others that it explains are not told.

    Attributes:
        cause: Which alerts explain.
        effect: Which alerts they explain; one that is a cause as well is always told.
        equal: Labels that both must agree in.
    """

    cause: tuple[Matcher, ...]
    effect: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()


class Causes:
    """
    What explains what at the moment.

    Args:
        inhibitions: What explains what in general.
    """

    def __init__(self, inhibitions: Iterable[Inhibition]) -> None:
        self._inhibitions = tuple(inhibitions)
        self._by_values: list[dict[tuple[str, ...], dict[str, None]]] = [{} for _ in self._inhibitions]
        self._over: list[dict[tuple[str, ...], float]] = [{} for _ in self._inhibitions]

    def begin(self, key: str, labels: Mapping[str, str]) -> None:
        """An alert fires."""
        for inhibition, causes in zip(self._inhibitions, self._by_values, strict=True):
            if match(inhibition.cause, labels):
                causes.setdefault(_values(inhibition, labels), {})[key] = None

    def end(self, key: str, labels: Mapping[str, str], now: float) -> None:
        """An alert does not fire any more."""
        for number, inhibition in enumerate(self._inhibitions):
            values = _values(inhibition, labels)
            causes = self._by_values[number].get(values, {})
            if causes.pop(key, "") is None and not causes:
                del self._by_values[number][values]
                self._over[number][values] = now

    def effect_of(self, labels: Mapping[str, str]) -> list[tuple[int, tuple[str, ...]]]:
        """What could explain an alert with these labels, for `explain`: it is the same for as long as it fires."""
        return [
            (number, _values(inhibition, labels))
            for number, inhibition in enumerate(self._inhibitions)
            if match(inhibition.effect, labels) and not match(inhibition.cause, labels)
        ]

    def explain(self, effects: Iterable[tuple[int, tuple[str, ...]]], now: float) -> str | None:
        """The key of an alert that explains, or has just explained, an effect; None if nothing does."""
        for number, values in effects:
            for key in self._by_values[number].get(values, ()):
                return key
            over = self._over[number].get(values)
            if over is not None and now - over < LINGER:
                return ""
        return None

    def expire(self, now: float) -> None:
        """Forget what was over long ago."""
        self._over = [{values: at for values, at in over.items() if now - at < LINGER} for over in self._over]

    def pack(self) -> list[list[list[Any]]]:
        """What was over a moment ago, as plain values; what fires is kept by whoever says that it does."""
        return [[[list(values), at] for values, at in over.items()] for over in self._over]

    def restore(self, packed: Iterable[Iterable[Any]]) -> None:
        """The counterpart of `pack`; of other inhibitions nothing is known."""
        for over, kept in zip(self._over, packed, strict=False):
            over.update({tuple(values): at for values, at in kept})


def _values(inhibition: Inhibition, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(label, "") for label in inhibition.equal)
