"""The kinds of visitors, one class each."""

# The contracts of path, greet and speak are in Visitor.
# ruff: noqa: D102

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote

from websockets.asyncio.client import connect as plain_connect

from consumers.demo.accounts import make_token
from consumers.demo.orders import PRICES
from consumers.demo.telemetry import READING
from consumers.demo.ticker import SYMBOLS
from consumers.demo.traffic.visitor import OPTIONS, Connection, Visitor
from hub.clock import SYSTEM
from hub.core.control import is_control, with_parameter

PHRASES = (
    "Morning!",
    "Has anybody seen the release notes?",
    "Deploying now.",
    "Looks good to me.",
    "Lunch?",
    "The build is green again.",
    "Can somebody have a look at the invoice of last week, please?",
    "On my way.",
    "That was quick, thank you!",
    "Back in five.",
)
ROOMS = ("lobby", "support", "sales", "dev", "ops", "random", "design", "finance")


def login(visitor: Visitor) -> str:
    """Return the query that says who a visitor is."""
    return f"token={quote(make_token(visitor.name, visitor.tenant))}"


class JsonVisitor(Visitor):
    """Somebody whose messages are JSON objects."""

    async def say(self, kind: str, **fields: str | int | list[str]) -> None:
        """Send ``{"type": kind, ...}``."""
        await self.send(json.dumps({"type": kind, **fields}))


class ChatVisitor(JsonVisitor):
    """Joins a room, types, says something; now and then leaves the room and joins again."""

    kind = "chat"
    pause = 3.0
    idle = 20.0
    negotiated = 0.8

    def path(self) -> str:
        number = self.dice.randrange(self.around.profile.rooms)
        room = ROOMS[number] if number < len(ROOMS) else f"project-{number}"
        return f"/ws/demo/{self.tenant}/chat/{room}/?{login(self)}"

    async def greet(self) -> None:
        await self.say("join", name=self.name)

    async def speak(self) -> None:
        chance = self.dice.random()
        if chance < 0.4:  # noqa: PLR2004 - shares of what people do
            await self.say("typing")
        elif chance < 0.9:  # noqa: PLR2004
            await self.say("say", text=self.dice.choice(PHRASES))
        elif chance < 0.98:  # noqa: PLR2004
            await self.say("who")
        else:
            await self.say("leave")
            await self.say("join", name=self.name)


class SleeperVisitor(ChatVisitor):
    """A page that its browser has frozen: it asked for control frames, and gives no sign of life for a while."""

    kind = "sleeper"
    burst = (1, 1)
    idle = 60.0

    async def open(self) -> Connection:
        url = with_parameter(self.around.url + self.path())
        return await plain_connect(url, origin=self.around.origin, **OPTIONS)

    def is_said(self, message: str | bytes) -> bool:
        return not (isinstance(message, str) and is_control(message))


class TickerVisitor(JsonVisitor):
    """Listens, and picks other symbols from time to time."""

    kind = "ticker"
    burst = (1, 2)
    idle = 60.0
    negotiated = 0.3

    def path(self) -> str:
        return f"/ws/demo/{self.tenant}/ticker/"

    async def greet(self) -> None:
        await self.speak()

    async def speak(self) -> None:
        await self.say("watch", symbols=self.dice.sample(SYMBOLS, self.dice.randint(1, len(SYMBOLS))))


class TelemetryVisitor(Visitor):
    """A machine: a quick train of readings, some of which get lost on the way, then a rest."""

    kind = "telemetry"
    negotiated = 1.0
    pause = 0.25
    burst = (20, 80)
    idle = 4.0

    sequence = 0

    def path(self) -> str:
        return f"/ws/demo/{self.tenant}/telemetry/?{login(self)}"

    async def speak(self) -> None:
        self.sequence += 2 if self.dice.random() < 0.01 else 1  # noqa: PLR2004 - one reading in a hundred is lost
        reading = (self.sequence, SYSTEM.wall(), self.dice.randrange(8), self.dice.gauss(20, 2))
        await self.send(READING.pack(*reading))


class OrdersVisitor(JsonVisitor):
    """Fills a basket and pays; sometimes asks for what the shop does not expect."""

    kind = "orders"
    pause = 3.0
    burst = (3, 7)
    idle = 15.0
    negotiated = 0.7

    def path(self) -> str:
        return f"/ws/demo/orders/?{login(self)}"

    async def speak(self) -> None:
        chance = self.dice.random()
        if chance < 0.62:  # noqa: PLR2004 - shares of what people do
            await self.say("add", product=self.dice.choice(tuple(PRICES)), quantity=self.dice.randint(1, 3))
        elif chance < 0.92:  # noqa: PLR2004
            await self.say("checkout")
        elif chance < 0.96:  # noqa: PLR2004
            await self.say("coupon", code=f"SAVE{self.dice.choice((5, 10, 20))}")
        elif chance < 0.98:  # noqa: PLR2004
            await self.say("coupon", code="SAVE-A-LOT")
        else:
            await self.say("add", product="unicorn", quantity=1)


class DirectoryVisitor(Visitor):
    """Speaks the old line protocol, and hangs up the old way."""

    kind = "directory"
    pause = 3.0
    burst = (1, 4)

    def path(self) -> str:
        return f"/ws/demo/{self.tenant}/directory/"

    async def speak(self) -> None:
        await self.send(self.dice.choices(("COUNT", "TIME", "HELP", "QUIT"), weights=(45, 45, 8, 2))[0])


class ReportsVisitor(JsonVisitor):
    """Reloads a dashboard."""

    kind = "reports"
    pause = 2.0
    burst = (2, 4)

    def path(self) -> str:
        return f"/ws/demo/{self.tenant}/reports/"

    async def speak(self) -> None:
        await self.say(self.dice.choice(("people", "sessions")))


class IntruderVisitor(Visitor):
    """Tries a forged token or a tenant that there is none; or gets in and sends what nobody can read."""

    kind = "intruder"
    burst = (1, 1)
    idle = 5.0

    def path(self) -> str:
        return self.dice.choice(
            (
                f"/ws/demo/orders/?token={self.name}%40{self.tenant}%3Aforged",
                "/ws/demo/hooli/reports/",
                f"/ws/demo/{self.tenant}/telemetry/",
            )
        )

    async def speak(self) -> None:
        await self.send("let me in")


KINDS: Mapping[str, type[Visitor]] = {
    kind.kind: kind
    for kind in (
        ChatVisitor,
        SleeperVisitor,
        TickerVisitor,
        TelemetryVisitor,
        OrdersVisitor,
        DirectoryVisitor,
        ReportsVisitor,
        IntruderVisitor,
    )
}
