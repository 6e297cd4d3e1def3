"""The roster of real nodes on one bus."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from hub.bus.base import Payload
from hub.core.presence import RosterDiff
from hub.core.roster import EMPTY_KEPT
from hub.fleet.roster import FleetRoster
from hub.node.node import LEASE, Node
from hub.node.presence import ASK, DIGEST_SECONDS, NEWS, NodePresence
from tests.support.fleet import Fleet, accept, end


@pytest.fixture(autouse=True)
def faults(monkeypatch) -> Counter[str]:
    fresh: Counter[str] = Counter()
    monkeypatch.setattr("hub.faults.FAULTS", fresh)
    return fresh


@pytest.fixture
async def made():
    fleet = Fleet()
    yield fleet
    await fleet.stop()


def members(node: Node) -> dict[str, tuple[str, ...]]:
    """Who is there, and on which nodes."""
    page = node.part(FleetRoster).page(tenants=None, limit=1000)
    return {member.member: member.nodes for member in page.members}


def watch(node: Node) -> list[tuple[str, str]]:
    """What changes in a node's roster from now on."""
    seen: list[tuple[str, str]] = []

    def listen(diff: RosterDiff) -> None:
        for what in ("joined", "changed", "left"):
            seen.extend((what, member.member) for member in getattr(diff, what))

    node.part(FleetRoster).listeners.append(listen)
    return seen


async def events(node: Node) -> list[tuple[str, str]]:
    """The events of members that the node's instruments gave out."""
    return [(event.kind, str(event.details["member"])) for event in node._pending if event.kind.startswith("member.")]


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a condition of a test's own has no event
            await asyncio.sleep(0.005)


# --- one node -----------------------------------------------------------------------------------------------------


async def test_a_node_sees_its_own_members_at_once(made):
    node = made.start("a")
    roster = node.part(FleetRoster)
    accept(node, groups=["room"])
    assert (1, 1, 0) == (roster.count("north"), roster.count("north", "room"), roster.count("south"))
    assert roster.tallies["north"].online == 1
    version = roster.version
    accept(node, "bob")
    assert roster.version > version
    assert roster.get("north", "bob").name == "Bob"
    assert roster.get("north", "eve") is None


async def test_listeners_hear_of_changes_within_a_moment_without_asking(made):
    node = made.start("a")
    seen = watch(node)
    accept(node)
    await until(lambda: bool(seen), seconds=1)
    assert seen == [("joined", "ann")]


async def test_a_page_shows_the_evidence_of_now(made):
    node = made.start("a")
    connection = accept(node)
    made.clock.advance(7)
    connection.heard_at = made.clock.monotonic()
    assert made.clock.wall() == node.part(FleetRoster).get("north", "ann").heard_at


async def test_an_empty_tenant_is_forgotten_after_a_while(made):
    node = made.start("a")
    end(node, accept(node))
    await made.wait(6)
    assert node.part(FleetRoster).tallies["north"].members == 0
    await made.wait(EMPTY_KEPT + 1)
    assert node.part(FleetRoster).tallies == {}


# --- several ------------------------------------------------------------------------------------------------------


async def test_every_node_sees_the_members_of_all(made):
    one, two = made.start("a"), made.start("b")
    accept(one)
    accept(two, "bob")
    accept(two)
    await made.settle()
    assert {"ann": ("a", "b"), "bob": ("b",)} == members(one) == members(two)


async def test_a_node_that_starts_late_asks_who_is_there(made):
    one = made.start("a")
    accept(one)
    await made.wait(2)
    two = made.start("b")
    await made.wait(2)
    assert {"ann": ("a",)} == members(two)


async def test_what_got_lost_is_asked_for(made):
    one, two = made.start("a"), made.start("b")
    await made.wait(2)
    made.bus.losing = True
    accept(one)
    await made.settle()
    made.bus.losing = False
    assert members(two) == {}
    accept(one, "bob")
    await made.wait(2)
    assert {"ann": ("a",), "bob": ("a",)} == members(two)


async def test_what_got_lost_heals_with_the_next_digest_at_the_latest(made):
    one, two = made.start("a"), made.start("b")
    connection = accept(one)
    await made.wait(2)
    made.bus.losing = True
    end(one, connection)
    await made.wait(6)
    made.bus.losing = False
    assert {"ann": ("a",)} == members(two)
    await made.wait(DIGEST_SECONDS)
    assert members(two) == {}


async def test_the_members_of_a_dead_node_are_gone_when_its_lease_ends(made):
    one, two = made.start("a"), made.start("b")
    accept(one)
    accept(one, "bob")
    accept(two, "bob")
    await made.wait(2)
    seen = watch(two)
    await made.die(one)
    await made.wait(LEASE - 2)
    assert {"ann": ("a",), "bob": ("a", "b")} == members(two)
    await made.wait(5)
    assert {"bob": ("b",)} == members(two)
    assert [("changed", "bob"), ("left", "ann")] == sorted(seen)
    assert ("member.left", "ann") in await events(two)


async def test_late_news_of_a_dead_node_raise_nobody(made):
    one, two = made.start("a"), made.start("b")
    accept(one)
    late: list[Payload] = []
    made.bus.listen(NEWS, late.append)
    await made.wait(2)
    await one.part(NodePresence).tell_all()
    await made.settle()
    await made.die(one)
    await made.wait(15)
    for payload in late.copy():
        await made.bus.broadcast(NEWS, {**payload, "version": payload["version"] + 100})
    await made.settle()
    assert members(two) == {}


async def test_a_node_that_slept_past_its_lease_is_back_with_its_members(made):
    one, two = made.start("a"), made.start("b")
    accept(one)
    await made.wait(2)
    made.nodes.remove(one)
    await made.wait(15)
    assert members(two) == {}
    made.nodes.append(one)
    await made.wait(4)
    assert {"ann": ("a",)} == members(two) == members(one)


async def test_a_node_that_starts_again_takes_the_place_of_the_one_before(made):
    one, two = made.start("a"), made.start("b")
    accept(one)
    await made.wait(2)
    await made.die(one)
    again = made.start("a")
    accept(again, "bob")
    await made.wait(3)
    assert {"bob": ("a",)} == members(two) == members(again)


async def test_a_node_whose_clock_went_back_before_it_started_again_is_believed(made):
    one, two = made.start("a"), made.start("b")
    accept(one)
    await made.wait(2)
    await made.die(one)
    again = made.start("a")
    again.started_at -= 1000
    accept(again, "bob")
    await made.wait(LEASE + 5)
    await made.wait(DIGEST_SECONDS)
    assert {"bob": ("a",)} == members(two)


async def test_a_node_that_was_never_seen_does_not_stay(made):
    one = made.start("a")
    two = made.start("b")
    made.nodes.remove(two)
    accept(two)
    two.part(NodePresence).flush()
    await made.settle()
    assert {"ann": ("b",)} == members(one)
    await made.wait(LEASE - 1)
    assert {"ann": ("b",)} == members(one)
    await made.wait(3)
    assert members(one) == {}
    made.nodes.append(two)


# --- moving about -------------------------------------------------------------------------------------------------


async def test_whoever_moves_to_another_node_neither_leaves_nor_joins(made):
    one, two = made.start("a"), made.start("b")
    seen = watch(one)
    since = made.clock.wall()
    connection = accept(one)
    await made.wait(2)
    end(one, connection)
    await made.wait(1)
    accept(two)
    await made.wait(10)
    assert {"ann": ("b",)} == members(one) == members(two)
    assert {"changed"} == {what for what, _ in seen[1:]}
    assert since == two.part(FleetRoster).get("north", "ann").joined_at


async def test_whoever_broke_off_here_and_leaves_there_is_gone(made):
    one, two = made.start("a"), made.start("b")
    connection = accept(one)
    await made.wait(2)
    end(one, connection, 1006)
    await made.wait(2)
    other = accept(two)
    await made.wait(2)
    end(two, other)
    await made.wait(6)
    assert {} == members(one) == members(two)


async def test_whoever_breaks_off_here_while_connected_there_is_only_there(made):
    one, two = made.start("a"), made.start("b")
    connection = accept(one)
    accept(two)
    await made.wait(2)
    end(one, connection, 1006)
    await made.wait(6)
    assert {"ann": ("b",)} == members(one)


# --- events -------------------------------------------------------------------------------------------------------


async def test_a_fleet_tells_each_join_and_leave_once(made):
    one, two = made.start("a"), made.start("b")
    connection = accept(one)
    await made.wait(1)
    end(one, connection)
    await made.wait(7)
    assert [("member.joined", "ann"), ("member.left", "ann")] == await events(one)
    assert await events(two) == []


async def test_a_member_that_goes_stale_is_told_of_once(made):
    node = made.start("a")
    end(node, accept(node), 1006)
    await made.wait(70)
    assert [("member.joined", "ann"), ("member.stale", "ann")] == await events(node)


async def test_a_wave_of_joins_is_capped(made):
    node = made.start("a")
    for number in range(200):
        accept(node, str(number))
    await made.settle()
    assert len(await events(node)) == node.instruments.config.events_per_second
    [summary] = [one for one in node.instruments.limiter.summaries(0.0) if one.kind == "member.joined"]
    assert 200 == summary.count + node.instruments.config.events_per_second


async def test_the_first_of_the_living_answers_for_the_dead(made):
    one, two, three = (made.start(name) for name in "abc")
    await made.wait(1)
    death, own = RosterDiff(""), RosterDiff("b")
    assert [True, False, False] == [node.part(FleetRoster).answers_for(death) for node in (one, two, three)]
    assert [False, True, False] == [node.part(FleetRoster).answers_for(own) for node in (one, two, three)]


# --- faults -------------------------------------------------------------------------------------------------------


async def test_news_that_make_no_sense_stop_nothing(made, faults):
    one, two = made.start("a"), made.start("b")
    await made.wait(1)
    await made.bus.broadcast(NEWS, {"node": "z", "boot": "z", "entries": 7})
    accept(one)
    await made.settle()
    assert ({"ann": ("a",)}, 2) == (members(two), faults["roster"])


async def test_a_listener_that_fails_stops_nobody(made, faults):
    node = made.start("a")
    node.part(FleetRoster).listeners.append(lambda diff: 1 // 0)
    seen = watch(node)
    accept(node)
    await made.settle()
    assert (1, [("joined", "ann")]) == (faults["roster listener"], seen)


async def test_a_node_that_ends_listens_to_nothing_any_more(made):
    node = made.start("a")
    await asyncio.sleep(0)
    await node.stop()
    assert {ASK: [], NEWS: []} == made.bus._listeners
    made.nodes.remove(node)
