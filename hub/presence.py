"""
Who is connected, for the host's own features.

    from hub import presence

    presence.members("north", "room-7", states={"online"})
    presence.count("north")

    @receiver(presence.member_left)
    def goodbye(member, group, **kwargs): ...

All of it covers the whole fleet, and may be called from any thread and from coroutines; nothing here waits for a
network. Where the hub is switched off nobody is there.
"""

import asyncio
import concurrent.futures
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from channels.layers import get_channel_layer
from django.dispatch import Signal

from hub.conf import config
from hub.core.errors import NotRunningError
from hub.core.ledger import Connection
from hub.core.presence import Key, Member, Page, RosterDiff
from hub.faults import record_fault
from hub.fleet.roster import FleetRoster
from hub.instrument.members import MESSAGES
from hub.instrument.observer import SCOPE_KEY
from hub.node.node import Node, current_node
from hub.node.presence import NodePresence

__all__ = [
    "Member",
    "NotRunningError",
    "Page",
    "count",
    "enter",
    "get",
    "leave",
    "member_joined",
    "member_left",
    "members",
    "page",
]

#: Sent with ``member`` (a `Member`) and ``group``: None when the member joined or left its tenant, then once with the
#: name of each presence group it came into or went out of. Receivers may be sync or async; what they raise is counted
#: and goes no further. In a fleet each is sent once: in the process whose connections brought it about, or in one of
#: those that live if a process died.
member_joined = Signal()
member_left = Signal()

#: Seconds that a thread waits for the node's event loop at most.
ANSWER_SECONDS = 10.0
#: Signals and messages that wait to be sent at most.
MAX_PENDING = 10_000

Result = TypeVar("Result")


def members(
    tenant: str, group: str | None = None, *, states: Iterable[str] | None = None, after: Key | None = None,
    limit: int | None = None,
) -> list[Member]:  # fmt: skip
    """
    The members of a tenant, by id.

    Args:
        tenant: Its name; an empty one where there are no tenants.
        group: Only those of this presence group.
        states: Only those in these states, of ``online``, ``idle`` and ``stale``.
        after: Begin behind this (tenant, member).
        limit: So many at most; None: all of them, which takes a moment if they are very many. See `page`.

    Raises:
        NotRunningError: This process has no node.
    """
    most = 1 << 62 if limit is None else limit
    return page(tenant, group, states=states, after=after, limit=most).members


def count(tenant: str, group: str | None = None) -> int:
    """
    How many members a tenant has, or one of its presence groups, in whatever state.

    Raises:
        NotRunningError: This process has no node.
    """
    return _ask(lambda roster: roster.count(tenant, group), 0)


def page(
    tenant: str, group: str | None = None, *, states: Iterable[str] | None = None, search: str | None = None,
    after: Key | None = None, limit: int = 50,
) -> Page:  # fmt: skip
    """
    A page of the members of a tenant, by id.

    Args:
        tenant: Its name.
        group: Only those of this presence group.
        states: Only those in these states.
        search: Only those whose id or name contains this, whatever the case.
        after: The ``next`` of the page before.
        limit: So many at most.

    Raises:
        NotRunningError: This process has no node.
    """
    chosen = None if states is None else frozenset(states)
    return _ask(
        lambda roster: roster.page(
            tenants=None, tenant=tenant, group=group, states=chosen, search=search, after=after, limit=limit
        ),
        Page([], 0),
    )


def get(tenant: str, member: str) -> Member | None:
    """
    One member by its id; None if it is not there.

    Raises:
        NotRunningError: This process has no node.
    """
    return _ask(lambda roster: roster.get(tenant, member), None)


def enter(consumer: Any, group: str) -> None:  # noqa: ANN401 - any monitored consumer
    """
    Put a consumer's connection into a presence group, before or after it was accepted, sync or async consumer.

    Nothing happens where presence is off.
    """
    _regroup(consumer, lambda groups: groups | {str(group)})


def leave(consumer: Any, group: str) -> None:  # noqa: ANN401 - any monitored consumer
    """Take a consumer's connection out of a presence group again."""
    _regroup(consumer, lambda groups: groups - {str(group)})


def _regroup(consumer: Any, change: Callable[[frozenset[str]], frozenset[str]]) -> None:  # noqa: ANN401 - see `enter`
    connection = consumer.scope.get(SCOPE_KEY)
    if not isinstance(connection, Connection):
        return
    asked = connection.member_of
    if not connection.accepted_at and asked is not None:

        def member_of() -> tuple[tuple[str, str], frozenset[str]]:
            member, groups = asked()
            return member, change(groups)

        connection.member_of = member_of
        return
    node = current_node()
    if node is None or connection.member is None:
        return

    def regroup() -> None:
        connection.groups = change(connection.groups)
        node.part(NodePresence).regroup(connection)

    if _running_loop() is node.loop:
        regroup()
    else:
        node.loop.call_soon_threadsafe(regroup)


def _ask(question: Callable[[FleetRoster], Result], nobody: Result) -> Result:
    """Put a question to the roster, on the node's event loop; ``nobody``: the answer where the hub is switched off."""
    node = current_node()
    if node is None and not config().enabled:
        return nobody
    if node is None:
        raise NotRunningError(
            "this process has no node, so it does not know who is connected: the hub starts one with the first"
            " connection or request of the application that hub.monitor() wraps; management commands and task"
            " workers have none"
        )
    roster = node.part(FleetRoster)
    if _running_loop() is node.loop:
        return question(roster)
    answer: concurrent.futures.Future[Result] = concurrent.futures.Future()

    def give() -> None:
        try:
            answer.set_result(question(roster))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that asked
            answer.set_exception(error)

    node.loop.call_soon_threadsafe(give)
    try:
        return answer.result(ANSWER_SECONDS)
    except concurrent.futures.TimeoutError as error:
        raise NotRunningError(
            f"the event loop of this process's node did not answer within {ANSWER_SECONDS:g} s; something blocks it"
        ) from error


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Announcer:
    """
    Tells the host of joins and leaves: by signals, and by messages to groups of the channel layer.

    Args:
        node: Whose roster says what changes.
    """

    def __init__(self, node: Node) -> None:
        self._roster = node.part(FleetRoster)
        self._pending: deque[tuple[bool, Member, str | None]] = deque(maxlen=MAX_PENDING)
        self._wake = asyncio.Event()

    def take(self, diff: RosterDiff) -> None:
        """The roster has changed: joins go out before leaves."""
        if not self._roster.answers_for(diff):
            return
        news: list[tuple[bool, Member, str | None]] = []
        news += [(True, member, None) for member in diff.joined]
        news += [(True, member, group) for member, group in diff.entered]
        news += [(False, member, group) for member, group in diff.withdrawn]
        news += [(False, member, None) for member in diff.left]
        if len(self._pending) + len(news) > MAX_PENDING:
            record_fault("presence signals", OverflowError(f"over {MAX_PENDING} joins and leaves wait to be told"))
        self._pending.extend(news)
        self._wake.set()

    async def run(self) -> None:
        """Send what there is to send, in order, for as long as the node lives."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                joined, member, group = self._pending.popleft()
                try:
                    await self._signal(member_joined if joined else member_left, member, group)
                    if group is not None:
                        await self._send(joined, member, group)
                except Exception as error:  # noqa: BLE001 - the border: the host's layer or our own fault
                    record_fault("presence signals", error)

    async def _signal(self, signal: Signal, member: Member, group: str | None) -> None:
        if not signal.receivers:
            return
        for _, answer in await signal.asend_robust(sender=Member, member=member, group=group):
            if isinstance(answer, Exception):
                record_fault("presence receiver", answer)

    async def _send(self, joined: bool, member: Member, group: str) -> None:  # noqa: FBT001 - one of two events
        for kind, alias in sorted({MESSAGES[label] for label in member.consumers if label in MESSAGES}):
            layer = get_channel_layer(alias)
            if layer is not None:
                message = {
                    "type": kind, "event": "joined" if joined else "left", "member": member.member,
                    "name": member.name, "group": group, "tenant": member.tenant,
                }  # fmt: skip
                await layer.group_send(group, message)


def attach(node: Node) -> None:
    """Let the host know of joins and leaves for as long as a node lives; its roster must be there already."""
    announcer = Announcer(node)
    node.add(announcer)
    node.part(FleetRoster).listeners.append(announcer.take)
    node.keep(announcer.run, "presence signals")
