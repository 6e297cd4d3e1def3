"""
Real ASGI servers, each a process of its own on a free port of 127.0.0.1.

```python
def test_echo(start_server, server_kind):
    server = start_server(server_kind, "tests.support.apps:application", env={"HUB_ENABLED": "0"})
    with connect(f"{server.ws_url}/ws/echo/") as websocket:
        ...
```
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import LOCALHOST, ROOT, Process, environment, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class ServerKind:
    """A server and the WebSocket implementation that it is told to use."""

    id: str
    module: str
    options: tuple[str, ...] = ()
    #: None: the server has but one.
    websocket_implementation: str | None = None

    def command(self, application: str, port: int) -> list[str]:
        """Return what starts it; ``application`` is ``module:attribute``."""
        address = {
            "daphne": ["-b", LOCALHOST, "--port", str(port)],
            "hypercorn": ["-b", f"{LOCALHOST}:{port}"],
            "uvicorn": ["--host", LOCALHOST, "--port", str(port)],
        }[self.module]
        implementation = ["--ws", self.websocket_implementation] if self.websocket_implementation else []
        options = [*self.options, *address, *implementation]
        return [sys.executable, "-m", self.module, *options, application]

    def __str__(self) -> str:
        return self.id


UVICORN_OPTIONS = ("--log-level", "warning", "--no-access-log", "--timeout-graceful-shutdown", "5")

DAPHNE = ServerKind("daphne", "daphne", ("--no-server-name", "--access-log", "/dev/null"))
UVICORN = ServerKind("uvicorn-sansio", "uvicorn", UVICORN_OPTIONS, "websockets-sansio")
#: The legacy implementation; uvicorn warns that it will go.
UVICORN_LEGACY = ServerKind("uvicorn-legacy", "uvicorn", UVICORN_OPTIONS, "websockets")
UVICORN_WSPROTO = ServerKind("uvicorn-wsproto", "uvicorn", UVICORN_OPTIONS, "wsproto")

#: In one process, not in a child of it: every signal goes to the one that serves.
HYPERCORN_OPTIONS = ("--workers", "0", "--log-level", "warning", "--graceful-timeout", "5")
HYPERCORN = ServerKind("hypercorn", "hypercorn", HYPERCORN_OPTIONS)

SERVER_KINDS = (DAPHNE, UVICORN, UVICORN_LEGACY, UVICORN_WSPROTO)


def require_server(kind: ServerKind) -> ServerKind:
    """Return the server, or skip the test where it is not installed."""
    if find_spec(kind.module) is None:
        pytest.skip(f"{kind.module} is not installed (pip install {kind.module})")
    return kind


class Server(Process):
    """A running ASGI server."""

    @property
    def ws_url(self) -> str:
        """Where it answers WebSocket handshakes, without a slash at the end."""
        return f"ws://{self.host}"

    def manage(self, *arguments: str) -> str:
        """
        Run a command of ``manage.py`` with this server's environment, hence on its database.

        Returns:
            What the command printed; where it fails, that is in the error.
        """
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            cwd=self.cwd,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"manage.py {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}"
        return done.stdout


def make_server(
    kind: ServerKind,
    application: str,
    *,
    folder: Path,
    env: Mapping[str, str],
    cwd: Path = ROOT,
    port: int | None = None,
) -> Server:
    """
    Make a server that is not running yet; it is a context manager.

    Args:
        kind: One of ``SERVER_KINDS``.
        application: ``module:attribute`` of the ASGI application.
        folder: Where its log goes.
        env: The environment, beside the few names that every process inherits. Nothing else reaches it but
            ``HUB_VAR``: what the site keeps, its database above all, goes into ``folder`` and not into ``var/``.
        cwd: Its working directory, which is also where it imports from.
        port: A port of 127.0.0.1; by default a free one.
    """
    port = port or free_port()
    variables = environment(**{"PYTHONPATH": str(ROOT), "HUB_VAR": str(folder / "var"), **env})
    return Server(
        kind.id,
        kind.command(application, port),
        port=port,
        log=folder / f"{kind.id}-{port}.log",
        env=variables,
        cwd=cwd,
    )
