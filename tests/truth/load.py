"""
The load client: a process of its own that churns through connections and counts what it can prove.

``python -m tests.truth.load MODE HOST CONNECTIONS FRAMES SERVER`` prints a JSON object: metric -> list of
``[labels, value]`` as the server has to report them (``churn``), or bounds of them (``kill``).
"""

import asyncio
import json
import random
import sys
from collections import Counter
from typing import Any
from urllib.request import urlopen

from tests.truth.wire import BINARY, TEXT, Wire, frame

#: Connections at the same time. Daphne gives a handshake five seconds, and all of them share two busy cores.
AT_ONCE = {"daphne": 40}
AT_ONCE_ELSEWHERE = 150
TENANTS = ("acme", "globex", "initech")
#: Consumer and its share of the connections.
CONSUMERS = (("telemetry", 65), ("chat", 30), ("plain", 3), ("legacy", 2))
#: Those that need the shared sync thread for every message are slow: they get fewer.
FEW_FRAMES = {"plain": 5, "legacy": 5}
#: How connections end, and how often.
ENDS = (("close", 70), ("code", 6), ("server", 6), ("fail", 5), ("cancel", 4), ("vanish", 3), ("fail-late", 2),
        ("refuse", 2), ("fail-early", 1), ("hang", 1))  # fmt: skip
NEVER_ACCEPTED = {"refuse", "fail-early", "hang"}
ERRORS = ("ValueError", "KeyError", "DeviceError", "OSError")
#: The code that each server gives to a client that vanished.
VANISHED = {"daphne": 1006, "uvicorn-sansio": 1005, "uvicorn-legacy": 1006, "uvicorn-wsproto": 1005}
#: What a wrapped but not monitored consumer counts under: its class.
LABELS = {"plain": "tests.truth.consumers.Plain"}
#: Connections after which those that the server leaves hanging are given up.
ROUND = 10_000
#: Connections that never end by themselves may take this long altogether, in seconds.
PATIENCE = 60.0

Labels = tuple[tuple[str, str], ...]


class Tally:
    """What the server has to report: metric and labels -> value."""

    def __init__(self) -> None:
        self.values: Counter[tuple[str, Labels]] = Counter()

    def add(self, metric: str, by: float, **labels: str) -> None:
        self.values[metric, tuple(sorted(labels.items()))] += by  # type: ignore[assignment]

    def listed(self) -> dict[str, list[Any]]:
        listed: dict[str, list[Any]] = {}
        for (metric, labels), value in self.values.items():
            listed.setdefault(metric, []).append([dict(labels), value])
        return listed


class Connection:
    """One connection of the churn: what it does, and what that must count as."""

    def __init__(self, number: int, frames: int, host: str, server: str, tally: Tally, *, inbox: bool) -> None:
        dice = random.Random(number)
        self.dice, self.host, self.server, self.tally, self.inbox = dice, host, server, tally, inbox
        self.consumer = dice.choices([name for name, _ in CONSUMERS], [share for _, share in CONSUMERS])[0]
        self.tenant = dice.choice(TENANTS)
        self.end = dice.choices([name for name, _ in ENDS], [share for _, share in ENDS])[0]
        if self.end == "cancel" and self.consumer == "legacy":
            self.end = "close"  # a thread can't be cancelled
        self.error = dice.choice(ERRORS)
        self.monitored = self.consumer != "plain"
        self.frames = FEW_FRAMES.get(self.consumer, frames)
        self.source = f"127.0.0.{1 + number % 8}"
        self.wire: Wire

    def count(self, metric: str, by: float = 1, **labels: str) -> None:
        # Whoever is not accepted has no tenant: nobody has vouched for it yet.
        tenant = "" if self.end in NEVER_ACCEPTED else self.tenant
        self.tally.add(metric, by, consumer=LABELS.get(self.consumer, self.consumer), tenant=tenant, **labels)

    def count_error(self) -> None:
        if self.monitored:  # a wrapper sees that a consumer ends with an error, but no handler
            self.count("ws_handler_errors_total", exception=self.error)

    def count_handled(self, kind: str, *payloads: bytes) -> None:
        """Messages of ours that the consumer has handled, whatever became of them."""
        self.count("ws_messages_received_total", len(payloads), message_type=kind)
        self.count("ws_received_bytes_total", sum(map(len, payloads)))
        self.count_dispatched(len(payloads), waited=True)

    def count_dispatched(self, messages: int = 1, *, waited: bool) -> None:
        if self.monitored:
            self.count("ws_message_latency_seconds_count", messages)
            if waited:
                self.count("ws_message_wait_seconds_count", messages)

    async def open(self, query: str = "") -> int:
        host, port = self.host.split(":")
        loop = asyncio.get_running_loop()
        _, self.wire = await loop.create_connection(Wire, host, int(port), local_addr=(self.source, 0))
        self.wire.handshake(self.host, f"/{self.tenant}/{self.consumer}/{query}")
        if query == "?connect=hang":
            return 0
        return await self.wire.answered

    async def run(self) -> None:
        if self.end in NEVER_ACCEPTED:
            await self.fail_to_open()
        else:
            await self.converse()
        self.wire.transport.close()

    async def fail_to_open(self) -> None:
        wish = {"refuse": "refuse", "fail-early": self.error, "hang": "hang"}[self.end]
        status = await self.open(f"?connect={wish}")
        reason = {"refuse": "rejected", "fail-early": "error", "hang": "timeout"}[self.end]
        self.count("ws_connection_failures_total", reason=reason)
        if self.end == "fail-early":
            self.count_error()
            assert status == 500, status
        elif self.end == "refuse":
            assert status == 403, status

    async def converse(self) -> None:
        status = await self.open(f"?disconnect={self.error}" if self.end == "fail-late" else "")
        assert status == 101, f"{self.consumer}: {status}"
        self.count("ws_connections_total")
        self.count("ws_connection_duration_seconds_count")
        payloads = [self.message() for _ in range(self.frames)]
        self.wire.transport.write(b"".join(frame(opcode, payload) for _, opcode, payload in payloads))
        answers = await self.wire.received(self.frames)
        end = f"closed with {self.wire.close_code}, lost: {self.wire.lost.done()}"
        assert answers == self.frames, f"{self.consumer}: {answers} answers to {self.frames} messages; {end}"
        for counted in {kind for kind, _, _ in payloads}:
            self.count_handled(counted, *(payload for kind, _, payload in payloads if kind == counted))
        self.count("ws_disconnects_total", code=str(await self.part()))
        for kind, number in self.wire.frames.items():
            self.count("ws_messages_sent_total", number, message_type="other" if kind == "chat.what" else kind)
        self.count("ws_sent_bytes_total", sum(self.wire.sizes.values()))

    def message(self) -> tuple[str, int, bytes]:
        """A message to be answered by exactly one: its type as it has to be counted, opcode and payload."""
        text = "x" * self.dice.randrange(10, 150)
        if self.consumer == "chat":
            kind = self.dice.choices(("chat.say", "chat.shout", "chat.mumble"), (8, 1, 1))[0]
            if kind == "chat.shout":
                self.count("ws_layer_messages_total", message_type="room.message")
                self.count_dispatched(waited=self.inbox)  # in Channels' own loop, nobody sees one arrive
            counted = "other" if kind == "chat.mumble" else kind
            return counted, TEXT, json.dumps({"type": kind, "text": text}).encode()
        if self.consumer == "legacy" and self.dice.random() < 0.1:
            self.count("ws_layer_messages_total", message_type="own.message")
            self.count_dispatched(waited=self.inbox)
            return "text", TEXT, f"!shout {text}".encode()
        return ("text", TEXT, text.encode()) if self.dice.random() < 0.5 else ("binary", BINARY, text.encode())

    async def part(self) -> int:
        """End it; returns the code that the end has to be counted under."""
        if self.end == "vanish":
            self.wire.reset()
            return VANISHED[self.server]
        if self.end in ("close", "code", "fail-late"):
            code = 1000 if self.end == "close" else 4000 + self.dice.randrange(4)
            await self.wire.close(code)
            if self.end == "fail-late":
                self.count_error()
            return code
        return await self.order()

    async def order(self) -> int:
        """Let the consumer end it."""
        order, code = {
            "server": ("end 4100", 4100),
            "fail": (f"fail {self.error}", 1011),
            "cancel": ("cancel", 1006),
        }[self.end]
        if self.consumer == "chat":
            kind, payload = "chat.order", json.dumps({"type": "chat.order", "text": order}).encode()
        else:
            kind, payload = "text", f"!{order}".encode()
        self.wire.transport.write(frame(TEXT, payload))
        self.count_handled(kind, payload)
        if self.end == "fail":
            self.count_error()
        if self.end == "cancel":
            await self.wire.received(self.frames + 1)
        if self.end == "cancel" and self.server == "daphne":
            await self.wire.close(1000)  # Daphne does not tell anybody that its application was cancelled
        else:
            await self.wire.ended()
        if self.end == "server":
            assert self.wire.close_code == 4100, self.wire.close_code
        return code


async def churn(host: str, connections: int, frames: int, server: str, *, inbox: bool) -> Any:
    """Open, talk and end, so many times."""
    tally = Tally()
    places = asyncio.Semaphore(AT_ONCE.get(server, AT_ONCE_ELSEWHERE))
    hanging: list[Wire] = []

    async def one(number: int) -> None:
        connection = Connection(number, frames, host, server, tally, inbox=inbox)
        async with places, asyncio.timeout(PATIENCE):
            if connection.end == "hang":
                await connection.fail_to_open()
                hanging.append(connection.wire)
            else:
                await connection.run()

    let_go = 0
    for first in range(0, connections, ROUND):
        async with asyncio.TaskGroup() as group:
            for number in range(first, min(first + ROUND, connections)):
                group.create_task(one(number))
        let_go += len(hanging)
        await until_hanging(host, let_go)
        for wire in hanging:
            wire.reset()
        hanging.clear()
    return tally.listed()


async def until_hanging(host: str, count: int) -> None:
    """Wait until the server knows of every connection that it leaves hanging."""
    async with asyncio.timeout(PATIENCE):
        while sum((await asyncio.to_thread(known, host))["hanging"].values()) < count:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


def known(host: str) -> Any:
    with urlopen(f"http://{host}/known/", timeout=PATIENCE) as answer:
        return json.load(answer)


async def kill(host: str, connections: int, frames: int, server: str) -> Any:
    """Vanish in mid-frame, so many times; returns what is proven and what was sent, by consumer."""
    bounds: dict[str, Counter[str]] = {name: Counter() for name in ("telemetry", "chat", "plain", "legacy")}
    places = asyncio.Semaphore(AT_ONCE.get(server, AT_ONCE_ELSEWHERE))

    async def one(number: int) -> None:
        async with places, asyncio.timeout(PATIENCE):
            await kill_one(Connection(number, frames, host, server, Tally(), inbox=True), bounds)

    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            group.create_task(one(number))
    return bounds


async def kill_one(connection: Connection, bounds: dict[str, Counter[str]]) -> None:
    """Send some, wait for some of the answers, send more, and vanish within a frame."""
    assert await connection.open() == 101
    wire, dice, mine = connection.wire, connection.dice, bounds[connection.consumer]
    payloads = [connection.message() for _ in range(connection.frames)]
    out = [frame(opcode, payload) for _, opcode, payload in payloads]
    first = dice.randrange(connection.frames)
    wire.transport.write(b"".join(out[:first]))
    await wire.received(dice.randrange(first + 1))
    whole = b"".join(out[first:])
    cut = dice.randrange(1, len(whole))
    wire.transport.write(whole[:cut])
    if dice.random() < 0.5:
        await asyncio.sleep(0)  # sometimes the kernel gets it before the reset
    wire.reset()
    await wire.lost
    sizes = [len(payload) for _, _, payload in payloads]
    mine["connections"] += 1
    mine["answered"] += sum(wire.frames.values())
    mine["answered_bytes"] += sum(wire.sizes.values())
    mine["sent"] += connection.frames
    mine["sent_bytes"] += sum(sizes)


async def run(mode: str, host: str, connections: str, frames: str, server: str, inbox: str) -> Any:
    if mode == "churn":
        return await churn(host, int(connections), int(frames), server, inbox=inbox == "1")
    return await kill(host, int(connections), int(frames), server)


def main() -> None:
    try:
        print(json.dumps(asyncio.run(run(*sys.argv[1:]))))
    except ExceptionGroup as group:
        sys.exit("\n".join(f"{type(error).__name__}: {error}" for error in group.exceptions))


if __name__ == "__main__":
    main()
