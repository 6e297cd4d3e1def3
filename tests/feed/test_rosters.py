"""What pages of ``/ws/presence/`` are told, by the roster of a real node."""

import asyncio
import json
import random

import pytest

from hub.core.ledger import Connection
from hub.feed import rosters
from hub.feed.presence import MAX_UNSENT, PresenceConsumer
from hub.feed.rosters import DIFFS_PER_SECOND, watched_rosters
from hub.fleet.roster import FleetRoster
from tests.support.fleet import Fleet, accept, end


class Page:
    """A page that keeps its list as the messages say."""

    def __init__(self, node, group=None, tenant="north"):
        self.heard = []
        self.members: dict[str, tuple[str, str]] = {}
        self.count = 0
        self.rosters = watched_rosters(node)
        self.watched = self.rosters.watch(tenant, group, self)
        self.tell(self.watched.snapshot, whole=True)

    def tell(self, frame, *, whole):
        message = json.loads(frame)
        assert whole is (message["type"] == "presence.snapshot")
        self.heard.append(message)
        if whole:
            self.members = {}
        for member in message.get("left", ()):
            del self.members[member]
        for kind in ("members", "joined", "changed"):
            for member in message.get(kind, ()):
                assert (kind == "changed") is (member["id"] in self.members)
                self.members[member["id"]] = member["name"], member["state"]
        self.count = message["count"]
        assert message["truncated"] is (self.count > len(self.members))

    async def settle(self):
        await asyncio.sleep(1 / DIFFS_PER_SECOND + 0.15)


@pytest.fixture
async def node():
    fleet = Fleet()
    yield fleet.start("a")
    await fleet.stop()


async def test_a_snapshot_then_what_changes(node):
    accept(node)
    page = Page(node)
    assert {"type": "presence.snapshot", "members": [{"id": "ann", "name": "Ann", "state": "online"}], "count": 1,
            "truncated": False} == page.heard[0]  # fmt: skip
    bob = accept(node, "bob")
    await page.settle()
    assert {"type": "presence.diff", "joined": [{"id": "bob", "name": "Bob", "state": "online"}], "left": [],
            "changed": [], "count": 2, "truncated": False} == page.heard[1]  # fmt: skip
    end(node, bob, 1006)
    node.instruments.clock.advance(400)
    await page.settle()
    # A second connection of somebody who is there is nothing to tell.
    before = len(page.heard)
    accept(node)
    await page.settle()
    assert before == len(page.heard)


async def test_what_comes_and_goes_in_between_is_not_told_and_a_wave_is_few_diffs(node):
    page = Page(node)
    first = accept(node, "first")
    await page.settle()
    for number in range(300):
        accept(node, f"member-{number}")
        if number % 10 == 0:
            await asyncio.sleep(0.01)
    await page.settle()
    assert 301 == page.count == len(page.members)
    assert len(page.heard) <= 2 + DIFFS_PER_SECOND
    assert first.member is not None


async def test_a_group_and_its_tenant(node):
    accept(node, "in", groups=["room"])
    accept(node, "out")
    accept(node, "in", tenant="south", groups=["room"])
    page, other = Page(node, "room"), Page(node, "empty")
    accept(node, "late", groups=["room"])
    await page.settle()
    assert ({"in", "late"}, 2) == (set(page.members), page.count)
    assert [1, 0] == [len(other.heard), other.count]


async def test_so_many_are_shown_at_most_and_others_take_their_places(node, monkeypatch):
    monkeypatch.setattr(rosters, "MAX_SHOWN", 10)
    connections = {number: accept(node, f"member-{number:02}") for number in range(30)}
    page = Page(node)
    assert (10, 30) == (len(page.members), page.count)
    leaving = [connections[number] for number in (*range(6), 29)]
    for connection in leaving:
        end(node, connection)
    fleet_presence = node.part(FleetRoster)
    node.instruments.clock.advance(6)
    await node.part(type(fleet_presence._presence)).sweep()
    await page.settle()
    assert (10, 23) == (len(page.members), page.count)
    assert "presence.snapshot" == page.heard[-1]["type"]


async def test_whatever_happens_the_page_ends_up_with_what_the_roster_says(node, monkeypatch):
    monkeypatch.setattr(rosters, "DIFFS_PER_SECOND", 200)
    dice = random.Random(7)
    pages = [Page(node), Page(node, "room")]
    open_ones: list[Connection] = []
    for _ in range(400):
        if open_ones and dice.random() < 0.45:
            end(node, open_ones.pop(dice.randrange(len(open_ones))), dice.choice([1000, 1006]))
        else:
            open_ones.append(accept(node, f"member-{dice.randrange(40)}", groups=dice.choice([[], ["room"]])))
        if dice.random() < 0.1:
            node.instruments.clock.advance(dice.choice([1, 6, 70]))
            await node.part(FleetRoster)._presence.sweep()
        if dice.random() < 0.2:
            await asyncio.sleep(0.01)
    await pages[0].settle()
    for page, group in zip(pages, (None, "room"), strict=True):
        told = node.part(FleetRoster).page(tenants=None, tenant="north", group=group, limit=1000)
        assert {member.member: (member.name, member.state) for member in told.members} == page.members
        assert told.total == page.count


async def test_nobody_is_told_after_leaving_and_nothing_is_kept(node):
    page, other = Page(node), Page(node)
    page.rosters.leave(page.watched, page)
    accept(node)
    await page.settle()
    assert [1, 2] == [len(page.heard), len(other.heard)]
    other.rosters.leave(other.watched, other)
    other.rosters.leave(other.watched, other)
    accept(node, "bob")
    await page.settle()
    assert ({}, {}, set()) == (page.rosters._by_tenant, page.rosters._told_at, page.rosters._due)


async def test_a_page_that_reads_slowly_gets_a_snapshot_in_place_of_what_it_missed(node):
    page = Page(node)
    consumer = PresenceConsumer()
    consumer.scope = {}
    consumer._watched = page.watched
    for number in range(MAX_UNSENT):
        consumer.tell(f"diff {number}", whole=False)
    assert MAX_UNSENT == len(consumer._unsent)
    for number in range(1000):
        consumer.tell(f"diff {number}", whole=False)
        assert len(consumer._unsent) <= MAX_UNSENT
    accept(node)
    await page.settle()
    assert page.watched.snapshot == await consumer._next()
    consumer.tell("diff", whole=False)
    assert ["diff", None] == [await consumer._next(), await consumer._next()]
