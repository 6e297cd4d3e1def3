"""
The roster as operators see it: its tallies as rows with the tick at which they changed, its pages as messages.

A page by tenant or group is a look-up. By state or text it is a search, which looks at every member, for the total: it
walks the roster in slices and rests after each for as long as it took, and only one search goes on at a time, so that
searches never take more than half of the event loop, and nobody else waits for them.
"""

import asyncio
from dataclasses import asdict, dataclass

import msgspec

from hub.clock import Clock
from hub.core.presence import Key, Member, Page, Tally
from hub.feed import rows, wire
from hub.fleet.roster import FleetRoster
from hub.fleet.view import REMOVED_KEPT


class PresenceRows:
    """
    The tallies of the roster, each with the tick at which anybody here could first see it.

    Args:
        roster: Whose tallies.
    """

    def __init__(self, roster: FleetRoster) -> None:
        self._roster = roster
        self._rows: dict[str, tuple[Tally, int]] = {}
        self._tick = -1

    def since(self, since: int, tenant: str | None, tick: int) -> list[rows.PresenceRow]:
        """
        The rows that have changed after a tick, those that are no more all zero.

        Args:
            since: The tick; below zero: all rows that there are.
            tenant: Only this one; None: all.
            tick: The one of now.
        """
        if tick != self._tick:
            self._renew(tick)
        found = self._rows.items() if tenant is None else [(tenant, self._rows.get(tenant, (Tally(), -1)))]
        return [
            _presence_row(name, tally) for name, (tally, at) in found if at > since and (since >= 0 or tally.members)
        ]

    def _renew(self, tick: int) -> None:
        tallies = self._roster.tallies
        gone = {name: Tally(tally.version) for name, (tally, _) in self._rows.items() if name not in tallies}
        renewed = {}
        for name, tally in {**tallies, **gone}.items():
            before = self._rows.get(name)
            at = before[1] if before is not None and before[0] == tally else tick
            if tally.members or at > tick - REMOVED_KEPT:
                renewed[name] = (tally, at)
        self._rows, self._tick = renewed, tick


def _presence_row(tenant: str, tally: Tally) -> rows.PresenceRow:
    return rows.PresenceRow(tenant=tenant, **asdict(tally))


@dataclass(frozen=True, slots=True)
class Question:
    """A page that an operator asks for; what it may not see is left out already."""

    ref: str
    tenants: frozenset[str] | None
    tenant: str | None = None
    group: str | None = None
    states: frozenset[str] | None = None
    search: str = ""
    after: Key | None = None
    limit: int = 50


class Answers:
    """
    Answers the questions of all operators; one search at a time.

    Args:
        roster: Where to look.
        clock: Tells how long a slice has taken.
    """

    def __init__(self, roster: FleetRoster, clock: Clock) -> None:
        self._roster = roster
        self._clock = clock
        self._searching = asyncio.Lock()

    async def answer(self, question: Question) -> wire.Members:
        """The answer: at once, or to a search after a walk through the roster."""
        if question.states is None and not question.search:
            page = self._look_up(question)
        else:
            async with self._searching:
                page = await self._search(question)
        return wire.Members(
            ref=question.ref, at=self._clock.wall(), members=[_member_row(member) for member in page.members],
            total=page.total, next=None if page.next is None else format_place(page.next),
        )  # fmt: skip

    def _look_up(self, question: Question) -> Page:
        return self._roster.page(
            tenants=question.tenants, tenant=question.tenant, group=question.group, after=question.after,
            limit=question.limit,
        )  # fmt: skip

    async def _search(self, question: Question) -> Page:
        """Count all members that match, and take those of the page."""
        found: list[Key] = []
        total, began = 0, self._clock.monotonic()
        for keys in self._roster.search(
            tenants=question.tenants, tenant=question.tenant, group=question.group, states=question.states,
            search=question.search,
        ):  # fmt: skip
            total += len(keys)
            found += [key for key in keys if question.after is None or key > question.after]
            del found[question.limit + 1 :]
            await asyncio.sleep(self._clock.monotonic() - began)
            began = self._clock.monotonic()
        page = found[: question.limit]
        members = [member for member in (self._roster.get(*key) for key in page) if member is not None]
        return Page(members, total, page[-1] if len(found) > len(page) else None)


def _member_row(member: Member) -> rows.MemberRow:
    return rows.MemberRow(
        tenant=member.tenant, member=member.member, name=member.name, state=member.state,  # type: ignore[arg-type]
        joined_at=member.joined_at, heard_at=member.heard_at, heard_by=member.heard_by,  # type: ignore[arg-type]
        connections=member.connections, negotiated=member.negotiated, hidden=member.hidden,
        rtt=rounded(member.rtt), lag=rounded(member.lag),
        consumers=list(member.consumers), groups=list(member.groups), nodes=list(member.nodes),
    )  # fmt: skip


# --- places -------------------------------------------------------------------------------------------------------


def format_place(key: Key) -> str:
    """A place in the roster as text: opaque to clients."""
    return msgspec.json.encode(key).decode()


def parse_place(text: str) -> Key:
    """
    The place in a text.

    Raises:
        ValueError: It is none.
    """
    try:
        return msgspec.json.decode(text.encode("utf-8", "surrogatepass"), type=tuple[str, str])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"{text[:40]!r} is no place in the roster; send the next of the page before") from error


def rounded(value: float | None) -> float | None:
    """Six significant digits are more than any of our numbers has."""
    return None if value is None else float(f"{value:.6g}")
