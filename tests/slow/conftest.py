"""A site with slow consumers on each server, and an operator who watches it."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.feed.site import log_in, prepare
from tests.slow.stage import Stage
from tests.support.servers import DAPHNE, UVICORN, Server, ServerKind, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def prepared_site(tmp_path_factory):
    """A folder with a database and operators, made once and copied by every site."""
    return prepare(tmp_path_factory.mktemp("prepared"))


@contextmanager
def running(kind: ServerKind, prepared: Path, folder: Path, **env: str) -> Iterator[Server]:
    """The site on a server, with a copy of the prepared database."""
    shutil.copytree(prepared, folder / "var", dirs_exist_ok=True)
    env = {"HUB_EVENTS_PER_SECOND": "1000", **env}
    with make_server(kind, "tests.slow.application:application", folder=folder, env=env) as server:
        yield server


@pytest.fixture(scope="module", params=[DAPHNE, UVICORN], ids=str)
def site(request, prepared_site, tmp_path_factory):
    """The servers in turn, each shared by a module's tests."""
    with running(request.param, prepared_site, tmp_path_factory.mktemp("slow")) as server:
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
