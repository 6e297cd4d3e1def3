"""
``/ws/ops/``: the connection of one operator. A thin shell that moves frames between a session and the server.

It is monitored like any other consumer, uses neither the channel layer nor the shared sync thread, and looks at
the server's write buffer before it sends, because Daphne's ``send`` never waits.
"""

import asyncio
from typing import Any, cast

from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.signals import user_logged_out

from hub import __version__
from hub.access import Operator, bearer_token, operator_of_session, operator_of_token, origin_allowed
from hub.faults import record_fault
from hub.feed import wire
from hub.feed.sending import unless_gone, wait_for_room
from hub.feed.service import FeedService
from hub.feed.session import Limits, Session
from hub.instrument.mixin import MonitoredConsumerMixin
from hub.instrument.observer import SCOPE_KEY
from hub.instrument.state import instruments
from hub.node.executor import run_in_thread
from hub.node.node import current_node, ensure_node


class OpsConsumer(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """The operator feed; see `hub.feed.wire` for what is said and `hub.feed.session` for when."""

    hub_message_types = (
        "subscribe", "resume", "list_members", "acknowledge", "unacknowledge", "silence", "preview_silence",
        "end_silence", "list_alerts", "show_alert", "heartbeat",
    )  # fmt: skip
    hub_presence = False
    # A name that no project configures: Channels then gives the consumer no layer, so that a full or broken
    # layer can't take the feed with it.
    channel_layer_alias = "hub has no use for a channel layer"

    session: Session
    operator: Operator

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Channels' signature
        super().__init__(*args, **kwargs)
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._service: FeedService | None = None
        self._token: str | None = None

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Without any sweep of connections: the feed's queries run in threads of its own."""
        await getattr(self, get_handler_name(message))(message)

    # --- in ---

    async def connect(self) -> None:
        """Accept first, then close with a code that tells why: a browser sees nothing of a refused handshake."""
        offered = self.scope["subprotocols"]
        subprotocol = next((name for name in offered if name in wire.SUBPROTOCOLS), None)
        await self.accept(subprotocol)
        config = instruments().config
        self._token = bearer_token(self.scope["headers"])
        if not config.enabled or not (self._token is not None or origin_allowed(self.scope["headers"], config)):
            await self.close(wire.CLOSE_NOT_ALLOWED)
            return
        operator = await self._who()
        if operator is None or not operator.rights.view:
            await self.close(_refusal(operator))
            return
        ensure_node()
        node = current_node()
        service = None if node is None else node.part(FeedService)
        if service is None or len(service.listeners) >= config.feed_clients:
            await self.close(wire.CLOSE_TRY_LATER)
        else:
            self._open(service, operator, subprotocol or wire.JSON_SUBPROTOCOL)

    def _open(self, service: FeedService, operator: Operator, subprotocol: str) -> None:
        config = instruments().config
        limits = Limits(buffer_events=config.feed_buffer_events, heartbeat=config.feed_heartbeat)
        self.operator = operator
        self.session = Session(service.topics, operator, subprotocol, limits, service.node.clock.monotonic())
        self._service = service
        self.session.last_id = service.last_id
        self.session.send(self._hello(service, operator))
        service.listeners.add(self)
        user_logged_out.connect(self._logged_out, weak=True, dispatch_uid=f"hub.feed.{id(self)}")
        self._tasks = [asyncio.create_task(self._send_frames(service)), asyncio.create_task(self._watch_rights())]
        self.wake()

    def _hello(self, service: FeedService, operator: Operator) -> wire.Hello:
        node, rights = service.node, operator.rights
        permissions = wire.Permissions(
            operator=operator.name, view=rights.view, operate=rights.operate,
            tenants=None if rights.tenants is None else sorted(rights.tenants),
        )  # fmt: skip
        return wire.Hello(
            version=__version__, node=node.name, boot=node.boot, at=node.clock.wall(), cursor=service.cursor,
            cadence=wire.CADENCES[0], cadences=list(wire.CADENCES), permissions=permissions,
            heartbeat_interval=instruments().config.feed_heartbeat,
        )  # fmt: skip

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A message of the operator."""
        if self._service is None:
            return
        frame = text_data if text_data is not None else bytes_data or b""
        clock = self._service.node.clock
        self.session.receive(frame, clock.monotonic(), self._service.cursor, clock.wall())
        await self._service.settle(self.session)
        self.wake()

    async def disconnect(self, code: int) -> None:  # noqa: ARG002 - Channels' signature
        """The operator has gone."""
        self._leave()

    def _leave(self) -> None:
        user_logged_out.disconnect(dispatch_uid=f"hub.feed.{id(self)}")
        if self._service is not None:
            self._service.listeners.discard(self)
        for task in self._tasks:
            task.cancel()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Serve one operator."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            # `disconnect` does not run when the connection ends by an exception or is cancelled.
            self._leave()

    # --- out ---

    def wake(self) -> None:
        """There may be something to send, or the session is closing: a sender may be stuck in the server for long."""
        if self._service is not None and self.session.closing:
            self._service.retire(self)
        self._wake.set()

    async def _send_frames(self, service: FeedService) -> None:
        """Send what the session has, as fast as the operator reads and no faster."""
        try:
            while self.session.close_code is None:
                await self._wake.wait()
                self._wake.clear()
                while self.session.pending and not self.session.closing:
                    await self._room()
                    await self._send_next(service)
            await self._close_session(service, self.session.close_code)
        except OSError:
            # The operator has gone; its disconnect follows.
            service.listeners.discard(self)
        except Exception as error:  # noqa: BLE001 - the border: a fault here must be seen, and end this feed only
            record_fault("feed sender", error)
            await self.close(wire.CLOSE_INTERNAL_ERROR)

    async def _send_next(self, service: FeedService) -> None:
        frame = self.session.next_frame(service.node.clock.monotonic(), service.cursor)
        if frame is not None:
            await self._send_frame(frame)
            service.frames_sent += 1
        elif self.session.replaying:
            await service.replay(self.session)
            # Events that this operator does not want are passed over: others get their turn in between.
            await asyncio.sleep(0)

    async def _room(self) -> None:
        """Wait until the server's write buffer has room. Meanwhile events queue up, and numbers are replaced."""
        limit = instruments().config.feed_buffer_bytes
        await wait_for_room(self._raw_send(), limit, lambda: self.session.closing)

    def _raw_send(self) -> object:
        connection = cast("dict[str, Any]", self.scope).get(SCOPE_KEY)
        return None if connection is None else connection.raw_send

    async def _send_frame(self, frame: str | bytes) -> None:
        sending = self.send(text_data=frame) if isinstance(frame, str) else self.send(bytes_data=frame)
        await unless_gone(sending)

    async def _close_session(self, service: FeedService, code: int) -> None:
        service.retire(self)
        if code == wire.CLOSE_TOO_SLOW:
            await unless_gone(self.close(code, reason=service.cursor))
        else:
            await unless_gone(self.close(code))

    # --- rights ---

    async def _who(self) -> Operator | None:
        """Who is there, with the rights of now; None if nobody is, or not any more. A token outdoes any cookie."""
        if self._token is not None:
            return await run_in_thread(operator_of_token, self._token)
        user, session = self.scope.get("user"), self.scope.get("session")
        if user is None or session is None:
            return None
        return await run_in_thread(operator_of_session, user, session)

    async def _watch_rights(self) -> None:
        """Look again from time to time: rights may be taken away, sessions end."""
        while True:
            await asyncio.sleep(instruments().config.feed_rights_interval)
            try:
                await self._check_rights()
            except Exception as error:  # noqa: BLE001 - the database is away: what was granted stays for now
                record_fault("feed rights", error)

    async def _check_rights(self) -> None:
        operator = await self._who()
        if operator != self.operator:
            self.session.close_code = _refusal(operator)
            self.wake()

    def _logged_out(self, request: Any = None, **_: object) -> None:  # noqa: ANN401 - Django's signal
        """Somebody logged out of this process; called in the thread of that request."""
        mine = None if self._token is not None else self.scope.get("session")
        theirs = getattr(request, "session", None)
        if mine is not None and theirs is not None and theirs.session_key == mine.session_key and self._service:
            self.session.close_code = wire.CLOSE_NOT_LOGGED_IN
            self._service.node.loop.call_soon_threadsafe(self.wake)


def _refusal(operator: Operator | None) -> int:
    """The close code for rights that don't suffice; for others, one that makes the client come back with them."""
    if operator is None:
        return wire.CLOSE_NOT_LOGGED_IN
    return wire.CLOSE_RESTART if operator.rights.view else wire.CLOSE_NOT_ALLOWED
