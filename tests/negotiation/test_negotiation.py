"""
Who speaks control frames with whom: library or plain client, every kind of server, every kind of consumer.

All conversations of a server are held at once when its first test asks for them; each test then looks at those of
one consumer.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from hub.core.control import PARAMETER
from tests.negotiation.consumers import CONSUMERS, DECLINE, NEGOTIATE
from tests.negotiation.conversations import (
    FRAMES,
    LIBRARY,
    PLAIN,
    Conversation,
    Heard,
    conversations,
    hold_all,
)
from tests.support.servers import DAPHNE, HYPERCORN, UVICORN, make_server, require_server

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.timeout(180)]

KINDS = {str(kind): kind for kind in (DAPHNE, UVICORN, HYPERCORN)}
MODULE = "tests.negotiation.application"
WITHOUT_MIXIN = ("plain", "plain-sync")

#: The ways to have the hub, or not: application, environment, who negotiates, who sees our parameter.
HOUSES: dict[str, tuple[str, dict[str, str], set[str], set[str]]] = {
    "monitored": ("monitored", {}, set(NEGOTIATE), set()),
    "mixin-alone": ("mixin_alone", {}, set(NEGOTIATE), set(WITHOUT_MIXIN)),
    "control-frames-off": ("monitored", {"HUB_CONTROL_FRAMES": "0"}, set(), set()),
    "inbox-off": ("monitored", {"HUB_INBOX": "0"}, set(NEGOTIATE), set()),
    "presence-off": ("monitored", {"HUB_PRESENCE": "0"}, set(NEGOTIATE), set()),
    "switched-off": ("monitored", {"HUB_ENABLED": "0"}, set(), set(CONSUMERS)),
    "without-hub": ("without_hub", {}, set(), set(WITHOUT_MIXIN)),
}


#: In which houses each server stands; one more server, the usual way to have the hub.
STAND = [(kind, house) for kind in KINDS for house in HOUSES if kind != str(HYPERCORN) or house == "monitored"]


def consumers_of(house: str) -> list[str]:
    return list(WITHOUT_MIXIN) if house == "without-hub" else list(CONSUMERS)


class Houses:
    """The servers of this module, and what was said on each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._heard: dict[tuple[str, str], dict[Conversation, Heard | BaseException]] = {}
        self.handed: dict[tuple[str, str], dict[str, int]] = {}

    def heard(self, kind: str, house: str) -> dict[Conversation, Heard | BaseException]:
        if (kind, house) not in self._heard:
            application, env, *_ = HOUSES[house]
            program = require_server(KINDS[kind])
            with make_server(program, f"{MODULE}:{application}", folder=self._folder, env=env) as server:
                chosen = list(conversations(consumers_of(house)))
                self._heard[kind, house] = asyncio.run(hold_all(server.ws_url, chosen))
                self.handed[kind, house] = httpx.get(f"{server.url}/handed/").json()
        return self._heard[kind, house]


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Houses:
    return Houses(tmp_path_factory.mktemp("negotiation"))


def expected(house: str, conversation: Conversation) -> Heard:
    """What a client finds, whatever stands between it and its consumer."""
    _, _, negotiate, see_parameter = HOUSES[house]
    query = conversation.query.removeprefix("?")
    asks = conversation.client == LIBRARY
    if asks and conversation.consumer in see_parameter:
        query = f"{query}&{PARAMETER}".removeprefix("&")
    return Heard(
        seen={"path": conversation.path, "query": query, "offered": list(conversation.offer)},
        subprotocol=conversation.chosen,
        echoes=list(FRAMES),
        negotiated=conversation.consumer in negotiate if asks else None,
    )


CASES = [(kind, house, consumer) for kind, house in STAND for consumer in consumers_of(house)]


@pytest.mark.parametrize(("kind", "house", "consumer"), CASES)
def test_clients_and_consumers_understand_each_other(houses: Houses, kind: str, house: str, consumer: str) -> None:
    found = {chosen: heard for chosen, heard in houses.heard(kind, house).items() if chosen.consumer == consumer}
    assert {chosen.client for chosen in found} == {LIBRARY, PLAIN}
    assert [(chosen, heard) for chosen, heard in found.items() if heard != expected(house, chosen)][:3] == []


@pytest.mark.parametrize(("kind", "house"), STAND)
def test_consumers_are_handed_the_client_s_own_frames_and_no_other(houses: Houses, kind: str, house: str) -> None:
    held = houses.heard(kind, house)
    frames = len(FRAMES) * len(held) // len(consumers_of(house))
    names = {CONSUMERS[name].__name__ for name in consumers_of(house)}
    assert houses.handed[kind, house] == dict.fromkeys(names, frames)


def test_there_is_a_consumer_for_each_answer() -> None:
    assert set(CONSUMERS) == set(NEGOTIATE) | set(DECLINE)
