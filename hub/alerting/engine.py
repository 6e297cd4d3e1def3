"""
The engine, as far as it decides: rules and alerts of a fleet, from what happens to what has to be written down.

Everything that comes in gives an `Outcome`. Nothing here reads a clock, a file or a network; the part that does

- runs on the node that holds the lease, and hands over every tick of the fleet's view (read by `hub.alerting.sources`
  on the loop, evaluated in a thread of its own: a call at a time) and every event as it comes;
- makes silences and acknowledgements of operators calls of `Engine.alerts` in that same thread;
- calls `Engine.pass_time` when `Engine.alerts` wants it, and `hold` in place of `tick` while the view is frozen;
- writes each outcome that says something into the database before the next call: changes into the history of alerts,
  notices into the outbox, `Engine.pack` beside the epoch, all in one transaction that fails if the epoch is not its own
  any more; then the engine is thrown away;
- tells the feed of the changes, and receivers, by way of the outbox, of the notices.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hub.alerting.sources import EVENTS, SLOW
from hub.core.alerts import Alerts
from hub.core.groups import Notice
from hub.core.rules import FIRING, Alert, Evaluator, Rule
from hub.core.series import Samples, Watched

#: Seconds between two times that the figures of alerts that fire are renewed.
RENEW_INTERVAL = 15.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What has to be written down, at once.

    Attributes:
        changes: Alerts that are pending, firing, resolved, or inactive (they never fired).
        notices: Messages that are due.
    """

    changes: tuple[Alert, ...] = ()
    notices: tuple[Notice, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes or self.notices)


class Engine:
    """
    Rules and alerts of a fleet.

    Args:
        rules: What is looked at.
        watched: The metrics there are.
        alerts: What is told, and to whom.
        now: Wall-clock time, in seconds; all times here are.
    """

    def __init__(self, rules: Iterable[Rule], watched: Mapping[str, Watched], alerts: Alerts, now: float) -> None:
        self._evaluator = Evaluator(rules, watched, now)
        self._renewed_at = now
        self.alerts = alerts

    # --- what happens ---

    def tick(self, samples: Mapping[str, Samples], now: float) -> Outcome:
        """The fleet's numbers are new."""
        self._evaluator.take(samples, now)
        outcome = self._outcome(self._evaluator.evaluate(now), now)
        if now - self._renewed_at >= RENEW_INTERVAL:
            self._renewed_at = now
            self.alerts.renew(self._evaluator.active())
        return outcome

    def event(self, event: Mapping[str, Any], now: float) -> Outcome:
        """
        Something rare happened; it need not wait for the tick.

        Args:
            event: As it is on the bus: the fields of `hub.core.events.Event`, with ``node``.
        """
        own = (event["consumer"], event["tenant"], event["node"])
        touched = {EVENTS} if self._evaluator.add(EVENTS, (event["kind"], *own), event["count"], now) else set()
        if event["kind"] == "slow.opened" and "cause" in event["details"]:
            cause = str(event["details"]["cause"])
            touched |= {SLOW} if self._evaluator.add(SLOW, (cause, *own), 1.0, now) else set()
        return self._outcome(self._evaluator.evaluate(now, frozenset(touched)) if touched else [], now)

    def hold(self, now: float) -> Outcome:
        """Nobody knows the fleet's numbers at the moment."""
        self._evaluator.hold(now)
        return self._outcome([], now)

    def pass_time(self, now: float) -> Outcome:
        """Nothing happened but time."""
        return self._outcome([], now)

    def _outcome(self, changes: list[Alert], now: float) -> Outcome:
        self.alerts.take(changes, now)
        return Outcome(tuple(changes), tuple(self.alerts.due(now)))

    # --- what there is ---

    def active(self) -> list[Alert]:
        """All alerts that are pending or firing, with their newest figures."""
        return self._evaluator.active()

    @property
    def refused(self) -> int:
        """Samples that found no room: what they belong to is not looked at."""
        return self._evaluator.series.refused

    # --- what is kept ---

    def pack(self) -> dict[str, Any]:
        """What another engine has to know to go on, as plain values."""
        return {"states": self._evaluator.pack(), "alerts": self.alerts.pack()}

    def restore(self, packed: Mapping[str, Any], now: float) -> Outcome:
        """Go on where another engine was; alerts of rules that are gone, or say other labels now, are over."""
        self._evaluator.restore(packed["states"])
        self.alerts.restore(packed["alerts"], now)
        active = self._evaluator.active()
        gone = self.alerts.withdraw((alert.key for alert in active), now)
        fresh = [alert for alert in active if alert.state == FIRING and alert.key not in self.alerts.firing]
        self.alerts.take(fresh, now)
        return Outcome((*gone, *fresh), tuple(self.alerts.due(now)))
