"""
Alerting with all its parts but the network: rules, database, outbox, and receivers that take what they are told.

Time is moved by hand. A `Sink` honours the key of a message, as PagerDuty does: what comes twice is shown once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.alerting.duty import Duty, Flushed
from hub.alerting.message import Message
from hub.alerting.outbox import Outbox
from hub.alerting.pack import PACK, read_settings
from hub.alerting.receivers.base import Receiver
from hub.alerting.setup import Setup
from hub.alerting.sources import watched
from hub.alerting.store import Store
from hub.core.routing import Pace, Route, Routing
from hub.fleet import roster
from hub.fleet import service as fleet
from hub.node import presence
from hub.node.node import Node
from tests.handclock import HandClock

WATCHED = watched()
BACKLOG = "ws_inbound_backlog_messages"
Samples = dict[str, dict[tuple[str, ...], float]]
#: A rule of its own for each severity asked for: a backlog above 10, over when it is 10 for five seconds.
CROWDED: dict[str, Any] = {"look": "level", "of": BACKLOG, "above": 10, "keep": 5, "summary": "{tenant}: {value} wait"}
PACE = Pace(wait=0.25, interval=60.0, repeat=600.0)


def attach_fleet(node: Node) -> None:
    """What alerts are read off: the fleet's numbers and its members."""
    for part in (presence, fleet, roster):
        part.attach(node)


def backlog(number: float | None, tenant: str = "acme") -> Samples:
    """The fleet's numbers; None: the series is not there."""
    return {BACKLOG: {} if number is None else {("chat", tenant): number}}


@dataclass(eq=False)
class Sink:
    """
    A receiver in this process.

    Attributes:
        calls: Every message that came and was taken, in order.
        trouble: Raised in place of taking a message; None, or a function that gives it or None.
    """

    name: str = "ops"
    kind: str = "webhook"
    per_minute: float = 6000.0
    calls: list[Message] = field(default_factory=list)
    memories: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 0
    trouble: Callable[[Message], Exception | None] = lambda _: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def deliver(self, message: Message, memory: Mapping[str, Any]) -> dict[str, Any]:
        with self.lock:
            self.attempts += 1
            error = self.trouble(message)
            if error is not None:
                raise error
            self.calls.append(message)
            self.memories.append(dict(memory))
        return {"number": message.notice.number}

    @property
    def told(self) -> list[tuple[str, int]]:
        """Incident and number of every message, in order, doubles and all."""
        return [(message.incident, message.notice.number) for message in self.calls]

    @property
    def kinds(self) -> list[str]:
        return [message.notice.kind for message in self.calls]


def make_setup(
    *receivers: Receiver, severities: tuple[str, ...] = ("high",), groups: tuple[str, ...] = ("rule",), **rule: Any
) -> Setup:
    """Rules `crowded_<severity>`, told to all receivers, in groups that agree in some labels."""
    rules, flaws = read_settings(
        {
            **dict.fromkeys(PACK, False),
            **{f"crowded_{severity}": {**CROWDED, "severity": severity, **rule} for severity in severities},
        },
        WATCHED,
    )
    assert [] == flaws
    names = tuple(receiver.name for receiver in receivers)
    routing = Routing([Route(name="all", receivers=names, by=groups, pace=PACE)], [])
    return Setup(
        rules=tuple(rules), watched=WATCHED, routing=routing, inhibitions=(),
        receivers={receiver.name: receiver for receiver in receivers},
    )  # fmt: skip


class Site:
    """One process: a duty and an outbox, moved second by second."""

    def __init__(self, setup: Setup, clock: HandClock, name: str = "one") -> None:
        self.clock = clock
        self.store = Store(name)
        self.duty = Duty(self.store, setup.make_engine)
        self.outbox = Outbox(setup.receivers, name, clock, last_resort=setup.last_resort)
        self.told: list[str] = []

    def decide(self, samples: Samples | None) -> Flushed:
        """Evaluate once, and write down what follows."""
        now = self.clock.wall()
        self.duty.stand_by(now)
        self.duty.tick(samples, now)
        flushed = self.duty.flush(now)
        self.told += [told.kind for told in flushed.told]
        return flushed

    def send(self) -> int:
        """Send all that can be sent now. Returns how many attempts that were."""
        attempts = 0
        while claims := self.outbox.claim():
            for claim in claims:
                self.outbox.deliver(claim)
            attempts += len(claims)
        return attempts

    def live(self, seconds: int, samples: Callable[[int], Samples | None] | Samples | None, step: int = 1) -> None:
        """So many seconds pass, a step at a time."""
        for second in range(0, seconds, step):
            self.clock.advance(step)
            self.decide(samples(second) if callable(samples) else samples)
            self.send()
