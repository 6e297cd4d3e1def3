"""
The evaluator's duty: whichever process holds the lease runs the engine, and writes down what it says.

A process is *waiting* while another has the lease, and *on duty* while it has it itself. What the engine has decided
and the database did not take, as it was locked or away, is written with what comes next; the engine goes on meanwhile.
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
#: Seconds between two times that the state of what is active is written though nothing has changed.
STATE_INTERVAL = 15.0
#: Seconds between two points of a curve, points that are kept of one, and alerts that have one.
CURVE_STEP, MAX_POINTS, MAX_CURVES = 5.0, 60, 1000
#: Changes and messages that wait for the database at most; beyond, the engine begins anew with what is written.
MAX_UNWRITTEN = 50_000


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
        self._muted: dict[str, str] = {}
        self._curves: dict[str, Curve] = {}
        self._next_try = self._renew_at = self._state_at = self._curve_at = 0.0

    # --- what happens ---

    def stand_by(self, now: float) -> bool:
        """Take the lease, if it is free. Returns whether this process is on duty now."""
        if self.engine is None and now >= self._next_try:
            self._next_try = now + ACQUIRE_INTERVAL
            kept = self._store.acquire(now)
            if kept is not None:
                self._begin(kept, now)
        return self.engine is not None

    def tick(self, samples: Mapping[str, Samples] | None, now: float) -> list[Told]:
        """
        A second has passed.

        Args:
            samples: The fleet's numbers; None: nobody knows them at the moment.
            now: Wall-clock time, in seconds.

        Returns:
            What has become of alerts, and is written.
        """
        if self.engine is None:
            return []
        outcome = self.engine.hold(now) if samples is None else self.engine.tick(samples, now)
        self._hear(self.engine, now)
        self._draw(self.engine, now)
        return self._keep(self.engine, outcome, now)

    def event(self, event: Mapping[str, Any], now: float) -> list[Told]:
        """Something rare happened in the fleet. Returns what `tick` does."""
        return [] if self.engine is None else self._keep(self.engine, self.engine.event(event, now), now)

    def pass_time(self, now: float) -> list[Told]:
        """Nothing happened but time. Returns what `tick` does."""
        return [] if self.engine is None else self._keep(self.engine, self.engine.pass_time(now), now)

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
            except (KeyError, TypeError, ValueError) as error:
                # Of a version that nobody knows any more: what fires will fire again.
                record_fault("alert state", error)
                engine = self._make_engine(now)
                engine.alerts.put_silences(kept.silences)
        self.engine, self._told, self._muted, self._curves = engine, [], {}, kept.curves
        active = {alert.key for alert in engine.active()}
        self._writing = Writing(seen=self._store.seen, active=active)
        self._state_at = 0.0
        self._take(outcome, now)

    def _lose(self) -> None:
        self.engine, self._writing, self._told, self.firing = None, Writing(), [], {}

    # --- what operators have done ---

    def _hear(self, engine: Engine, now: float) -> None:
        """Take what operators have done since."""
        actions = self._store.actions(after=self._writing.seen)
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
        for alert in outcome.changes:
            if alert.key in self._curves or len(self._curves) < MAX_CURVES:
                self._curves[alert.key] = _with_point(self._curves.get(alert.key, []), alert, now)

    def _keep(self, engine: Engine, outcome: Outcome, now: float) -> list[Told]:
        """Write what there is to write. Returns what has changed."""
        self._take(outcome, now)
        self._mute(engine)
        writing = self._writing
        news = writing.outcomes or writing.muted or writing.active is not None or writing.seen != self._store.seen
        try:
            if news or now >= self._state_at:
                self._write(engine, now)
            elif now >= self._renew_at:
                self._store.renew(now)
                self._renew_at = now + RENEW_INTERVAL
        except LostLeaseError:
            self._lose()
        except Exception:
            if len(self._told) > MAX_UNWRITTEN:
                self._lose()
            raise
        told, self._told = self._told, []
        return told

    def _write(self, engine: Engine, now: float) -> None:
        writing = self._writing
        writing.state, writing.curves = engine.pack(), self._curves
        self._store.write(writing, now)
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
        """Add a point to the curves of what is active, every few seconds; the lot is written from time to time."""
        if now < self._curve_at:
            return
        self._curve_at = now + CURVE_STEP
        active = engine.active()[:MAX_CURVES]
        self._curves = {alert.key: _with_point(self._curves.get(alert.key, []), alert, now) for alert in active}
        if now >= self._state_at:
            self._writing.figures = active


def _with_point(curve: Curve, alert: Alert, now: float) -> Curve:
    """A curve with one more point; one that grows too long loses every other one."""
    if alert.value is None:
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
