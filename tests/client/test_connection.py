"""The conversation against a server that plays a script."""

import asyncio
import json
import socket as sockets
import time
from contextlib import suppress
from itertools import count

import pytest
from websockets.asyncio.client import connect as plain_connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from websockets.protocol import State

from hub.client import UnsentLimitError, connect
from hub.core.control import CONFIRM_SECONDS, encode
from tests.client.scripted import WAIT, served

pytestmark = [pytest.mark.server]

NUL = "\0"


def at_once():
    """No waiting between attempts."""
    return (0.01 for _ in count())


async def echo(visit):
    visit.react = visit.say
    await visit.stay()


def closing(code, *frames):
    async def script(visit):
        for frame in frames:
            await visit.say(frame)
        await visit.connection.close(code)

    return script


async def cut(visit):
    visit.connection.transport.abort()


async def greet(visit, interval=30.0):
    visit.react = visit.answer
    await visit.hello(interval=interval)
    await visit.stay()


async def gone(socket):
    """Wait until the socket knows that its connection is away."""
    async with asyncio.timeout(WAIT):
        while socket.connected:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.01)


# --- as the library's own -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opener", [connect, plain_connect])
async def test_it_is_used_as_the_librarys_own(opener):
    async def script(visit):
        await visit.say("one")
        await visit.say(b"two")
        await echo(visit)

    async with served(script, subprotocols=["chat.v1"]) as server:
        async with opener(server.url, subprotocols=["chat.v1"], additional_headers={"x-one": "1"}) as socket:
            assert "one" == await socket.recv()
            assert "two" == await socket.recv(decode=True)
            await socket.send("three")
            assert b"three" == await socket.recv(decode=False)
            await socket.send(bytearray(b"four"))
            assert b"four" == await socket.recv()
            await socket.send(["fi", "ve"])
            assert "five" == "".join([str(fragment) async for fragment in socket.recv_streaming()])
            await socket.send("six", text=False)
            assert b"six" == await socket.recv()
            with pytest.raises(TypeError):
                await socket.send({"no": "message"})
            assert ("chat.v1", State.OPEN, None) == (socket.subprotocol, socket.state, socket.close_code)
            assert await (await socket.ping()) > 0
            assert socket.latency > 0
            assert socket.remote_address == ("127.0.0.1", server.port)
            assert "1" == server.visits[0].connection.request.headers["x-one"]
        assert (State.CLOSED, 1000, "") == (socket.state, socket.close_code, socket.close_reason)
        with pytest.raises(ConnectionClosedOK):
            await socket.recv()
        with pytest.raises(ConnectionClosedOK):
            await socket.send("late")
        await socket.close()


@pytest.mark.parametrize("opener", [connect, plain_connect])
async def test_iteration_ends_with_the_conversation_and_an_error_is_raised(opener):
    async with served(closing(1000, "a", "b"), closing(4401, "c")) as server:
        async with opener(server.url) as socket:
            assert ["a", "b"] == [message async for message in socket]
        heard = []
        async with opener(server.url) as socket:
            with pytest.raises(ConnectionClosedError) as raised:  # noqa: PT012 - what came before the error counts
                async for message in socket:
                    heard.append(message)  # noqa: PERF401
        assert (["c"], 4401, 4401) == (heard, raised.value.rcvd.code, socket.close_code)


@pytest.mark.parametrize("opener", [connect, plain_connect])
async def test_iterating_over_connect_starts_anew_after_each_end(opener):
    async with served(closing(1000, "a"), closing(1000, "b")) as server:
        heard = []
        async for socket in opener(server.url):
            heard += [message async for message in socket]
            if len(heard) == 2:
                break
        assert ["a", "b"] == heard


async def test_the_first_attempt_raises_what_the_library_raises():
    with sockets.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    with pytest.raises(OSError, match=str(port)):
        await connect(f"ws://127.0.0.1:{port}/")


# --- plain ----------------------------------------------------------------------------------------------------------


async def test_towards_a_server_without_the_hub_nothing_extra_is_on_the_wire():
    messages: list[str | bytes] = ["a", NUL, NUL + "{", NUL + '{"type":"heartbeat"}', NUL * 2, b"\0{", "", b""]
    async with served(echo) as server, connect(server.url) as socket:
        # The first frame comes back before it is known what kind of connection this is.
        for message in messages:
            await socket.send(message)
        assert messages == [await socket.recv() for _ in messages]
        assert socket.negotiated is False
        await asyncio.sleep(0.3)
        assert messages == server.visits[0].frames
        assert "/room/?_hub=1" == server.visits[0].path


async def test_what_begins_with_u0000_is_escaped_from_the_first_heartbeat_on():
    async def script(visit):
        await visit.until(lambda visit: visit.frames)
        await greet(visit)

    async with served(script) as server, connect(server.url) as socket:
        visit = await server.visit(1)
        # The server takes what came before a control frame for what a plain client says.
        await socket.send(NUL + "before")
        while not socket.negotiated:
            await socket.send(NUL * 2)
            await asyncio.sleep(0)
        await socket.send(NUL + "{after}")
        await visit.until(lambda visit: visit.ordinary[-1] == NUL * 2 + "{after}")
        beat = visit.frames.index(next(frame for frame in visit.frames if "heartbeat" in frame))
        assert NUL + "before" == visit.frames[0]
        assert {NUL * 2} == set(visit.frames[1:beat])
        assert [NUL * 2 + "{after}"] == visit.frames[beat + 1 :]


async def test_the_parameter_is_added_to_a_query_of_its_own():
    async with served(echo) as server, connect(server.url + "?a=1&b=%26"):
        assert "/room/?a=1&b=%26&_hub=1" == (await server.visit(1)).path


async def test_it_need_not_ask_for_control_frames():
    async def script(visit):
        await visit.hello()
        await echo(visit)

    async with served(script) as server, connect(server.url, negotiate=False) as socket:
        assert socket.negotiated is False
        assert '\0{"type":"hello"' == (await socket.recv())[:16]
        await socket.send(NUL)
        assert NUL == await socket.recv()
        assert ("/room/", [NUL]) == (server.visits[0].path, server.visits[0].frames)


# --- negotiated -----------------------------------------------------------------------------------------------------


async def test_heartbeats_confirms_and_probes():
    async def script(visit):
        await visit.hello(interval=0.4)
        await visit.until(lambda visit: visit.controls)
        await visit.say("one")
        await visit.say(NUL * 2 + "two")
        visit.react = visit.answer
        await visit.stay()

    async with served(script) as server, connect(server.url) as socket:
        visit = await server.visit(1)
        await visit.until(lambda visit: visit.controls)
        first = visit.controls[0]
        assert ("heartbeat", 0, 7.5) == (first["type"], first["count"], first["echo"])
        assert 0 <= first["held"] < 1
        assert abs(first["sent_at"] - time.time()) < 5
        await asyncio.sleep(0.2)
        # Nothing was taken: nothing is confirmed, however long it lies there.
        assert {0} == {control["count"] for control in visit.controls}
        assert ["one", NUL + "two"] == [await socket.recv(), await socket.recv()]
        taken_at = time.monotonic()
        await visit.until(lambda visit: visit.controls[-1]["count"] == 2)
        assert time.monotonic() - taken_at < 10 * CONFIRM_SECONDS
        assert socket.negotiated

        before = len(visit.controls)
        await visit.say(encode("probe", at=9.0))
        await visit.until(lambda visit: any(control.get("echo") == 9.0 for control in visit.controls[before:]))
        await visit.until(lambda visit: sum(control["type"] == "heartbeat" for control in visit.controls) >= 5)
        assert visit.ordinary == []


async def test_frames_are_confirmed_by_connection():
    async def first(visit):
        await visit.hello()
        for number in range(3):
            await visit.say(f"old {number}")
        await visit.until(lambda visit: visit.controls)
        visit.connection.transport.abort()

    async def second(visit):
        await visit.hello()
        await visit.say("new")
        await visit.stay()

    async with served(first, second) as server, connect(server.url, reconnect_delays=at_once) as socket:
        visit = await server.visit(2)
        await visit.until(lambda visit: visit.controls)
        assert ["old 0", "old 1", "old 2", "new"] == [await socket.recv() for _ in range(4)]
        await visit.until(lambda visit: visit.controls[-1]["type"] == "confirm")
        assert 1 == visit.controls[-1]["count"]


async def test_a_client_that_takes_nothing_reads_nothing_but_still_gives_signs_of_life():
    async def flood(visit):
        await visit.hello(interval=0.2)
        for number in range(20_000):
            await visit.say(f"{number} {'x' * 1000}")
            visit.sent = number + 1
        await visit.stay()

    async with served(flood) as server, connect(server.url, max_queue=10) as socket:
        visit = await server.visit(1)
        await visit.until(lambda visit: len(visit.controls) >= 6)
        assert visit.sent < 20_000
        # Longer than a dead server would have been kept: its silence is ours.
        assert (1, True) == (socket.connections, socket.connected)
        assert {0} == {control["count"] for control in visit.controls}
        assert visit.controls[-1]["lag"] > 0.5
        assert [f"{number} " for number in range(100)] == [(await socket.recv())[:-1000] for _ in range(100)]
        await visit.until(lambda visit: visit.controls[-1]["count"] >= 90)


@pytest.mark.parametrize("given", [{}, {"ping_timeout": 7}])
async def test_heartbeats_take_the_place_of_the_librarys_pings_unless_these_are_asked_for(given):
    async with served(greet) as server, connect(server.url, **given) as socket:
        await (await server.visit(1)).until(lambda visit: visit.controls)
        assert given.get("ping_timeout") == socket.ping_timeout
    async with served(closing(1000, "plain")) as server, connect(server.url, **given) as socket:
        await socket.recv()
        assert given.get("ping_timeout", 20) == socket.ping_timeout


async def test_a_client_that_takes_nothing_comes_back_all_the_same_and_loses_nothing_that_it_has_room_for():
    async def brief(visit):
        await visit.hello(interval=0.2)
        for number in range(8):
            await visit.say(f"old {number}")
        await visit.until(lambda visit: len(visit.controls) >= 2)
        visit.connection.transport.abort()

    async def second(visit):
        visit.react = visit.answer
        await visit.hello(interval=0.2)
        for number in range(3):
            await visit.say(f"new {number}")
        await visit.stay()

    async with served(brief, second) as server, connect(server.url, reconnect_delays=at_once, max_queue=5) as socket:
        visit = await server.visit(2)
        # Nobody has taken anything; the new server hears that somebody is there, and is told what the program says.
        await visit.until(lambda visit: len(visit.controls) >= 5)
        await socket.send("here I am")
        await visit.until(lambda visit: visit.ordinary)
        expected = [*(f"old {number}" for number in range(8)), *(f"new {number}" for number in range(3))]
        assert expected == [await asyncio.wait_for(socket.recv(), WAIT) for _ in expected]
        await visit.until(lambda visit: visit.controls[-1]["count"] == 3)
        assert 2 == socket.connections


async def test_what_waits_for_a_client_that_takes_nothing_is_bounded_however_often_it_comes_back(caplog):
    async def brief(visit):
        await visit.hello(interval=0.1)
        for number in range(20):
            await visit.say(f"{len(server.visits)} {number}")
        if len(server.visits) < 6:
            await visit.connection.close(1012)
        await visit.stay()

    async with (
        served(brief, close_timeout=0.1) as server,
        connect(server.url, reconnect_delays=at_once, max_queue=10, close_timeout=0.05) as socket,
    ):
        await server.visit(6)
        await asyncio.sleep(0.2)
        assert 20 == len(socket._inbox._arrivals)
        assert [f"1 {number}" for number in range(20)] == [await socket.recv() for _ in range(20)]
        # One was in its hand already.
        assert [f"6 {number}" for number in range(20)] == [await socket.recv() for _ in range(20)]
    assert "a frame is lost" in caplog.text


async def test_what_was_taken_is_confirmed_before_a_close_and_nothing_else_is():
    async def script(visit):
        await visit.hello()
        for number in range(3):
            await visit.say(str(number))
        await visit.stay()

    async with served(script) as server:
        async with connect(server.url) as socket:
            visit = await server.visit(1)
            assert ["0", "1"] == [await socket.recv(), await socket.recv()]
        await visit.connection.wait_closed()
        assert 2 == visit.controls[-1]["count"]


async def test_closing_with_frames_that_nobody_takes_does_not_hang():
    async def script(visit):
        await visit.hello()
        for number in range(1000):
            await visit.say(str(number))
        await visit.stay()

    async with served(script) as server:
        started = time.monotonic()
        async with connect(server.url, max_queue=5, close_timeout=2):
            await (await server.visit(1)).until(lambda visit: visit.controls)
            await asyncio.sleep(0.1)
        assert time.monotonic() - started < 5


# --- the way back ---------------------------------------------------------------------------------------------------


async def test_it_comes_back_and_what_was_sent_meanwhile_follows_in_order():
    async def first(visit):
        await visit.hello()
        await visit.say("1")
        await visit.until(lambda visit: visit.controls)
        visit.connection.transport.abort()

    slow = asyncio.Event()

    async def second(visit):
        await slow.wait()
        await greet(visit)

    def resume(context):
        context.send("resume from 1")
        context.send(bytearray(b"\1"))

    async with served(first, second) as server, connect(server.url, reconnect_delays=at_once, resume=resume) as socket:
        assert "1" == await socket.recv()
        await server.visit(2)
        for number in range(500):
            await socket.send(f"message {number}")
        slow.set()
        visit = server.visits[1]
        await visit.until(lambda visit: visit.controls)
        await socket.send(NUL + "last")
        await visit.until(lambda visit: visit.ordinary and visit.ordinary[-1] == NUL * 2 + "last")
        sent_to = [*server.visits[0].ordinary, *visit.ordinary]
        resumed = visit.ordinary.index("resume from 1")
        # What went to the first connection before it broke may be lost; nothing is doubled or out of order.
        assert 0 == resumed
        assert b"\1" == visit.ordinary[1]
        numbers = [int(frame.split()[1]) for frame in sent_to if str(frame).startswith("message")]
        assert sorted(set(numbers)) == numbers
        assert (2, 0, True) == (socket.connections, socket.unsent, socket.connected)


async def test_what_may_wait_is_bounded_with_a_clear_error():
    def never():
        yield 60.0

    async with served(cut) as server:
        socket = await connect(server.url, reconnect_delays=never, max_unsent=3, max_unsent_bytes=100)
        await gone(socket)
        for message in ("a", "b", "c"):
            await socket.send(message)
        with pytest.raises(UnsentLimitError, match="no more than 3 messages may wait"):
            await socket.send("d")
        assert (3, State.CONNECTING, None) == (socket.unsent, socket.state, socket.close_code)
        with pytest.raises(ConnectionClosed):
            await socket.send(["in ", "fragments"])
        await asyncio.wait_for(socket.close(), 1)
        assert State.CLOSED == socket.state
        with pytest.raises(ConnectionClosed):
            await socket.recv()


@pytest.mark.parametrize(
    ("code", "returns"),
    [
        *((code, False) for code in (1000, 1008, 4400, 4401, 4403, 4499)),
        *((code, True) for code in (1001, 1011, 1012, 1013, 3000, 4205, 4408, 4429)),
    ],
)  # fmt: skip
async def test_close_codes_decide_whether_it_comes_back(code, returns):
    async with served(closing(code), closing(1000, "back")) as server:
        socket = await connect(server.url, reconnect_delays=at_once)
        with suppress(ConnectionClosed):
            assert "back" == await asyncio.wait_for(socket.recv(), WAIT)
        await socket.wait_closed()
        assert (2 if returns else 1) == len(server.visits) == socket.connections
        assert (1000 if returns else code) == socket.close_code


async def test_the_application_says_which_codes_are_final():
    async with served(closing(3001)) as server:
        socket = await connect(server.url, reconnect_delays=at_once, final_codes={3001})
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(socket.recv(), WAIT)
        assert 1 == len(server.visits)


async def test_attempts_end_where_the_waits_end_or_never_begin():
    async with served(cut) as server:
        for delays, visits in ((lambda: iter((0.0, 0.0)), 3), (None, 1)):
            server.visits.clear()
            socket = await connect(server.url, reconnect_delays=delays)
            with pytest.raises(ConnectionClosedError):
                await asyncio.wait_for(socket.recv(), WAIT)
            assert visits == len(server.visits)


async def test_waits_grow_while_connections_do_not_hold():
    asked = []

    def waits():
        for number in count():
            asked.append(number)
            yield 0.0

    async with served(cut) as server, connect(server.url, reconnect_delays=waits):
        await server.visit(5)
    assert list(range(len(asked))) == asked


async def test_a_busy_server_is_given_more_time():
    asked = []

    def waits():
        for number in count():
            asked.append(number)
            yield 0.0

    async with served(closing(4429), closing(1000)) as server:
        await (await connect(server.url, reconnect_delays=waits)).wait_closed()
    assert [0, 1, 2, 3, 4] == asked


async def test_a_server_that_restarts():
    async with served(greet) as server:
        port = server.port
        socket = await connect(server.url, reconnect_delays=lambda: (0.05 for _ in count()))
        await (await server.visit(1)).until(lambda visit: visit.controls)
    await gone(socket)
    await socket.send("while it was away")
    await asyncio.sleep(0.3)
    async with served(greet, port=port) as server:
        await (await server.visit(1)).until(lambda visit: "while it was away" in visit.ordinary)
        await socket.close()


async def test_an_answer_that_makes_no_sense_to_repeat_ends_it():
    refusing: list[bool] = []

    async def process_request(connection, request):
        return connection.respond(403, "no") if refusing else None

    async with served(cut, process_request=process_request) as server:
        socket = await connect(server.url, reconnect_delays=at_once)
        refusing.append(True)
        with pytest.raises(ConnectionClosedError) as raised:
            await asyncio.wait_for(socket.recv(), WAIT)
        assert "HTTP 403" in str(raised.value.__cause__)


async def test_a_resume_hook_may_wait_and_one_that_fails_has_failed_this_attempt_only(caplog):
    seen = []

    async def resume(context):
        seen.append((context.attempt, context.code, context.reason))
        context.send(f"resume {context.attempt}")
        if context.attempt == 1:
            raise LookupError("no cursor")
        await asyncio.sleep(0.01)

    async def leave(visit):
        await visit.connection.close(4205, "moved")

    async with served(leave, cut, greet) as server, connect(server.url, reconnect_delays=at_once, resume=resume):
        visit = await server.visit(3)
        await visit.until(lambda visit: visit.ordinary)
        assert [(1, 4205, "moved"), (2, 4205, "moved"), (3, 1006, "")] == seen
        assert ["resume 3"] == visit.ordinary
    assert "the resume hook failed" in caplog.text


async def test_a_resume_hook_may_change_the_address_and_that_is_kept(caplog):
    addresses = []

    def resume(context):
        addresses.append(context.uri)
        if context.attempt == 1:
            context.uri = context.uri.removesuffix("?a=1") + "other/?token=2"
        if context.attempt == 3:
            context.uri = "no address of ours"
        if context.attempt == 4:
            context.uri = addresses[0]

    async with served(cut, cut, cut, greet) as server:
        first, other = server.url + "?a=1", server.url + "other/?token=2"
        async with connect(first, reconnect_delays=at_once, resume=resume) as socket:
            assert socket.uri == first
            await server.visit(4)
            paths = [visit.path for visit in server.visits]
            assert ["/room/?a=1&_hub=1", *2 * ["/room/other/?token=2&_hub=1"], "/room/?a=1&_hub=1"] == paths
            assert [first, other, other, "no address of ours"] == addresses
            await server.visits[3].until(lambda visit: visit.controls)
            assert (first, 4) == (socket.uri, socket.connections)
    assert "the resume hook's address can't be used" in caplog.text


async def test_a_dead_server_is_left():
    async def silent(visit):
        await visit.hello(interval=0.2)
        await visit.stay()

    async with served(silent, greet) as server, connect(server.url, reconnect_delays=at_once) as socket:
        started = time.monotonic()
        await server.visit(2)
        assert 0.4 < time.monotonic() - started < 5
        assert 2 <= len(server.visits[0].controls) <= 4
        await server.visits[1].until(lambda visit: visit.controls)
        assert socket.connected


async def test_a_server_that_answers_heartbeats_is_kept():
    async def script(visit):
        await greet(visit, interval=0.1)

    async with served(script) as server, connect(server.url):
        await (await server.visit(1)).until(lambda visit: len(visit.controls) >= 10)
        assert 1 == len(server.visits)


async def test_a_program_that_was_held_up_asks_before_it_leaves():
    async def script(visit):
        await greet(visit, interval=0.3)

    async with served(script) as server, connect(server.url) as socket:
        visit = await server.visit(1)
        await visit.until(lambda visit: len(visit.controls) >= 2)
        for held_up in (0.6, 0.75, 0.9, 1.5):
            time.sleep(held_up)  # noqa: ASYNC251 - the loop itself
            expected = len(visit.controls) + 2
            while len(visit.controls) < expected:
                visit.arrived.clear()
                await asyncio.wait_for(visit.arrived.wait(), WAIT)
        assert (1, True) == (socket.connections, socket.connected)


async def test_close_while_an_attempt_is_under_way_ends_at_once():
    async def process_request(connection, request):
        if server.visits:
            await over.wait()

    over = asyncio.Event()
    async with served(cut, process_request=process_request) as server:
        socket = await connect(server.url, reconnect_delays=at_once)
        await asyncio.sleep(0.3)
        await asyncio.wait_for(socket.close(), 2)
        assert State.CLOSED == socket.state
        over.set()


async def test_an_error_in_the_block_closes_with_1011():
    async with served(echo) as server:
        with pytest.raises(ZeroDivisionError):
            async with connect(server.url):
                raise ZeroDivisionError
        visit = await server.visit(1)
        await asyncio.wait_for(visit.connection.wait_closed(), WAIT)
        assert 1011 == visit.connection.close_code


async def test_garbled_control_frames_of_a_server_harm_nobody():
    async def script(visit):
        await visit.hello()
        for frame in (
            NUL + "{",
            NUL + '{"type":1}',
            NUL + "{" * 3000,
            NUL + json.dumps({"type": "hello", "version": 9}),
        ):
            await visit.say(frame)
        await visit.say("fine")
        await visit.stay()

    async with served(script) as server, connect(server.url) as socket:
        assert "fine" == await socket.recv()
        await server.visits[0].until(lambda visit: visit.controls and visit.controls[-1]["count"] == 1)
