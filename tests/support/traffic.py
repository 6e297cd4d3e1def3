"""The demo's visitors, as a process beside a server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.support.processes import Process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import Server


class Traffic(Process):
    """The demo's visitors, running; they listen on no port."""

    def _wait_until_accepting(self, timeout: float) -> None:
        assert timeout > 0


def make_traffic(server: Server, folder: Path, profile: str) -> Traffic:
    """Visitors of a site that are not running yet."""
    # What the site tells of itself, at whatever level, is asked of the site alone: a visitor's every frame is a line.
    env = {**server.env, "DJANGO_SETTINGS_MODULE": "hub.settings", "LOG_LEVEL": "WARNING"}
    command = [sys.executable, "-m", "django", "demo_traffic", "--url", server.ws_url, "--profile", profile]
    return Traffic("traffic", command, port=0, log=folder / "traffic.log", env=env)
