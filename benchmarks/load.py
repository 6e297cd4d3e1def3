"""
The load client: picows, in a process of its own on the clients' core.

`LoadClient` is the parent's end; `python -m benchmarks.load` is the child. It reads one request a line and writes one
answer a line. Every frame sent is expected back: one that stays away is an error, never a lower figure.
"""

import argparse
import asyncio
import gc
import json
import sys
from array import array
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter, time
from typing import Any, Protocol, TypeVar

import psutil
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.children import Child
from benchmarks.machine import pin
from benchmarks.servers import Server
from hub.core.control import encode, with_parameter

DRAIN_TIMEOUT = 30.0
HANDSHAKE_TIMEOUT = 60.0
HANDSHAKES_AT_ONCE = 64
FRAME = b"x" * 100


@dataclass(frozen=True, slots=True)
class Load:
    """
    What came back in the measured window.

    Attributes:
        rate: Frames back, a second.
        cost: The server's processor time per frame back, in seconds; what else the machine does moves it little.
        p50: Median round trip, in seconds.
        p99: 99th percentile of the round trip, in seconds.
    """

    rate: float
    cost: float
    p50: float
    p99: float


class LoadClient:
    """The parent's end of the load client."""

    def __init__(self, core: int) -> None:
        self._child = Child("benchmarks.load", f"--core={core}")

    def echo(self, server: Server, path: str, *, connections: int, in_flight: int, seconds: float) -> Load:
        """Keep `in_flight` frames of 100 bytes on their way on each connection."""
        request = {"connections": connections, "in_flight": in_flight, "seconds": seconds}
        return Load(**self._child.ask(do="echo", address=server.address(path), pid=server.pid, **request))

    def broadcast(self, server: Server, path: str, *, connections: int, in_flight: int, seconds: float) -> Load:
        """
        Let one connection send and all of them receive.

        `in_flight` broadcasts are under way at once; each ends when everybody has it, which is its latency. The rate
        counts deliveries.
        """
        request = {"connections": connections, "in_flight": in_flight, "seconds": seconds}
        return Load(**self._child.ask(do="broadcast", address=server.address(path), pid=server.pid, **request))

    def hold(self, addresses: Sequence[str]) -> None:
        """Open a connection to each address, echo one frame over it, and keep it open until `release`."""
        self._child.ask(do="hold", addresses=list(addresses))

    def hold_negotiated(self, addresses: Sequence[str], *, greeted: bool) -> None:
        """
        Open a connection to each address that asks for control frames, and keep it open until `release`.

        Args:
            greeted: Whether a hello is to come.
        """
        self._child.ask(do="hold_negotiated", addresses=list(addresses), greeted=greeted)

    def beat(self, server: Server, *, interval: float | None, seconds: float) -> float:
        """
        Let each negotiated connection give a heartbeat every `interval` seconds; None: let none of them.

        Returns:
            The share of a core that the server took.
        """
        request = {"pid": server.pid, "interval": interval, "seconds": seconds}
        return float(self._child.ask(do="beat", **request)["share"])

    def release(self) -> None:
        self._child.ask(do="release")

    def end(self) -> None:
        self._child.end()


class Tally:
    """What all connections of one load share."""

    def __init__(self) -> None:
        self.latencies = array("d")
        self.frames = 0
        self.running = True
        self.lost = 0

    def restart(self) -> None:
        self.latencies = array("d")
        self.frames = 0


class Connection(Protocol):
    """What `_run` needs to know of a connection."""

    def start(self, in_flight: int) -> None: ...

    def count_outstanding(self) -> int: ...

    def close(self) -> None: ...


class _Listener(WSListener):
    """A connection that knows whether it was lost or closed by us."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.closing = False
        self.transport: WSTransport

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self.closing:
            self.tally.lost += 1

    def close(self) -> None:
        self.closing = True
        self.transport.send_close()
        self.transport.disconnect()


class EchoListener(_Listener):
    """Sends a frame for every frame that comes back."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(tally)
        self.sent_at: deque[float] = deque()

    def start(self, in_flight: int) -> None:
        for _ in range(in_flight):
            self.sent_at.append(perf_counter())
            self.transport.send(WSMsgType.TEXT, FRAME)

    def count_outstanding(self) -> int:
        return len(self.sent_at)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            return
        now = perf_counter()
        tally = self.tally
        tally.frames += 1
        tally.latencies.append(now - self.sent_at.popleft())
        if tally.running:
            self.sent_at.append(now)
            transport.send(WSMsgType.TEXT, FRAME)


class BroadcastTally(Tally):
    """Broadcasts under way, oldest first: when each was sent and how many connections still lack it."""

    def __init__(self, connections: int) -> None:
        super().__init__()
        self.connections = connections
        self.sender: BroadcastListener
        self.sent_at: dict[int, float] = {}
        self.lacking: dict[int, int] = {}
        self.sent = 0

    def send(self, now: float) -> None:
        self.sent_at[self.sent] = now
        self.lacking[self.sent] = self.connections
        self.sent += 1
        self.sender.transport.send(WSMsgType.TEXT, FRAME)

    def record_delivery(self, number: int) -> None:
        """One connection has broadcast `number`; all get them in the order they were sent."""
        self.frames += 1
        self.lacking[number] -= 1
        if self.lacking[number]:
            return
        del self.lacking[number]
        now = perf_counter()
        self.latencies.append(now - self.sent_at.pop(number))
        if self.running:
            self.send(now)


class BroadcastListener(_Listener):
    """Receives broadcasts; the tally's sender also begins them."""

    tally: BroadcastTally

    def __init__(self, tally: BroadcastTally) -> None:
        super().__init__(tally)
        self.received = 0

    def start(self, in_flight: int) -> None:
        if self.tally.sender is self:
            for _ in range(in_flight):
                self.tally.send(perf_counter())

    def count_outstanding(self) -> int:
        return len(self.tally.lacking) if self.tally.sender is self else 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            self.received += 1
            self.tally.record_delivery(self.received - 1)


class BeatingListener(_Listener):
    """A client of our library that says nothing but heartbeats, and has each of them answered."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(tally)
        self.heard = 0

    def beat(self) -> None:
        fields = {"sent_at": time(), "hidden": False, "lag": 0.0001, "count": 0}
        self.transport.send(WSMsgType.TEXT, encode("heartbeat", **fields).encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            self.heard += 1


Listener = TypeVar("Listener", bound=_Listener)


class Generator:
    """The child's side: runs one request after another."""

    def __init__(self) -> None:
        self._held: list[EchoListener] | list[BeatingListener] = []

    async def echo(self, address: str, pid: int, connections: int, in_flight: int, seconds: float) -> dict[str, Any]:
        tally = Tally()
        listeners = await _connect([address] * connections, lambda: EchoListener(tally))
        return asdict(await _run(tally, psutil.Process(pid), listeners, in_flight, seconds))

    async def broadcast(
        self, address: str, pid: int, connections: int, in_flight: int, seconds: float
    ) -> dict[str, Any]:
        tally = BroadcastTally(connections)
        listeners = await _connect([address] * connections, lambda: BroadcastListener(tally))
        tally.sender = listeners[0]
        # A consumer joins its groups before it accepts, so that everybody is in by now.
        return asdict(await _run(tally, psutil.Process(pid), listeners, in_flight, seconds))

    async def hold(self, addresses: list[str]) -> dict[str, Any]:
        tally = Tally()
        tally.running = False
        self._held = held = await _connect(addresses, lambda: EchoListener(tally))
        for listener in held:
            listener.start(1)
        await _drain(tally, held)
        return {}

    async def hold_negotiated(self, addresses: list[str], *, greeted: bool) -> dict[str, Any]:
        tally = Tally()
        held = await _connect([*map(with_parameter, addresses)], lambda: BeatingListener(tally))
        self._held = held
        await _await_answers(held, int(greeted))
        for listener in held:
            listener.beat()
        await _await_answers(held, int(greeted) + 1)
        return {}

    async def beat(self, pid: int, interval: float | None, seconds: float) -> dict[str, Any]:
        server = psutil.Process(pid)
        beating = [] if interval is None else [held for held in self._held if isinstance(held, BeatingListener)]
        answers = sum(listener.heard for listener in beating)
        began, busy = perf_counter(), _read_processor_time(server)
        sent = 0
        while (elapsed := perf_counter() - began) < seconds:
            due = int(elapsed / (interval or 1) * len(beating))
            for number in range(sent, due):
                beating[number % len(beating)].beat()
            sent = due
            await asyncio.sleep(0.01)
        busy = _read_processor_time(server) - busy
        await asyncio.sleep(1.0)
        if (missing := answers + sent - sum(listener.heard for listener in beating)) > 0:
            raise RuntimeError(f"{missing} of {sent} heartbeats were not answered")
        return {"share": busy / elapsed}

    async def release(self) -> dict[str, Any]:
        await _close(self._held)
        self._held = []
        return {}


async def _connect(addresses: Sequence[str], factory: Callable[[], Listener]) -> list[Listener]:
    """Open one connection to each address, a limited number of handshakes at a time."""
    gate = asyncio.Semaphore(HANDSHAKES_AT_ONCE)

    async def connect(address: str) -> Listener:
        async with gate:
            listener = factory()
            await ws_connect(
                lambda: listener,
                address,
                websocket_handshake_timeout=HANDSHAKE_TIMEOUT,
                proxy=None,
                read_buffer_init_size=1024,
            )
            return listener

    return await asyncio.gather(*map(connect, addresses))


async def _run(tally: Tally, server: psutil.Process, listeners: Sequence[Any], in_flight: int, seconds: float) -> Load:
    """Warm up for a quarter of `seconds`, measure for `seconds`, then wait for every frame still under way."""
    for listener in listeners:
        listener.start(in_flight)
    await asyncio.sleep(seconds / 4)
    tally.restart()
    began, busy = perf_counter(), _read_processor_time(server)
    await asyncio.sleep(seconds)
    frames, latencies, elapsed = tally.frames, tally.latencies, perf_counter() - began
    busy = _read_processor_time(server) - busy
    tally.restart()
    tally.running = False
    await _drain(tally, listeners)
    await _close(listeners)
    if not latencies:
        raise RuntimeError(f"nothing came back within {seconds} s")
    ordered = sorted(latencies)
    return Load(frames / elapsed, busy / frames, _quantile(ordered, 0.50), _quantile(ordered, 0.99))


def _read_processor_time(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def _await_answers(listeners: Sequence[BeatingListener], frames: int) -> None:
    """Wait until each has heard so many frames."""
    deadline = perf_counter() + DRAIN_TIMEOUT
    while waiting := sum(listener.heard < frames for listener in listeners):
        if perf_counter() > deadline:
            raise RuntimeError(f"{waiting} connections have not heard {frames} control frames")
        await asyncio.sleep(0.01)


async def _drain(tally: Tally, listeners: Sequence[Connection]) -> None:
    deadline = perf_counter() + DRAIN_TIMEOUT
    while outstanding := sum(listener.count_outstanding() for listener in listeners):
        if tally.lost or perf_counter() > deadline:
            raise RuntimeError(f"{outstanding} frames never came back; {tally.lost} connections were lost")
        await asyncio.sleep(0.01)


async def _close(listeners: Sequence[Any]) -> None:
    for listener in listeners:
        listener.close()
    await asyncio.gather(*(listener.transport.wait_disconnected() for listener in listeners))


def _quantile(ordered: Sequence[float], q: float) -> float:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


async def _answer_requests() -> None:
    generator = Generator()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        answer = await _answer(generator, json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        gc.collect()


async def _answer(generator: Generator, request: dict[str, Any]) -> dict[str, Any]:
    handlers: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
        "echo": generator.echo,
        "broadcast": generator.broadcast,
        "hold": generator.hold,
        "hold_negotiated": generator.hold_negotiated,
        "beat": generator.beat,
        "release": generator.release,
    }
    try:
        return await handlers[request.pop("do")](**request)
    except Exception as error:  # noqa: BLE001 - the parent raises it again
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.load")
    parser.add_argument("--core", type=int, required=True)
    pin(parser.parse_args().core)
    asyncio.run(_answer_requests())


if __name__ == "__main__":
    main()
