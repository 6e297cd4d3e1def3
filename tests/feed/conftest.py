"""Sites for the feed's tests."""

from __future__ import annotations

import pytest

from tests.feed.site import make_site, prepare
from tests.support.servers import DAPHNE, UVICORN


@pytest.fixture(scope="session")
def prepared_site(tmp_path_factory):
    """A folder with a database and operators, made once and copied by every site."""
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module", params=[DAPHNE, UVICORN], ids=str)
def site(request, prepared_site, tmp_path_factory):
    """A site that a module's tests share, on each server in turn; rights are looked at often."""
    folder = tmp_path_factory.mktemp("site")
    env = {"HUB_FEED_RIGHTS_INTERVAL": "0.3", "HUB_FEED_HEARTBEAT": "1", "HUB_EVENTS_PER_SECOND": "1000"}
    with make_site(request.param, prepared_site, folder, **env) as server:
        yield server


@pytest.fixture(params=[DAPHNE, UVICORN], ids=str)
def own_site(request, prepared_site, tmp_path, processes):
    """``own_site(HUB_...="...")``: a site of this test's own, on each server in turn."""

    def start(**env):
        server = make_site(request.param, prepared_site, tmp_path, **env)
        processes.append(server)
        server.start()
        return server

    return start
