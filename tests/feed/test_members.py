"""Presence in the feed: tallies by tenant as they change, the roster in pages, and who may see what of it."""

import asyncio
import json
import random
from itertools import count
from typing import Any

import pytest

from hub.access import Rights
from hub.clock import SystemClock
from hub.core import roster as core_roster
from hub.core.presence import Diff, Entry
from hub.core.roster import News, Roster
from hub.feed import wire
from hub.feed.members import Answers, Question, format_place, parse_place
from tests.feed.stage import ALL_RIGHTS, of_type, stage

BOUND = Rights(view=True, tenants=frozenset({"acme", "globex"}))
REFS = (f"r{number}" for number in count())


async def list_members(operator: Any, **asked: Any) -> dict[str, Any]:
    """Ask for a page, and get it or the reason why not."""
    ref = next(REFS)
    [message] = [each for each in await operator.ask(type="list_members", ref=ref, **asked) if each.get("ref") == ref]
    return dict(message)


async def walk(operator: Any, between: Any = None, **asked: Any) -> list[tuple[str, str]]:
    """Page through the roster to its end."""
    found, after = [], None
    while True:
        operator.stage.clock.now += 1.0  # no flood
        page = await list_members(operator, after=after, **asked)
        found += keys(page)
        after = page["next"]
        if after is None:
            return found
        if between is not None:
            await between()


def keys(page: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["tenant"], row["member"]) for row in page["members"]]


# --- tallies --------------------------------------------------------------------------------------------------------


async def presence_of(operator: Any) -> list[dict[str, Any]]:
    return [row for message in await operator.read() for row in message.get("presence", [])]


async def test_a_snapshot_has_all_tenants_and_a_delta_those_that_changed():
    async with stage() as on:
        ann = on.arrive("acme", "1", negotiated=True)
        on.arrive("acme", "2")
        on.arrive("globex", "1")
        on.arrive("globex", "1")
        await on.tick()
        operator = on.operator()
        [_, snapshot] = await operator.ask(type="subscribe", topics=["presence"])
        rows = {row["tenant"]: row for row in snapshot["presence"]}
        assert {"online": 2, "idle": 0, "stale": 0, "connections": 2}.items() <= rows["acme"].items()
        assert {"online": 1, "connections": 2}.items() <= rows["globex"].items()

        await on.tick()
        assert await operator.read() == []
        on.arrive("initech", "9")
        await on.pass_time(100.0)
        await on.tick()
        changed = {row["tenant"]: row for row in await presence_of(operator)}
        assert {"online": 1, "stale": 1}.items() <= changed["acme"].items()
        assert changed["acme"]["version"] > rows["acme"]["version"]
        assert changed.keys() == {"acme", "initech"}

        await on.depart(ann)
        await on.tick()
        assert [(row["online"], row["stale"]) for row in await presence_of(operator)] == [(1, 0)]


async def test_a_tenant_whose_last_member_has_left_is_told_once_all_zero_and_not_shown_to_others():
    async with stage() as on:
        ann = on.arrive("acme", "1")
        await on.tick()
        operator, late = on.operator(), on.operator()
        await operator.ask(type="subscribe", topics=["presence"])
        await on.depart(ann)
        await on.tick()
        [gone] = await presence_of(operator)
        assert (gone["tenant"], gone["online"], gone["idle"], gone["stale"], gone["connections"]) == (
            "acme",
            0,
            0,
            0,
            0,
        )
        [_, snapshot] = await late.ask(type="subscribe", topics=["presence"])
        assert snapshot["presence"] == []
        for _ in range(200):
            await on.tick()
            assert [row for row in await presence_of(operator) if row["online"]] == []
        on.arrive("acme", "1")
        await on.tick()
        [again] = await presence_of(operator)
        assert (again["online"], again["version"] > gone["version"]) == (1, True)


@pytest.mark.parametrize("operators", [1, 40])
async def test_a_tick_is_encoded_once_however_many_listen(operators):
    async with stage() as on:
        await on.tick()
        listening = [on.operator() for _ in range(operators)]
        for operator in listening:
            await operator.ask(type="subscribe", topics=["presence"])
        assert on.topics.encodings == 1
        for number in range(5):
            on.arrive("acme", str(number))
            before = on.topics.encodings
            await on.tick()
            frames = [await operator.read() for operator in listening]
            assert on.topics.encodings == before + 1
            assert all(frame == frames[0] for frame in frames)


async def test_a_slow_listener_gets_the_newest_of_all_that_changed():
    async with stage() as on:
        await on.tick()
        slow, quick = on.operator(), on.operator()
        for operator in (slow, quick):
            await operator.ask(type="subscribe", topics=["presence"])
        for number in range(6):
            on.arrive("acme" if number < 3 else "globex", str(number))
            await on.tick()
            await quick.read()
        assert sorted((row["tenant"], row["online"]) for row in await presence_of(slow)) == [("acme", 3), ("globex", 3)]


async def test_tallies_keep_to_the_tenants_an_operator_may_see():
    async with stage() as on:
        for tenant in ("acme", "globex", "initech", ""):
            on.arrive(tenant, "1")
        await on.tick()
        operator = on.operator(BOUND)
        answers = await operator.ask(type="subscribe", topics=["presence"])
        on.arrive("initech", "2")
        on.arrive("acme", "2")
        await on.tick()
        answers += await operator.read()
        assert [(message["tenant"], len(message["presence"])) for message in of_type(answers, "snapshot")] == [
            ("acme", 1),
            ("globex", 1),
        ]
        assert [message["tenant"] for message in of_type(answers, "delta")] == ["acme"]
        assert "initech" not in json.dumps(answers)


async def test_a_tenant_that_nobody_has_shows_nobody():
    async with stage() as on:
        on.arrive("acme", "1")
        await on.tick()
        [_, snapshot] = await on.operator().ask(type="subscribe", topics=["presence"], tenants=["nobody"])
        assert (snapshot["tenant"], snapshot["presence"]) == ("nobody", [])


# --- the roster -----------------------------------------------------------------------------------------------------


async def test_a_member_with_all_that_is_known():
    async with stage() as on:
        on.arrive("acme", "7", "Ann", groups=("lobby",), negotiated=True)
        on.arrive("acme", "7")
        [row] = (await list_members(on.operator()))["members"]
        assert row["joined_at"] == row["heard_at"] == on.clock.wall()
        expected = {
            "tenant": "acme", "member": "7", "name": "Ann", "state": "online", "heard_by": "accept", "connections": 2,
            "negotiated": 1, "rtt": None, "consumers": ["shop.Chat"], "groups": ["lobby"], "nodes": [on.node.name],
        }  # fmt: skip
        assert expected.items() <= row.items()


@pytest.mark.parametrize("subprotocol", wire.SUBPROTOCOLS)
async def test_pages_in_order_with_a_total_to_the_end(subprotocol):
    async with stage() as on:
        expected = sorted((tenant, str(number)) for tenant in ("", "acme", "Ünïcode") for number in range(13))
        for tenant, member in random.sample(expected, len(expected)):
            on.arrive(tenant, member)
        operator = on.operator(subprotocol=subprotocol)
        first = await list_members(operator, limit=7)
        assert (keys(first), first["total"]) == (expected[:7], 39)
        assert await walk(operator, limit=7) == expected
        assert await walk(operator, limit=39) == expected
        assert len((await list_members(operator))["members"]) == 39


async def test_filters_by_tenant_group_state_and_text():
    async with stage() as on:
        on.arrive("acme", "1", "Ann Lee", groups=("lobby",), negotiated=True)
        on.arrive("acme", "2", "Bob", groups=("lobby", "staff"))
        on.arrive("globex", "3", "ANNA")
        on.arrive("globex", "ann@globex")
        operator = on.operator()
        await on.pass_time(100.0)

        async def found(**asked: Any) -> str:
            page = await list_members(operator, **asked)
            assert page["total"] == len(page["members"])
            return " ".join(row["member"] for row in page["members"])

        assert await found(tenant="globex") == "3 ann@globex"
        assert await found(tenant="nobody") == ""
        assert await found(group="lobby") == "1 2"
        assert await found(group="staff", tenant="globex") == ""
        assert await found(states=["stale"]) == "1"
        assert await found(states=["online", "idle"]) == "2 3 ann@globex"
        assert await found(search="ann") == "1 3 ann@globex"
        assert await found(search=" LEE ") == "1"
        assert await found(search="ann", tenant="globex", states=["online"]) == "3 ann@globex"
        assert await found(search="ann", group="lobby", states=["stale"]) == "1"
        assert await found(search="  ") == "1 2 3 ann@globex"
        assert await found(search="nobody") == ""


@pytest.mark.parametrize("asked", [{}, {"search": "m"}, {"states": ["online"]}, {"group": "g"}], ids=str)
async def test_whoever_is_there_all_the_time_is_met_once_while_others_come_and_go(asked):
    rng = random.Random(5)
    async with stage() as on:
        stay = {(tenant, f"m{number:03}") for tenant in ("acme", "globex") for number in range(0, 200, 2)}
        for tenant, member in stay:
            on.arrive(tenant, member, groups=("g",))
        visiting: list[Any] = []

        async def churn() -> None:
            """Some leave, some come: before the place, behind it, at it."""
            leaving = [visiting.pop(rng.randrange(len(visiting))) for _ in range(len(visiting) // 2)]
            await on.depart(*leaving)
            for _ in range(20):
                member = f"m{rng.randrange(1, 200, 2):03}"
                visiting.append(on.arrive(rng.choice(("acme", "globex", "between")), member, groups=("g",)))

        await churn()
        met = await walk(on.operator(), churn, limit=9, **asked)
        assert len(met) == len(set(met))
        assert stay <= set(met)
        assert met == sorted(met)


async def test_a_search_goes_on_where_it_was_though_the_roster_changes_under_it(monkeypatch):
    monkeypatch.setattr(core_roster, "SEARCH_SLICE", 3)
    roster = Roster()
    versions = count(1)

    def tell(*members: str, gone: tuple[str, ...] = ()) -> None:
        version = next(versions)
        diff = Diff(version - 1, version, [entry("acme", member) for member in members], [("acme", m) for m in gone])
        for _ in roster.receive(News("web-1", 1.0, "boot", diff)):
            pass

    stay = [f"m{number:02}" for number in range(0, 60, 2)]
    tell(*stay, "m01", "m07", "m31")
    found: list[str] = []
    for number, part in enumerate(roster.search(tenants=None, search="M")):
        found += [member for _, member in part]
        tell(f"m{(number * 7) % 60:02}x", gone=("m01", "m07", "m31") if number == 1 else ())
    assert sorted(set(found)) == found
    assert set(stay) <= set(found)


def entry(tenant: str, member: str, name: str = "") -> Entry:
    return Entry(tenant, member, "web-1", name, "online", 1.0, 2.0, "heartbeat", 1, 1, False, 0.01, 0.0, ("c",), ())


# --- who may see what -----------------------------------------------------------------------------------------------

EVERYBODY = {"acme", "globex", "initech", ""}
RIGHTS = {
    "all": (ALL_RIGHTS, EVERYBODY),
    "two tenants": (BOUND, {"acme", "globex"}),
    "no tenant's": (Rights(view=True, tenants=frozenset({""})), {""}),
    "of none": (Rights(view=True, tenants=frozenset()), set()),
    "may not watch": (Rights(), set()),
}


@pytest.mark.parametrize("filters", [{}, {"search": "ann"}, {"states": ["online"]}, {"group": "lobby"}], ids=str)
@pytest.mark.parametrize("tenant", [None, *sorted(EVERYBODY), "nobody"])
@pytest.mark.parametrize("who", [name for name in RIGHTS if name != "may not watch"])
async def test_the_rights_matrix(who, tenant, filters):
    rights, visible = RIGHTS[who]
    async with stage() as on:
        for each in EVERYBODY:
            on.arrive(each, f"ann-{each}", groups=("lobby",))
        asked = filters if tenant is None else {**filters, "tenant": tenant}
        page = await list_members(on.operator(rights), **asked)
        if tenant is None:
            assert {row["tenant"] for row in page["members"]} == visible
            assert page["total"] == len(visible)
        elif rights.sees(tenant):
            assert keys(page) == ([(tenant, f"ann-{tenant}")] if tenant in EVERYBODY else [])
        else:
            assert page["type"] == "result"
            assert page["error"]["code"] == "not_allowed"
            assert not any(f"ann-{each}" in json.dumps(page) for each in EVERYBODY)


async def test_a_place_in_another_tenant_opens_no_door():
    async with stage() as on:
        for tenant in ("acme", "initech", "zeta"):
            on.arrive(tenant, "1")
        page = await list_members(on.operator(BOUND), after=format_place(("initech", "")))
        assert page["members"] == []
        assert page["total"] == 1


# --- bad input ------------------------------------------------------------------------------------------------------

BAD = {
    "no ref": {"ref": None},
    "an empty ref": {"ref": ""},
    "no members": {"limit": 0},
    "too many members": {"limit": 201},
    "half a member": {"limit": 1.5},
    "no state": {"states": []},
    "a state that is none": {"states": ["offline"]},
    "a state as text": {"states": "online"},
    "an endless search": {"search": "x" * 101},
    "a number to search": {"search": 7},
    "an empty group": {"group": ""},
    "an endless tenant": {"tenant": "x" * 201},
    "an empty place": {"after": ""},
    "a place that is none": {"after": "page 2"},
    "a place with one name": {"after": '["acme"]'},
    "a place of numbers": {"after": "[1,2]"},
    "a place nested deeply": {"after": "[" * 3999},
    "a place that ends early": {"after": '["acme","'},
    "a place too long": {"after": "x" * 4001},
    "an unknown field": {"sort": "name"},
}


@pytest.mark.parametrize("wrong", BAD.values(), ids=list(BAD))
async def test_a_bad_question_is_answered_with_an_error_and_does_no_harm(wrong):
    async with stage() as on:
        on.arrive("acme", "1")
        operator = on.operator()
        [bad] = await operator.ask(**{"type": "list_members", "ref": "r", **wrong})
        assert (bad["type"], bad["ok"], bad["error"]["code"]) == ("result", False, "invalid")
        assert keys(await list_members(operator)) == [("acme", "1")]


@pytest.mark.parametrize(
    "key", [("", ""), ("acme", "7"), ('"', "\\"), ("ü" * 200, "\u2028" * 200), ("\x01" * 200, "x")]
)
def test_a_place_survives_the_way_there_and_back(key):
    text = format_place(key)
    assert parse_place(text) == key
    assert len(text) <= 4000


@pytest.mark.parametrize("text", ["\ud800", '["\\ud800",""]', "null", "[" * 100_000])
def test_what_is_no_place_is_a_value_error(text):
    with pytest.raises(ValueError, match="no place in the roster"):
        parse_place(text)


# --- a large roster -------------------------------------------------------------------------------------------------

LARGE = 100_000


def text_hits(digit: int) -> list[int]:
    """The members whose number has a digit four times in a row."""
    return [number for number in range(LARGE) if str(digit) * 4 in f"{number:06}"]


@pytest.mark.slow
async def test_a_search_through_100_000_members_lets_everybody_else_have_their_turn():
    async with stage() as on:
        members = [entry(f"tenant-{number % 7}", f"{number:06}", f"Name {number}") for number in range(LARGE)]
        for _ in on.roster._roster.receive(News("web-2", 1.0, "boot", Diff(None, 1, members, []))):
            pass
        answers = Answers(on.roster, SystemClock())
        worst, ended = 0.0, asyncio.Event()
        loop = asyncio.get_running_loop()

        async def watch() -> None:
            nonlocal worst
            while not ended.is_set():
                before = loop.time()
                await asyncio.sleep(0)
                worst = max(worst, loop.time() - before)

        watching = asyncio.create_task(watch())
        began = loop.time()
        found = await answers.answer(Question("r", None, search="name 9999"))
        took = loop.time() - began
        ended.set()
        await watching
        assert (found.total, len(found.members)) == (11, 11)
        print(f"a search through {LARGE} members: {1000 * took:.0f} ms, longest turn {1000 * worst:.1f} ms")
        assert worst < 0.25
        began = loop.time()
        several = await asyncio.gather(*(answers.answer(Question("r", None, search=f"{n}{n}{n}{n}")) for n in range(5)))
        print(f"five at once: {1000 * (loop.time() - began):.0f} ms")
        assert [page.total for page in several] == [len(text_hits(n)) for n in range(5)]
        began = loop.time()
        page = await answers.answer(Question("r", None, after=("tenant-3", "050000"), limit=200))
        print(f"a page from the middle: {1000 * (loop.time() - began):.2f} ms")
        assert (len(page.members), page.total) == (200, LARGE)
