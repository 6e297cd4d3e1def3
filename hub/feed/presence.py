"""
``/ws/presence/``: who is there, for pages that need nothing else; opening it makes one present.

The tenant is what the host's rule makes of the authenticated scope, never anything in the URL. ``?group=`` narrows it
down to one presence group, for those whom ``HUB["PRESENCE_GROUPS"]`` allows; whoever watches a group is in it. What
is said: `hub.feed.rosters`. Nothing has to come in but control frames; whatever else does is ignored, a flood of it
closes the connection.
"""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import parse_qs

from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.auth.signals import user_logged_out
from django.utils.module_loading import import_string

from hub.access import origin_allowed, session_alive
from hub.faults import record_fault
from hub.feed import wire
from hub.feed.rosters import WatchedRoster, watched_rosters
from hub.feed.sending import unless_gone, wait_for_room
from hub.instrument.mixin import MonitoredConsumerMixin
from hub.instrument.observer import SCOPE_KEY
from hub.instrument.state import instruments
from hub.instrument.tenants import tenant_of_scope
from hub.node.executor import run_in_thread
from hub.node.node import current_node, ensure_node

#: Diffs that may wait for a page that reads slowly; beyond, a fresh snapshot takes their place.
MAX_UNSENT = 20
MAX_GROUP_CHARACTERS = 200


class PresenceConsumer(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """One page that watches who is there."""

    # A name that no project configures: Channels then gives the consumer no layer, so that a full or broken layer
    # can't take it down.
    channel_layer_alias = "hub has no use for a channel layer"

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Channels' signature
        super().__init__(*args, **kwargs)
        self.tenant = ""
        self.group: str | None = None
        self._watched: WatchedRoster | None = None
        self._unsent: deque[str] = deque()
        self._behind = False
        self._refused: int | None = None
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._allowance = float(wire.CLIENT_BURST)
        self._allowance_at = 0.0

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Without any sweep of connections: the queries run in threads of the hub's own."""
        await getattr(self, get_handler_name(message))(message)

    # --- who is let in ---

    async def connect(self) -> None:
        """Accept first, then close with a code that tells why: a browser sees nothing of a refused handshake."""
        code = await self._refusal()
        record = self._record()
        if code is not None and record is not None:
            # Whoever is turned away was never there.
            record.member_of = None
        await self.accept()
        if code is None:
            code = self._open()
        if code is not None:
            await self.close(code)

    async def _refusal(self) -> int | None:
        """The code that tells why not; None for those who may."""
        config = instruments().config
        if not (config.enabled and config.presence and origin_allowed(self.scope["headers"], config)):
            return wire.CLOSE_NOT_ALLOWED
        groups = parse_qs(self.scope["query_string"].decode("latin-1")).get("group", [])
        if len(groups) > 1 or any(len(group) > MAX_GROUP_CHARACTERS for group in groups):
            return wire.CLOSE_NOT_ALLOWED
        self.group = groups[0] if groups else None
        return await self._refusal_now()

    async def _refusal_now(self) -> int | None:
        """What speaks against it at this moment, also while it is open."""
        authenticated, tenant = await run_in_thread(standing, self.scope)
        if not authenticated:
            return wire.CLOSE_NOT_LOGGED_IN
        if instruments().config.tenant is not None and not tenant:
            return wire.CLOSE_NOT_ALLOWED
        if self._watched is None:
            self.tenant = tenant
        elif tenant != self.tenant:
            return wire.CLOSE_RESTART
        return None if self.group is None or await group_allowed(self.scope, self.group) else wire.CLOSE_NOT_ALLOWED

    def get_hub_tenant(self) -> str | None:
        """What was found before the connection was accepted."""
        return self.tenant

    def get_hub_presence_groups(self) -> tuple[str, ...]:
        """Whoever watches a group is in it."""
        return () if self.group is None else (self.group,)

    def _open(self) -> int | None:
        """Begin to watch. Returns a close code if that can't be."""
        ensure_node()
        node = current_node()
        try:
            rosters = None if node is None else watched_rosters(node)
        except KeyError:
            rosters = None
        if rosters is None or node is None:
            return wire.CLOSE_TRY_LATER
        self._rosters, self._node = rosters, node
        self._watched = rosters.watch(self.tenant, self.group, self)
        self.tell(self._watched.snapshot, whole=True)
        user_logged_out.connect(self._logged_out, weak=True, dispatch_uid=f"hub.presence.{id(self)}")
        self._tasks = [asyncio.create_task(self._send_frames()), asyncio.create_task(self._watch_rights())]
        return None

    async def _watch_rights(self) -> None:
        """Look again from time to time: rights may be taken away, sessions end."""
        while True:
            await asyncio.sleep(instruments().config.feed_rights_interval)
            try:
                async with self._rosters.checking:
                    self._refuse(await self._refusal_now())
            except Exception as error:  # noqa: BLE001 - the database is away: what was granted stays for now
                record_fault("presence rights", error)

    def _logged_out(self, request: Any = None, **_: object) -> None:  # noqa: ANN401 - Django's signal
        """Somebody logged out of this process; called in the thread of that request."""
        mine, theirs = cast("dict[str, Any]", self.scope).get("session"), getattr(request, "session", None)
        if mine is not None and theirs is not None and theirs.session_key == mine.session_key:
            self._node.loop.call_soon_threadsafe(self._refuse, wire.CLOSE_NOT_LOGGED_IN)

    def _refuse(self, code: int | None) -> None:
        if code is not None and self._refused is None:
            self._refused = code
            self._wake.set()

    # --- in ---

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:  # noqa: ARG002 - Channels' signature
        """Nothing is understood here: ignored, up to a flood."""
        if self._watched is None:
            return
        now = self._node.clock.monotonic()
        refilled = self._allowance + (now - self._allowance_at) * wire.CLIENT_RATE
        self._allowance, self._allowance_at = min(float(wire.CLIENT_BURST), refilled) - 1, now
        if self._allowance < 0:
            self._refuse(wire.CLOSE_FLOOD)

    async def disconnect(self, code: int) -> None:  # noqa: ARG002 - Channels' signature
        """The page has gone."""
        self._leave()

    def _leave(self) -> None:
        user_logged_out.disconnect(dispatch_uid=f"hub.presence.{id(self)}")
        watched, self._watched = self._watched, None
        if watched is not None:
            self._rosters.leave(watched, self)
        for task in self._tasks:
            task.cancel()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Serve one page."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            # `disconnect` does not run when the connection ends by an exception or is cancelled.
            self._leave()

    # --- out ---

    def tell(self, frame: str, *, whole: bool) -> None:
        """Something to send, as soon as the page has read what went before."""
        if whole:
            self._unsent.clear()
            self._behind = False
        if len(self._unsent) >= MAX_UNSENT:
            self._unsent.clear()
            self._behind = True
        if not self._behind:
            self._unsent.append(frame)
        self._wake.set()

    async def _send_frames(self) -> None:
        """Send what there is, as fast as the page reads and no faster."""
        try:
            while self._refused is None:
                await self._wake.wait()
                self._wake.clear()
                while (frame := await self._next()) is not None:
                    await unless_gone(self.send(text_data=frame))
            await unless_gone(self.close(self._refused))
        except OSError:
            # The page has gone; its disconnect follows.
            return
        except Exception as error:  # noqa: BLE001 - the border: a fault here must be seen, and end this page only
            record_fault("presence sender", error)
            await self.close(wire.CLOSE_INTERNAL_ERROR)

    async def _next(self) -> str | None:
        """The next frame, once the server's write buffer has room; None if there is none, or nothing more to say."""
        limit = instruments().config.feed_buffer_bytes
        record = self._record()
        raw_send = None if record is None else record.raw_send
        await wait_for_room(raw_send, limit, lambda: self._refused is not None)
        if self._refused is not None:
            return None
        if self._behind and self._watched is not None:
            self._behind = False
            return self._watched.snapshot
        return self._unsent.popleft() if self._unsent else None

    def _record(self) -> Any:  # noqa: ANN401 - the hub's own record of the connection
        return cast("dict[str, Any]", self.scope).get(SCOPE_KEY)


def standing(scope: Any) -> tuple[bool, str]:  # noqa: ANN401 - ASGI
    """
    Whether the user of a scope is still logged in, and in which tenant; blocks, so call it in a thread.

    A login by session is looked up anew; one by other means counts for as long as the connection lasts.
    """
    user, session = scope.get("user"), scope.get("session")
    if user is None or not getattr(user, "is_authenticated", False):
        return False, ""
    if getattr(session, "session_key", None) and session.get(SESSION_KEY) is not None:
        if not session_alive(session, user):
            return False, ""
        fresh = get_user_model()._default_manager.filter(pk=user.pk, is_active=True).first()
        if fresh is None:
            return False, ""
        scope = {**scope, "user": fresh}
    return True, tenant_of_scope(scope)


async def group_allowed(scope: Any, group: str) -> bool:  # noqa: ANN401 - ASGI
    """Whether the host's rule in ``HUB["PRESENCE_GROUPS"]`` lets a scope watch a group; without a rule nobody may."""
    path = instruments().config.presence_groups
    if path is None:
        return False
    try:
        rule: Callable[[Any, str], bool | Awaitable[bool]] = import_string(path)
        if inspect.iscoroutinefunction(rule):
            return await rule(scope, group) is True
        return await run_in_thread(rule, scope, group) is True
    except Exception as error:  # noqa: BLE001 - the border: the host's rule must not end a connection
        record_fault("HUB['PRESENCE_GROUPS']", error)
        return False
