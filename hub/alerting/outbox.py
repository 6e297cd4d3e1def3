"""
The outbox: takes messages to their receivers, until they have arrived.

A delivery is *waiting* until a process claims it and its receiver has taken it: then it is *delivered*. A receiver
that can't be reached is tried again, later and later; one that refuses a message, or has not taken it after
`MAX_ATTEMPTS`, leaves it *dead*, and the other receivers are told that somebody is not told, and when it is again.

The messages of an incident go out in their order, and one receiver gets one at a time. A message is claimed before it
is sent and marked after it was taken; whoever dies in between leaves it to be sent again when the claim ends. So it
arrives at least once, and twice only then: a receiver that honours ``incident`` and ``number`` shows it once.

Both `Outbox.claim` and `Outbox.deliver` block, one on the database, the other on the network too: the first belongs
into one thread, the second into as many as there are receivers.
"""

import random
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from django.db import DatabaseError, OperationalError, router, transaction
from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet

from hub.alerting.letters import DeadLetters
from hub.alerting.message import Message, compose
from hub.alerting.receivers.base import DeliveryError, Receiver, RefusedError
from hub.alerting.records import DEAD, DELIVERED, WAITING, by_severity, clean, readable
from hub.alerting.rows import moment
from hub.clock import Clock
from hub.core.groups import Notice
from hub.faults import record_fault
from hub.models import AlertRecord, Delivery, ReceiverMemory

#: Seconds that a claim lasts: longer than any attempt.
CLAIM = 30.0
#: Attempts after which a message is dead: about an hour.
MAX_ATTEMPTS = 60
#: Seconds between two attempts at most, unless the receiver asks for more; and what it may ask for.
LONGEST_PAUSE, LONGEST_RETRY_AFTER = 60.0, 900.0
#: Seconds that a message waits for a receiver that is not in the settings of this process.
UNKNOWN_KEPT = 600.0
#: Seconds between two counts of what waits.
COUNT_INTERVAL = 5.0
_MINUTE = 60.0


@dataclass(slots=True)
class Lane:
    """
    One receiver's turn.

    Attributes:
        busy: Something is on its way to it.
        sent: When messages went out, within the last minute.
        resume_at: Nothing is sent before.
        failures: Attempts that failed since one did not.
    """

    receiver: Receiver
    busy: bool = False
    sent: deque[float] = field(default_factory=deque)
    resume_at: float = 0.0
    failures: int = 0

    def free(self, now: float) -> bool:
        """Whether something may be sent to it."""
        while self.sent and now - self.sent[0] >= _MINUTE:
            self.sent.popleft()
        return not self.busy and now >= self.resume_at and len(self.sent) < max(1.0, self.receiver.per_minute)


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this process sends: what is to be said, and what the receiver was told before."""

    delivery: Delivery
    message: Message
    memory: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """
    What became of an attempt.

    Attributes:
        state: ``delivered``, ``waiting`` (to be tried again) or ``dead``.
        memory: What to remember of the incident; None: as before.
    """

    delivery: Delivery
    state: str
    at: float
    next_at: float
    error: str = ""
    memory: dict[str, Any] | None = None


class Outbox:
    """
    One process's part in sending what waits.

    Args:
        receivers: By name.
        holder: Name and boot of the process.
        clock: The wall clock says what is due.
        last_resort: Who is told of dead letters; all others than the receiver itself if none of these is left.
        page: Absolute address of the operator page; empty: nobody has said.
        site: What the deployment is called.

    Attributes:
        counts: Attempts by receiver and result: ``delivered``, ``failed``, ``refused``, and messages that are ``dead``.
        waiting: Messages that wait, at the last count.
        oldest: When the oldest of them was decided, wall clock; None: none waits.
    """

    def __init__(
        self, receivers: Mapping[str, Receiver], holder: str, clock: Clock, *, last_resort: Iterable[str] = (),
        page: str = "", site: str = "",
    ) -> None:  # fmt: skip
        self.counts: Counter[tuple[str, str]] = Counter()
        self.waiting = 0
        self.oldest: float | None = None
        self._lanes = {name: Lane(receiver) for name, receiver in receivers.items()}
        self._letters = DeadLetters(tuple(receivers), tuple(last_resort))
        self._holder = holder[:300]
        self._clock = clock
        self._page, self._site = page, site
        self._unmarked: dict[int, Result] = {}
        self._lock = Lock()
        self._counted_at = float("-inf")

    # --- claiming ---

    def claim(self) -> list[Claim]:
        """What is to be sent now: for each receiver that is free the next message that is due, if there is one."""
        now = self._clock.wall()
        self._mark_rest()
        self._count(now)
        self._bury_unknown(now)
        claims: list[Claim] = []
        for name in sorted(self._lanes.keys() & set(self._due(now).values_list("receiver", flat=True))):
            try:
                claims += self._claim_for(name, now)
            except DatabaseError as error:
                # What is claimed already is sent all the same.
                record_fault("outbox", error)
        return claims

    def _claim_for(self, name: str, now: float) -> list[Claim]:
        """The next message for a receiver, if there is one and the receiver is free; it is busy then."""
        lane = self._lanes[name]
        delivery = self._next(name, now) if lane.free(now) else None
        if delivery is None:
            return []
        try:
            claim = self._claimed(delivery)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            # Of a version that nobody knows any more.
            self._mark(Result(delivery, DEAD, now, now, f"it can't be read any more: {type(error).__name__}"))
            return []
        lane.busy = True
        return [claim]

    def _next(self, name: str, now: float) -> Delivery | None:
        """The delivery for a receiver that is due first, claimed."""
        before = Delivery.objects.filter(
            state=WAITING, receiver=OuterRef("receiver"), incident=OuterRef("incident"), number__lt=OuterRef("number")
        )
        due = self._due(now).filter(~Exists(before), receiver=name).order_by(by_severity(), "pk").first()
        if due is None:
            return None
        due.claimed_by, due.claimed_until = self._holder, moment(now + CLAIM)
        # Another process may have been quicker.
        own = self._due(now).filter(pk=due.pk).update(claimed_by=due.claimed_by, claimed_until=due.claimed_until)
        return due if own else None

    def _due(self, now: float) -> QuerySet[Delivery]:
        at = moment(now)
        due = Delivery.objects.filter(Q(claimed_until=None) | Q(claimed_until__lte=at), state=WAITING, next_at__lte=at)
        # What has arrived, and could not be marked yet, is not sent again.
        return due.exclude(pk__in=list(self._unmarked)) if self._unmarked else due

    def _claimed(self, delivery: Delivery) -> Claim:
        notice = Notice.unpack(delivery.notice)
        keys = [alert.key for alert in (*notice.firing, *notice.resolved)][:20]
        lives = list(AlertRecord.objects.filter(key__in=keys).order_by("pk").values_list("key", "pk", "values"))
        curves = {key: tuple(value for _, value in values) for key, _, values in lives}
        life = {key: pk for key, pk, _ in lives}.get(keys[0]) if keys else None
        memories = ReceiverMemory.objects.filter(incident=delivery.incident, receiver=delivery.receiver)
        message = compose(notice, curves, self._page, self._site, life)
        return Claim(delivery, message, next(iter(memories.values_list("memory", flat=True)), {}))

    def _bury_unknown(self, now: float) -> None:
        """Give up what is meant for receivers that nobody has set up for a while."""
        unknown = self._due(now).exclude(receiver__in=list(self._lanes))
        for delivery in unknown.filter(created_at__lte=moment(now - UNKNOWN_KEPT))[:100]:
            error = f"there is no receiver {delivery.receiver!r} in the settings any more"
            self._mark(Result(delivery, DEAD, now, now, error))

    # --- delivering ---

    def deliver(self, claim: Claim) -> None:
        """Tell the receiver, and write down what became of it; a fault of the receiver's is not raised."""
        lane = self._lanes[claim.delivery.receiver]
        try:
            lane.sent.append(self._clock.wall())
            result = self._attempt(claim, lane)
            self._unmarked[claim.delivery.pk] = result
            self._mark_rest()
        finally:
            lane.busy = False

    def _attempt(self, claim: Claim, lane: Lane) -> Result:
        delivery, name = claim.delivery, claim.delivery.receiver
        try:
            memory = lane.receiver.deliver(claim.message, claim.memory)
        except RefusedError as error:
            self.counts[name, "refused"] += 1
            now = self._clock.wall()
            return Result(delivery, DEAD, now, now, str(error))
        except DeliveryError as error:
            return self._failed(delivery, lane, str(error), error.retry_after)
        except Exception as error:  # noqa: BLE001 - the border: a fault of a receiver's must not stop the others
            record_fault("receiver", error)
            return self._failed(delivery, lane, f"the receiver raised {type(error).__name__}", None)
        self.counts[name, DELIVERED] += 1
        lane.failures, lane.resume_at = 0, 0.0
        now = self._clock.wall()
        return Result(delivery, DELIVERED, now, now, memory=_plain(memory))

    def _failed(self, delivery: Delivery, lane: Lane, reason: str, retry_after: float | None) -> Result:
        self.counts[delivery.receiver, "failed"] += 1
        now = self._clock.wall()
        lane.failures += 1
        asked = min(retry_after or 0.0, LONGEST_RETRY_AFTER)
        # The receiver as a whole is left alone as well, so that a long queue is not a long series of attempts.
        lane.resume_at = now + max(asked, pause(lane.failures))
        state = DEAD if delivery.attempts + 1 >= MAX_ATTEMPTS else WAITING
        return Result(delivery, state, now, now + max(asked, pause(delivery.attempts + 1)), reason)

    # --- writing down ---

    def _mark_rest(self) -> None:
        """Write down what could not be written before; while the database is away it waits."""
        with self._lock:
            for key, result in list(self._unmarked.items()):
                try:
                    self._mark(result)
                except DatabaseError as error:
                    record_fault("outbox", error)
                    if isinstance(error, OperationalError):
                        return
                    continue
                del self._unmarked[key]

    def _mark(self, result: Result) -> None:
        delivery, at = result.delivery, moment(result.at)
        with transaction.atomic(using=router.db_for_write(Delivery)):
            found = Delivery.objects.filter(pk=delivery.pk, state=WAITING)
            if result.state != DELIVERED:
                # Another process may be at it, if this one took too long.
                found = found.filter(claimed_by__in=("", self._holder))
            marked = found.update(
                state=result.state, attempts=delivery.attempts + 1, next_at=moment(result.next_at), claimed_by="",
                claimed_until=None, delivered_at=at if result.state == DELIVERED else None,
                error=readable(result.error)[:500],
            )  # fmt: skip
            if result.memory is not None:
                ReceiverMemory.objects.update_or_create(
                    incident=delivery.incident, receiver=delivery.receiver,
                    defaults={"memory": result.memory, "changed_at": at},
                )  # fmt: skip
            if result.state == DEAD and marked:
                self._letters.lost(delivery, result.error, result.at)
            elif result.state == DELIVERED:
                self._letters.recovered(delivery.receiver, result.at)
        if result.state == DEAD and marked:
            self.counts[delivery.receiver, DEAD] += 1

    def _count(self, now: float) -> None:
        if now - self._counted_at < COUNT_INTERVAL:
            return
        self._counted_at = now
        found = Delivery.objects.filter(state=WAITING).aggregate(waiting=Count("pk"), oldest=Min("created_at"))
        self.waiting = found["waiting"]
        self.oldest = None if found["oldest"] is None else found["oldest"].timestamp()


def _plain(memory: dict[str, Any]) -> dict[str, Any]:
    """What a receiver wants to remember, if that can be kept: that it has arrived counts more."""
    try:
        return clean(memory)
    except (TypeError, ValueError) as error:
        record_fault("receiver", error)
        return {}


def pause(failures: int) -> float:
    """Seconds to wait after so many failures: about twice as long after each, never the same."""
    longest = min(LONGEST_PAUSE, 2.0 ** min(failures, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - only so that not all come back at once
