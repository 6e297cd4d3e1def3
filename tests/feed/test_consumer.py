"""The feed on real servers, as browsers and programs use it."""

import asyncio
import json
import re
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from consumers.demo.accounts import make_token
from hub.feed import wire
from tests.feed.site import WAIT, chat, feed, log_in, log_out, run_on
from tests.feed.stage import ids

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def ops(site):
    return log_in(site, "ops")


def own_metric(site, name):
    """A number of the site's own, from its metrics page."""
    found = re.search(rf"^{name}(?:{{.*}})? (\S+)$", httpx.get(f"{site.url}/metrics").text, re.MULTILINE)
    return float(found[1]) if found else None


def faults(site):
    """Everything that went wrong inside the hub."""
    return httpx.get(f"{site.url}/metrics?name[]=hub_faults_total").text


@pytest.mark.parametrize("subprotocol", [*wire.SUBPROTOCOLS, None])
async def test_login_subscribe_snapshot_delta_event_heartbeat(site, ops, subprotocol):
    async with feed(site, ops, subprotocol=subprotocol) as operator:
        assert operator.connection.subprotocol == subprotocol
        hello = await operator.hear()
        assert hello["type"] == "hello"
        assert hello["permissions"] == {"operator": "ops", "view": True, "operate": True, "tenants": None}
        await operator.say(type="subscribe", ref="1")
        assert (await operator.hear_until(type="result"))["ok"]
        snapshots = {(await operator.hear_until(type="snapshot"))["topic"] for _ in wire.TOPICS}
        assert snapshots == set(wire.TOPICS)

        async with chat(site, room="greeting"):
            opened = await operator.hear_until(type="event", kind="connection.opened", tenant="acme")
            assert opened["consumer"] == "consumers.demo.chat.Chat"
            delta = await operator.hear_until(type="delta", topic="totals")
            assert delta["totals"]["active"] >= 2
        await operator.hear_until(type="event", kind="connection.closed", tenant="acme")
        await operator.say(type="heartbeat", sent_at=1.5)
        assert (await operator.hear_until(type="heartbeat", echo=1.5))["cursor"]


async def test_two_operators_get_the_same_frames(site, ops):
    async with feed(site, ops) as one, feed(site, ops) as two:
        for operator in (one, two):
            await operator.say(type="subscribe", topics=["events"], tenants=["globex"])
            await operator.hear_until(type="snapshot", topic="events")
        for number in range(5):
            async with chat(site, "globex", f"room-{number}"):
                pass
        heard = [[await operator.hear_until(type="event") for _ in range(10)] for operator in (one, two)]
        assert heard[0] == heard[1]
        assert ids(heard[0]) == sorted(ids(heard[0]))


async def test_an_event_reaches_the_operator_at_once(site, ops):
    async with feed(site, ops) as operator:
        await operator.say(type="subscribe", topics=["events"], tenants=["initech"])
        await operator.hear_until(type="snapshot", topic="events")
        late = []
        for number in range(20):
            async with chat(site, "initech", f"room-{number}"):
                event = await operator.hear_until(type="event", kind="connection.opened")
                late.append(time.time() - event["at"])
            await operator.hear_until(type="event", kind="connection.closed")
        late.sort()
        print(f"event -> operator on {site.name}: median {1000 * late[10]:.1f} ms, worst {1000 * late[-1]:.1f} ms")
        assert late[-1] < 5.0


async def test_a_handler_that_raises_is_told_with_its_last_line_and_no_secrets(site, ops):
    async with feed(site, ops) as operator:
        await operator.say(type="subscribe", topics=["events"], severities=["error"])
        await operator.hear_until(type="snapshot", topic="events")
        async with connect(f"{site.ws_url}/ws/demo/acme/chat/errors/") as visitor:
            await visitor.send("{not JSON")
            event = await operator.hear_until(type="event", kind="handler.error")
            assert event["details"]["error"].startswith("json.decoder.JSONDecodeError")
            assert "not JSON" not in json.dumps(event)


# --- who is let in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "origin", "code"),
    [
        (None, "", 4401),
        ("nobody", "", 4403),
        ("ops", None, 4403),
        ("ops", "http://evil.example", 4403),
        ("ops", "null", 4403),
        (None, None, 4403),
    ],
)
async def test_who_may_not_is_accepted_then_closed_with_a_code_that_says_why(site, ops, name, origin, code):
    cookies = ops if name == "ops" else name and log_in(site, name)
    async with feed(site, cookies, origin=origin) as operator:
        assert await operator.closed() == code


async def test_a_made_up_session_is_nobody(site):
    async with feed(site, {"hub_session": "x" * 32}) as operator:
        assert await operator.closed() == 4401


async def test_a_bound_operator_sees_its_tenant(site):
    async with feed(site, log_in(site, "bound")) as operator:
        assert (await operator.hear())["permissions"]["tenants"] == ["acme"]
        await operator.say(type="subscribe", ref="no", tenants=["globex"])
        assert (await operator.hear_until(type="result"))["error"]["code"] == "not_allowed"
        await operator.say(type="subscribe", topics=["events"])
        await operator.hear_until(type="snapshot")
        async with chat(site, "globex"), chat(site, "acme"):
            assert (await operator.hear_until(type="event"))["tenant"] == "acme"


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        ("fired", "User.objects.get(username='fired').user_permissions.clear()", 4403),
        ("promoted", "User.objects.get(username='promoted').user_permissions.set(Permission.objects.all())", 4205),
        (
            "leaving",
            "u = User.objects.get(username='leaving'); u.set_password('a new one, long enough'); u.save()",
            4401,
        ),
    ],
)
async def test_a_change_of_rights_ends_the_feed(site, name, change, code):
    async with feed(site, log_in(site, name)) as operator:
        await operator.hear()
        await operator.say(type="subscribe")
        await asyncio.to_thread(run_on, site, change)
        assert await operator.closed() == code


async def test_logging_out_ends_the_feed_at_once(site):
    browser, other = log_in(site, "second"), log_in(site, "second")
    async with feed(site, browser) as operator, feed(site, other) as elsewhere:
        await operator.hear()
        await elsewhere.hear()
        await asyncio.to_thread(log_out, site, browser)
        assert await operator.closed() == 4401
        await elsewhere.say(type="heartbeat", sent_at=1.0)
        await elsewhere.hear_until(type="heartbeat", echo=1.0)
    async with feed(site, browser) as operator:
        assert await operator.closed() == 4401


async def test_a_program_with_a_token_until_it_is_revoked(site):
    token = (await asyncio.to_thread(site.manage, "hub_token", "create", "robot", "--tenant", "acme")).strip()
    async with feed(site, origin=None, token=token, subprotocol=wire.MSGPACK_SUBPROTOCOL) as robot:
        assert (await robot.hear())["permissions"]["operator"] == "robot"
        await robot.say(type="subscribe", topics=["totals"])
        await robot.hear_until(type="delta")
        await asyncio.to_thread(site.manage, "hub_token", "revoke", "robot")
        assert await robot.closed() == 4401
    async with feed(site, origin=None, token=token) as robot:
        assert await robot.closed() == 4401


# --- bad input ------------------------------------------------------------------------------------------------------


async def test_bad_messages_are_answered_and_the_feed_lives_on(site, ops):
    bad: list[Any] = [
        "{",
        "",
        "[]",
        '{"type":"x"}',
        '{"type":"subscribe","cadence":NaN}',
        "[" * 9000,
        "x" * 20_000,
        b"\x81\x00",
    ]
    async with feed(site, ops) as operator:
        await operator.hear()
        for frame in bad:
            await operator.connection.send(frame)
        await operator.say(type="subscribe", ref="fine")
        answers: list[dict[str, Any]] = []
        while not answers or answers[-1]["ref"] != "fine":
            answers.append(await operator.hear_until(type="result"))
        assert [answer["ok"] for answer in answers].index(True) == len(answers) - 1
        # Daphne drops empty frames in silence.
        assert len(bad) <= len(answers) <= len(bad) + 1


async def test_text_on_messagepack_is_answered(site, ops):
    async with feed(site, ops, subprotocol=wire.MSGPACK_SUBPROTOCOL) as operator:
        await operator.hear()
        await operator.connection.send('{"type":"subscribe"}')
        assert (await operator.hear_until(type="result"))["error"]["code"] == "wrong_encoding"


async def test_a_frame_beyond_the_servers_limit_ends_that_feed_only(site, ops):
    async with feed(site, ops) as other, feed(site, ops) as operator:
        await operator.hear()
        with suppress(ConnectionClosed):
            await operator.connection.send("x" * (17 << 20))
        assert await operator.closed() in (1006, 1009)
        await other.say(type="heartbeat", sent_at=1.0)
        await other.hear_until(type="heartbeat", echo=1.0)


async def test_a_flood_is_closed_with_4429(site, ops):
    async with feed(site, ops) as operator:
        await operator.hear()
        with suppress(ConnectionClosed):
            for _ in range(2 * wire.CLIENT_BURST):
                await operator.say(type="heartbeat", sent_at=0.0)
        assert await operator.closed() == 4429


async def test_operators_that_come_and_go_leave_nothing_behind(site, ops):
    faults_before = await asyncio.to_thread(faults, site)
    for _ in range(5):
        async with AsyncExitStack() as stack:
            operators = [await stack.enter_async_context(feed(site, ops)) for _ in range(10)]
            for operator in operators:
                await operator.say(type="subscribe")
            for operator in operators[::2]:
                # Gone without a word, and while the server is sending.
                operator.connection.transport.abort()
    async with asyncio.timeout(WAIT):
        while await asyncio.to_thread(own_metric, site, "hub_feed_clients"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    assert await asyncio.to_thread(faults, site) == faults_before


# --- operators that do not read -------------------------------------------------------------------------------------

SMALL = {
    "HUB_FEED_BUFFER_BYTES": "32768", "HUB_FEED_BUFFER_EVENTS": "50", "HUB_EVENTS_PER_SECOND": "100000",
    "HUB_FEED_CLIENTS": "2",
}  # fmt: skip


async def storm(server, connections):
    """So many connections come and go: two events each."""

    async def one(number):
        async with connect(f"{server.ws_url}/ws/demo/acme/chat/room-{number % 10}/"):
            pass

    for start in range(0, connections, 20):
        await asyncio.gather(*(one(number) for number in range(start, min(connections, start + 20))))


async def fill_buffers(operator):
    """Stop reading, and ask for much again and again: the kernel's buffers take megabytes."""
    operator.connection.transport.pause_reading()
    tenants = ["acme", *(f"tenant-{number}" for number in range(199))]
    for _ in range(wire.CLIENT_BURST - 5):
        await operator.say(type="subscribe", tenants=tenants)
        await asyncio.sleep(0.02)


async def test_an_operator_that_stops_reading_is_closed_with_4408_and_costs_little_memory(own_site):
    server = own_site(**SMALL)
    process = psutil.Process(server.pid)
    async with feed(server, log_in(server, "ops")) as slow:
        await storm(server, 100)
        await slow.say(type="subscribe")
        await slow.hear_until(type="snapshot", topic="events")
        before = process.memory_info().rss
        await fill_buffers(slow)
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(own_metric, server, "hub_feed_closed_slow_total"):
                await storm(server, 60)
        grown = process.memory_info().rss - before
        print(f"{server.name}: {grown / (1 << 20):.1f} MiB more after an operator that did not read")
        assert grown < 64 << 20
        assert await asyncio.to_thread(own_metric, server, "hub_feed_clients") == 0
        slow.connection.transport.resume_reading()
        # The server waits for nobody: with full buffers, its close frame may have been lost.
        assert await slow.closed() in (4408, 1006, 1011)


async def test_an_operator_that_pauses_gets_the_newest_numbers(own_site):
    server = own_site(HUB_FEED_BUFFER_BYTES="4096", HUB_FEED_BUFFER_EVENTS="100000")
    async with feed(server, log_in(server, "ops")) as slow:
        await slow.say(type="subscribe", topics=["totals"])
        await slow.hear_until(type="delta")
        slow.connection.transport.pause_reading()
        async with chat(server), chat(server):
            await asyncio.sleep(4.0)
            slow.connection.transport.resume_reading()
            async with asyncio.timeout(WAIT):
                while (await slow.hear_until(type="delta"))["totals"]["active"] != 3:
                    pass


async def test_beyond_the_number_of_operators_a_client_is_told_to_come_later(own_site):
    server = own_site(**SMALL)
    browser = log_in(server, "ops")
    async with feed(server, browser) as one:
        await one.hear()
        async with feed(server, browser) as two:
            await two.hear()
            async with feed(server, browser) as three:
                assert await three.closed() == 4503


# --- coming back ----------------------------------------------------------------------------------------------------


async def test_who_comes_back_gets_what_was_missed(site, ops):
    events = {"type": "subscribe", "topics": ["events"], "tenants": ["umbrella"]}
    async with feed(site, ops) as operator:
        await operator.say(**events)
        cursor = (await operator.hear_until(type="snapshot"))["cursor"]
    for number in range(3):
        async with chat(site, "umbrella", f"room-{number}"):
            pass
    await asyncio.sleep(0.3)
    async with feed(site, ops) as operator:
        await operator.say(type="resume", cursor=cursor)
        await operator.say(**events)
        missed = [await operator.hear_until(type="event", kind="connection.opened") for _ in range(3)]
        assert ids(missed) == sorted(set(ids(missed)))
        assert all(event["tenant"] == "umbrella" for event in missed)


async def test_after_a_restart_the_gap_is_explicit(own_site):
    server = own_site()
    browser = log_in(server, "ops")
    async with feed(server, browser) as operator:
        await operator.say(type="subscribe")
        cursor = (await operator.hear_until(type="snapshot", topic="events"))["cursor"]
        await asyncio.to_thread(server.restart)
        assert await operator.closed() in (1001, 1006, 1012)
    async with feed(server, browser) as operator:
        await operator.say(type="resume", cursor=cursor)
        await operator.say(type="subscribe")
        gap = await operator.hear_until(type="gap")
        assert (gap["reason"], gap["since"]) == ("epoch", cursor)
        assert gap["cursor"].partition("-")[0] != cursor.partition("-")[0]
        topics = {(await operator.hear_until(type="snapshot"))["topic"] for _ in wire.TOPICS}
        assert topics == set(wire.TOPICS)


# --- presence -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def customer(site, name, tenant):
    """A customer of the demo shop, which fails one handshake in a hundred on purpose."""
    url = f"{site.ws_url}/ws/demo/orders/?token={quote(make_token(name, tenant))}"
    for _ in range(5):
        with suppress(InvalidStatus):
            async with connect(url) as connection:
                yield connection
                return
    raise AssertionError("the shop does not open")


@pytest.mark.parametrize("subprotocol", wire.SUBPROTOCOLS)
async def test_a_member_is_told_counted_and_listed_until_it_has_left(site, ops, subprotocol):
    name = f"zoe-{subprotocol[-4:]}"
    async with feed(site, ops, subprotocol=subprotocol) as operator:
        await operator.say(type="subscribe", topics=["presence", "events"], tenants=["initech"])
        before = await operator.hear_until(type="snapshot", topic="presence")
        async with customer(site, name, "initech"):
            # At once and with the next tick: which comes first depends on when that is.
            joined, delta = await operator.hear_all(
                {"type": "event", "kind": "member.joined"}, {"type": "delta", "topic": "presence"}
            )
            assert (joined["tenant"], joined["details"]["member"]) == ("initech", f"{name}@initech")
            assert [row["tenant"] for row in delta["presence"]] == ["initech"]
            assert delta["presence"] != before["presence"]
            await operator.say(type="list_members", ref="who", search=name.upper())
            page = await operator.hear_until(type="members", ref="who")
            [row] = page["members"]
            expected = {"member": f"{name}@initech", "state": "online", "connections": 1, "negotiated": 0}
            assert expected.items() <= row.items()
        left = await operator.hear_until(type="event", kind="member.left")
        assert left["details"]["member"] == f"{name}@initech"
        await operator.say(type="list_members", ref="gone", search=name)
        assert (await operator.hear_until(type="members", ref="gone"))["total"] == 0


async def test_a_bound_operator_sees_the_members_of_its_tenant(site):
    cookies = log_in(site, "bound")
    async with customer(site, "ann", "acme"), customer(site, "eve", "globex"), feed(site, cookies) as bound:
        await bound.say(type="list_members", ref="all")
        page = await bound.hear_until(type="members")
        assert {row["tenant"] for row in page["members"]} == {"acme"}
        await bound.say(type="list_members", ref="other", tenant="globex")
        assert (await bound.hear_until(ref="other"))["error"]["code"] == "not_allowed"
        await bound.say(type="subscribe")
        snapshot = await bound.hear_until(type="snapshot", topic="presence")
        # It is of the last tick, which may have been before they came.
        told = snapshot["presence"] or (await bound.hear_until(type="delta", topic="presence"))["presence"]
        assert {row["tenant"] for row in told} == {"acme"}
