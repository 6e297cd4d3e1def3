"""
What there is to see, encoded once per tick and topic however many operators listen.

A topic is a kind of numbers in a scope: one tenant, or all of them. Messages are built from the fleet's view and
kept, encoded, until its next tick.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from hub.access import Rights
from hub.core.ledger import Counts
from hub.core.metrics import Packed
from hub.core.snapshot import NodeSnapshot
from hub.feed import rows, wire
from hub.feed.board import Board, BoardTopics
from hub.feed.dropped import DroppedRows, LayerRows
from hub.feed.members import PresenceRows, rounded
from hub.feed.slow import SlowRows
from hub.fleet.roster import FleetRoster
from hub.fleet.view import ALL, COLUMNS, REMOVED_KEPT, FleetView, Row

#: Rows that one message carries at most: beyond, the busiest win.
MAX_ROWS = 5000
#: Topics whose delta is all of it.
WHOLE: tuple[wire.Topic, ...] = ("slow", "dropped", "layers", "alerts", "silences")
#: A node that has not been heard of for so many seconds is unknown.
NODE_UNKNOWN_AFTER = 3.0

Encoded = str | bytes
Scope = str | None
Consumers = frozenset[str] | None
MetricKey = tuple[str, tuple[str, ...]]


def encode(message: wire.ServerMessage, subprotocol: str) -> Encoded:
    """A message as the frame of a subprotocol: text for JSON, bytes for MessagePack."""
    encoded = wire.ENCODERS[subprotocol].encode(message)
    return encoded.decode() if subprotocol == wire.JSON_SUBPROTOCOL else encoded


class Topics:
    """
    Builds and keeps the messages of one tick.

    Args:
        view: The fleet.
        roster: Its members.
    """

    def __init__(self, view: FleetView, roster: FleetRoster) -> None:
        self._view = view
        self._presence = PresenceRows(roster)
        self._slow = SlowRows(view)
        self._dropped = DroppedRows(view)
        self._layers = LayerRows(view)
        self._board = BoardTopics(view)
        self._kept: dict[tuple[Any, ...], Encoded | None] = {}
        self._kept_version = -1
        self._histories: dict[Scope, rows.History] = {}
        self._metric_rows: dict[Scope, dict[MetricKey, tuple[rows.MetricRow, int]]] = {}
        self.encodings = 0

    @property
    def version(self) -> int:
        """The number of the tick that is shown."""
        return self._view.version

    @property
    def board_known(self) -> bool:
        """Whether it is known which alerts there are."""
        return self._board.known

    def show_board(self, board: Board | None) -> None:
        """Show these alerts and silences, as soon as nobody misses a change for it; None: they are unknown."""
        self._board.show(board)
        self._kept.clear()

    def remembers(self, since: int) -> bool:
        """Whether a delta since that tick still knows of all rows that have gone."""
        return self._view.version - since < REMOVED_KEPT

    def snapshot(
        self, topic: wire.Topic, scope: Scope, consumers: Consumers, cursor: str, subprotocol: str
    ) -> Encoded | None:
        """The whole of a topic; None if there is nothing to show in this scope."""
        key = ("snapshot", topic, scope, consumers, cursor, subprotocol)
        return self._once(key, lambda: self._build_snapshot(topic, scope, consumers, cursor), subprotocol)

    def delta(
        self, topic: wire.Topic, scope: Scope, consumers: Consumers, since: int, subprotocol: str
    ) -> Encoded | None:
        """What changed in a topic after the tick ``since``; None if nothing did."""
        key = ("delta", topic, scope, consumers, since, subprotocol)
        return self._once(key, lambda: self._build_delta(topic, scope, consumers, since), subprotocol)

    def _once(
        self, key: tuple[Any, ...], build: Callable[[], wire.Snapshot | wire.Delta | None], subprotocol: str
    ) -> Encoded | None:
        if self._kept_version != self._view.version:
            self._kept.clear()
            self._histories.clear()
            self._kept_version = self._view.version
        if key not in self._kept:
            message = build()
            self.encodings += message is not None
            self._kept[key] = None if message is None else encode(message, subprotocol)
        return self._kept[key]

    # --- messages ---

    def _build_snapshot(
        self, topic: wire.Topic, scope: Scope, consumers: Consumers, cursor: str
    ) -> wire.Snapshot | None:
        fields = self._fields(topic, scope, consumers, since=-1)
        if topic == "totals":
            fields["history"] = self._history(scope)
        return wire.Snapshot(topic=topic, at=self._view.at, cursor=cursor, tenant=_tenant(scope), **fields)

    def _build_delta(self, topic: wire.Topic, scope: Scope, consumers: Consumers, since: int) -> wire.Delta | None:
        fields = self._fields(topic, scope, consumers, since)
        if topic == "consumers":
            gone = self._removed(scope, consumers, since)
            if gone:
                fields["removed"] = gone
            elif not fields["consumers"]:
                return None
        if (topic in ("presence", "metrics") and not fields[topic]) or (topic in WHOLE and not fields):
            return None
        return wire.Delta(topic=topic, at=self._view.at, tenant=_tenant(scope), **fields)

    def _fields(self, topic: wire.Topic, scope: Scope, consumers: Consumers, since: int) -> dict[str, Any]:  # noqa: PLR0911 - a topic each
        if topic in WHOLE:
            told = self._whole(topic, scope, consumers, since)
            return {} if told is msgspec.UNSET else {topic: told}
        if topic == "totals":
            row = self._view.totals.get(scope)
            return {"totals": rows.Totals(**_numbers(row or Row(Counts())))}
        if topic == "consumers":
            return {"consumers": self._rows(scope, consumers, since)}
        if topic == "presence":
            return {"presence": self._presence_rows(scope, since)}
        if topic == "nodes":
            return {"nodes": self._nodes() if scope is ALL else []}
        if topic == "metrics":
            return {"metrics": self._metrics(scope, since)}
        return {}

    def _whole(self, topic: wire.Topic, scope: Scope, consumers: Consumers, since: int) -> Any:  # noqa: ANN401 - a topic each
        """A topic that is told as a whole; UNSET if it is what it was."""
        if topic == "alerts":
            return self._board.alerts_since(since, scope, consumers)
        if topic == "silences":
            return self._board.silences_since(since, scope)
        told: object = None
        if topic == "slow":
            told = self._slow.since(since, scope, consumers)
        elif topic == "dropped":
            told = self._dropped.since(since, scope, consumers)
        elif topic == "layers":
            told = self._layers.since(since, scope)
        return msgspec.UNSET if told is None else told

    def _rows(self, scope: Scope, consumers: Consumers, since: int) -> list[rows.ConsumerRow]:
        found = [
            (key, row)
            for key, row in self._view.rows.items()
            if row.version > since and (scope is ALL or key[1] == scope) and (consumers is None or key[0] in consumers)
        ]
        if len(found) > MAX_ROWS:
            found.sort(key=lambda item: item[1].counts.active, reverse=True)
        return [
            rows.ConsumerRow(consumer=consumer, tenant=tenant, **_numbers(row))
            for (consumer, tenant), row in found[:MAX_ROWS]
        ]

    def _presence_rows(self, scope: Scope, since: int) -> list[rows.PresenceRow]:
        found = self._presence.since(since, scope, self._view.version)
        if len(found) > MAX_ROWS:
            found.sort(key=lambda row: row.online + row.idle + row.stale, reverse=True)
        return found[:MAX_ROWS]

    def _removed(self, scope: Scope, consumers: Consumers, since: int) -> list[rows.RowKey]:
        return [
            rows.RowKey(consumer, tenant)
            for (consumer, tenant), gone in self._view.removed.items()
            if gone > since and (scope is ALL or tenant == scope) and (consumers is None or consumer in consumers)
        ]

    def _nodes(self) -> list[rows.NodeRow]:
        return [_node_row(node, self._view.at) for node in self._view.nodes.values()]

    def _metrics(self, scope: Scope, since: int) -> list[rows.MetricRow]:
        """The metrics of a scope that have changed after a tick, as far as anybody here was told of them."""
        told, version = self._metric_rows.get(scope, {}), self._view.version
        found = {}
        for key, row in self._sum_metrics(scope).items():
            before = told.get(key)
            found[key] = before if before is not None and before[0] == row else (row, version)
        self._metric_rows.pop(scope, None)
        if found:
            # Not for every name of a tenant that anybody may ask for.
            self._metric_rows[scope] = found
        return [row for row, changed in found.values() if changed > since]

    def _sum_metrics(self, scope: Scope) -> dict[MetricKey, rows.MetricRow]:
        found: dict[MetricKey, rows.MetricRow] = {}
        for node in self._view.nodes.values():
            for packed in node.metrics:
                for row in _metric_rows(packed):
                    if scope is not ALL and row.labels.get("tenant") != scope:
                        continue
                    key = (row.name, tuple(row.labels.values()))
                    found[key] = _sum(found[key], row) if key in found else row
        return found

    def _history(self, scope: Scope) -> rows.History:
        """Kept for the tick: it is the largest part of a snapshot, and the same whatever the cursor."""
        if scope not in self._histories:
            self._histories[scope] = self._build_history(scope)
        return self._histories[scope]

    def _build_history(self, scope: Scope) -> rows.History:
        step, times, columns = self._view.past(scope)
        rounded_columns = {
            name: [rounded(value) for value in column] for name, column in zip(COLUMNS, columns, strict=True)
        }
        return rows.History(step=step, at=times, **rounded_columns)


def _tenant(scope: Scope) -> str | msgspec.UnsetType:
    return msgspec.UNSET if scope is ALL else scope


def _numbers(row: Row) -> dict[str, Any]:
    """The fields of `rows.Totals`."""
    counts, rates = row.counts, row.rates
    rejected = counts.failures.get("rejected", 0)
    return {
        "active": counts.active,
        "accepted": counts.accepted,
        "rejected": rejected,
        "failed": sum(counts.failures.values()) - rejected,
        "closed": sum(counts.disconnects.values()),
        "received": sum(counts.received.values()),
        "sent": sum(counts.sent.values()),
        "received_bytes": counts.received_bytes,
        "sent_bytes": counts.sent_bytes,
        "errors": sum(counts.errors.values()),
        "lost": sum(counts.lost.values()),
        "backlog": counts.waiting,
        "connect_rate": rounded(rates.connect),
        "disconnect_rate": rounded(rates.disconnect),
        "received_rate": rounded(rates.received),
        "sent_rate": rounded(rates.sent),
        "error_rate": rounded(rates.error),
        "latency": rows.Quantiles(*map(rounded, row.latency)),
        "wait": rows.Quantiles(*map(rounded, row.wait)),
    }


def _node_row(node: NodeSnapshot, now: float) -> rows.NodeRow:
    return rows.NodeRow(
        node=node.node, boot=node.boot, host=node.host, pid=node.pid, version=node.version,
        state="live" if now - node.at < NODE_UNKNOWN_AFTER else "unknown",
        started_at=node.started_at, seen_at=node.at, active=sum(row[2][0] for row in node.rows),
        sampler_seconds=node.sampler_seconds, loop_lag=rounded(node.loop_lag),
    )  # fmt: skip


def _metric_rows(packed: Packed) -> list[rows.MetricRow]:
    name, kind, help_text, labels, _, series = packed
    found = []
    for key, numbers in series:
        value, count = (numbers[1], sum(numbers[0])) if kind == "histogram" else (numbers, None)
        pairs = dict(zip(labels, key, strict=True))
        found.append(rows.MetricRow(name=name, kind=kind, help=help_text, labels=pairs, value=value, count=count))  # type: ignore[arg-type]
    return found


def _sum(one: rows.MetricRow, other: rows.MetricRow) -> rows.MetricRow:
    count = None if one.count is None or other.count is None else one.count + other.count
    return msgspec.structs.replace(one, value=one.value + other.value, count=count)


def scopes_of(rights: Rights, tenants: list[str] | None) -> list[Scope]:
    """The scopes that a subscription to some tenants, or to all, means for an operator."""
    if tenants is not None:
        return list(dict.fromkeys(tenants))
    return [ALL] if rights.tenants is None else [*sorted(rights.tenants)]
