"""Conversations with the demo consumers, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator

from consumers.demo.chat import transcripts
from consumers.demo.routing import websocket_urlpatterns
from tests.support.processes import Process, environment
from tests.support.servers import Server, ServerKind, make_server


@pytest.fixture
def application() -> Any:
    """The demo's routes, as a server would call them."""
    transcripts.clear()
    return URLRouter(websocket_urlpatterns)


@pytest.fixture
async def connect(application: Any) -> AsyncIterator[Callable[[str], Awaitable[WebsocketCommunicator]]]:
    """``await connect(path)``: an accepted connection, closed when the test ends."""
    async with AsyncExitStack() as stack:

        async def open_connection(path: str) -> WebsocketCommunicator:
            return await stack.enter_async_context(connection(application, path))

        yield open_connection


@asynccontextmanager
async def connection(application: Any, path: str) -> AsyncIterator[WebsocketCommunicator]:
    communicator = WebsocketCommunicator(application, path)
    accepted, _ = await communicator.connect()
    assert accepted
    yield communicator
    await communicator.disconnect()


@pytest.fixture
def site_environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a stand-alone site with data of its own."""
    return environment(HUB_VAR=str(tmp_path / "var"))


@pytest.fixture
def site(processes: list[Process], tmp_path: Path, site_environment: dict[str, str]) -> Callable[[ServerKind], Server]:
    """``site(DAPHNE)``: the stand-alone site, migrated and running; stopped when the test ends."""

    def start(kind: ServerKind) -> Server:
        server = make_server(kind, "hub.asgi:application", folder=tmp_path, env=site_environment)
        processes.append(server)
        server.manage("migrate", "--verbosity", "0")
        server.start()
        return server

    return start
