"""A Redis server of a test's own, which it may stop, kill and flush."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.processes import LOCALHOST, Process, environment, free_port
from tests.support.require import require

if TYPE_CHECKING:
    from pathlib import Path


class RedisServer(Process):
    """A running Redis, without persistence: a restart is a Redis that has forgotten everything."""

    @property
    def url(self) -> str:
        """What ``REDIS_URL`` takes."""
        return f"redis://{self.host}/0"


def make_redis(folder: Path) -> RedisServer:
    """Make a Redis that is not running yet, on a free port; it is a context manager."""
    port = free_port()
    options = ["--bind", LOCALHOST, "--port", str(port), "--dir", str(folder), "--save", "", "--appendonly", "no"]
    command = [require("redis-server"), *options]
    return RedisServer("redis", command, port=port, log=folder / f"redis-{port}.log", env=environment(), cwd=folder)
