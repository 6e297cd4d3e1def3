"""What a script may ask of the server's side: barriers, gates, cancellation, group messages, and the transcript."""

import asyncio
import gc
from typing import Any

from channels.consumer import AsyncConsumer
from channels.layers import get_channel_layer

from tests.equivalence.witness import Registry

#: Seconds after which a step that waits in vain is an error, a barrier that nobody reaches, and a connection that does
#: not end.
PATIENCE = 60.0


class Control:
    """The verbs; each takes the identity of a connection and one argument, and answers with something JSON knows."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    async def __call__(self, verb: str, identity: str, argument: str) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await getattr(self, "answer_" + verb)(identity, argument)

    async def answer_ended(self, identity: str, _: str) -> Any:
        """Wait for the end of the application, and hand out the transcript."""
        await self.registry[identity].done.wait()
        return self.registry[identity].entries

    async def answer_entries(self, identity: str, _: str) -> Any:
        return self.registry[identity].entries

    async def answer_reached(self, identity: str, argument: str) -> Any:
        """Wait until the consumer has taken a note of one kind, a number of times."""
        kind, _, count = argument.partition(":")
        await self.registry[identity].reached(kind, int(count or 1))

    async def answer_release(self, identity: str, gate: str) -> Any:
        self.registry[identity].gate(gate).set()

    async def answer_cancel(self, identity: str, message: str) -> Any:
        """Cancel the application's task, as Daphne does and a server may."""
        task = self.registry[identity].task
        assert task is not None, f"{identity} has no application"
        task.cancel(*([message] if message else []))

    async def answer_turns(self, _: str, count: str) -> Any:
        """Let the event loop look for input, so many times."""
        for _turn in range(int(count)):
            await asyncio.sleep(0.001)

    async def answer_group(self, _: str, argument: str) -> Any:
        """Send numbered messages to a group: ``room:count``."""
        room, _, count = argument.partition(":")
        layer = get_channel_layer()
        for number in range(int(count)):
            await layer.group_send(room, {"type": "room.message", "text": str(number)})

    async def answer_alive(self, *_: str) -> Any:
        """Consumers that are still in memory."""
        gc.collect()
        return sorted(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, AsyncConsumer))

    async def answer_tasks(self, *_: str) -> Any:
        """The code that pending tasks run."""
        coroutines = [task.get_coro() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        return sorted(getattr(coroutine, "__qualname__", repr(coroutine)) for coroutine in coroutines)
