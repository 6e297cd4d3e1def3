"""A site with slow consumers on each server, and an operator who watches it."""

from __future__ import annotations

import shutil

import pytest

from tests.feed.site import log_in, prepare
from tests.slow.stage import Stage
from tests.support.servers import DAPHNE, UVICORN, make_server


@pytest.fixture(scope="session")
def prepared_site(tmp_path_factory):
    """A folder with a database and operators, made once and copied by every site."""
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module", params=[DAPHNE, UVICORN], ids=str)
def site(request, prepared_site, tmp_path_factory):
    """The servers in turn, each shared by a module's tests."""
    folder = tmp_path_factory.mktemp("slow")
    shutil.copytree(prepared_site, folder / "var", dirs_exist_ok=True)
    env = {"HUB_EVENTS_PER_SECOND": "1000"}
    with make_server(request.param, "tests.slow.application:application", folder=folder, env=env) as server:
        yield server


@pytest.fixture(scope="module")
def cookies(site):
    return log_in(site, "ops")


@pytest.fixture
async def stage(site, cookies):
    """The operator is connected; at the end, no fault was counted and nothing is slow any more."""
    async with Stage(site, cookies) as made:
        yield made
    assert made.faults() == ""
