"""
A monitored consumer behaves as a bare one: every conversation, on every server, in every way to have the hub.

All conversations of a server are held at once when its first test asks for them; each test then compares one.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.equivalence import script
from tests.equivalence.conversations import held_on
from tests.equivalence.script import COMMUNICATOR, SERVERS, UVICORN_LEGACY, Conversation, Transcripts
from tests.equivalence.stage import Held, Performance, in_process, on_server
from tests.equivalence.variants import BARE, MONITORED, Variant
from tests.support.servers import DAPHNE, SERVER_KINDS, Server, make_server

#: Code whose tasks are there for the whole life of a process: the server's, the control's, the node's.
OWN_TASKS = re.compile(
    r"^application$|Server|Lifespan|answer|_guarded|ASGIWorker|run_asgi|transfer_data|close_connection|keepalive|handler"
)
APPLICATION = "tests.equivalence.application:application"

#: Daphne cancels an application that outlives its client by ten seconds; two are enough to see it.
KINDS = {str(kind): kind for kind in SERVER_KINDS}
KINDS["daphne"] = replace(DAPHNE, options=(*DAPHNE.options, "--application-close-timeout", "2"))

CASES = [
    pytest.param(kind, conversation, id=f"{kind}-{conversation.name}", marks=[pytest.mark.server] * (kind in SERVERS))
    for kind in (*SERVERS, COMMUNICATOR)
    for conversation in held_on(kind)
]


class House:
    """The servers of this module, each started when it is first asked for, and what was said on them."""

    def __init__(self, folder) -> None:
        self._folder = folder
        self._servers: dict[str, Server] = {}
        self._performances: dict[str, Performance] = {}

    def server(self, kind: str) -> Server:
        if kind not in self._servers:
            made = make_server(KINDS[kind], APPLICATION, folder=self._folder, env={})
            made.start()
            self._servers[kind] = made
        return self._servers[kind]

    def performance(self, kind: str) -> Performance:
        if kind not in self._performances:
            holding = in_process(held_on(kind)) if kind == COMMUNICATOR else self._on_server(kind)
            self._performances[kind] = asyncio.run(holding)
        return self._performances[kind]

    def _on_server(self, kind: str):
        return on_server(kind, self.server(kind).host, held_on(kind))

    def stop(self) -> None:
        for made in self._servers.values():
            made.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("equivalence"))
    yield made
    made.stop()


#: What a server may say of the end, after the consumer's own close, in place of the code; see `known_code`.
UNTOLD_CODES = {script.DAPHNE: 1006, UVICORN_LEGACY: 1005}


def shown(kind: str, conversation: Conversation, held: Held, variant: Variant):
    """What is compared of a conversation, once it has ended and kept to its rule."""
    assert not held.failure, f"{variant.name}: {held.failure}"
    try:
        if conversation.verify is not None:
            conversation.verify(held.transcripts, variant.inbox)
        return conversation.canonical(known_code(held.transcripts, UNTOLD_CODES.get(kind)))
    except AssertionError as error:
        error.add_note(f"variant {variant.name}: {held.transcripts}")
        raise


def known_code(transcripts: Transcripts, untold: int | None) -> Transcripts:
    """
    Give the end the code that the client saw, where a server may say another after its own close.

    uvicorn's legacy implementation says 1005, unless the application was waiting for a message at that moment. A bare
    consumer is when it closes in the handler of a group message, and is not when it closes in the handler of a
    client's; one that is read ahead for always is. Daphne says 1006 when the client's answer took longer than
    autobahn's second, as it does on a loaded machine.
    """
    for transcript in transcripts.values():
        codes = [entry[1] for entry in transcript.client if entry[0] == "closed"]
        for entry in transcript.server:
            if entry[0] in {"disconnect", "websocket_disconnect"} and entry[1] == untold and codes:
                entry[1] = codes[0]
    return transcripts


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("kind", "conversation"), CASES)
def test_monitored_consumers_behave_as_bare_ones(house: House, kind: str, conversation: Conversation) -> None:
    performance = house.performance(kind)
    bare = shown(kind, conversation, performance[conversation.name, BARE.name], BARE)
    for variant in MONITORED:
        monitored = shown(kind, conversation, performance[conversation.name, variant.name], variant)
        assert monitored == bare, f"{variant.name} on {kind}"


@pytest.mark.server
@pytest.mark.parametrize("kind", SERVERS)
def test_nothing_is_left_of_connections_that_ended(house: House, kind: str) -> None:
    left = house.performance(kind).left
    assert left["alive"] == []
    assert [task for task in left["tasks"] if not OWN_TASKS.search(task)] == []
