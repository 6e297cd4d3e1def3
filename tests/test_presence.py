"""The host's API, with real consumers on a real node."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import pytest
from asgiref.sync import sync_to_async
from channels.consumer import AsyncConsumer
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from channels.layers import channel_layers, get_channel_layer
from channels.testing import WebsocketCommunicator

import hub
from hub import MonitoredConsumerMixin, conf, presence
from hub.conf import config
from hub.core.errors import HubError, NotRunningError
from hub.core.presence import RosterDiff
from hub.fleet.roster import FleetRoster
from hub.instrument import state
from hub.node import node as node_module
from hub.node.node import current_node

LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


class Room(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """Its member is whoever the path names."""

    hub_tenant = "north"
    hub_presence_groups = ("lobby",)
    hub_presence_message = "presence.changed"

    def get_hub_member(self):
        return self.scope["path"].strip("/")

    async def connect(self):
        presence.enter(self, "early")
        presence.enter(self, "never")
        presence.leave(self, "never")
        await self.channel_layer.group_add("lobby", self.channel_name)
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        what, _, group = text_data.partition(" ")
        if what == "count":
            await self.send(str(presence.count("north")))
            return
        (presence.enter if what == "enter" else presence.leave)(self, group)
        await self.send(str(presence.count("north", group)))

    async def presence_changed(self, event):
        await self.send(f"{event['event']} {event['member']} {event['group']} {event['tenant']}")


class SyncRoom(MonitoredConsumerMixin, WebsocketConsumer):
    hub_tenant = "north"

    def get_hub_member(self):
        return self.scope["path"].strip("/")

    def receive(self, text_data=None, bytes_data=None):
        presence.enter(self, text_data)
        self.send(str(presence.count("north", text_data)))
        presence.leave(self, text_data)
        self.send(str(presence.count("north", text_data)))


class Absent(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    hub_presence = False

    async def receive(self, text_data=None, bytes_data=None):
        presence.enter(self, "room")
        presence.leave(self, "room")
        await self.send("fine")


class Plain(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        presence.enter(self, "room")
        await self.send("fine")


@pytest.fixture(autouse=True)
def faults(monkeypatch) -> Counter[str]:
    fresh: Counter[str] = Counter()
    monkeypatch.setattr("hub.faults.FAULTS", fresh)
    return fresh


@pytest.fixture(autouse=True)
async def process(settings):
    """A process of this test's own."""
    settings.CHANNEL_LAYERS = LAYERS
    settings.HUB = {"PRESENCE_GRACE": 0.1}
    config.cache_clear()
    channel_layers.backends.clear()
    state.reset()
    node_module._current[:] = []
    yield
    node = current_node()
    if node is not None:
        await asyncio.sleep(0)
        await node.stop()
    node_module._current[:] = []
    state.reset()
    channel_layers.backends.clear()
    config.cache_clear()


async def connect(consumer: type[AsyncConsumer], name: str) -> WebsocketCommunicator:
    communicator = WebsocketCommunicator(consumer.as_asgi(), f"/{name}")
    connected, _ = await communicator.connect()
    assert connected
    return communicator


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a condition of a test's own has no event
            await asyncio.sleep(0.005)


@pytest.fixture
def heard():
    """What the signals say, by a sync and an async receiver."""
    said: list[tuple[str, str, str | None]] = []

    def joined(member, group, **kwargs) -> None:
        said.append(("joined", member.member, group))

    async def left(member, group, **kwargs) -> None:
        said.append(("left", member.member, group))

    presence.member_joined.connect(joined)
    presence.member_left.connect(left)
    yield said
    presence.member_joined.disconnect(joined)
    presence.member_left.disconnect(left)


def names(members) -> list[str]:
    return [member.member for member in members]


async def test_who_is_there():
    ann, bob = await connect(Room, "ann"), await connect(SyncRoom, "bob")
    assert ["ann", "bob"] == names(presence.members("north"))
    assert (["ann"], []) == (names(presence.members("north", "lobby")), presence.members("south"))
    assert ["ann"] == names(presence.members("north", limit=1))
    assert ["bob"] == names(presence.members("north", after=("north", "ann")))
    assert (["ann", "bob"], []) == (
        names(presence.members("north", states=["online"])),
        presence.members("north", states={"stale", "idle"}),
    )
    assert (2, 1, 0) == (presence.count("north"), presence.count("north", "lobby"), presence.count("north", "none"))
    page = presence.page("north", search="B", limit=1)
    assert (["bob"], 1, None) == (names(page.members), page.total, page.next)
    member = presence.get("north", "ann")
    assert ("online", ("early", "lobby"), 1) == (member.state, member.groups, member.connections)
    assert presence.get("north", "eve") is None
    await ann.disconnect()
    await bob.disconnect()
    await until(lambda: presence.count("north") == 0)


async def test_a_consumer_sees_itself_as_soon_as_it_is_accepted():
    ann = await connect(Room, "ann")
    await ann.send_to("count")
    assert await ann.receive_from() == "1"
    await ann.disconnect()


async def test_threads_and_other_loops_may_ask():
    ann = await connect(Room, "ann")
    assert await asyncio.to_thread(presence.count, "north") == 1
    assert ["ann"] == names(await sync_to_async(presence.members)("north"))

    async def elsewhere() -> int:
        return presence.count("north", "lobby")

    assert await asyncio.to_thread(asyncio.run, elsewhere()) == 1
    await ann.disconnect()


async def test_a_question_that_fails_fails_where_it_was_asked():
    await connect(Room, "ann")
    with pytest.raises(TypeError):
        await asyncio.to_thread(lambda: presence.page("north", limit="ten"))  # type: ignore[arg-type]


async def test_groups_may_be_entered_and_left_while_connected(heard):
    ann = await connect(Room, "ann")
    await ann.send_to("enter room-7")
    assert await ann.receive_from() == "1"
    await ann.send_to("leave room-7")
    assert await ann.receive_from() == "0"
    await ann.disconnect()


async def test_so_they_may_from_the_thread_of_a_sync_consumer():
    bob = await connect(SyncRoom, "bob")
    await bob.send_to("room-7")
    assert ["1", "0"] == [await bob.receive_from(), await bob.receive_from()]
    await bob.disconnect()


@pytest.mark.parametrize("consumer", [Absent, Plain])
async def test_where_presence_is_off_entering_a_group_does_nothing(consumer, faults):
    communicator = await connect(consumer, "ann")
    await communicator.send_to("enter")
    assert await communicator.receive_from() == "fine"
    assert faults == {}
    await communicator.disconnect()


async def test_signals_tell_of_joins_and_leaves_by_tenant_and_by_group(heard):
    ann = await connect(Room, "ann")
    await until(lambda: len(heard) == 3)
    await ann.disconnect()
    await until(lambda: len(heard) == 6)
    assert heard == [
        ("joined", "ann", None), ("joined", "ann", "early"), ("joined", "ann", "lobby"),
        ("left", "ann", "early"), ("left", "ann", "lobby"), ("left", "ann", None),
    ]  # fmt: skip


async def test_a_second_connection_is_no_join(heard):
    tabs = [await connect(Room, "ann"), await connect(Room, "ann")]
    await tabs[0].disconnect()
    await asyncio.sleep(0.5)
    assert {"joined"} == {what for what, *_ in heard}
    assert len(heard) == 3
    await tabs[1].disconnect()


async def test_a_receiver_that_fails_stops_nobody(heard, faults):
    def fail(**kwargs) -> None:
        raise ValueError("the host's fault")

    presence.member_joined.connect(fail)
    try:
        ann = await connect(SyncRoom, "ann")
        await until(lambda: heard == [("joined", "ann", None)] and faults == {"presence receiver": 1})
        await ann.disconnect()
    finally:
        presence.member_joined.disconnect(fail)


async def test_a_message_tells_the_group_of_joins_and_leaves():
    ann = await connect(Room, "ann")
    assert await ann.receive_from() == "joined ann lobby north"
    bob = await connect(Room, "bob")
    assert await ann.receive_from() == "joined bob lobby north"
    await bob.disconnect()
    assert await ann.receive_from() == "left bob lobby north"
    await ann.disconnect()


async def test_a_group_is_told_of_somebody_who_stays_elsewhere():
    ann, bob = await connect(Room, "ann"), await connect(Room, "bob")
    elsewhere = await connect(SyncRoom, "bob")
    heard = {await ann.receive_from(), await ann.receive_from()}
    assert {"joined ann lobby north", "joined bob lobby north"} == heard
    await bob.disconnect()
    assert await ann.receive_from(timeout=10) == "left bob lobby north"
    assert presence.get("north", "bob") is not None
    await elsewhere.disconnect()
    await ann.disconnect()


async def test_without_the_attribute_there_is_no_message():
    layer = get_channel_layer()
    await layer.group_add("room-7", "specific.channel")
    bob = await connect(SyncRoom, "bob")
    await bob.send_to("room-7")
    await bob.receive_from()
    await asyncio.sleep(0.2)
    assert not layer.channels.get("specific.channel")
    await bob.disconnect()


async def test_a_group_that_no_layer_can_have_is_a_fault_of_its_own(heard, faults):
    class Loud(Room):
        hub_presence_groups = ("no such / group!",)

    ann = await connect(Loud, "ann")
    await until(lambda: faults["presence signals"] == 1)
    assert ("joined", "ann", "no such / group!") in heard
    await ann.disconnect()


async def test_only_the_node_that_answers_for_a_change_tells_the_host(heard):
    await connect(Room, "ann")
    await until(lambda: len(heard) == 3)
    node = current_node()
    roster = node.part(FleetRoster)
    member = presence.get("north", "ann")
    for listener in roster.listeners:
        listener(RosterDiff("another:1", joined=[member]))
    await asyncio.sleep(0.1)
    assert len(heard) == 3


async def test_what_waits_to_be_told_is_bounded(monkeypatch, faults):
    monkeypatch.setattr(presence, "MAX_PENDING", 2)
    await connect(Room, "ann")
    current_node().part(FleetRoster).version  # noqa: B018 - tells the listeners
    assert faults == {"presence signals": 1}


async def test_without_a_node_the_error_says_so():
    with pytest.raises(NotRunningError, match="has no node"):
        presence.count("north")
    assert issubclass(NotRunningError, HubError)


def test_where_the_hub_is_switched_off_nobody_is_there(settings):
    settings.HUB = {"ENABLED": False}
    conf.config.cache_clear()
    try:
        assert (presence.members("north"), presence.count("north"), presence.get("north", "ann")) == ([], 0, None)
        assert presence.page("north") == presence.Page([], 0)
    finally:
        conf.config.cache_clear()


async def test_a_loop_that_does_not_answer_is_an_error_too(monkeypatch):
    await connect(Room, "ann")
    monkeypatch.setattr(presence, "ANSWER_SECONDS", 0.05)
    asked: list[BaseException] = []

    def ask() -> None:
        try:
            presence.count("north")
        except NotRunningError as error:
            asked.append(error)

    thread = asyncio.get_running_loop().run_in_executor(None, ask)
    # Nothing of the loop runs until this returns.
    time.sleep(0.3)  # noqa: ASYNC251 - a blocked loop is the point
    await thread
    assert ["did not answer" in str(error) for error in asked] == [True]


def test_it_is_a_public_name_of_the_package():
    assert hub.presence is presence
    assert set(presence.__all__) <= set(vars(presence))
