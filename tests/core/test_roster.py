"""The roster: what one page shows, then convergence whatever becomes of the nodes and of what they tell."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hub.core.evidence import Presence
from hub.core.ledger import Connection, Ledger
from hub.core.policy import Policy
from hub.core.presence import IDLE, ONLINE, STALE, STATES, Diff, Entry, Key, RosterDiff, Tally
from hub.core.roster import EMPTY_KEPT, FRESH, GAP, OLD, SLICE, News, Replica, Roster, member_of, merge
from tests import strategies  # noqa: F401 - loads the profile


def entry(member="ann", tenant="north", node="a", **fields) -> Entry:
    given = {
        "name": "", "state": ONLINE, "joined_at": 10.0, "heard_at": 20.0, "heard_by": "frame", "connections": 1,
        "negotiated": 0, "hidden": None, "rtt": None, "lag": None, "consumers": ("chat",), "groups": (), **fields,
    }  # fmt: skip
    return Entry(tenant=tenant, member=member, node=node, **given)


def news(entries=(), gone=(), *, node="a", base=0, version=1, boot="boot", started_at=1.0) -> News:
    return News(node, started_at, boot, Diff(base, version, list(entries), list(gone)))


def take(roster: Roster, given: News) -> RosterDiff:
    """What changed, in one piece."""
    whole = RosterDiff(given.node)
    for diff in roster.receive(given):
        for name in ("joined", "left", "changed", "entered", "withdrawn"):
            getattr(whole, name).extend(getattr(diff, name))
        whole.before.update(diff.before)
    return whole


def names(members) -> list[str]:
    return [member.member for member in members]


# --- news ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (news(base=0, version=1), OLD),
        (news(base=1, version=2), OLD),
        (news(base=2, version=3), FRESH),
        (news(base=1, version=3), FRESH),
        (news(base=3, version=4), GAP),
        (news(base=None, version=2), OLD),
        (news(base=None, version=9), FRESH),
        (news(base=0, version=1, boot="next"), FRESH),
        (news(base=1, version=2, boot="next"), GAP),
        (news(base=None, version=1, boot="next", started_at=2.0), FRESH),
        (news(base=None, version=99, started_at=0.5), OLD),
        (news(base=1, version=2, node="b"), GAP),
        (news(base=0, version=1, node="b"), FRESH),
    ],
)
def test_news_are_fresh_old_or_show_a_gap(given, expected):
    roster = Roster()
    take(roster, news([entry()], base=None, version=2))
    assert expected == roster.judge(given)


def test_a_new_boot_begins_with_nothing():
    roster = Roster()
    take(roster, news([entry(), entry("bob")]))
    diff = take(roster, news([entry("bob"), entry("cid")], boot="next", started_at=2.0))
    assert (["cid"], ["ann"], []) == (names(diff.joined), names(diff.left), names(diff.changed))


def test_a_digest_heals_what_was_lost():
    roster = Roster()
    take(roster, news([entry(), entry("bob")]))
    diff = take(roster, news([entry("bob", state=STALE), entry("cid")], base=None, version=5))
    assert (["cid"], ["ann"], ["bob"]) == (names(diff.joined), names(diff.left), names(diff.changed))
    assert diff.before == {("north", "bob"): ONLINE}


def test_evidence_alone_is_no_change():
    roster = Roster()
    take(roster, news([entry()]))
    version = roster.version
    diff = take(roster, news([entry(heard_at=99.0, rtt=0.1, hidden=True)], base=None, version=2))
    assert (False, version, 99.0) == (bool(diff), roster.version, roster.get("north", "ann").heard_at)


def test_whoever_moves_from_node_to_node_neither_leaves_nor_joins():
    roster = Roster()
    take(roster, news([entry(groups=("room",))]))
    first = take(roster, news([entry(node="b", groups=("room",))], node="b"))
    second = take(roster, news(gone=[("north", "ann")], base=1, version=2))
    for diff in (first, second):
        assert ([], [], ["ann"], [], []) == (diff.joined, diff.left, names(diff.changed), diff.entered, diff.withdrawn)
    assert roster.get("north", "ann").nodes == ("b",)


def test_whoever_comes_with_one_part_of_news_is_there_before_others_leave():
    roster = Roster()
    many = [entry(str(number)) for number in range(SLICE + 1)]
    take(roster, news(many))
    diffs = list(roster.receive(news([entry("new")], [one.key for one in many], base=1, version=2)))
    assert (["new"], []) == (names(diffs[0].joined), diffs[0].left)
    assert SLICE + 1 == sum(len(diff.left) for diff in diffs[1:])


def test_a_node_that_dies_while_its_news_are_merged_leaves_no_ghost():
    roster = Roster()
    many = [entry(str(number)) for number in range(3 * SLICE)]
    merging = roster.receive(news(many, base=None))
    next(merging)
    list(roster.drop("a"))
    assert [] == list(merging)
    assert ([], {}) == (roster.page(tenants=None).members, roster.replicas)
    list(roster.receive(news([entry("bob")], base=None, boot="next", started_at=2.0)))
    assert ["bob"] == names(roster.page(tenants=None).members)


def test_a_node_that_comes_back_while_it_is_dropped_loses_nobody():
    roster = Roster()
    many = [entry(str(number)) for number in range(3 * SLICE)]
    take(roster, news(many))
    dropping = roster.drop("a")
    next(dropping)
    take(roster, news(many[: 2 * SLICE], base=None, boot="next", started_at=2.0))
    list(dropping)
    assert 2 * SLICE == roster.count("north") == len(roster.replicas["a"].entries)


def test_whoever_goes_out_of_a_group_is_told_of_as_it_was_there():
    roster = Roster()
    take(roster, news([entry(consumers=("chat", "news"), groups=("room",), connections=2)]))
    diff = take(roster, news([entry(consumers=("news",), connections=1)], base=1, version=2))
    assert [(("chat", "news"), "room")] == [(member.consumers, group) for member, group in diff.withdrawn]
    assert [("news",)] == [member.consumers for member in diff.changed]


def test_groups_are_entered_and_left():
    roster = Roster()
    diff = take(roster, news([entry(groups=("a", "b"))]))
    assert [("ann", "a"), ("ann", "b")] == [(member.member, group) for member, group in diff.entered]
    diff = take(roster, news([entry(groups=("b", "c"))], base=1, version=2))
    assert (["c"], ["a"]) == ([group for _, group in diff.entered], [group for _, group in diff.withdrawn])
    diff = take(roster, news(gone=[("north", "ann")], base=2, version=3))
    assert ["b", "c"] == [group for _, group in diff.withdrawn]
    assert (0, 0) == (roster.count("north"), roster.count("north", "b"))


def test_the_members_of_a_dead_node_go_and_its_late_news_stay_out():
    roster = Roster()
    take(roster, news([entry(), entry("bob")]))
    take(roster, news([entry(node="b")], node="b"))
    [diff] = roster.drop("a")
    assert ("", ["bob"], ["ann"]) == (diff.node, names(diff.left), names(diff.changed))
    assert roster.judge(news(base=None, version=9)) == OLD
    assert roster.judge(news(base=0, version=1, boot="next", started_at=2.0)) == FRESH
    assert [False, True, False] == [
        roster.revive(*given) for given in (("b", 1.0, "boot"), ("a", 1.0, "boot"), ("a", 1.0, "boot"))
    ]
    assert roster.judge(news(base=None, version=9)) == FRESH
    assert list(roster.drop("nobody")) == []


def test_a_member_is_one_whatever_the_nodes_say():
    parts = (
        entry(node="b", state=STALE, joined_at=5.0, heard_at=7.0, heard_by="heartbeat", negotiated=1, hidden=True,
              rtt=0.1, consumers=("chat", "docs"), groups=("y",)),
        entry(node="a", state=IDLE, name="Ann", connections=2, groups=("x",), hidden=True),
        entry(node="c", state=STALE, connections=0, heard_at=1.0, hidden=False),
    )  # fmt: skip
    member = member_of(parts)
    assert member == member_of(parts[::-1])
    assert (IDLE, "Ann", 5.0, 20.0, "frame", 3, 1, True) == (
        member.state, member.name, member.joined_at, member.heard_at, member.heard_by, member.connections,
        member.negotiated, member.hidden,
    )  # fmt: skip
    assert (("chat", "docs"), ("x", "y"), ("a", "b", "c")) == (member.consumers, member.groups, member.nodes)


def test_news_travel_as_json():
    given = news([entry(groups=("x", "y"))], [("north", "bob")], base=3, version=4)
    assert given == News.unpack(json.loads(json.dumps(given.pack())))


# --- pages --------------------------------------------------------------------------------------------------------


@pytest.fixture
def roster() -> Roster:
    made = Roster()
    take(
        made,
        news(
            [
                entry("3", "south"),
                entry("1", "north", name="Ann", groups=("room",)),
                entry("2", "north", name="BOB", state=STALE),
                entry("3", "north", name="Cid", state=IDLE, groups=("room",)),
            ]
        ),
    )
    return made


def test_a_page_goes_on_where_the_last_one_ended(roster):
    seen, after = [], None
    for _ in range(3):
        page = roster.page(tenants=None, after=after, limit=2)
        assert page.total == 4
        seen += [member.key for member in page.members]
        after = page.next
        if after is None:
            break
    assert seen == [("north", "1"), ("north", "2"), ("north", "3"), ("south", "3")]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"tenants": frozenset()}, []),
        ({"tenants": frozenset({"south"})}, ["3"]),
        ({"tenants": frozenset({"south"}), "tenant": "north"}, []),
        ({"tenant": "north"}, ["1", "2", "3"]),
        ({"tenant": "west"}, []),
        ({"group": "room"}, ["1", "3"]),
        ({"group": "none"}, []),
        ({"states": frozenset({STALE, IDLE})}, ["2", "3"]),
        ({"search": "o"}, ["2"]),
        ({"search": "B"}, ["2"]),
        ({"search": "3"}, ["3", "3"]),
        ({"search": ""}, ["1", "2", "3", "3"]),
        ({"search": "c", "group": "room", "states": frozenset({IDLE})}, ["3"]),
        ({"after": ("north", "2")}, ["3", "3"]),
        ({"after": ("north", "25")}, ["3", "3"]),
        ({"after": ("a", "zzz"), "tenant": "north"}, ["1", "2", "3"]),
        ({"after": ("south", "3")}, []),
        ({"limit": 0}, []),
    ],
)
def test_a_page_shows_what_was_asked_for(roster, asked, expected):
    page = roster.page(**{"tenants": None, "limit": 10, **asked})
    assert expected == names(page.members)
    if "after" not in asked and "limit" not in asked:
        assert page.total == len(expected)


def test_this_process_knows_its_own_members_better():
    roster = Roster("a", {("north", "ann"): entry(heard_at=99.0)}.get)
    take(roster, news([entry(), entry("bob")]))
    assert [99.0, 20.0] == [member.heard_at for member in roster.page(tenants=None).members]
    assert roster.get("north", "ann").heard_at == 99.0
    assert roster.get("north", "nobody") is None
    assert roster.get("west", "ann") is None


def test_a_tenant_keeps_its_empty_tally_for_a_while(roster):
    take(roster, news(gone=[("south", "3")], base=1, version=2))
    assert roster.tallies["south"] == Tally(roster.version)
    for seconds, expected in ((0.0, True), (EMPTY_KEPT - 1, True), (EMPTY_KEPT, False)):
        roster.forget_empty(100.0 + seconds)
        assert expected == ("south" in roster.tallies)
    assert "north" in roster.tallies


# --- merging ------------------------------------------------------------------------------------------------------

small = st.sampled_from("ab")
entries = st.builds(
    entry, small, small, state=st.sampled_from(STATES), groups=st.sampled_from([(), ("x",), ("x", "y")]),
    heard_at=st.integers(0, 9).map(float),
)  # fmt: skip


@st.composite
def histories(draw) -> dict[tuple[str, float, int], Replica]:
    """Everything that some nodes ever were: one replica for each of their versions."""
    history = {}
    for node in "ab":
        for started_at in (1.0, 2.0):
            for version in (1, 2, 3):
                held = [one._replace(node=node) for one in draw(st.lists(entries, max_size=3))]
                replica = Replica(started_at, f"boot{started_at}", version, {one.key: one for one in held})
                history[node, started_at, version] = replica
    return history


moments = st.lists(st.tuples(small, st.sampled_from([1.0, 2.0]), st.sampled_from([1, 2, 3])), max_size=6)


def known(history, moments) -> dict[str, Replica]:
    replicas: dict[str, Replica] = {}
    for node, started_at, version in moments:
        replicas = merge(replicas, {node: history[node, started_at, version]})
    return replicas


@given(histories(), moments, moments, moments)
def test_merging_is_commutative_associative_and_idempotent(history, one, two, three):
    a, b, c = (known(history, seen) for seen in (one, two, three))
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, a) == a == merge(a, {})


@given(histories(), moments, st.randoms(use_true_random=False))
def test_a_roster_is_the_merge_of_all_it_heard_in_whatever_order(history, seen, random):
    shuffled = seen * 2
    random.shuffle(shuffled)
    roster = Roster()
    for node, started_at, version in shuffled:
        replica = history[node, started_at, version]
        take(roster, News(node, started_at, replica.boot, Diff(None, version, list(replica.entries.values()), [])))
    assert known(history, seen) == roster.replicas
    is_sound(roster)


def is_sound(roster: Roster) -> None:
    """What a roster has worked out bit by bit is what follows from its replicas."""
    held: dict[Key, list[Entry]] = {}
    for replica in roster.replicas.values():
        for key, one in replica.entries.items():
            held.setdefault(key, []).append(one)
    members = {key: member_of(tuple(parts)) for key, parts in held.items()}
    page = roster.page(tenants=None, limit=1000)
    assert [members[key] for key in sorted(members)] == page.members
    assert (len(members), None) == (page.total, page.next)
    for tenant in {key[0] for key in members} | set(roster.tallies):
        mine = [member for member in members.values() if member.tenant == tenant]
        by_state = [sum(member.state == state for member in mine) for state in (ONLINE, IDLE, STALE)]
        tally = roster.tallies[tenant]
        assert [*by_state, sum(member.connections for member in mine)] == [
            tally.online, tally.idle, tally.stale, tally.connections,
        ]  # fmt: skip
        for group in {group for member in mine for group in member.groups}:
            expected = sorted(member.member for member in mine if group in member.groups)
            assert expected == names(roster.page(tenants=None, tenant=tenant, group=group).members)


# --- anything at all ----------------------------------------------------------------------------------------------

POLICY = Policy(interval=1.0, timeout=4.0, grace=0.0)


class Node:
    """One node: its members, the roster it keeps, and what it has seen change there."""

    def __init__(self, name: str, started_at: float) -> None:
        self.name, self.started_at, self.boot = name, started_at, f"{name}{started_at}"
        self.ledger = Ledger()
        self.presence = Presence(name)
        self.roster = Roster(name)
        self.connections: list[Connection] = []
        self.present: set[Key] = set()
        self.in_groups: set[tuple[Key, str]] = set()

    def names(self) -> list[str]:
        return [connection.member[0] for connection in self.connections if connection.member is not None]

    def tell(self, diff: Diff) -> News:
        told = News(self.name, self.started_at, self.boot, diff)
        if diff.base is None:
            self.roster.advance(told)
        else:
            assert self.hear(told) == FRESH
        return told

    def hear(self, told: News) -> str:
        judged = self.roster.judge(told)
        for diff in self.roster.receive(told):
            self.note(diff)
        return judged

    def note(self, diff: RosterDiff) -> None:
        """Nobody joins twice or leaves without having been there, neither tenant nor group."""
        joined, left = {member.key for member in diff.joined}, {member.key for member in diff.left}
        assert not joined & self.present
        assert left <= self.present
        self.present = (self.present | joined) - left
        for member, group in diff.withdrawn:
            self.in_groups.remove((member.key, group))
        for member, group in diff.entered:
            assert (member.key, group) not in self.in_groups
            self.in_groups.add((member.key, group))


class Fleet(RuleBasedStateMachine):
    """Nodes whose messages get lost, repeated, out of order, that die and start again: in the end all see the same."""

    @initialize()
    def begin(self) -> None:
        self.now = 100.0
        self.nodes: dict[str, Node] = {}
        #: What the bus might still bring, or bring again.
        self.told: list[News] = []
        for name in "abc":
            self.start(name)

    def start(self, name: str) -> None:
        self.now += 1
        self.nodes[name] = Node(name, self.now)

    def some_node(self, data: st.DataObject) -> Node:
        return self.nodes[data.draw(st.sampled_from(sorted(self.nodes)))]

    @precondition(lambda self: self.nodes)
    @rule(data=st.data(), member=st.sampled_from("xyz"), groups=st.sampled_from([(), ("g",), ("g", "h")]))
    def join(self, data: st.DataObject, member: str, groups: tuple[str, ...]) -> None:
        node = self.some_node(data)
        connection = node.ledger.open("chat", self.now, lambda: "t")
        node.ledger.accept(connection, self.now)
        connection.heard_at, connection.member, connection.policy = self.now, (member, ""), POLICY
        connection.groups = frozenset(groups)
        node.presence.join(connection, self.now)
        node.connections.append(connection)

    @precondition(lambda self: any(node.connections for node in self.nodes.values()))
    @rule(data=st.data(), code=st.sampled_from([1000, 1006]))
    def close(self, data: st.DataObject, code: int) -> None:
        node = data.draw(st.sampled_from([node for node in self.nodes.values() if node.connections]))
        connection = node.connections.pop()
        node.ledger.disconnect(connection, code)
        node.ledger.end(connection, self.now, error=False)
        node.presence.close(connection, self.now)

    @rule(seconds=st.integers(1, 5))
    def expire(self, seconds: int) -> None:
        self.now += seconds
        for node in self.nodes.values():
            for _ in node.presence.expire(self.now):
                pass

    @precondition(lambda self: self.nodes)
    @rule(data=st.data(), digest=st.booleans())
    def tell(self, data: st.DataObject, digest: bool) -> None:
        node = self.some_node(data)
        diff = node.presence.take_diff()
        if diff is not None:
            self.told.append(node.tell(diff))
        if digest:
            self.told.append(node.tell(node.presence.take_digest()))

    @precondition(lambda self: self.told and self.nodes)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """Any message, to any node, now, again, or for the first time long after others."""
        told = data.draw(st.sampled_from(self.told))
        node = self.some_node(data)
        if told.node != node.name:
            node.hear(told)

    @precondition(lambda self: len(self.nodes) > 1)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        del self.nodes[self.some_node(data).name]

    @precondition(lambda self: len(self.nodes) < 3)
    @rule(data=st.data())
    def start_again(self, data: st.DataObject) -> None:
        self.start(data.draw(st.sampled_from([name for name in "abc" if name not in self.nodes])))

    @rule(data=st.data())
    def notice_deaths(self, data: st.DataObject) -> None:
        for node in self.nodes.values():
            self.notice(node)

    def notice(self, node: Node) -> None:
        for other in self.nodes.values():
            node.roster.revive(other.name, other.started_at, other.boot)
        for name, replica in list(node.roster.replicas.items()):
            if name not in self.nodes or self.nodes[name].boot != replica.boot:
                for diff in node.roster.drop(name):
                    node.note(diff)

    @invariant()
    def each_roster_is_sound(self) -> None:
        for node in getattr(self, "nodes", {}).values():
            is_sound(node.roster)
            assert {member.key for member in node.roster.page(tenants=None, limit=100).members} == node.present

    @rule()
    def converge(self) -> None:
        """Once everybody has told all there is, everybody sees the same: those who are there, and nobody else."""
        told = []
        for node in self.nodes.values():
            diff = node.presence.take_diff()
            if diff is not None:
                self.told.append(node.tell(diff))
            told.append(node.tell(node.presence.take_digest()))
        for node in self.nodes.values():
            self.notice(node)
            for news in told:
                if news.node != node.name:
                    assert node.hear(news) == FRESH
        there = {key for node in self.nodes.values() for key in node.presence.entries}
        open_ones = {("t", name) for node in self.nodes.values() for name in node.names()}
        assert open_ones <= there
        pages = [node.roster.page(tenants=None, limit=100) for node in self.nodes.values()]
        assert all(page == pages[0] for page in pages)
        assert there == {member.key for member in pages[0].members}
        # What was told before they converged changes nothing any more.
        for news in self.told:
            for node in self.nodes.values():
                if news.node != node.name and news.node in self.nodes:
                    assert node.hear(news) == OLD


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
