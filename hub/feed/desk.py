"""
What operators ask and do about alerts, from a request to its answer.

Who may see and do what is decided in `hub.alerting.actions`, in a thread, and nowhere else.
"""

from collections.abc import Callable
from typing import Literal

from hub.access import Operator
from hub.alerting import actions
from hub.clock import Clock
from hub.faults import record_fault
from hub.feed import rows, wire
from hub.feed.board import shown
from hub.node.executor import run_in_thread

#: Alerts that a preview shows.
MAX_PREVIEW = 100

Code = Literal["invalid", "not_allowed", "unavailable"]


async def answer(operator: Operator, request: wire.AlertRequest, clock: Clock) -> wire.ServerMessage:
    """Do what an operator asks, and say what came of it; whatever is refused says why."""
    try:
        return await run_in_thread(_answer, operator, request, clock)
    except actions.NotAllowedError as error:
        return _refusal(request, "not_allowed", str(error))
    except ValueError as error:
        return _refusal(request, "invalid", str(error))
    except Exception as error:  # noqa: BLE001 - the border: the database is away, and may come back
        record_fault("feed requests", error)
        text = "the hub could not use its database; look whether it was done, and try again"
        return _refusal(request, "unavailable", text)


def _refusal(request: wire.AlertRequest, code: Code, text: str) -> wire.Result:
    return wire.Result(ref=request.ref, ok=False, error=wire.Error(code, text))


def _answer(operator: Operator, request: wire.AlertRequest, clock: Clock) -> wire.ServerMessage:
    found = _HANDLERS[type(request)](operator, request, clock)
    return wire.Result(ref=request.ref, ok=True) if found is None else found


def _acknowledge(operator: Operator, request: wire.Acknowledge, clock: Clock) -> None:
    actions.acknowledge(operator, request.key, clock)


def _unacknowledge(operator: Operator, request: wire.Unacknowledge, clock: Clock) -> None:
    actions.unacknowledge(operator, request.key, clock)


def _silence(operator: Operator, request: wire.Silence, clock: Clock) -> None:
    actions.silence(
        operator, request.matchers, request.why, seconds=request.seconds, ends_at=request.ends_at,
        starts_at=request.starts_at, clock=clock,
    )  # fmt: skip


def _end_silence(operator: Operator, request: wire.EndSilence, clock: Clock) -> None:
    actions.end_silence(operator, request.id, clock)


def _preview(operator: Operator, request: wire.PreviewSilence, clock: Clock) -> wire.Preview:
    found = actions.preview(operator, request.matchers)
    alerts = [shown(row, rows.AlertRow) for row in found[:MAX_PREVIEW]]
    return wire.Preview(ref=request.ref, at=clock.wall(), alerts=alerts, total=len(found))


def _list(operator: Operator, request: wire.ListAlerts, clock: Clock) -> wire.AlertPage:
    page = actions.list_alerts(operator.rights, request.state, request.before, request.limit)
    alerts = [shown(row, rows.AlertRow) for row in page.rows]
    return wire.AlertPage(ref=request.ref, at=clock.wall(), alerts=alerts, next=page.next)


def _show(operator: Operator, request: wire.ShowAlert, clock: Clock) -> wire.AlertDetail:
    detail = actions.alert_detail(operator.rights, request.id)
    values = detail.alert.values
    return wire.AlertDetail(
        ref=request.ref, at=clock.wall(), alert=shown(detail.alert, rows.AlertRow),
        curve=rows.Curve([at for at, _ in values], [value for _, value in values]),
        changes=[shown(change, rows.AlertChange) for change in detail.changes],
        deliveries=[shown(delivery, rows.Delivery) for delivery in detail.deliveries],
    )  # fmt: skip


_HANDLERS: dict[type, Callable[..., wire.ServerMessage | None]] = {
    wire.Acknowledge: _acknowledge,
    wire.Unacknowledge: _unacknowledge,
    wire.Silence: _silence,
    wire.EndSilence: _end_silence,
    wire.PreviewSilence: _preview,
    wire.ListAlerts: _list,
    wire.ShowAlert: _show,
}
