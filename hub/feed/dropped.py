"""The topics ``dropped`` and ``layers``: what is lost, in each scope, and how full the channel layers are."""

from collections.abc import Iterator
from typing import Any

import msgspec

from hub.core.snapshot import DropRow, LayerRow
from hub.feed import rows
from hub.feed.members import rounded
from hub.feed.told import Told
from hub.fleet.view import ALL, FleetView, Row

#: Reasons, each with its consumer and tenant, and recent losses that an operator is shown.
ROWS, RECENT = 50, 20

Scope = str | None
Consumers = frozenset[str] | None
NOTHING = rows.Dropped()


class DroppedRows:
    """
    What is lost, and when that has changed.

    Args:
        view: The fleet.
    """

    def __init__(self, view: FleetView) -> None:
        self._view = view
        self._told = Told(NOTHING)
        self._gaps = Told(0)

    def since(self, since: int, scope: Scope, consumers: Consumers) -> rows.Dropped | None:
        """What a scope has lost; None if it is what it was at the tick ``since``."""
        version, gaps = self._view.version, self._count_gaps()
        dropped = self._dropped(scope, consumers)
        # Two stories: of a gap everybody is told, and a scope that has lost nothing else is not remembered for it.
        news = self._told.since(since, (scope, consumers), dropped, version)
        if self._gaps.since(since, "", gaps, version) is None and news is None:
            return None
        known = not gaps or (scope is ALL and consumers is None)
        return msgspec.structs.replace(dropped, gaps=gaps if known else None)

    def _count_gaps(self) -> int:
        return sum(LayerRow(*packed).gaps for node in self._view.nodes.values() for packed in node.layers)

    def _dropped(self, scope: Scope, consumers: Consumers) -> rows.Dropped:
        """Everything but the gaps."""
        found = list(self._rows(scope, consumers))
        found.sort(key=lambda row: (row.rate or 0.0, row.last_at or 0.0, row.messages), reverse=True)
        return rows.Dropped(reasons=_by_reason(found), rows=found[:ROWS], recent=self._recent(scope, consumers))

    def _rows(self, scope: Scope, consumers: Consumers) -> Iterator[rows.DroppedRow]:
        total = self._view.totals.get(scope)
        if total is None or not total.counts.lost:
            # As ever, one hopes: not worth a look at every row.
            return
        for (consumer, tenant), row in self._view.rows.items():
            if _shows(scope, consumers, tenant, consumer):
                for reason, messages in row.counts.lost.items():
                    yield rows.DroppedRow(consumer=consumer, tenant=tenant, **_numbers(row, reason, messages))

    def _recent(self, scope: Scope, consumers: Consumers) -> list[rows.Drop]:
        found = [
            (DropRow(*packed), node.node)
            for node in self._view.nodes.values()
            for packed in node.drops
            if _shows(scope, consumers, packed[2], packed[1])
        ]
        found.sort(key=lambda one: one[0].at, reverse=True)
        return [_drop(row, node) for row, node in found[:RECENT]]


class LayerRows:
    """
    How full the channel layers of all nodes are, and when that has changed.

    A layer carries the messages of all tenants: it is shown to who may see all of them, and to nobody else.

    Args:
        view: The fleet.
    """

    def __init__(self, view: FleetView) -> None:
        self._view = view
        self._told: Told[list[rows.LayerRow]] = Told([])

    def since(self, since: int, scope: Scope) -> list[rows.LayerRow] | None:
        """The layers, the fullest first; None if they are what they were at the tick ``since``."""
        return self._told.since(since, scope, self._rows() if scope is ALL else [], self._view.version)

    def _rows(self) -> list[rows.LayerRow]:
        found = [_layer(LayerRow(*packed), node.node) for node in self._view.nodes.values() for packed in node.layers]
        return sorted(found, key=lambda row: (-(row.fullest or 0.0), -(row.depth or 0), row.node, row.layer))


def _shows(scope: Scope, consumers: Consumers, tenant: str, consumer: str) -> bool:
    return (scope is ALL or tenant == scope) and (consumers is None or consumer in consumers)


def _numbers(row: Row, reason: str, messages: int) -> dict[str, Any]:
    """The fields of `rows.ReasonRow`."""
    rates, last_at = row.rates.lost, row.lost_at.get(reason)
    return {
        "reason": reason,
        "messages": messages,
        "rate": None if rates is None else rounded(rates.get(reason, 0.0)),
        "last_at": None if last_at is None else round(last_at, 3),
    }


def _by_reason(found: list[rows.DroppedRow]) -> list[rows.ReasonRow]:
    """Sums, the largest first; a rate of which a part is unknown is unknown."""
    sums: dict[str, rows.ReasonRow] = {}
    for row in found:
        before = sums.get(row.reason)
        sums[row.reason] = rows.ReasonRow(
            reason=row.reason,
            messages=row.messages + (before.messages if before else 0),
            rate=_plus(row.rate, before.rate if before else 0.0),
            last_at=_later(row.last_at, before.last_at if before else None),
        )
    return sorted(sums.values(), key=lambda row: (-row.messages, row.reason))


def _plus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else rounded(one + other)


def _later(one: float | None, other: float | None) -> float | None:
    return one if other is None or (one is not None and one > other) else other


def _drop(row: DropRow, node: str) -> rows.Drop:
    return rows.Drop(
        reason=row.reason,  # type: ignore[arg-type]  # one of its literals
        consumer=row.consumer, tenant=row.tenant, node=node, since=round(row.since, 3), at=round(row.at, 3),
        messages=row.messages, group=row.group, channel=row.channel, channels=row.channels,
        connection=row.connection, connections=row.connections, layer=row.layer,
    )  # fmt: skip


def _layer(row: LayerRow, node: str) -> rows.LayerRow:
    return rows.LayerRow(
        layer=row.alias, backend=row.backend, node=node, depth=row.depth, oldest=rounded(row.oldest),
        capacity=row.capacity, fullest=rounded(row.fullest), channel=row.channel, consumer=row.consumer,
        tenant=row.tenant, gaps=row.gaps,
    )  # fmt: skip
