"""``/ws/presence/`` on real servers: who may see whom, and what changes live."""

import asyncio
import json
import re
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from websockets.asyncio.client import connect as plain_connect
from websockets.exceptions import ConnectionClosed

from hub.client import connect
from hub.feed import wire
from tests.feed.site import WAIT, log_in, log_out, make_site, run_on
from tests.support.servers import DAPHNE, UVICORN

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

TENANTS = {"ops": "acme", "second": "globex", "fired": "acme", "leaving": "acme", "promoted": "acme", "nobody": "acme"}
RULES = {
    "HUB_TENANT": "tests.feed.presence_rules.tenant_of",
    "HUB_PRESENCE_GROUPS": "tests.feed.presence_rules.may_watch",
    "HUB_FEED_RIGHTS_INTERVAL": "0.3",
    "HUB_PRESENCE_GRACE": "0.5",
    "WEBSOCKET_HEARTBEAT_INTERVAL": "0.5",
    "HUB_PRESENCE_TIMEOUT": "3",
}


def give_tenants(server):
    changes = [
        f"User.objects.filter(username={name!r}).update(first_name={tenant!r})" for name, tenant in TENANTS.items()
    ]
    run_on(server, "; ".join(changes))


@pytest.fixture(scope="module", params=[DAPHNE, UVICORN], ids=str)
def site(request, prepared_site, tmp_path_factory):
    server = make_site(request.param, prepared_site, tmp_path_factory.mktemp("site"), **RULES)
    give_tenants(server)
    with server:
        yield server


@pytest.fixture(scope="module")
def cookies(site):
    return {name: log_in(site, name) for name in ("ops", "second", "bound", "nobody")}


class Page:
    """One page that watches; it keeps the list as the messages say."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.members: dict[str, dict[str, str]] = {}
        self.count = -1
        self.heard: list[dict[str, Any]] = []

    async def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(self.connection.recv(), WAIT))
        self.heard.append(message)
        if message["type"] == "presence.snapshot":
            self.members = {}
            changed = message["members"]
        else:
            changed = message["joined"] + message["changed"]
            for member in message["left"]:
                del self.members[member]
        self.members |= {member["id"]: member for member in changed}
        self.count = message["count"]
        assert message["truncated"] is (self.count > len(self.members))
        return message

    async def until(self, *expected: str) -> None:
        """Hear until just these are there, by name."""
        async with asyncio.timeout(WAIT):
            while sorted(self.names) != sorted(expected):
                await self.hear()

    async def until_state(self, name: str, state: str) -> None:
        async with asyncio.timeout(WAIT):
            while state not in [member["state"] for member in self.members.values() if member["name"] == name]:
                await self.hear()

    @property
    def names(self) -> list[str]:
        return [member["name"] for member in self.members.values()]

    async def closed(self) -> int | None:
        async with asyncio.timeout(WAIT):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed:
                await self.connection.wait_closed()
                return cast("int", self.connection.close_code)


@asynccontextmanager
async def page(server, cookies=None, *, query="", origin="", opener=connect, **options):
    headers = {} if cookies is None else {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    async with opener(
        f"{server.ws_url}/ws/presence/{query}", origin=server.url if origin == "" else origin,
        additional_headers=headers, compression=None, **options,
    ) as connection:  # fmt: skip
        yield Page(connection)


def faults(site):
    return httpx.get(f"{site.url}/metrics?name[]=hub_faults_total").text


async def nobody_left(site, cookies):
    """Wait until members of earlier tests have gone."""
    async with page(site, cookies["ops"]) as mine, page(site, cookies["second"]) as theirs:
        await mine.until("ops")
        await theirs.until("second")


# --- who is let in, and what they get -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "query", "origin", "code"),
    [
        (None, "", "", 4401),
        (None, "?tenant=acme", "", 4401),
        (None, "?group=acme-1", "", 4401),
        ("bound", "", "", 4403),  # operator of acme, but of no tenant by the host's rule
        ("bound", "?tenant=acme", "", 4403),
        ("ops", "", None, 4403),
        ("ops", "", "http://evil.example", 4403),
        ("ops", "", "null", 4403),
        ("ops", "?group=globex-1", "", 4403),
        ("ops", "?group=broken", "", 4403),
        ("ops", "?group=truthy", "", 4403),
        ("ops", "?group=acme-1&group=acme-2", "", 4403),
        ("ops", f"?group=acme-{'x' * 200}", "", 4403),
    ],
)
@pytest.mark.parametrize("opener", [connect, plain_connect])
async def test_who_may_not_is_accepted_then_closed_and_was_never_there(
    site, cookies, name, query, origin, code, opener
):
    async with page(site, cookies["ops"]) as mine:
        await mine.until("ops")
        async with page(site, name and cookies[name], query=query, origin=origin, opener=opener) as refused:
            assert code == await refused.closed()
            assert [] == refused.heard
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(mine.connection.recv(), 0.4)


async def test_each_sees_its_own_tenant_whatever_the_url_says(site, cookies):
    await nobody_left(site, cookies)
    async with page(site, cookies["ops"]) as ops, page(site, cookies["second"], query="?tenant=acme") as second:
        await ops.until("ops")
        await second.until("second")
        async with page(site, cookies["nobody"]):
            await ops.until("ops", "nobody")
            assert {"online"} == {member["state"] for member in ops.members.values()}
            assert ops.count == 2
        await ops.until("ops")
        assert ["second"] == second.names
        assert {"presence.snapshot", "presence.diff"} == {message["type"] for message in ops.heard}
        assert "presence.snapshot" == ops.heard[0]["type"]


async def test_an_anonymous_visitor_of_the_tenant_is_seen_by_no_one_else(site, cookies):
    await nobody_left(site, cookies)
    async with plain_connect(f"{site.ws_url}/ws/demo/globex/ticker/"), page(site, cookies["ops"]) as ops:
        await ops.until("ops")
        async with page(site, cookies["second"]) as second:
            await second.until("second", "")
            assert ["ops"] == ops.names


async def test_a_group_for_those_who_may(site, cookies):
    await nobody_left(site, cookies)
    async with page(site, cookies["ops"]) as everybody, page(site, cookies["ops"], query="?group=acme-1") as group:
        await group.until("ops")
        async with page(site, cookies["nobody"], query="?group=acme-1"):
            await group.until("ops", "nobody")
            await everybody.until("ops", "nobody")
            async with page(site, cookies["nobody"], query="?group=acme-2") as other:
                await other.until("nobody")
        await group.until("ops")
        assert 1 == group.count


async def test_a_rule_may_be_a_coroutine(prepared_site, tmp_path):
    rules = {**RULES, "HUB_PRESENCE_GROUPS": "tests.feed.presence_rules.may_watch_soon"}
    server = make_site(UVICORN, prepared_site, tmp_path, **rules)
    give_tenants(server)
    with server:
        cookies = log_in(server, "ops")
        async with page(server, cookies, query="?group=acme-1") as one, page(server, cookies, query="?group=x") as two:
            await one.until("ops")
            assert 4403 == await two.closed()


async def test_without_rules_everybody_is_of_one_tenant_and_groups_are_closed(prepared_site, tmp_path):
    server = make_site(UVICORN, prepared_site, tmp_path)
    with server:
        cookies = log_in(server, "nobody")
        async with page(server, cookies) as mine, page(server, cookies, query="?group=any") as group:
            await mine.until("nobody")
            assert 4403 == await group.closed()
        async with page(server) as stranger:
            assert 4401 == await stranger.closed()


async def test_where_presence_is_off_nobody_is_let_in(prepared_site, tmp_path):
    server = make_site(UVICORN, prepared_site, tmp_path, HUB_PRESENCE="0")
    with server:
        async with page(server, log_in(server, "ops")) as mine:
            assert 4403 == await mine.closed()


# --- live -----------------------------------------------------------------------------------------------------------


async def test_states_change_live_and_a_silent_member_goes(site, cookies):
    await nobody_left(site, cookies)
    # Asks for control frames, and gives no sign of life: as a frozen page.
    frozen_page = page(site, cookies["nobody"], query="?_hub=1", opener=plain_connect)
    async with page(site, cookies["ops"]) as ops, frozen_page as frozen:
        assert (await frozen.connection.recv()).startswith("\0{")
        await ops.until("ops", "nobody")
        await ops.until_state("nobody", "stale")
        await ops.until("ops")
        # It wakes up.
        await frozen.connection.send('\0{"type":"heartbeat","count":0}')
        await ops.until("ops", "nobody")
        await ops.until_state("nobody", "online")


async def test_a_reload_is_no_leave_and_join(site, cookies):
    await nobody_left(site, cookies)
    async with page(site, cookies["ops"]) as ops:
        async with page(site, cookies["nobody"]):
            await ops.until("ops", "nobody")
        before = len(ops.heard)
        async with page(site, cookies["nobody"]) as again:
            await again.until("ops", "nobody")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ops.hear(), 1.0)
        assert before == len(ops.heard)


async def test_a_wave_comes_in_few_messages(site, cookies):
    await nobody_left(site, cookies)
    async with page(site, cookies["second"]) as second, AsyncExitStack() as stack:
        await second.until("second")
        before = len(second.heard)
        started = asyncio.get_running_loop().time()
        for _ in range(60):
            await stack.enter_async_context(plain_connect(f"{site.ws_url}/ws/demo/globex/ticker/", compression=None))
        async with asyncio.timeout(WAIT):
            while second.count < 61:
                await second.hear()
        seconds = asyncio.get_running_loop().time() - started
        assert len(second.heard) - before <= 4 * seconds + 2


# --- rights, later --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        ("fired", "User.objects.filter(username='fired').update(is_active=False)", 4401),
        ("promoted", "User.objects.filter(username='promoted').update(first_name='globex')", 4205),
        ("leaving", "User.objects.filter(username='leaving').update(first_name='')", 4403),
    ],
)
async def test_a_change_of_rights_ends_it(site, name, change, code):
    async with page(site, log_in(site, name), reconnect_delays=None) as mine:
        await mine.hear()
        await asyncio.to_thread(run_on, site, change)
        assert code == await mine.closed()
    give_tenants(site)
    run_on(site, "User.objects.update(is_active=True)")


async def test_logging_out_ends_it_at_once(site):
    cookies = log_in(site, "ops")
    async with page(site, cookies) as mine, page(site, log_in(site, "ops")) as other:
        await mine.hear()
        await other.hear()
        await asyncio.to_thread(log_out, site, cookies)
        assert 4401 == await mine.closed()
        await asyncio.sleep(0.5)
        assert other.connection.connected


# --- what comes in --------------------------------------------------------------------------------------------------


async def test_what_comes_in_is_ignored_and_a_flood_closes(site, cookies):
    async with page(site, cookies["ops"], reconnect_delays=None) as mine:
        await mine.hear()
        for _ in range(10):
            await mine.connection.send("ping")
        await mine.connection.send(b"\0")
        await asyncio.sleep(0.2)
        assert mine.connection.connected
        for _ in range(wire.CLIENT_BURST * 2):
            await mine.connection.send("x" * 100)
        assert 4429 == await mine.closed()
        assert 1 == mine.connection.connections


async def test_nothing_went_wrong_in_the_hub(site):
    places = {name for name, number in re.findall(r'place="([^"]+)"} (\d)', faults(site)) if number != "0"}
    assert {"HUB['PRESENCE_GROUPS']"} >= places
