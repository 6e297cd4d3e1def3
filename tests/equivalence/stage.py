"""Holds conversations: all of one server and all variants at once, and hands out what was said."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from tests.equivalence.clients import LocalClient, NetworkClient, remote_control
from tests.equivalence.script import Client, Conversation, Transcripts
from tests.equivalence.variants import VARIANTS, Variant

#: Conversations held at the same time: enough to hide Daphne's waits, few enough that two cores keep up.
AT_ONCE = 40

MakeClient = Callable[[str, Variant, str, str], Client]


@dataclass(frozen=True)
class Held:
    """A conversation as it went in one variant: transcripts, or what kept it from ending."""

    transcripts: Transcripts
    failure: str = ""


class Performance(dict[tuple[str, str], Held]):
    """How conversations went, by their name and the variant's, and what was left on the server after them."""

    left: dict[str, list[str]]


async def hold(conversation: Conversation, variant: Variant, number: int, make_client: MakeClient) -> Held:
    """Hold one conversation."""
    room = f"{variant.name}-{number}"
    clients = {who: make_client(conversation.consumer, variant, f"{room}-{who}", room) for who in conversation.clients}
    try:
        for step in conversation.steps:
            await getattr(clients[step.who], step.verb)(*step.arguments)
        for client in clients.values():
            await client.finish()
    except Exception as error:  # noqa: BLE001 - the test of this conversation tells of it
        for client in clients.values():
            with suppress(Exception):
                await client.kill()
        return Held({}, f"{type(error).__name__}: {error}; { ({who: c.transcript for who, c in clients.items()}) }")
    return Held({who: client.transcript for who, client in clients.items()})


async def hold_all(conversations: Iterable[Conversation], make_client: MakeClient) -> Performance:
    """Hold every conversation in every variant."""
    places = asyncio.Semaphore(AT_ONCE)
    performance = Performance()

    async def hold_one(conversation: Conversation, variant: Variant, number: int) -> None:
        async with places:
            held = await hold(conversation, variant, number, make_client)
        performance[conversation.name, variant.name] = held

    async with asyncio.TaskGroup() as group:
        for number, conversation in enumerate(conversations):
            for variant in VARIANTS:
                group.create_task(hold_one(conversation, variant, number))
    return performance


async def on_server(kind: str, host: str, conversations: Iterable[Conversation]) -> Performance:
    """Hold the conversations on a running server, then ask what is left of them there."""
    async with remote_control(host) as remote:

        def client(consumer: str, variant: Variant, identity: str, room: str) -> Client:
            return NetworkClient(host, kind, consumer, variant, identity, room, remote)

        performance = await hold_all(conversations, client)
        performance.left = {verb: await remote(verb, "", "") for verb in ("alive", "tasks")}
    return performance


async def in_process(conversations: Iterable[Conversation]) -> Performance:
    """Hold the conversations on Channels' communicator."""
    return await hold_all(conversations, LocalClient)
