"""
Control frames: what our client library and the hub say to each other beside a consumer's own frames.

A client asks for them with `PARAMETER` in the query of its URL; the hub answers with a hello as the first frame
after accept, and from then on the connection is *negotiated*; without it the connection is *plain*. A control frame
is a text frame that begins with U+0000 and ``{``, a JSON object whose ``type`` names it. An ordinary text frame that
begins with U+0000 travels with one more U+0000 in front, in both directions, on negotiated connections only.

A client knows that its connection is negotiated when it has read the hello, and says so with a heartbeat at once.
What it sends before that first control frame of its own is a plain client's: nothing is unescaped, and what is no
valid control frame is the consumer's. From then on, what begins like a control frame and is none is *garbled*.

Server to client: ``hello`` (``version``, ``interval``: seconds between heartbeats, ``at``), ``heartbeat`` (``at``;
the answer to each of the client's), ``probe`` (``at``; to be answered with a heartbeat at once). ``at`` is opaque: the
client's next heartbeat brings it back as ``echo``, with ``held``, the seconds since it came, so that the hub measures
the round trip by its own clock. Client to server: ``heartbeat`` (``sent_at``: seconds since the epoch, ``hidden``:
whether the page is, ``lag``: age of the page's queue in seconds, ``count``, ``echo``, ``held``), ``confirm``
(``count``). ``count``: ordinary frames of the connection that the client has processed. Before a client closes a
connection itself it confirms what it has processed: what is unconfirmed then never will be.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass

from hub.core.delivery import RECEIVED

VERSION = 1
#: What the client adds to the query of its URL.
PARAMETER = "_hub=1"
MARK = "\0"
#: Longer than any control frame is.
MAX_CONTROL_CHARACTERS = 1024
#: Seconds within which a client confirms frames while they flow.
CONFIRM_SECONDS = 0.1
#: A round trip or a lag beyond this is nonsense.
MAX_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life of a client; None: unknown."""

    count: int
    hidden: bool | None = None
    lag: float | None = None
    echo: float | None = None
    held: float = 0.0
    sent_at: float | None = None


@dataclass(frozen=True, slots=True)
class Confirm:
    """The client has processed so many ordinary frames."""

    count: int


class Negotiated:
    """
    What is known of the client of a negotiated connection.

    Attributes:
        frames_sent: Ordinary frames sent to it since accept.
        frames_confirmed: Of these, processed by the client.
        fate: What became of the frames that were never confirmed, once that is decided (`hub.core.delivery`).
        counted: What the ledger has counted as confirmed, and as in flight.
        heartbeat_at: When its last heartbeat came, in monotonic seconds; zero before the first.
        confirmed_at: When its last confirm came.
        missed: Heartbeats missed since the last sign of life.
        hidden: Whether the page is hidden.
        lag: Age of the page's queue, in seconds.
        rtt: The last round trip, in seconds.
        probe: Asks the client for a heartbeat; never raises, never waits.
    """

    __slots__ = (
        "confirmed_at", "counted", "fate", "frames_confirmed", "frames_sent", "heartbeat_at", "hidden", "lag",
        "missed", "probe", "rtt",
    )  # fmt: skip

    def __init__(self, probe: Callable[[], None]) -> None:
        self.frames_sent = 0
        self.frames_confirmed = 0
        self.fate: str | None = None
        self.counted = (0, 0)
        self.heartbeat_at = 0.0
        self.confirmed_at = 0.0
        self.missed = 0
        self.hidden: bool | None = None
        self.lag: float | None = None
        self.rtt: float | None = None
        self.probe = probe

    @property
    def speaks(self) -> bool:
        """Whether the client confirms frames: one that never answered the hello is as good as a plain one."""
        return self.heartbeat_at > 0

    @property
    def in_flight(self) -> int:
        """Frames that were sent and that the client may still confirm."""
        return 0 if self.fate else self.frames_sent - self.frames_confirmed

    def heartbeat(self, beat: Heartbeat, now: float) -> float | None:
        """
        Take a heartbeat. Returns the round trip that it proves, in seconds; None if it proves none.

        Raises:
            ValueError: It confirms frames that were never sent.
        """
        self.confirm(beat.count, now)
        self.heartbeat_at, self.hidden, self.lag, self.missed = now, beat.hidden, beat.lag, 0
        rtt = None if beat.echo is None else now - beat.echo - beat.held
        if rtt is None or not 0 <= rtt <= MAX_SECONDS:
            return None
        self.rtt = rtt
        return rtt

    def confirm(self, count: int, now: float) -> None:
        """
        The client has processed so many frames.

        Raises:
            ValueError: So many were never sent, or more were confirmed before.
        """
        if not self.frames_confirmed <= count <= self.frames_sent:
            raise ValueError(f"{count} frames confirmed, {self.frames_confirmed} before, of {self.frames_sent} sent")
        if count > self.frames_confirmed:
            self.frames_confirmed, self.confirmed_at = count, now

    def decide(self, fate: str) -> int:
        """The connection is no more: nothing is in flight. Returns how many frames it was until now."""
        frames, self.fate = self.in_flight, fate
        if fate == RECEIVED:
            self.frames_confirmed += frames
        return frames


def is_control(text: str) -> bool:
    """Whether a text frame of a negotiated connection is a control frame."""
    return text.startswith(MARK + "{")


def escaped(text: str) -> str:
    """An ordinary text frame as it travels on a negotiated connection."""
    return MARK + text if text.startswith(MARK) else text


def unescaped(text: str) -> str:
    """An ordinary text frame of a negotiated connection as its sender meant it."""
    return text[1:] if text.startswith(MARK + MARK) else text


def decode(text: str) -> Heartbeat | Confirm:
    """
    A client's control frame.

    Raises:
        ValueError: It is none.
    """
    if len(text) > MAX_CONTROL_CHARACTERS:
        raise ValueError(f"{len(text)} characters are more than the {MAX_CONTROL_CHARACTERS} of a control frame")
    try:
        fields = json.loads(text[1:])
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    kind = fields.get("type") if isinstance(fields, dict) else None
    if kind == "confirm":
        return Confirm(_count(fields))
    if kind != "heartbeat":
        raise ValueError(f"{kind!r:.40} is no type of a client's control frame")
    hidden = fields.get("hidden")
    return Heartbeat(
        count=_count(fields), hidden=hidden if isinstance(hidden, bool) else None,
        lag=_seconds(fields, "lag"), echo=_number(fields, "echo"), held=_seconds(fields, "held") or 0.0,
        sent_at=_number(fields, "sent_at"),
    )  # fmt: skip


def _count(fields: dict[str, object]) -> int:
    count = fields.get("count")
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ValueError("count has to be a whole number of frames")
    return count


def _number(fields: dict[str, object], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    try:
        # A whole number may be too long for a float.
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} has to be a number")
    return number


def _seconds(fields: dict[str, object], name: str) -> float | None:
    value = _number(fields, name)
    if value is not None and not 0 <= value <= MAX_SECONDS:
        raise ValueError(f"{name} has to be between 0 and {MAX_SECONDS:g} seconds")
    return value


def encode(kind: str, **fields: float) -> str:
    """A control frame of the server: ``hello``, ``heartbeat`` or ``probe``."""
    return MARK + json.dumps({"type": kind, **fields}, separators=(",", ":"))


def take_parameter(query: bytes) -> tuple[bytes, bool]:
    """The query of a URL without our parameter, the rest byte for byte, and whether it was there."""
    parts = query.split(b"&")
    kept = [part for part in parts if part != PARAMETER.encode()]
    return (b"&".join(kept), True) if len(kept) < len(parts) else (query, False)


def with_parameter(url: str) -> str:
    """A URL, without a fragment, that asks for control frames."""
    joint = "&" if "?" in url else "?"
    return url + PARAMETER if url.endswith("?") else url + joint + PARAMETER
