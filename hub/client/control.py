"""
The client's half of the control frames on one connection: no I/O, the time is an argument.

A connection is *undecided* until its first frame has come; that one makes it *negotiated* if it is the hello of a
version that we speak, else *plain*, for good. On a plain connection every frame is the application's, and nothing of
ours is sent. See `hub.core.control` for what is said.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from hub.core.control import CONFIRM_SECONDS, VERSION, encode, escaped, is_control, unescaped

#: A confirm waits so long for more frames to confirm; with what the loop adds it stays within the 100 ms.
CONFIRM_AFTER = 0.75 * CONFIRM_SECONDS
#: A server that was silent for so many intervals, though it owes an answer to each heartbeat, is dead.
DEAD_INTERVALS = 2.5
#: Our own loop was held up for so long, or a quarter of an interval: what the server said may still lie unread.
LATE_SECONDS = 1.0

Message = str | bytes


class Control:
    """
    Control frames of one connection.

    Args:
        now: Monotonic time, in seconds, when it was opened.
        lag: Says how old the oldest frame is that the application has not taken, in seconds.
        asked: The server was asked for control frames; else the connection is plain from the beginning.

    Attributes:
        negotiated: Whether the server speaks our control frames; None while undecided.
        interval: Seconds between two heartbeats.
        count: Ordinary frames that the application has taken.
        parked: Nobody reads what the server sends, as the application takes nothing: its silence says nothing.
    """

    def __init__(self, now: float, lag: Callable[[], float] = lambda: 0.0, *, asked: bool = True) -> None:
        self.negotiated: bool | None = None if asked else False
        self.interval = math.inf
        self.count = 0
        self.parked = False
        self._lag = lag
        self._heard_at = now
        self._heartbeat_due = math.inf
        self._confirm_due = math.inf
        self._echo: tuple[float, float] | None = None

    # --- in ---

    def receive(self, frame: Message, now: float) -> Message | None:
        """A frame has come. Returns what the application gets: None if the frame was for us."""
        self._heard_at = now
        if self.negotiated is None:
            self.negotiated = self._greet(frame, now)
            return None if self.negotiated else frame
        if not self.negotiated or not isinstance(frame, str):
            return frame
        if not is_control(frame):
            return unescaped(frame)
        self._obey(_fields(frame), now)
        return None

    def _greet(self, frame: Message, now: float) -> bool:
        """Take the first frame. Returns whether it is a hello that we understand."""
        fields = _fields(frame) if isinstance(frame, str) and is_control(frame) else {}
        interval = _number(fields.get("interval"))
        if fields.get("type") != "hello" or fields.get("version") != VERSION or not interval or interval <= 0:
            return False
        self.interval = interval
        self._remember(fields, now)
        self._heartbeat_due = now
        return True

    def _obey(self, fields: Mapping[str, Any], now: float) -> None:
        """Take a later control frame; what is unknown belongs to a newer server and is passed over."""
        self._remember(fields, now)
        if fields.get("type") == "probe":
            self._heartbeat_due = now

    def _remember(self, fields: Mapping[str, Any], now: float) -> None:
        at = _number(fields.get("at"))
        if at is not None:
            self._echo = at, now

    def taken(self, now: float) -> bool:
        """The application has taken an ordinary frame. Returns whether a confirm has just become due."""
        self.count += 1
        if not self.negotiated or self._confirm_due < math.inf:
            return False
        self._confirm_due = now + CONFIRM_AFTER
        return True

    def resumed(self, now: float) -> None:
        """Somebody reads again: silence counts from here."""
        self.parked, self._heard_at = False, now

    def late(self, due: float, now: float) -> bool:
        """
        What was due comes only now. Returns whether that is very late, since we were held up: silence then counts
        from here, and the server is asked for a sign of life.
        """
        if now - due <= min(LATE_SECONDS, self.interval / 4):
            return False
        self._heard_at = self._heartbeat_due = now
        return True

    # --- out ---

    def outgoing(self, message: Message, *, text: bool) -> Message:
        """An ordinary message as it travels; ``text``: in a text frame."""
        if not self.negotiated or not text:
            return message
        if isinstance(message, str):
            return escaped(message)
        return b"\0" + message if message.startswith(b"\0") else message

    @property
    def next_due(self) -> float:
        """When there is something to do, in monotonic seconds; infinite if never."""
        dead_at = math.inf if self.parked else self._dead_at
        return min(self._heartbeat_due, self._confirm_due, dead_at)

    @property
    def _dead_at(self) -> float:
        return self._heard_at + DEAD_INTERVALS * self.interval

    def dead(self, now: float) -> bool:
        """Whether the server has been silent for longer than a living one is."""
        return bool(self.negotiated) and not self.parked and now >= self._dead_at

    def due(self, now: float, wall: float) -> str | None:
        """The control frame that is to be sent now; None if none is."""
        if self._heartbeat_due <= now:
            self._heartbeat_due, self._confirm_due = now + self.interval, math.inf
            return self._heartbeat(now, wall)
        if self._confirm_due <= now:
            self._confirm_due = math.inf
            return encode("confirm", count=self.count)
        return None

    def last(self) -> str | None:
        """What has to be sent before a close of ours: a confirm of what was taken; None if all is confirmed."""
        if self._confirm_due == math.inf:
            return None
        self._confirm_due = math.inf
        return encode("confirm", count=self.count)

    def _heartbeat(self, now: float, wall: float) -> str:
        fields: dict[str, float] = {"sent_at": round(wall, 3), "lag": round(self._lag(), 4), "count": self.count}
        if self._echo is not None:
            at, came_at = self._echo
            fields |= {"echo": at, "held": round(now - came_at, 6)}
            self._echo = None
        return encode("heartbeat", **fields)


def _fields(frame: str) -> dict[str, Any]:
    try:
        fields = json.loads(frame[1:])
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _number(value: object) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return value
