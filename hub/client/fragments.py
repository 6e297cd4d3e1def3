"""Messages in fragments: only the first fragment can begin with U+0000."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator

from hub.client.control import Message

Fragments = Iterable[Message] | AsyncIterable[Message]
Change = Callable[[Message], Message]


def with_first_changed(fragments: Fragments, change: Change) -> Fragments:
    """The same fragments, the first one changed."""
    return _changed_async(fragments, change) if isinstance(fragments, AsyncIterable) else _changed(fragments, change)


def _changed(fragments: Iterable[Message], change: Change) -> Iterator[Message]:
    for number, fragment in enumerate(fragments):
        yield fragment if number else change(fragment)


async def _changed_async(fragments: AsyncIterable[Message], change: Change) -> AsyncIterator[Message]:
    first = True
    async for fragment in fragments:
        yield change(fragment) if first else fragment
        first = False
