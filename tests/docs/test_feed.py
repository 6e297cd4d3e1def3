"""``docs/feed.md`` against the wire contract, and its client against a real server."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from hub.feed import service, session, topics, wire
from tests.docs.markdown import Block, blocks, prose, tables
from tests.support.processes import ROOT, Process
from tests.support.servers import DAPHNE, Server

DOCUMENT = ROOT / "docs" / "feed.md"
EXAMPLES = [block for block in blocks(DOCUMENT) if block.language == "json"]
CONTRACTS: dict[str, Any] = {"server": wire.ServerMessage, "client": wire.ClientMessage}


def tag(message: type[msgspec.Struct]) -> str:
    return str(message.__struct_config__.tag)


# --- the messages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_is_a_message_field_by_field(example: Block):
    message = msgspec.json.decode(example.text, type=CONTRACTS[example.marker])
    assert json.loads(msgspec.json.encode(message)) == json.loads(example.text)


@pytest.mark.parametrize("side", CONTRACTS)
def test_every_message_has_an_example(side):
    shown = {json.loads(example.text)["type"] for example in EXAMPLES if example.marker == side}
    assert shown == {tag(message) for message in get_args(CONTRACTS[side])}


def test_the_close_codes_are_those_of_the_contract():
    codes = {value for name, value in vars(wire).items() if name.startswith("CLOSE_")}
    assert {int(row["code"]) for row in tables(DOCUMENT)[0]} == codes


def test_every_name_of_the_contract_is_explained():
    error_codes = get_args(wire.Error.__annotations__["code"]) or re.findall(
        r'"(\w+)"', str(wire.Error.__annotations__["code"])
    )
    text = prose(DOCUMENT)
    names = {*wire.SUBPROTOCOLS, *wire.TOPICS, *wire.SEVERITIES, *error_codes, "epoch", "expired", "future"}
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


def test_the_limits_are_those_of_the_code():
    limits = [row["limit"] for row in tables(DOCUMENT)[1]]
    expected = (
        f"{wire.MAX_CLIENT_MESSAGE_BYTES} bytes",
        f"a burst of {wire.CLIENT_BURST}, then {wire.CLIENT_RATE:g} a second",
        f"{session.MAX_UNSENT_ANSWERS}, then {wire.CLOSE_TOO_SLOW}",
        f"{topics.MAX_ROWS}, the ones",
        f"{service.RECENT}",
    )
    assert [limit for limit, start in zip(limits, expected, strict=False) if not limit.startswith(start)] == []


# --- the client ---------------------------------------------------------------------------------------------------


class Follower(Process):
    """The document's client, running; it listens on no port."""

    def _wait_until_accepting(self, timeout: float) -> None:
        assert timeout > 0

    def wait_for(self, pattern: str, timeout: float = 30.0) -> None:
        """Wait until it has printed something."""
        deadline = time.monotonic() + timeout
        while not re.search(pattern, self.log_text()):
            assert time.monotonic() < deadline, f"no {pattern!r} within {timeout:.0f} s in\n{self.log_text()}"
            assert self.running, self.log_text()
            time.sleep(0.05)


def program() -> str:
    [block] = [block for block in blocks(DOCUMENT) if block.marker == "program: follow.py"]
    return block.text


def refused_handshake(server: Server) -> None:
    """What the feed reports as a connection that was rejected."""
    with pytest.raises(InvalidStatus):
        connect(f"{server.ws_url}/ws/demo/nobody/chat/lobby/")


@pytest.mark.server
@pytest.mark.slow
def test_the_client_follows_resumes_and_gives_up(start_server, processes, tmp_path: Path):
    server = start_server(DAPHNE, env={"HUB_FEED_RIGHTS_INTERVAL": "0.2"})
    server.manage("migrate", "--verbosity", "0")
    token = server.manage("hub_token", "create", "follower").strip()
    (tmp_path / "follow.py").write_text(program())
    command = [sys.executable, "follow.py", f"{server.ws_url}/ws/ops/"]
    env = {**server.env, "HUB_TOKEN": token}
    follower = Follower("follower", command, port=0, log=tmp_path / "follow.log", env=env, cwd=tmp_path)
    processes.append(follower)
    follower.start()
    follower.wait_for(r"connected, \d")

    refused_handshake(server)
    follower.wait_for(r"connection\.rejected consumers\.demo\.chat\.Chat \S+ x1")
    server.restart()
    follower.wait_for(r"events are missing: epoch")
    refused_handshake(server)
    follower.wait_for(r"(?s)missing.*connection\.rejected")

    server.manage("hub_token", "revoke", "follower")
    deadline = time.monotonic() + 30
    while follower.running and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "the feed closed with 4401" in follower.log_text()
