"""
Dead letters: that a receiver is not told is told to the others, and that it is told again.

A receiver's trouble begins with the first message that is dead, and ends with the next one that arrives. What is told
of it is an incident like any other; it begins once an hour at most.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hub.alerting.records import clean, delivery_of
from hub.alerting.rows import moment
from hub.core.groups import FIRED, OVER, Notice
from hub.core.rules import FIRING, HIGH, RESOLVED, Alert, key_of
from hub.models import Delivery, ReceiverMemory

#: What stands for a rule in what is told of a receiver's trouble, for a route, and for the incident that it is kept
#: under.
RULE, ROUTE, TROUBLE = "receiver_failing", "dead letters", "dead letters"
#: Seconds between two beginnings of one receiver's trouble.
INTERVAL = 3600.0


class DeadLetters:
    """
    Tells the others; each call belongs into the transaction that marks a delivery.

    Args:
        receivers: All that there are.
        last_resort: Those that are told; if none of them is left, all others are.
    """

    def __init__(self, receivers: Iterable[str], last_resort: Iterable[str]) -> None:
        self._receivers = tuple(receivers)
        self._last_resort = tuple(last_resort)

    def lost(self, delivery: Delivery, error: str, now: float) -> None:
        """A message is dead."""
        name = delivery.receiver
        if delivery.notice["route"] == ROUTE:
            return
        alert = _alert(name, error, now)
        memory = {"alert": clean(alert.pack()), "told": self._others(name), "at": now, "open": True}
        kept, fresh = ReceiverMemory.objects.get_or_create(
            incident=TROUBLE, receiver=name, defaults={"memory": memory, "changed_at": moment(now)}
        )
        if not fresh:
            if kept.memory["open"] or now - kept.memory["at"] < INTERVAL:
                return
            ReceiverMemory.objects.filter(pk=kept.pk).update(memory=memory, changed_at=moment(now))
        _tell(alert, FIRED, memory, now)

    def recovered(self, name: str, now: float) -> None:
        """A message has arrived."""
        kept = ReceiverMemory.objects.filter(incident=TROUBLE, receiver=name).first()
        if kept is None or not kept.memory["open"]:
            return
        memory = {**kept.memory, "open": False}
        ReceiverMemory.objects.filter(pk=kept.pk).update(memory=memory, changed_at=moment(now))
        alert = replace(Alert.unpack(memory["alert"]), state=RESOLVED, resolved_at=now)
        _tell(alert, OVER, memory, now)

    def _others(self, name: str) -> list[str]:
        """Who is told of a receiver's trouble."""
        preferred = [other for other in self._last_resort if other != name and other in self._receivers]
        return preferred or [other for other in self._receivers if other != name]


def _alert(name: str, error: str, now: float) -> Alert:
    labels = {"receiver": name, "rule": RULE, "severity": HIGH}
    return Alert(
        key=key_of(labels), rule=RULE, severity=HIGH, labels=labels, state=FIRING, since=now, fired_at=now, value=1.0,
        worst=1.0, threshold=0.0, unit="messages", summary=f"The receiver {name} is not told of alerts: {error}",
        action="See what it answers with manage.py hub_notify_test, and its address and token in the settings.",
    )  # fmt: skip


def _tell(alert: Alert, kind: str, memory: Mapping[str, Any], now: float) -> None:
    """Put the beginning, or the end, of a receiver's trouble into the outbox."""
    since, over = memory["at"], kind == OVER
    for other in memory["told"]:
        labels = {**alert.labels, "told": other, "at": repr(since)}
        notice = Notice(
            incident=key_of(labels), number=2 if over else 1, kind=kind, at=now, route=ROUTE, receiver=other,
            labels=alert.labels, severity=alert.severity, since=since, firing=() if over else (alert,),
            news=frozenset() if over else frozenset({alert.key}), resolved=(alert,) if over else (),
        )  # fmt: skip
        delivery_of(notice, now).save()
