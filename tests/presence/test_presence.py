"""
Who is there, on real servers with shortened times.

The scripts of a server are played all at once when its first test asks for them, each with a tenant of its own; what
disturbs a whole server has one of its own, below.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.presence.scenarios import SCENARIOS
from tests.presence.stage import GRACE, INTERVAL, STALE_AFTER, TIMEOUT, Stage, make_site, page, site
from tests.support.servers import DAPHNE, UVICORN, Server, ServerKind

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.timeout(180)]
KINDS = (DAPHNE, UVICORN)


# --- all scripts on one server ------------------------------------------------------------------------------------


async def play(server: Server, token: str) -> dict[str, BaseException | None]:
    """Play all scripts at once; returns how each ended."""

    async def one(name: str) -> None:
        async with asyncio.timeout(100), Stage(server, token, name) as stage:
            await SCENARIOS[name](stage)

    ends = await asyncio.gather(*map(one, SCENARIOS), return_exceptions=True)
    return dict(zip(SCENARIOS, ends, strict=True))


def faults(server: Server) -> set[str]:
    """Where the hub has counted faults of its own or of the host's."""
    text = httpx.get(f"{server.url}/hub/metrics", timeout=60).raise_for_status().text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {sample.labels["place"] for sample in samples if sample.name == "hub_faults_total" and sample.value}


class House:
    """The servers of this module, and how the scripts ended on each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._played: dict[str, dict[str, BaseException | None]] = {}
        self.faults: dict[str, set[str]] = {}
        self.logs: dict[str, str] = {}

    def played(self, kind: ServerKind) -> dict[str, BaseException | None]:
        if kind.id not in self._played:
            folder = self._folder / kind.id
            folder.mkdir()
            server, token = make_site(kind, folder)
            with server:
                self._played[kind.id] = asyncio.run(play(server, token))
                self.faults[kind.id] = faults(server)
            self.logs[kind.id] = server.log_text()
        return self._played[kind.id]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("presence"))


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_members(house: House, kind: ServerKind, name: str) -> None:
    end = house.played(kind)[name]
    if end is not None:
        end.add_note(house.logs[kind.id][-3000:])
        raise end


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_only_faults_are_the_host_s_own(house: House, kind: ServerKind) -> None:
    house.played(kind)
    assert house.faults[kind.id] == {"presence receiver"}


# --- what disturbs a whole server ---------------------------------------------------------------------------------


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> ServerKind:
    found: ServerKind = request.param
    return found


async def test_a_sync_handler_that_sleeps_makes_nobody_stale(kind, tmp_path):
    async with site(kind, tmp_path) as stage:
        ann, bob = await stage.visit("ann", "desk"), await stage.visit("bob", "desk")
        await stage.expect(ann="online", bob="online")
        await ann.say(type="sleep", seconds=TIMEOUT * 1.5)  # in the thread that all sync code shares
        await bob.say(type="hello")
        await stage.always(TIMEOUT * 1.2, ann="online", bob="online")
        await bob.hear(type="hello")
        await stage.expect(ann="online", bob="online")
        assert [event for event, _ in await stage.history()] == ["joined", "joined"]


async def test_members_come_back_after_a_restart(kind, tmp_path):
    async with site(kind, tmp_path) as stage:
        urls = stage.url("ann"), stage.url("bob", "wire"), stage.url("cat", "wrapped"), stage.url("ann", "wire")
        everybody = {"ann": "online", "bob": "online", "cat": "online"}
        with page(tmp_path, *urls):
            await stage.expect(**everybody)
            for end in (stage.server.stop, stage.server.kill):
                await asyncio.to_thread(end)
                await asyncio.to_thread(stage.server.start)
                await stage.expect(40, **everybody)
                await stage.member("ann", connections=2)
                assert {row["connections"] for row in (await stage.members()).values()} == {1, 2}
                await stage.always(STALE_AFTER + INTERVAL, **everybody)
                assert sorted(await stage.history()) == [("joined", "ann"), ("joined", "bob"), ("joined", "cat")]
        await stage.expect(TIMEOUT + 20)


# Daphne itself ends connections that are a day old by the wall clock: it may jump by hours only.
@pytest.mark.parametrize("seconds", [36_000.0, -36_000.0], ids=["ahead", "back"])
async def test_a_clock_that_jumps_changes_nothing(tmp_path, seconds):
    async with site(DAPHNE, tmp_path) as stage:
        ann = await stage.visit("ann")
        bob = await stage.visit("bob", negotiated=False)
        await stage.expect(ann="online", bob="online")
        await stage.get("/jump/", seconds=seconds)
        await stage.always(INTERVAL, ann="online", bob="online")
        assert (await stage.members())["ann"]["heard_at"] >= (await stage.members())["ann"]["joined_at"] - abs(seconds)
        await bob.say(type="here")
        await stage.get("/jump/", seconds=0)
        await stage.always(STALE_AFTER + INTERVAL, ann="online", bob="online")
        # Time goes on as ever: silence is silence, whatever the clock on the wall says in between.
        ann.beating = False
        await stage.get("/jump/", seconds=seconds)
        await stage.expect(ann="stale", bob="idle")
        await stage.expect(bob="idle")
        assert [event for event, _ in await stage.history()] == ["joined", "joined", "left"]


async def test_a_server_that_sleeps_and_wakes_lets_nobody_go(kind, tmp_path):
    async with site(kind, tmp_path) as stage:
        ann = await stage.visit("ann")
        await stage.visit("bob", negotiated=False)
        with page(tmp_path, stage.url("cat")):
            await stage.expect(ann="online", bob="online", cat="online")
            os.kill(stage.server.pid, signal.SIGSTOP)
            # Longer than the time-out, and than the lease by which the fleet knows a node.
            await asyncio.sleep(max(12.0, 2 * TIMEOUT))
            os.kill(stage.server.pid, signal.SIGCONT)
            await stage.expect(ann="online", bob="online", cat="online")
            await stage.always(GRACE + TIMEOUT / 4, ann="online", bob="online", cat="online")
            assert [event for event, _ in await stage.history()] == ["joined"] * 3
            # And it has not forgotten how to let go.
            ann.beating = False
            await stage.expect(ann="stale", bob="idle", cat="online")
            await stage.expect(bob="idle", cat="online")
