from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.urls import path

from hub import MonitoredConsumerMixin, monitor
from hub.conf import Config
from hub.core.errors import ConfigurationError
from hub.core.ledger import Connection
from hub.core.policy import Policy
from hub.instrument.members import MESSAGES, member_of_scope, policy_of, policy_of_settings
from hub.instrument.observer import SCOPE_KEY
from hub.instrument.state import Instruments
from tests.instrument.conftest import Setup
from tests.instrument.peer import Peer

ANONYMOUS = re.compile(r"anonymous:[0-9a-f]{20}")
SESSION = re.compile(r"session:[0-9a-f]{20}")


class Chat(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    pass


def made(base: Any = Chat, **attributes: Any) -> Any:
    return type("Made", (base,), {"__module__": __name__, **attributes})


def user(pk: int | None = 7, name: str = "ann") -> User:
    return User(pk=pk, username=name)


def session(key: str | None = "k" * 32) -> SessionStore:
    return SessionStore(key)


async def connected(consumer: Any = Chat, **scope: Any) -> Connection:
    """A connection as it is known once it was accepted."""
    peer = Peer(consumer.as_asgi(), **scope)
    await peer.connect()
    connection: Connection = peer.scope[SCOPE_KEY]
    await peer.disconnect()
    return connection


# --- who, by default ----------------------------------------------------------------------------------------------


def test_an_authenticated_user_is_known_by_the_primary_key():
    assert member_of_scope({"user": user(), "session": session()}) == ("7", "ann")


@pytest.mark.parametrize(
    "nobody", [AnonymousUser(), None, object(), user(pk=None)], ids=["anonymous", "none", "odd", "unsaved"]
)
def test_else_a_session_is_known_by_a_digest_that_gives_nothing_away(nobody):
    member, name = member_of_scope({"user": nobody, "session": session()})
    assert SESSION.fullmatch(member)
    assert (member, name) == member_of_scope({"session": session()})
    assert member != member_of_scope({"session": session("other")})[0]
    assert "k" not in member.partition(":")[2]


@pytest.mark.parametrize(
    "scope",
    [{}, None, {"session": session(None)}, {"user": AnonymousUser()}],
    ids=["empty", "none", "unsaved-session", "anonymous"],
)
def test_else_each_connection_is_a_member_of_its_own(scope):
    member, name = member_of_scope(scope)
    assert (bool(ANONYMOUS.fullmatch(member)), name) == (True, "")
    assert member != member_of_scope(scope)[0]


class Forbidden:
    """A lazy user that would ask the database, which Django forbids on the event loop."""

    @property
    def is_authenticated(self) -> bool:
        raise LookupError("not here")


def test_a_scope_that_cannot_be_asked_is_nobody_known(faults: Counter[str]):
    assert ANONYMOUS.fullmatch(member_of_scope({"user": Forbidden()})[0])
    assert list(faults) == ["default member"]


# --- who, by the host's hooks -------------------------------------------------------------------------------------


async def test_the_hooks_are_asked_once_it_is_accepted(shared: Instruments):
    class Named(Chat):
        def get_hub_member(self) -> str | None:
            assert self.scope["user"].pk == 7
            return 12  # type: ignore[return-value]  # hosts do

        def get_hub_member_name(self) -> str | None:
            return f"Dr. {self.scope['user'].username}"

        def get_hub_presence_groups(self) -> list[str]:
            return ["room-1", "room-2", "room-1"]

    seen: list[Any] = []

    class Watcher:
        def accepted(self, connection: Connection) -> None:
            seen.append((connection.member, connection.groups, connection.policy))

        def ended(self, connection: Connection) -> None:
            seen.append(connection.number)

    shared.watchers.append(Watcher())
    connection = await connected(Named, user=user())
    assert seen == [(("12", "Dr. ann"), {"room-1", "room-2"}, Policy()), connection.number]


async def test_what_the_hooks_leave_open_is_as_by_default(shared: Instruments):
    assert (await connected(user=user())).member == ("7", "ann")
    own_id = made(get_hub_member=lambda self: "me")
    assert (await connected(own_id, user=user())).member == ("me", "ann")
    own_name = made(get_hub_member_name=lambda self: "")
    assert (await connected(own_name, user=user())).member == ("7", "")


async def test_groups_may_be_the_same_for_a_whole_class(shared: Instruments):
    assert (await connected(made(hub_presence_groups=("lobby",)))).groups == {"lobby"}
    assert (await connected()).groups == frozenset()


def failing(self: Any) -> Any:
    raise LookupError("a fault of the host's")


@pytest.mark.parametrize(
    ("hook", "member", "groups"),
    [
        ("get_hub_member", ("7", "ann"), {"lobby"}),
        ("get_hub_member_name", ("7", "ann"), {"lobby"}),
        ("get_hub_presence_groups", ("7", "ann"), set()),
    ],
)
async def test_a_fault_in_a_hook_is_counted_and_goes_no_further(shared, faults: Counter[str], hook, member, groups):
    attributes: dict[str, Any] = {hook: failing}
    connection = await connected(made(hub_presence_groups=("lobby",), **attributes), user=user())
    assert (connection.member, connection.groups, connection.code) == (member, groups, 1000)
    assert faults == {hook: 1}


@pytest.mark.parametrize("groups", ["lobby", b"lobby", 7], ids=repr)
async def test_groups_that_are_no_groups_are_a_fault(shared, faults: Counter[str], groups):
    connection = await connected(made(get_hub_presence_groups=lambda self: groups))
    assert connection.groups == frozenset()
    assert faults == {"get_hub_presence_groups": 1}


async def test_no_groups_at_all_are_none(shared, faults: Counter[str]):
    assert (await connected(made(get_hub_presence_groups=lambda self: None))).groups == frozenset()
    assert not faults


async def test_a_consumer_that_is_never_accepted_is_nobodys(shared: Instruments):
    async def connect(self: Any) -> None:
        await self.close()

    connection = await connected(made(connect=connect, get_hub_member=failing), user=user())
    assert connection.member is None


# --- whether ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", [True, False])
@pytest.mark.parametrize("own", [None, True, False])
async def test_a_class_decides_over_the_settings_whether_presence_is_kept(setup: Setup, setting, own):
    setup(PRESENCE=setting)
    connection = await connected(made(hub_presence=own, hub_presence_groups=("lobby",)), user=user())
    if setting if own is None else own:
        assert (connection.member, connection.groups, connection.policy) == (
            ("7", "ann"),
            frozenset({"lobby"}),
            Policy(),
        )
    else:
        assert (connection.member, connection.groups, connection.policy) == (None, frozenset(), None)


async def test_without_presence_heartbeats_still_have_their_interval(setup: Setup):
    setup(PRESENCE=False)
    connection = await connected(made(hub_heartbeat_interval=7), query_string=b"_hub=1")
    assert (connection.member, connection.policy) == (None, Policy(interval=7))


@pytest.mark.parametrize("presence", [True, False])
async def test_behind_the_wrapper_alone_the_authenticated_scope_says_who_it_is(setup: Setup, presence):
    setup(PRESENCE=presence, PRESENCE_TIMEOUT=90)
    bare: Any = AsyncWebsocketConsumer.as_asgi()
    routes: Any = [path("bare/", bare)]
    router: Any = URLRouter(routes)
    records: list[Connection] = []

    async def authenticated(scope: Any, receive: Any, send: Any) -> None:
        records.append(scope[SCOPE_KEY])
        await router({**scope, "user": user()}, receive, send)

    authenticated.inner = router  # type: ignore[attr-defined]
    peer = Peer(monitor(authenticated), "/bare/")
    await peer.connect()
    await peer.disconnect()
    [connection] = records
    expected = (("7", "ann"), Policy(timeout=90.0)) if presence else (None, None)
    assert (connection.member, connection.policy) == expected


async def test_the_mixins_word_counts_behind_the_wrapper(setup: Setup):
    setup()
    records: list[Connection] = []
    quiet = made(hub_presence=False).as_asgi()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        records.append(scope[SCOPE_KEY])
        await quiet({**scope, "user": user()}, receive, send)

    peer = Peer(monitor(application))
    await peer.connect()
    await peer.disconnect()
    assert (records[0].member, records[0].policy) == (None, None)


async def test_a_consumer_knows_its_connection_while_it_lasts(shared: Instruments):
    seen: list[tuple[Any, Connection | None]] = []

    class Knowing(Chat):
        async def receive(self, text_data=None, bytes_data=None):
            seen.append((self, self._hub_connection))
            await self.send("x")

    peer = Peer(Knowing.as_asgi())
    await peer.connect()
    await peer.ask("x")
    await peer.disconnect()
    [(consumer, connection)] = seen
    assert connection is peer.scope[SCOPE_KEY]
    assert consumer._hub_connection is None


# --- how long they may be silent ----------------------------------------------------------------------------------


def test_a_policy_is_of_the_class_over_the_settings_and_found_once():
    settings = Config(heartbeat_interval=20.0, presence_timeout=100.0, presence_grace=1.0)
    assert policy_of(Chat, settings) == policy_of_settings(settings) == Policy(20.0, 100.0, 1.0)
    own = made(hub_heartbeat_interval=2)
    assert policy_of(own, settings) == Policy(2, 100.0, 1.0)
    assert policy_of(made(own, hub_presence_timeout=4), settings) == Policy(2, 4, 1.0)
    assert policy_of(own, settings) is policy_of(own, settings)
    assert policy_of(own, Config()) == Policy(2, 300.0, 5.0)


def test_a_class_that_inherits_does_not_inherit_what_was_found():
    base = made(hub_heartbeat_interval=2)
    assert policy_of(base, Config()).interval == 2
    assert policy_of(made(base, hub_heartbeat_interval=3), Config()).interval == 3


def test_where_class_and_settings_contradict_each_other_the_settings_hold(faults: Counter[str]):
    slow, settings = made(hub_heartbeat_interval=100.0), Config(presence_timeout=150.0)
    for _ in range(3):
        assert policy_of(slow, settings) == Policy(timeout=150.0)
    assert faults.keys() == {"presence policy"}


@pytest.mark.parametrize("attribute", ["hub_heartbeat_interval", "hub_presence_timeout"])
@pytest.mark.parametrize("value", [0, -1, "30", "30s", True, float("nan"), float("inf"), 86_401, [30]], ids=repr)
def test_a_class_that_gives_no_seconds_cannot_be(attribute, value):
    with pytest.raises(ConfigurationError, match=rf"^Made: {attribute} is .*give a number of seconds above 0"):
        made(**{attribute: value})


def test_a_class_that_contradicts_itself_cannot_be():
    message = r"^Made: hub_presence_timeout of 19 s .* hub_heartbeat_interval of 10 s; give at least 20 s$"
    with pytest.raises(ConfigurationError, match=message):
        made(hub_heartbeat_interval=10, hub_presence_timeout=19)
    with pytest.raises(ConfigurationError, match=message):
        made(made(hub_heartbeat_interval=10), hub_presence_timeout=19)
    made(hub_heartbeat_interval=10, hub_presence_timeout=20)


@pytest.mark.parametrize("groups", ["lobby", b"lobby"], ids=repr)
def test_nor_can_one_whose_groups_are_one_name(groups):
    with pytest.raises(ConfigurationError, match=r"hub_presence_groups is .*; write \("):
        made(hub_presence_groups=groups)


def test_who_wants_a_message_is_known_by_label():
    label = f"{__name__}.test_message"
    try:
        made(hub_consumer=label, hub_presence_message="presence.changed", channel_layer_alias="other")
        assert MESSAGES[label] == ("presence.changed", "other")
    finally:
        MESSAGES.pop(label, None)
    assert f"{__name__}.Chat" not in MESSAGES
