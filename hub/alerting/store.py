"""
What the evaluator keeps: its lease, its state, the history of alerts and the outbox, all in the host's database.

One process evaluates for all that share a database. It holds a lease whose epoch grows with each new holder, and
whatever it writes is written in one transaction that begins by asking for that epoch: who has lost the lease without
knowing writes nothing. Operators' actions are rows that the evaluator reads in the order of their ids.

All of this blocks; nothing here is called on an event loop.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import router, transaction
from django.db.models import F

from hub.alerting.engine import Outcome
from hub.alerting.records import Curve, History, alive_silences, clean, delivery_of
from hub.alerting.rows import moment
from hub.core.errors import HubError
from hub.core.rules import Alert
from hub.core.silences import Silence
from hub.models import Delivery, Evaluator, OperatorAction

#: The one evaluator, see `hub.models.Evaluator`.
EVALUATOR = "default"
#: Seconds that a lease lasts unless it is renewed.
LEASE = 10.0
#: Actions that are read at once.
MAX_ACTIONS = 500


class LostLeaseError(HubError):
    """Another process is the evaluator by now: whatever this one has decided since is void."""


@dataclass(frozen=True, slots=True)
class Kept:
    """
    What a new evaluator goes on with.

    Attributes:
        state: `hub.alerting.engine.Engine.pack` of the last one; None: there was none.
        silences: All that are not over, by id.
        curves: Numbers of active alerts so far, by key.
    """

    state: dict[str, Any] | None
    silences: dict[str, Silence]
    curves: dict[str, Curve]


@dataclass(slots=True)
class Writing:
    """
    What one transaction writes.

    Attributes:
        outcomes: In the order in which they came.
        state: `hub.alerting.engine.Engine.pack`; None: as before.
        seen: Id of the newest action that the state contains.
        muted: Why alerts are not told now, by key: those of which that has changed.
        curves: Of active alerts, by key.
        figures: Alerts whose numbers are written though nothing else has changed.
        active: Keys of all that is active, to let go of what is not any more; None: that is as it was.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    state: dict[str, Any] | None = None
    seen: int = 0
    muted: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    figures: Iterable[Alert] = ()
    active: Collection[str] | None = None


class Store:
    """
    The database, as one process's evaluator uses it.

    Args:
        holder: Name and boot of the process.

    Attributes:
        epoch: Of the lease; None while another process has it.
        seen: Id of the newest action that the state in the database contains.
    """

    def __init__(self, holder: str) -> None:
        self.holder = holder
        self.epoch: int | None = None
        self.seen = 0
        self._history = History()

    # --- the lease ---

    def acquire(self, now: float) -> Kept | None:
        """
        Take the lease if nobody has it.

        Returns:
            What to go on with; None while another process has it.
        """
        # A look first: a process that waits for its turn must not write all the time.
        if Evaluator.objects.filter(name=EVALUATOR, until__gt=moment(now)).exists():
            return None
        with in_turn():
            taken = Evaluator.objects.filter(name=EVALUATOR, until__lte=moment(now))
            until = moment(now + LEASE)
            if not taken.update(holder=self.holder[:300], epoch=F("epoch") + 1, until=until):
                return None
            row = Evaluator.objects.get(name=EVALUATOR)
            history = History.load()
            kept = Kept(row.state, alive_silences(now), history.curves())
        self.epoch, self.seen, self._history = row.epoch, row.actions_seen, history
        return kept

    def renew(self, now: float) -> None:
        """
        Keep the lease.

        Raises:
            LostLeaseError: Somebody else has it.
        """
        self._extend(now, {})

    def release(self) -> None:
        """Give the lease back, so that the next one need not wait for its end."""
        epoch, self.epoch = self.epoch, None
        if epoch is not None:
            Evaluator.objects.filter(name=EVALUATOR, epoch=epoch).update(until=datetime.fromtimestamp(0, UTC))

    def _extend(self, now: float, values: Mapping[str, Any]) -> None:
        own = Evaluator.objects.filter(name=EVALUATOR, epoch=-1 if self.epoch is None else self.epoch)
        if not own.update(until=moment(now + LEASE), **values):
            self.epoch = None
            raise LostLeaseError(f"{self.holder} is not the evaluator any more; another process has taken over")

    # --- what is written ---

    def write(self, writing: Writing, now: float) -> None:
        """
        Write all of it, or nothing.

        Raises:
            LostLeaseError: Somebody else is the evaluator; nothing is written.
        """
        values: dict[str, Any] = {"actions_seen": writing.seen}
        if writing.state is not None:
            values["state"] = clean(writing.state)
        history = self._history.copy()
        with transaction.atomic(using=router.db_for_write(Evaluator)):
            self._extend(now, values)
            for outcome in writing.outcomes:
                history.add(outcome.changes, writing.curves)
            history.save()
            if writing.active is not None:
                history.close_strays(writing.active, now)
            self._post(history, writing.outcomes, now)
            history.renew(writing.muted, writing.figures, writing.curves)
        self._history, self.seen = history, writing.seen

    def _post(self, history: History, outcomes: Iterable[Outcome], now: float) -> None:
        """Put notices into the outbox, and into the history of the alerts that they tell of."""
        notices = [notice for outcome in outcomes for notice in outcome.notices]
        deliveries = [delivery_of(notice, now) for notice in notices]
        Delivery.objects.bulk_create(deliveries)
        history.tell(zip(notices, deliveries, strict=True))

    # --- what operators have done ---

    def actions(self, after: int) -> list[OperatorAction]:
        """Those after an id, in their order."""
        return list(OperatorAction.objects.filter(pk__gt=after).order_by("pk")[:MAX_ACTIONS])


@contextmanager
def in_turn() -> Iterator[None]:
    """
    A transaction that no other one of alerting overlaps: ids of actions then grow in the order in which they are seen.

    It begins with a write, so that SQLite waits for its turn right here, and does not find out later.
    """
    with transaction.atomic(using=router.db_for_write(Evaluator)):
        if not Evaluator.objects.filter(name=EVALUATOR).update(name=EVALUATOR):
            Evaluator.objects.get_or_create(name=EVALUATOR, defaults={"until": datetime.fromtimestamp(0, UTC)})
        yield
