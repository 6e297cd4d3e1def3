"""The stand-alone site on a real server, its operators, and clients of its feed."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgpack  # type: ignore[import-untyped]
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from hub.feed import wire
from tests.feed.stage import decoded
from tests.support.processes import ROOT, environment
from tests.support.servers import Server, ServerKind, make_server

PASSWORD = "correct horse battery staple"
OPERATORS = {
    "ops": ["view_ops", "operate"], "second": ["view_ops"], "nobody": [], "bound": ["view_ops"],
    "fired": ["view_ops"], "leaving": ["view_ops"], "promoted": ["view_ops"],
}  # fmt: skip
WAIT = 15.0
"""Seconds that a test waits for what should happen at once."""

MAKE_OPERATORS = f"""
from django.contrib.auth.models import Permission, User
from hub.models import TenantOperator
for name, codenames in {OPERATORS!r}.items():
    user = User.objects.create_user(name, password={PASSWORD!r})
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="hub", codename__in=codenames))
TenantOperator.objects.create(user=User.objects.get(username="bound"), tenant="acme")
"""


def prepare(folder: Path) -> Path:
    """Make a database with operators in it, to be copied; returns its folder."""
    var = folder / "var"
    for arguments in (["migrate", "-v", "0"], ["shell", "-v", "0", "-c", MAKE_OPERATORS]):
        subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment(HUB_VAR=str(var)), check=True
        )
    return var


def make_site(kind: ServerKind, prepared: Path, folder: Path, **env: str) -> Server:
    """A site that is not running yet, with a copy of the prepared database."""
    shutil.copytree(prepared, folder / "var", dirs_exist_ok=True)
    return make_server(kind, "hub.asgi:application", folder=folder, env=env)


def run_on(server: Server, code: str) -> None:
    """Run Python in the site's own project, as an administrator would."""
    server.manage(
        "shell", "-v", "0", "-c", "from django.contrib.auth.models import *; from hub.models import *; " + code
    )


Cookies = dict[str, str]


def log_in(server: Server, name: str, password: str = PASSWORD) -> Cookies:
    """Log in by the form; returns the browser's cookies."""
    with httpx.Client(base_url=server.url, timeout=WAIT) as browser:
        form = browser.get("/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
        assert token is not None
        answer = browser.post("/login/", data={"username": name, "password": password, "csrfmiddlewaretoken": token[1]})
        assert answer.status_code == 302, answer.text
        return dict(browser.cookies)


def log_out(server: Server, cookies: Cookies) -> None:
    """Log out, as the button on the page does."""
    with httpx.Client(base_url=server.url, timeout=WAIT, cookies=cookies) as browser:
        answer = browser.post("/logout/", headers={"x-csrftoken": cookies["csrftoken"]})
        assert answer.status_code == 302


class Feed:
    """One connection to ``/ws/ops/``; every frame is decoded and checked against the schema."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, **message: Any) -> None:
        text = self.connection.subprotocol != wire.MSGPACK_SUBPROTOCOL
        await self.connection.send(json.dumps(message) if text else msgpack.packb(message))

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        frame = await asyncio.wait_for(self.connection.recv(), WAIT)
        assert isinstance(frame, bytes) is (self.connection.subprotocol == wire.MSGPACK_SUBPROTOCOL)
        return decoded(frame)

    async def hear_until(self, **expected: Any) -> dict[str, Any]:
        """The next message that has these fields; others are passed over."""
        [message] = await self.hear_all(expected)
        return message

    async def hear_all(self, *expected: dict[str, Any]) -> list[dict[str, Any]]:
        """The next message with each of these sets of fields, in whatever order they come; others are passed over."""
        heard: dict[int, dict[str, Any]] = {}
        async with asyncio.timeout(WAIT):
            while len(heard) < len(expected):
                message = await self.hear()
                for number, fields in enumerate(expected):
                    if number not in heard and fields.items() <= message.items():
                        heard[number] = message
                        break
        return [heard[number] for number in range(len(expected))]

    async def closed(self) -> int | None:
        """Wait for the end; returns the code."""
        async with asyncio.timeout(WAIT):
            try:
                while True:
                    await self.connection.recv()
            except ConnectionClosed:
                return self.connection.close_code


@asynccontextmanager
async def feed(
    server: Server, cookies: Cookies | None = None, *, origin: str | None = "", token: str | None = None,
    subprotocol: str | None = wire.JSON_SUBPROTOCOL, **options: Any,
) -> AsyncIterator[Feed]:  # fmt: skip
    """Open the feed, as a page of the server's own does unless told otherwise."""
    headers = {}
    if cookies is not None:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    async with connect(
        f"{server.ws_url}/ws/ops/", origin=server.url if origin == "" else origin, additional_headers=headers,  # type: ignore[arg-type]
        subprotocols=None if subprotocol is None else [subprotocol], max_size=None, compression=None, **options,
    ) as connection:  # fmt: skip
        yield Feed(connection)


@asynccontextmanager
async def chat(server: Server, tenant: str = "acme", room: str = "lobby", name: str = "ann") -> AsyncIterator[Any]:
    """A visitor of a demo tenant who has joined a room."""
    async with connect(f"{server.ws_url}/ws/demo/{tenant}/chat/{room}/") as visitor:
        await visitor.send(json.dumps({"type": "join", "name": name}))
        yield visitor
