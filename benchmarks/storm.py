"""
A storm of healthy clients: many that read at once whatever comes, and lead the life of the demo's profile `storm`.

Half of them are plain, half speak control frames as our library does: they confirm what they have processed within
100 ms and give a heartbeat every 30 s. All of them send small frames, which are echoed; visits end and begin again;
waves of them hang up, are cut off, or send as fast as they can. A child process of `benchmarks.flags`.
"""

import argparse
import asyncio
import gc
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from time import perf_counter, time

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.load import FRAME, HANDSHAKE_TIMEOUT
from benchmarks.machine import pin
from consumers.demo.traffic.profiles import FLOOD_MESSAGES, PROFILES, Wave
from hub.core.control import CONFIRM_SECONDS, MARK, encode, with_parameter

STORM = PROFILES["storm"]
#: Seconds that the waves of the profile are made for; a shorter storm has them sooner.
WHOLE = 60.0
#: Seconds between two heartbeats of a client.
HEARTBEAT = 30.0
#: Seconds between two looks at what is due.
STEP = 0.01
_MARK = MARK.encode()


class Client(WSListener):
    """One healthy client; it may have one connection after another."""

    def __init__(self, storm: "Storm", number: int) -> None:
        self.storm = storm
        self.negotiated = number % 2 == 1
        self.transport: WSTransport | None = None
        self.processed = 0
        self.confirmed = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.processed = self.confirmed = 0
        self.storm.tally["opened"] += 1

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.transport = None
        self.storm.come_back(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            return
        if self.negotiated and frame.get_payload_as_bytes().startswith(_MARK):
            self.beat_if_asked(frame.get_payload_as_utf8_text())
            return
        self.processed += 1
        self.storm.tally["echoed"] += 1
        if self.negotiated:
            self.storm.unconfirmed.add(self)

    def beat_if_asked(self, text: str) -> None:
        """A hello and a probe are answered with a heartbeat, the answer to a heartbeat with nothing."""
        if json.loads(text[1:])["type"] != "heartbeat":
            self.say("heartbeat", sent_at=time(), hidden=False, lag=0.0001)

    def say(self, kind: str, **fields: float) -> None:
        """Send a control frame, which confirms all that was processed."""
        if self.transport is not None:
            self.transport.send(WSMsgType.TEXT, encode(kind, count=self.processed, **fields).encode())
            self.confirmed = self.processed

    def send(self, frames: int = 1) -> None:
        if self.transport is not None:
            self.storm.tally["sent"] += frames
            for _ in range(frames):
                self.transport.send(WSMsgType.TEXT, FRAME)

    def hang_up(self) -> None:
        if self.transport is not None:
            self.transport.send_close()
            self.transport.disconnect()

    def kill(self) -> None:
        """Cut the connection without a word."""
        if self.transport is not None:
            self.transport.underlying_transport.abort()


class Storm:
    """
    All clients of one server.

    Attributes:
        tally: What they did, by name.
        unconfirmed: Those that have processed more than they have confirmed.
        pause: The longest time that this process did nothing of what was due, in seconds.
    """

    def __init__(self, address: str, clients: int, seconds: float, seed: int) -> None:
        self.address = address
        self.seconds = seconds
        self.dice = random.Random(seed)
        self.tally: Counter[str] = Counter()
        self.unconfirmed: set[Client] = set()
        self.pause = 0.0
        self.clients = [Client(self, number) for number in range(clients)]
        self._door = asyncio.Semaphore(STORM.handshakes)
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False

    async def gather(self) -> None:
        """All come, for the first time."""
        await asyncio.gather(*map(self._connect, self.clients))

    async def rage(self) -> None:
        """Live for so many seconds."""
        for wave in STORM.waves:
            self._keep(self._repeat(wave))
        # From the beginning, not in step: a visit is as long as the profile's, a heartbeat comes every 30 s.
        rings = [
            self._ring(self.clients, STORM.sends_per_second, Client.send),
            self._ring(self.clients, len(self.clients) / STORM.visit, Client.hang_up),
            self._ring([c for c in self.clients if c.negotiated], len(self.clients) / 2 / HEARTBEAT, _beat),
        ]
        began = before = perf_counter()
        while before - began < self.seconds:
            await asyncio.sleep(STEP)
            now = perf_counter()
            self.pause = max(self.pause, now - before - STEP)
            for ring in rings:
                ring(now - began)
            self._confirm()
            before = now

    def _confirm(self) -> None:
        """Those who have to, a tenth of a second after the first frame at the latest: here, at the next step."""
        for client in self.unconfirmed:
            client.say("confirm")
        self.unconfirmed.clear()

    def _ring(self, clients: Iterable[Client], rate: float, act: Callable[[Client], None]) -> Callable[[float], None]:
        """So many times a second the next of the clients does something; all of them do it equally often."""
        order = list(clients)
        self.dice.shuffle(order)
        done = 0

        def turn(elapsed: float) -> None:
            nonlocal done
            due = int(elapsed * rate)
            for number in range(done, due):
                act(order[number % len(order)])
            done = due

        return turn

    async def _repeat(self, wave: Wave) -> None:
        acts: dict[str, Callable[[Client], None]] = {
            "hang_up": Client.hang_up, "kill": Client.kill, "flood": lambda client: client.send(FLOOD_MESSAGES),
        }  # fmt: skip
        while True:
            await asyncio.sleep(wave.every * min(1.0, self.seconds / WHOLE))
            befallen = self.dice.sample(self.clients, int(wave.share * len(self.clients)))
            self.tally[wave.mishap] += len(befallen)
            for client in befallen:
                acts[wave.mishap](client)

    def come_back(self, client: Client) -> None:
        """A client without a connection gets another one, after a while."""
        self.unconfirmed.discard(client)
        if not self._over:
            self._keep(self._return(client))

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _return(self, client: Client) -> None:
        await asyncio.sleep(self.dice.expovariate(1 / STORM.away))
        try:
            await self._connect(client)
        except Exception:  # noqa: BLE001 - whatever kept it out, it is counted, and the client tries again
            self.tally["failed"] += 1
            self.come_back(client)

    async def _connect(self, client: Client) -> None:
        address = with_parameter(self.address) if client.negotiated else self.address
        async with self._door:
            await ws_connect(
                lambda: client,
                address,
                websocket_handshake_timeout=HANDSHAKE_TIMEOUT,
                proxy=None,
                read_buffer_init_size=1024,
            )

    async def end(self) -> None:
        """All go home."""
        self._over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self.clients:
            client.hang_up()
        await asyncio.sleep(STEP)

    @property
    def connected(self) -> int:
        return sum(client.transport is not None for client in self.clients)


def _beat(client: Client) -> None:
    client.say("heartbeat", sent_at=time(), hidden=False, lag=0.0001)


async def _storm(storm: Storm) -> None:
    await storm.gather()
    _tell({"connected": storm.connected})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    storm.tally.clear()
    # A collection of tens of thousands of objects in the middle of it would be a client that doesn't read.
    gc.collect()
    gc.freeze()
    await storm.rage()
    _tell({**storm.tally, "connected": storm.connected, "pause": storm.pause})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await storm.end()
    _tell({})


def _tell(answer: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    assert STEP < CONFIRM_SECONDS
    parser = argparse.ArgumentParser(prog="benchmarks.storm")
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    pin(options.core)

    async def run() -> None:
        await _storm(Storm(options.address, options.clients, options.seconds, options.seed))

    asyncio.run(run())


if __name__ == "__main__":
    main()
