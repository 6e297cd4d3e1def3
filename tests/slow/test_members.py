"""Who is slow, on real servers, where the host lets it be told; `test_causes` sees that it is not told by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.core.ledger import ANONYMOUS
from tests.feed.site import log_in
from tests.slow.conftest import running
from tests.support.servers import DAPHNE, UVICORN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers import Server

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]


@pytest.fixture(scope="module", params=[DAPHNE, UVICORN], ids=str)
def site(request, prepared_site, tmp_path_factory) -> Iterator[Server]:
    with running(request.param, prepared_site, tmp_path_factory.mktemp("slow"), HUB_SLOW_MEMBERS="1") as server:
        yield server


async def test_who_is_slow_is_told_from_the_first_event_to_the_ranked_list(site, stage):
    cookies = log_in(site, "second")
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    client = await stage.client("slow", additional_headers={"Cookie": header})
    await client.send("wait 2.5")
    opened = await stage.hear("slow.opened", "handler", "slow")
    assert "second" == opened["details"]["name"]
    member = opened["details"]["member"]
    assert member.isdigit()
    row = await stage.open_row(opened["connection"])
    assert (member, "second") == (row["member"], row["name"])
    closed = await stage.hear("slow.closed", "handler", "slow")
    assert (member, "second") == (closed["details"]["member"], closed["details"]["name"])


async def test_who_has_not_logged_in_is_nobody_in_particular(stage):
    client = await stage.client("impatient")
    await client.send("wait 0.6")
    opened = await stage.hear("slow.opened", "handler", "impatient")
    assert opened["details"]["member"].startswith(ANONYMOUS)
    assert "" == opened["details"]["name"]
    await stage.hear("slow.closed", "handler", "impatient")
