"""The topic ``slow``: the worst episodes of slowness of the whole fleet, in each scope a ranked list."""

from hub.core.snapshot import SlowRow
from hub.feed import rows
from hub.feed.members import rounded
from hub.feed.told import Told
from hub.fleet.view import ALL, FleetView

#: Episodes that an operator is shown.
SHOWN = 20

Scope = str | None


class SlowRows:
    """
    The ranked lists, and when each has changed.

    Args:
        view: The fleet.
    """

    def __init__(self, view: FleetView) -> None:
        self._view = view
        self._told: Told[list[rows.SlowRow]] = Told([])

    def since(self, since: int, scope: Scope, consumers: frozenset[str] | None) -> list[rows.SlowRow] | None:
        """The list of a scope; None if it is what it was at the tick ``since``."""
        return self._told.since(since, (scope, consumers), self._rows(scope, consumers), self._view.version)

    def _rows(self, scope: Scope, consumers: frozenset[str] | None) -> list[rows.SlowRow]:
        found = [
            (SlowRow(*packed), node.node)
            for node in self._view.nodes.values()
            for packed in node.slow
            if (scope is ALL or packed[2] == scope) and (consumers is None or packed[1] in consumers)
        ]
        found.sort(key=lambda one: (one[0].closed_at is None, one[0].seconds), reverse=True)
        return [_shown(row, node) for row, node in found[:SHOWN]]


def _shown(row: SlowRow, node: str) -> rows.SlowRow:
    return rows.SlowRow(
        cause=row.cause,  # type: ignore[arg-type]  # one of its literals
        consumer=row.consumer, tenant=row.tenant, connection=row.connection, node=node, since=round(row.since, 3),
        seconds=rounded(row.seconds) or 0.0, threshold=row.threshold, lasted=rounded(row.lasted),
        closed_at=None if row.closed_at is None else round(row.closed_at, 3), details=row.details,
        member=row.member, name=row.name,
    )  # fmt: skip
