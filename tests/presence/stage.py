"""A server with presence in short times, and what may be asked of its roster: by its API, the feed and Prometheus."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from websockets.asyncio.client import connect

from tests.presence.visitor import WAIT, Visitor, visit
from tests.support.processes import ROOT, environment
from tests.support.servers import Server, ServerKind, make_server

#: Short, and yet so long that a busy machine may hold up server and clients for more than a second.
INTERVAL = 1.5
TIMEOUT = 6.0
GRACE = 2.0
STALE_AFTER = 2 * INTERVAL
#: A moment in which nothing may happen that is not to happen.
MOMENT = 0.5
#: Between two questions to the server: many scripts ask it at once.
POLL = 0.2
INBOX_MESSAGES = 6

APPLICATION = "tests.presence.application:application"
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "tests.presence.settings",
    "WEBSOCKET_HEARTBEAT_INTERVAL": str(INTERVAL),
    "HUB_PRESENCE_TIMEOUT": str(TIMEOUT),
    "HUB_PRESENCE_GRACE": str(GRACE),
    "HUB_INBOX_MESSAGES": str(INBOX_MESSAGES),
    "HUB_FEED_RIGHTS_INTERVAL": "600",
}


def make_site(kind: ServerKind, folder: Path, **env: str) -> tuple[Server, str]:
    """A site that is not running yet, and a token for its feed."""
    variables = {**SETTINGS, "SITE_DB": str(folder / "site.sqlite3"), **env}
    server = make_server(kind, APPLICATION, folder=folder, env=variables)
    server.manage("migrate", "-v", "0")
    return server, server.manage("hub_token", "create", "test").strip().splitlines()[-1]


class Stage:
    """
    One tenant on a running server, with its visitors.

    Args:
        server: The server.
        token: Opens its feed.
        tenant: Everybody here is of this tenant.
    """

    def __init__(self, server: Server, token: str, tenant: str) -> None:
        self.server = server
        self.token = token
        self.tenant = tenant
        self._http = httpx.AsyncClient(base_url=server.url, timeout=WAIT)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._http)
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.aclose()

    def url(self, member: str, consumer: str = "room", query: str = "") -> str:
        return f"{self.server.ws_url}/{self.tenant}/{consumer}/{member}/{query}"

    async def visit(self, member: str, consumer: str = "room", *, negotiated: bool = True) -> Visitor:
        """Somebody comes; closed at the end if not before."""
        visitor = await visit(self.url(member, consumer), negotiated=negotiated)
        self._stack.push_async_callback(visitor.close)
        return visitor

    # --- what the host knows ---

    async def get(self, path: str, **query: Any) -> Any:
        return (await self._http.get(path, params=query)).raise_for_status().json()

    async def members(self, group: str | None = None) -> dict[str, dict[str, Any]]:
        """By the host's API: everybody, by id."""
        found: dict[str, dict[str, Any]] = await self.get(
            f"/members/{self.tenant}/", **({} if group is None else {"group": group})
        )
        return found

    async def member(self, member: str, **expected: Any) -> dict[str, Any]:
        """Wait until a member's row has these fields; returns it."""
        deadline = time.monotonic() + WAIT
        while not expected.items() <= (row := (await self.members()).get(member, {})).items():
            assert time.monotonic() < deadline, f"{member} is expected to have {expected}, has {row}"
            await asyncio.sleep(POLL)
        return row

    async def states(self) -> dict[str, str]:
        return {name: member["state"] for name, member in (await self.members()).items()}

    async def history(self, group: str | None = None) -> list[tuple[str, str]]:
        """What the signals told, of the tenant as a whole or of a group: event and member."""
        entries = await self.get(f"/history/{self.tenant}/")
        return [(event, member) for _, event, member, of in entries if of == group]

    # --- what operators know ---

    async def listed(self) -> dict[str, str]:
        """By the operators' feed: everybody's state, by id."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with connect(f"{self.server.ws_url}/ws/ops/", additional_headers=headers) as feed:
            await feed.send(json.dumps({"type": "list_members", "ref": "1", "tenant": self.tenant}))
            async with asyncio.timeout(WAIT):
                while (message := json.loads(await feed.recv()))["type"] != "members":
                    assert message["type"] != "result", message
        assert message["total"] == len(message["members"])
        return {row["member"]: row["state"] for row in message["members"]}

    async def scraped(self) -> dict[str, float]:
        """By Prometheus: how many are in each state, where there is anybody."""
        text = (await self._http.get("/hub/metrics")).raise_for_status().text
        lines = [line for line in text.splitlines() if line.startswith("ws_presence_members{")]
        counts: Counter[str] = Counter()
        for sample in [sample for line in lines for sample in samples_of(line) if f'"{self.tenant}"' in line]:
            counts[sample.labels["state"]] += int(sample.value)
        return {state: count for state, count in counts.items() if count}

    # --- what is expected ---

    async def expect(self, wait: float = WAIT, /, **states: str) -> None:
        """Wait until exactly these members are there, each in its state, whomever one asks."""
        deadline = time.monotonic() + wait
        while True:
            seen = await self.states()
            if seen == states and await self.listed() == states and await self.scraped() == Counter(states.values()):
                return
            if time.monotonic() > deadline:
                found = {"API": seen, "feed": await self.listed(), "metrics": await self.scraped()}
                raise AssertionError(f"{states} expected within {wait:g} s, found {found}")
            await asyncio.sleep(POLL)

    async def always(self, seconds: float, **states: str) -> None:
        """For so many seconds exactly these members are there, each in its state."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            members = await self.members()
            if {name: member["state"] for name, member in members.items()} != states:
                raise AssertionError(f"always {states} expected, found at {time.time():.2f}: {members}")
            await asyncio.sleep(POLL)


def samples_of(line: str) -> list[Sample]:
    """The sample of one line: parsing the whole of a large page would hold up everybody here."""
    return [sample for family in text_string_to_metric_families(f"{line}\n") for sample in family.samples]


class Page:
    """A client in a process of its own, with our library in it."""

    def __init__(self, urls: Iterable[str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.presence.visitor", *urls],
                cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def send_signal(self, signal: int) -> None:
        self._process.send_signal(signal)

    def end(self) -> None:
        """It is gone, whatever state it is in."""
        self._process.kill()
        self._process.wait()


@contextmanager
def page(folder: Path, *urls: str) -> Any:
    """A page that visits these addresses."""
    made = Page(urls, folder / f"page-{len(list(folder.iterdir()))}.log")
    try:
        yield made
    except BaseException as error:
        error.add_note(made.log.read_text(errors="replace")[-4000:])
        raise
    finally:
        made.end()


@asynccontextmanager
async def site(kind: ServerKind, folder: Path, tenant: str = "acme", **env: str) -> AsyncIterator[Stage]:
    """A running site of a test's own."""
    server, token = make_site(kind, folder, **env)
    with server:
        try:
            async with Stage(server, token, tenant) as stage:
                yield stage
        except BaseException as error:
            error.add_note(server.log_text()[-4000:])
            raise
