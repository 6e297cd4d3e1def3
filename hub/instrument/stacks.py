"""
Where code waits or runs: the await chain of a task, the stack of a thread, and the place in them that is the host's.

All of it only reads: nothing that it looks at notices, and what it can't read is left out.
"""

import asyncio
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from asgiref.sync import AsyncToSync, SyncToAsync

from hub.core.events import Detail
from hub.core.redaction import redact
from hub.instrument.state import LIBRARIES, shortened

#: Frames of one chain that are looked at, from the outside in.
MAX_DEPTH = 200
#: Frames of one chain that are shown.
SHOWN = 5
#: Python's own modules are no code of the host's, nor is what a frozen module or a template is made of.
_STDLIB = (*{sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib")}, "<")

_AWAITS = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))
_THREAD_HANDLER = SyncToAsync.thread_handler.__code__
_LOOP_CALL: CodeType = AsyncToSync.__call__.__code__
#: Where what a consumer sends passes through.
_OBSERVER = str(Path(__file__).with_name("observer.py"))
_THREAD_CALL: CodeType = SyncToAsync.__call__.__code__


@dataclass(frozen=True, slots=True)
class Spot:
    """One frame at one moment."""

    path: str
    line: int
    function: str

    @property
    def own(self) -> bool:
        """Whether it is code of the host's, as far as its path tells."""
        return not any(part in self.path for part in LIBRARIES) and not self.path.startswith(_STDLIB)

    def __str__(self) -> str:
        return f"{shortened(self.path)}:{self.line} {self.function}"


def spot_of(frame: FrameType) -> Spot:
    """The line that a frame is at."""
    code = frame.f_code
    return Spot(code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_name)


def stack(frame: FrameType | None) -> list[FrameType]:
    """The frames of a running thread, the outermost first."""
    frames: list[FrameType] = []
    while frame is not None and len(frames) < MAX_DEPTH:
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def await_chain(task: asyncio.Task[Any] | None) -> list[FrameType]:
    """The frames that a task waits in, the outermost first, through the tasks that it waits for."""
    frames: list[FrameType] = []
    seen = set()
    while task is not None and task not in seen and not task.done():
        seen.add(task)
        _follow(task.get_coro(), frames)
        # What asyncio's own tasks wait for, if it is another one.
        waits_for = getattr(task, "_fut_waiter", None)
        task = waits_for if isinstance(waits_for, asyncio.Task) else None
    return frames


def _follow(awaited: object, frames: list[FrameType]) -> None:
    while awaited is not None and len(frames) < MAX_DEPTH:
        for frame_name, next_name in _AWAITS:
            frame = getattr(awaited, frame_name, None)
            if frame is not None:
                frames.append(frame)
                awaited = getattr(awaited, next_name)
                break
        else:
            return


def current_frame(thread: int | None) -> FrameType | None:
    """The innermost frame of a running thread, by its identifier; None if it runs no more."""
    return None if thread is None else sys._current_frames().get(thread)  # noqa: SLF001 - there is no other way


def place(frames: Sequence[FrameType]) -> dict[str, Detail]:
    """
    Where a chain of frames is, for an operator.

    Returns:
        ``file``, ``line`` and ``function`` of the innermost frame that is the host's (of any, if none is), and
        ``waits``: the chain from the host's part on, the innermost last. Empty without frames.
    """
    spots = [spot_of(frame) for frame in frames]
    if not spots:
        return {}
    own = [number for number, spot in enumerate(spots) if spot.own]
    first, here = (own[0], spots[own[-1]]) if own else (len(spots) - 1, spots[-1])
    return {
        "file": redact(shortened(here.path)),
        "line": here.line,
        "function": redact(here.function),
        "waits": redact(" > ".join(map(str, _shown(spots[first:])))),
    }


def _shown(spots: list[Spot]) -> Iterable[Spot]:
    """The host's frames first: of a long chain, they and the innermost."""
    if len(spots) <= SHOWN:
        return spots
    own = [spot for spot in spots[:-1] if spot.own]
    return [*own[-(SHOWN - 1) :], spots[-1]]


# --- calls that run in threads ------------------------------------------------------------------------------------


def thread_call(frames: Sequence[FrameType]) -> tuple[object, bool] | None:
    """
    What an await chain waits for, if that is a call in a thread.

    Returns:
        A token that `running_calls` knows the call by while it runs, and whether it is one for the shared thread;
        None if the chain waits for something else.
    """
    for frame in reversed(frames):
        if frame.f_code is _THREAD_CALL:
            names = frame.f_locals
            wrapper = names.get("self")
            return id(names.get("task_context")), bool(getattr(wrapper, "_thread_sensitive", False))
        if spot_of(frame).own:
            break
    return None


def sends(frames: Sequence[FrameType]) -> bool:
    """Whether a chain, or the stack of a thread, waits for the server to take a frame for the client."""
    return any(
        (frame.f_code.co_filename == _OBSERVER and "send" in frame.f_code.co_name)
        or (frame.f_code is _LOOP_CALL and _is_send(frame.f_locals.get("self")))
        for frame in frames
    )


def dispatched(frames: Sequence[FrameType]) -> object:
    """The message that an await chain of a monitored consumer is at; None if it is at none."""
    for frame in frames:
        if frame.f_code.co_filename == _OBSERVER and "dispatch" in frame.f_code.co_name:
            return frame.f_locals.get("message")
    return None


def _is_send(call: object) -> bool:
    """Whether a call from a thread into the loop is one of the observed ``send``."""
    code = getattr(getattr(call, "awaitable", None), "__code__", None)
    return getattr(code, "co_filename", None) == _OBSERVER


def running_calls() -> dict[object, list[FrameType]]:
    """Calls that run in threads at this moment, by their token: the frames of each."""
    calls: dict[object, list[FrameType]] = {}
    for top in list(sys._current_frames().values()):  # noqa: SLF001 - there is no other way
        frames = stack(top)
        token = token_of(frames)
        if token is not None:
            calls[token] = frames
    return calls


def token_of(frames: Sequence[FrameType]) -> object | None:
    """The token of the call that a thread runs; None if it runs none."""
    for frame in frames:
        if frame.f_code is _THREAD_HANDLER:
            return id(frame.f_locals.get("task_context"))
    return None


def consumer_in(frames: Iterable[FrameType]) -> Any:  # noqa: ANN401 - any class with the mixin
    """The monitored consumer whose method is on a stack, the innermost one; None without one."""
    found = None
    for frame in frames:
        if "self" in frame.f_code.co_varnames[:1] and hasattr(type(frame.f_locals.get("self")), "_hub_label"):
            found = frame.f_locals["self"]
    return found
