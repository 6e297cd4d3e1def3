"""
Where code waits or runs: the await chain of a task, the stack of a thread, and the place in them that is the host's.

All of it only reads: nothing that it looks at notices, and what it can't read is left out. Of a frame that may be
running, on any thread, only its code, its line and its caller are read: before Python 3.13 a look at the variables of
one that ends meanwhile takes the process down. Variables are read in what the caller's own event loop has suspended.
"""

import asyncio
import gc
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import RLock
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any

from asgiref.sync import SyncToAsync
from channels.consumer import SyncConsumer

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
_SYNC_SEND: CodeType = SyncConsumer.send.__code__
#: Where what a consumer sends passes through.
_OBSERVER = str(Path(__file__).with_name("observer.py"))
_THREAD_CALL: CodeType = SyncToAsync.__call__.__code__

#: Before Python 3.12 anything new may set off a collection of garbage, whose finalizers let other threads go on.
_COLLECTS_ANYWHERE = sys.version_info < (3, 12)
_LOOKING = RLock()


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


@contextmanager
def _uncollected() -> Iterator[None]:
    """
    Keep collections of garbage out of a look at the frames of other threads.

    One in the middle of it could let such a frame end while it is read; `sys._current_frames` of Python before
    3.11.5 could even hang for ever (CPython's gh-106883).
    """
    if not _COLLECTS_ANYWHERE:
        yield
        return
    with _LOOKING:
        enabled = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if enabled:
                gc.enable()


if hasattr(os, "register_at_fork"):
    # A process that is copied in the middle of a look would go on without collecting garbage.
    os.register_at_fork(before=_LOOKING.acquire, after_in_parent=_LOOKING.release, after_in_child=_LOOKING.release)


def _stack(frame: FrameType | None) -> list[FrameType]:
    frames: list[FrameType] = []
    while frame is not None and len(frames) < MAX_DEPTH:
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def stack_of(thread: int | None) -> list[FrameType]:
    """The frames of a running thread by its identifier, the outermost first; none if it runs no more."""
    if thread is None:
        return []
    with _uncollected():
        return _stack(sys._current_frames().get(thread))  # noqa: SLF001 - there is no other way


def _stacks() -> list[list[FrameType]]:
    """The frames of every running thread, the outermost first."""
    with _uncollected():
        return [_stack(frame) for frame in sys._current_frames().values()]  # noqa: SLF001 - there is no other way


def await_chain(task: asyncio.Task[Any] | None) -> list[FrameType]:
    """
    The frames that a task waits in, the outermost first, through the tasks that it waits for.

    None of a task of another event loop than the one that is running here: it could go on meanwhile.
    """
    frames: list[FrameType] = []
    if task is None or task.get_loop() is not asyncio.get_running_loop():
        return frames
    seen = set()
    while task is not None and task not in seen and not task.done():
        seen.add(task)
        _follow(task.get_coro(), frames)
        # What asyncio's own tasks wait for, if it is another one.
        waits_for = getattr(task, "_fut_waiter", None)
        task = waits_for if isinstance(waits_for, asyncio.Task) else None
    return frames


def ready(task: asyncio.Task[Any] | None) -> bool:
    """Whether a task waits for nothing but its turn of the event loop."""
    # What a task of another kind than asyncio's own waits for is unknown: it is taken to wait for something.
    waits_for = getattr(task, "_fut_waiter", task)
    return task is not None and (waits_for is None or (waits_for is not task and waits_for.done()))


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


@dataclass(frozen=True, slots=True)
class ThreadCall:
    """
    A call in a thread that an await chain waits for.

    Attributes:
        shared: Whether it is one for the thread that all sync code shares.
        code: What is to run there; None for what is not written in Python.
        future: Of the executor; None if it can't be seen.
    """

    shared: bool
    code: CodeType | None
    future: "Future[Any] | None"

    @property
    def waits(self) -> bool:
        """Whether it is still to get its thread."""
        return self.future is not None and not self.future.running() and not self.future.done()

    @property
    def runs(self) -> bool:
        """Whether a thread is at it."""
        return self.future is not None and self.future.running()


def thread_call(frames: Sequence[FrameType]) -> ThreadCall | None:
    """
    What an await chain waits for, if that is a call in a thread; None if it is something else.

    Args:
        frames: Of a task that the calling thread's event loop has suspended.
    """
    for frame in reversed(frames):
        if frame.f_code is _THREAD_CALL:
            names = frame.f_locals
            wrapper = names.get("self")
            return ThreadCall(
                shared=bool(getattr(wrapper, "_thread_sensitive", False)),
                code=_code_of(getattr(wrapper, "func", None)), future=_executors_future(names.get("exec_coro")),
            )  # fmt: skip
        if spot_of(frame).own:
            break
    return None


def _code_of(function: object) -> CodeType | None:
    """The code that a call of something begins with; nothing of the host's runs to find it."""
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, MethodType):
        function = function.__func__
    if not isinstance(function, FunctionType):
        function = getattr(type(function), "__call__", None)  # noqa: B004 - not whether, but what
    return function.__code__ if isinstance(function, FunctionType) else None


def _executors_future(awaited: object) -> "Future[Any] | None":
    """The executor's own future behind that of the loop, which alone knows whether a thread has taken the call."""
    callbacks: Iterable[tuple[Callable[..., object], object]] = getattr(awaited, "_callbacks", None) or ()
    for callback, _ in callbacks:
        for cell in getattr(callback, "__closure__", None) or ():
            if isinstance(cell.cell_contents, Future):
                return cell.cell_contents
    return None


def sends(frames: Sequence[FrameType]) -> bool:
    """Whether a chain, or the stack of a thread, waits for the server to take a frame for the client."""
    return any(
        frame.f_code is _SYNC_SEND or (frame.f_code.co_filename == _OBSERVER and "send" in frame.f_code.co_name)
        for frame in frames
    )


def dispatched(frames: Sequence[FrameType]) -> object:
    """
    The message that an await chain of a monitored consumer is at; None if it is at none.

    Args:
        frames: Of a task that the calling thread's event loop has suspended.
    """
    for frame in frames:
        if frame.f_code.co_filename == _OBSERVER and "dispatch" in frame.f_code.co_name:
            return frame.f_locals.get("message")
    return None


class RunningCalls:
    """The calls that threads run at one moment."""

    def __init__(self) -> None:
        self._stacks = [frames for frames in map(_call_in, _stacks()) if frames]

    def frames_of(self, call: ThreadCall) -> list[FrameType]:
        """
        What a thread runs of a call, the outermost first; nothing if none is at it.

        Of several calls of one function in as many threads, any.
        """
        if call.code is None or call.waits:
            return []
        return next((frames for frames in self._stacks if any(frame.f_code is call.code for frame in frames)), [])


def _call_in(frames: list[FrameType]) -> list[FrameType]:
    """What a thread runs for an await chain; nothing if it runs nothing for any."""
    first = next((number for number, frame in enumerate(frames) if frame.f_code is _THREAD_HANDLER), None)
    return [] if first is None else frames[first:]
