"""
The topics ``alerts`` and ``silences``: what is wrong now, and of what nobody is told.

They are read from the database once for all operators of a process, and only while somebody watches them. A database
that is slow or away makes nobody wait: after a while the topics are *unknown*.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TypeVar

import msgspec
from django.db.models import Count
from msgspec import UNSET, UnsetType

from hub.access import Rights
from hub.alerting.actions import list_active, list_silences
from hub.alerting.store import EVALUATOR
from hub.clock import Clock
from hub.core.rules import FIRING, PENDING
from hub.core.silences import EXPIRED
from hub.faults import record_fault
from hub.feed import rows
from hub.feed.told import Told
from hub.fleet.view import ALL, FleetView
from hub.models import AlertRecord, Evaluator
from hub.node.executor import run_in_thread

#: Alerts, or silences, that an operator is shown.
SHOWN = 500
#: Seconds after which what was read counts as unknown.
STALE = 10.0

Scope = str | None
Shape = TypeVar("Shape")
EVERYTHING = Rights(view=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """
    What was read of all tenants.

    Attributes:
        alerts: In the order in which they are shown; the worst of them, if there are very many.
        counts: How many there are, by tenant and state.
        evaluated: Whether any process evaluates the rules.
    """

    alerts: tuple[rows.AlertRow, ...] = ()
    silences: tuple[rows.SilenceRow, ...] = ()
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    evaluated: bool = True


def read_board(clock: Clock) -> Board:
    """Read it; blocks on the database, so call it in a thread."""
    active = AlertRecord.objects.filter(state__in=(PENDING, FIRING)).order_by()
    counts = active.values_list("tenant", "state").annotate(alerts=Count("pk"))
    now = datetime.fromtimestamp(clock.wall(), UTC)
    return Board(
        alerts=tuple(shown(row, rows.AlertRow) for row in list_active(EVERYTHING)),
        silences=tuple(shown(row, rows.SilenceRow) for row in list_silences(EVERYTHING, clock) if row.state != EXPIRED),
        counts={(tenant, state): alerts for tenant, state, alerts in counts},
        evaluated=Evaluator.objects.filter(pk=EVALUATOR, until__gt=now).exists(),
    )


Fetch = Callable[[Clock], Awaitable[Board]]


async def fetch_board(clock: Clock) -> Board:
    """Have it read, in a thread of the hub's own."""
    return await run_in_thread(read_board, clock)


def shown(row: object, shape: type[Shape]) -> Shape:
    """What was read, as it goes over the wire."""
    return msgspec.convert(row, shape, from_attributes=True)


class BoardReader:
    """
    Reads the board for all operators of a process; one reading at a time.

    Args:
        fetch: Has it read.
        clock: Tells how old it is.
    """

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._reading: asyncio.Task[None] | None = None
        self._newest: Board | None = None
        self._read_at = 0.0

    @property
    def board(self) -> Board | None:
        """The newest that was read; None: nobody knows."""
        return self._newest if self._clock.monotonic() - self._read_at <= STALE else None

    async def look(self, patience: float) -> None:
        """Have it read, and wait for that, but not longer than so many seconds."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._look())
        await asyncio.wait({self._reading}, timeout=patience)

    async def _look(self) -> None:
        try:
            self._newest = await self._fetch(self._clock)
            self._read_at = self._clock.monotonic()
        except Exception as error:  # noqa: BLE001 - the border: the database is away, and may come back
            record_fault("feed alerts", error)
        finally:
            self._reading = None


class BoardTopics:
    """
    What of the board is shown in which scope, and when that has changed.

    All that is shown in one tick is of one board, so that nobody who knows a tick misses what came within it.

    Args:
        view: Its ticks are the versions.
    """

    def __init__(self, view: FleetView) -> None:
        self._view = view
        self._board: Board | None = None
        self._next: Board | None = None
        self._version = -1
        self._turned = -1
        self._alerts = Told(_of(Board(), ALL, None))
        self._silences: Told[list[rows.SilenceRow]] = Told([])

    @property
    def known(self) -> bool:
        """Whether there is anything to show."""
        return self._board is not None

    def show(self, board: Board | None) -> None:
        """Show this one from the next tick on; at once, and in the next tick anew, if none was known."""
        self._next = board
        if self._board is None and board is not None:
            self._board, self._turned = board, self._view.version + 1

    def _current(self) -> Board | None:
        """The board of this tick."""
        if self._version != self._view.version:
            self._version = self._view.version
            if self._next is None and self._board is not None:
                self._turned = self._version
            self._board = self._next
        return self._board

    def alerts_since(
        self, since: int, scope: Scope, consumers: frozenset[str] | None
    ) -> rows.ActiveAlerts | UnsetType | None:
        """The alerts of a scope; None if they are unknown, UNSET if they are what they were at the tick ``since``."""
        board = self._current()
        if board is None:
            return self._unknown_since(since)
        found = _of(board, scope, consumers)
        news = self._alerts.since(since, (scope, consumers), found, self._view.version)
        return found if news is not None or self._turned > since else UNSET

    def silences_since(self, since: int, scope: Scope) -> list[rows.SilenceRow] | UnsetType | None:
        """The silences of a scope, likewise."""
        board = self._current()
        if board is None:
            return self._unknown_since(since)
        found = [row for row in board.silences if scope is ALL or row.tenant == scope][:SHOWN]
        news = self._silences.since(since, scope, found, self._view.version)
        return found if news is not None or self._turned > since else UNSET

    def _unknown_since(self, since: int) -> UnsetType | None:
        return None if self._turned > since or since < 0 else UNSET


def _of(board: Board, scope: Scope, consumers: frozenset[str] | None) -> rows.ActiveAlerts:
    """What a scope is shown. Of some consumers only those that were read are counted."""
    found = (row for row in board.alerts if scope is ALL or row.tenant == scope)
    if consumers is not None:
        listed = [row for row in found if row.labels.get("consumer") in consumers]
        counts = [sum(row.state == state for row in listed) for state in (FIRING, PENDING)]
        return rows.ActiveAlerts(rows=listed[:SHOWN], firing=counts[0], pending=counts[1], evaluated=board.evaluated)
    firing, pending = (
        sum(number for (tenant, each), number in board.counts.items() if each == state and scope in (ALL, tenant))
        for state in (FIRING, PENDING)
    )
    return rows.ActiveAlerts(rows=list(islice(found, SHOWN)), firing=firing, pending=pending, evaluated=board.evaluated)
