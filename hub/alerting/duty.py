"""
The evaluator's duty: whichever process holds the lease runs the engine, and writes down what it says.

A process is *waiting* while another has the lease, and *on duty* while it has it itself. What the engine has decided
and the database did not take, as it was locked or away, is written with what comes next; the engine goes on meanwhile.
All that has come of several things that happened at once is one transaction.
Whoever has lost the lease forgets all that was not written: the next holder decides for itself.

All of this blocks: it belongs into a thread of its own, a call at a time. Faults of the database are raised, and the
next call is another chance.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hub.alerting.engine import Engine, Outcome
from hub.alerting.records import UNACKNOWLEDGE, Curve
from hub.alerting.store import Kept, LostLeaseError, Store, Writing
from hub.core.alerts import Muted
from hub.core.rules import Alert
from hub.core.series import Samples
from hub.core.silences import Silence
from hub.faults import record_fault
from hub.models import OperatorAction

#: Seconds between two looks whether the lease is free, and between two renewals.
ACQUIRE_INTERVAL, RENEW_INTERVAL = 2.0, 3.0
#: Seconds between two looks at what operators have done.
HEAR_INTERVAL = 1.0
#: Seconds between two times that the state of what is active is written though nothing has changed.
STATE_INTERVAL = 15.0
#: Seconds between two times that the numbers of what is active are written, and alerts in a second of that at most.
FIGURES_INTERVAL, FIGURES_PER_SECOND = 5.0, 100
#: Seconds between two points of a curve, points that are kept of one, and alerts that have one.
CURVE_STEP, MAX_POINTS, MAX_CURVES = 5.0, 60, 1000
#: Changes and messages that wait for the database at most; beyond, the engine begins anew with what is written.
MAX_UNWRITTEN = 50_000
#: Seconds that may pass until it is time to `Duty.flush` again: at rest, where every second has its tick, and while
#: something fires or has been told; and the least, for clocks and timers are not that exact.
REST, REST_WHILE_FIRING, SHORTEST_REST = 1.0, 0.2, 0.005


@dataclass(frozen=True, slots=True)
class Told:
    """
    Something has become of an alert, and is written.

    Attributes:
        kind: ``pending``, ``firing``, ``resolved``, ``inactive`` or ``acknowledged``.
        by: Who has acknowledged it; empty otherwise.
    """

    kind: str
    alert: Alert
    by: str = ""


@dataclass(frozen=True, slots=True)
class Flushed:
    """
    What is written by now.

    Attributes:
        told: What has become of alerts.
        posted: There is something new in the outbox.
    """

    told: tuple[Told, ...] = ()
    posted: bool = False


class Duty:
    """
    One process's share in evaluating: all of it, or none.

    Args:
        store: The database.
        make_engine: Gives an engine that knows nothing yet, for a wall-clock time.

    Attributes:
        engine: None while the process is waiting.
        firing: Alerts that fire, by severity.
    """

    def __init__(self, store: Store, make_engine: Callable[[float], Engine]) -> None:
        self.engine: Engine | None = None
        self.firing: dict[str, int] = {}
        self._store = store
        self._make_engine = make_engine
        self._writing = Writing()
        self._told: list[Told] = []
        self._posted = False
        # Nothing is written yet of what this engine knows: the database may have more as active.
        self._fresh = False
        # What the database says; None: that is not known.
        self._muted: dict[str, str | None] = {}
        self._curves: dict[str, Curve] = {}
        self._next_try = self._hear_at = self._renew_at = self._state_at = 0.0
        self._figures_at = self._curve_at = 0.0

    # --- what happens ---

    def stand_by(self, now: float) -> bool:
        """Take the lease, if it is free. Returns whether this process is on duty now."""
        if self.engine is None and now >= self._next_try:
            self._next_try = now + ACQUIRE_INTERVAL
            kept = self._store.acquire(now)
            if kept is not None:
                self._begin(kept, now)
        return self.engine is not None

    def tick(self, samples: Mapping[str, Samples] | None, now: float) -> None:
        """
        A second has passed.

        Args:
            samples: The fleet's numbers; None: nobody knows them at the moment.
            now: Wall-clock time, in seconds.
        """
        if self.engine is not None:
            self._take(self.engine.hold(now) if samples is None else self.engine.tick(samples, now), now)
            self._draw(self.engine, now)

    def event(self, event: Mapping[str, Any], now: float) -> None:
        """Something rare happened in the fleet."""
        if self.engine is not None:
            self._take(self.engine.event(event, now), now)

    def flush(self, now: float) -> Flushed:
        """
        Let time pass, hear what operators have done, and write down all that has come of what happened since.

        Raises:
            DatabaseError: It could not be written; it will be with the next call.
        """
        engine = self.engine
        if engine is None:
            return Flushed()
        self._take(engine.pass_time(now), now)
        try:
            self._hear(engine, now)
            self._keep(engine, now)
        except LostLeaseError:
            self._lose()
        except Exception:
            if len(self._told) > MAX_UNWRITTEN:
                self._lose()
            raise
        flushed, self._told, self._posted = Flushed(tuple(self._told), self._posted), [], False
        return flushed

    def rest(self, now: float) -> float:
        """Seconds after which to flush again though nothing happens: exactly then when a message is due."""
        if self.engine is None or not self.engine.alerts.watchful:
            return REST
        return min(REST_WHILE_FIRING, max(SHORTEST_REST, self.engine.alerts.next_wait(now)))

    def leave(self, now: float) -> None:
        """Write what is not written yet, and leave the lease to others."""
        engine, self.engine = self.engine, None
        if engine is None:
            return
        try:
            self._write(engine, now)
        except LostLeaseError:
            return
        self._store.release()

    # --- beginning and losing ---

    def _begin(self, kept: Kept, now: float) -> None:
        engine = self._make_engine(now)
        engine.alerts.put_silences(kept.silences)
        outcome = Outcome()
        if kept.state is not None:
            try:
                outcome = engine.restore(kept.state, now)
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                # Of a version that nobody knows any more: what fires will fire again.
                record_fault("alert state", error)
                engine = self._make_engine(now)
                engine.alerts.put_silences(kept.silences)
        self.engine, self._told, self._curves = engine, [], kept.curves
        self._muted = dict.fromkeys(engine.alerts.firing)
        self._writing, self._fresh = Writing(seen=self._store.seen), True
        self._state_at = self._hear_at = 0.0
        self._take(outcome, now)

    def _lose(self) -> None:
        self.engine, self._writing, self._told, self._posted, self.firing = None, Writing(), [], False, {}

    # --- what operators have done ---

    def _hear(self, engine: Engine, now: float) -> None:
        """Take what operators have done since, once a second."""
        if now < self._hear_at:
            return
        actions = self._store.actions(after=self._writing.seen)
        self._hear_at = now + HEAR_INTERVAL
        for action in actions:
            news = _apply(engine, action)
            self._told += [Told("acknowledged", alert, action.by) for alert in news]
        if actions:
            self._writing.seen = actions[-1].pk
            self._take(engine.pass_time(now), now)

    # --- what is kept ---

    def _take(self, outcome: Outcome, now: float) -> None:
        if not outcome:
            return
        self._writing.outcomes.append(outcome)
        self._told += [Told(alert.state, alert) for alert in outcome.changes]
        self._posted = self._posted or bool(outcome.notices)
        for alert in outcome.changes:
            self._muted.pop(alert.key, None)
            if alert.key in self._curves or len(self._curves) < MAX_CURVES:
                self._curves[alert.key] = _with_point(self._curves.get(alert.key, []), alert, now)

    def _keep(self, engine: Engine, now: float) -> None:
        """Write what there is to write."""
        self._mute(engine)
        writing = self._writing
        news = writing.outcomes or writing.muted or writing.figures or writing.seen != self._store.seen
        if news or now >= self._state_at:
            self._write(engine, now)
        elif now >= self._renew_at:
            self._store.renew(now)
            self._renew_at = now + RENEW_INTERVAL

    def _write(self, engine: Engine, now: float) -> None:
        writing = self._writing
        writing.state, writing.curves = engine.pack(), self._curves
        writing.active = {alert.key for alert in engine.active()} if self._fresh else None
        self._store.write(writing, now)
        self._fresh = False
        self._muted.update(writing.muted)
        self._writing = Writing(seen=writing.seen)
        self._renew_at, self._state_at = now + RENEW_INTERVAL, now + STATE_INTERVAL

    def _mute(self, engine: Engine) -> None:
        """Note what is not told now, or is again."""
        firing = engine.alerts.firing
        self._muted = {key: reason for key, reason in self._muted.items() if key in firing}
        reasons = ((key, _reason(one.muted)) for key, one in firing.items())
        self._writing.muted = {key: reason for key, reason in reasons if reason != self._muted.get(key, "")}
        self.firing = Counter(one.alert.severity for one in firing.values())

    def _draw(self, engine: Engine, now: float) -> None:
        """Add a point to the curves of what is active, every few seconds; a storm's are written less often."""
        if now < self._curve_at:
            return
        self._curve_at = now + CURVE_STEP
        active = engine.active()[:MAX_CURVES]
        self._curves = {alert.key: _with_point(self._curves.get(alert.key, []), alert, now) for alert in active}
        if now >= self._figures_at:
            self._writing.figures = active
            self._figures_at = now + max(FIGURES_INTERVAL, len(active) / FIGURES_PER_SECOND)


def _with_point(curve: Curve, alert: Alert, now: float) -> Curve:
    """A curve with one more point; one that grows too long loses every other one."""
    if alert.value is None or (curve and curve[-1][0] >= now):
        return curve
    longer = [*curve, (now, alert.value)]
    return longer if len(longer) <= MAX_POINTS else longer[1::2]


def _reason(muted: Muted | None) -> str:
    return "" if muted is None else f"{muted.how} by {muted.by}" if muted.by else muted.how


def _apply(engine: Engine, action: OperatorAction) -> list[Alert]:
    """Do what an operator has done; it may come too late to mean anything. Returns alerts newly acknowledged."""
    if action.silence is not None:
        made = Silence.unpack(action.silence)
        engine.alerts.put_silences({made.id: made})
        return []
    at = action.at.timestamp()
    one = engine.alerts.firing.get(action.alert_key)
    if one is None or (one.alert.fired_at or 0.0) > at:
        return []
    if action.kind == UNACKNOWLEDGE:
        engine.alerts.unacknowledge([action.alert_key])
        return []
    return [one.alert for _ in engine.alerts.acknowledge([action.alert_key], action.by, at)]
