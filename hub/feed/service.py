"""
The feed of one node: reads events from the bus, and lets every session know of events and ticks.
"""

from collections import deque
from typing import Protocol

from hub.bus.base import format_cursor, parse_cursor
from hub.core.errors import CursorError
from hub.feed import wire
from hub.feed.board import BoardReader, Fetch, fetch_board
from hub.feed.desk import answer
from hub.feed.members import Answers
from hub.feed.session import EncodedEvent, Session
from hub.feed.topics import Topics
from hub.fleet.roster import FleetRoster
from hub.fleet.view import FleetView
from hub.node.node import Node

#: Events that a new subscription is shown.
RECENT = 200
#: Events that a replay queues at once.
REPLAY_BATCH = 100
#: Seconds that a tick, or a new subscription, waits for the alerts to be read.
TICK_PATIENCE, FIRST_PATIENCE = 0.05, 0.5


class Listener(Protocol):
    """A connection with its session."""

    session: Session

    def wake(self) -> None:
        """There may be something to send."""


class FeedService:
    """
    The sessions of one node.

    Args:
        node: Whose fleet is shown.
        fetch: Has alerts and silences read.

    Attributes:
        closed_slow: Operators closed because they could not keep up.
    """

    def __init__(self, node: Node, fetch: Fetch = fetch_board) -> None:
        self.node = node
        self.board = BoardReader(fetch, node.clock)
        self.topics = Topics(node.part(FleetView), node.part(FleetRoster))
        self.answers = Answers(node.part(FleetRoster), node.clock)
        self.listeners: set[Listener] = set()
        self.recent: deque[EncodedEvent] = deque(maxlen=RECENT)
        self.last_id = 0
        self.closed_slow = 0
        self.frames_sent = 0

    @property
    def cursor(self) -> str:
        """The place of the newest event that the sessions know."""
        return format_cursor(self.node.bus.epoch, self.last_id)

    async def run(self) -> None:
        """Hand each event to each session, at once, for as long as the node lives."""
        bus = self.node.bus
        while True:
            await bus.wait(self.last_id)
            try:
                entries = await bus.read(self.last_id)
            except CursorError:
                await self._skip_expired()
                continue
            for entry in entries:
                self.last_id = entry.id
                encoded = EncodedEvent(entry, self.cursor)
                self.recent.append(encoded)
                for listener in self.listeners:
                    listener.session.offer(encoded)
            self._wake_all()

    async def _skip_expired(self) -> None:
        """The log moved on without us: nobody here will ever see what it dropped, so everybody is told."""
        missed, self.last_id = self.cursor, await self.node.bus.oldest() - 1
        for listener in self.listeners:
            if not listener.session.replaying:
                self._gap(listener.session, missed, "expired")
        self._wake_all()

    async def tick(self, now: float) -> None:
        """New numbers: every session decides what of them is due."""
        watched = any(listener.session.watches("alerts", "silences") for listener in self.listeners)
        if watched:
            await self.board.look(TICK_PATIENCE)
        self.topics.show_board(self.board.board if watched else None)
        monotonic = self.node.clock.monotonic()
        for listener in self.listeners:
            listener.session.tick(monotonic, self.cursor, now)
        self._wake_all()

    def _wake_all(self) -> None:
        for listener in tuple(self.listeners):
            listener.wake()

    def retire(self, listener: Listener) -> None:
        """An operator that is being closed gets nothing more, even if that takes its server some time."""
        if listener in self.listeners:
            self.listeners.discard(listener)
            self.closed_slow += listener.session.close_code == wire.CLOSE_TOO_SLOW

    async def settle(self, session: Session) -> None:
        """
        After a message of the operator: answer what it asks, show recent events, or replay from a cursor that waits.
        """
        question, session.question = session.question, None
        if question is not None:
            session.send(await self.answers.answer(question))
        request, session.request = session.request, None
        if request is not None:
            session.send(await answer(session.operator, request, self.node.clock))
        fresh, session.fresh_snapshots = session.fresh_snapshots, False
        if fresh and not self.topics.board_known and session.watches("alerts", "silences"):
            await self.board.look(FIRST_PATIENCE)
            self.topics.show_board(self.board.board)
        if session.subscription is None:
            return
        cursor, session.resume_cursor = session.resume_cursor, None
        if cursor is not None:
            await self._resume(session, cursor, fresh=fresh)
        elif fresh:
            self._show_recent(session)

    def _show_recent(self, session: Session) -> None:
        session.end_replay(self.last_id)
        session.send_recent(list(self.recent), self.cursor, self.node.clock.wall())

    async def _resume(self, session: Session, cursor: str, *, fresh: bool) -> None:
        try:
            session.replay_after = parse_cursor(cursor, self.node.bus.epoch)
        except ValueError as error:
            session.send(wire.Result(ref=None, ok=False, error=wire.Error("invalid", str(error))))
            if fresh:
                self._show_recent(session)
        except CursorError as error:
            self._gap(session, cursor, error.reason)
        else:
            await self.replay(session)

    async def replay(self, session: Session) -> None:
        """Let a replaying session have the next events; call it again when these are sent."""
        after = session.replay_after
        if after is None:
            return
        epoch = self.node.bus.epoch
        try:
            entries = await self.node.bus.read(after, REPLAY_BATCH)
        except CursorError as error:
            self._gap(session, format_cursor(epoch, after), error.reason)
            return
        # Unless a new subscription has taken over meanwhile.
        if session.replay_after == after:
            session.replay([EncodedEvent(entry, format_cursor(epoch, entry.id)) for entry in entries])

    def _gap(self, session: Session, cursor: str, reason: str) -> None:
        if session.subscription is None:
            return
        session.send(wire.Gap(reason=reason, since=cursor, cursor=self.cursor))  # type: ignore[arg-type]
        session.send_snapshots()
        self._show_recent(session)


def attach(node: Node, fetch: Fetch = fetch_board) -> None:
    """Give a new node its feed; the fleet's view and roster must be there already."""
    service = FeedService(node, fetch)
    node.add(service, service.tick)
    node.keep(service.run, "feed")
