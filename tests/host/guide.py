"""
Follows ``docs/integration.md`` word for word on a project in an environment of its own.

The guide's blocks carry markers: ``host: <file>`` before a diff, ``host: run`` before commands, ``host: serve`` before
the command of a server, ``host: output`` before what the last command prints, ``host: undo`` before what follows once
the diffs are taken back. ``more:`` in place of ``host:`` marks the steps that may be left out, ``more: program`` a
program beside the project.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.markdown import Block, blocks
from tests.support.processes import ROOT, Process, environment, free_port

GUIDE = ROOT / "docs" / "integration.md"
OPERATOR = "alice"
#: What the sources of a project end with.
SOURCES = (".py", ".html")
#: How this machine reaches its packages; handed on to pip and uv.
NETWORK = ("PIP_", "UV_", "SSL_", "REQUESTS_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def network() -> dict[str, str]:
    """The variables of `NETWORK`; uv trusts the machine's certificates, as in the Makefile."""
    known = {name: value for name, value in os.environ.items() if name.upper().startswith(NETWORK)}
    return {"UV_SYSTEM_CERTS": "1", **known}


def marked(kind: str, part: str = "host") -> list[Block]:
    """The guide's blocks with a marker, in order; ``kind`` is what follows ``host:`` or ``more:``."""
    return [block for block in blocks(GUIDE) if block.marker == f"{part}: {kind}"]


def diffs(part: str) -> list[tuple[str, str]]:
    """The guide's changes in a part of it, ``host`` or ``more``: file and diff."""
    found = [(block.marker.partition(": "), block.text) for block in blocks(GUIDE) if block.language == "diff"]
    return [(file, diff) for (where, _, file), diff in found if where == part]


def apply_diff(source: str, diff: str, *, backwards: bool = False) -> str:
    """Change a file as a diff without line numbers says: its old lines must stand in the file exactly once."""
    gone, new = ("+", "-") if backwards else ("-", "+")
    lines = [line or " " for line in diff.splitlines()]
    old = "".join(f"{line[1:]}\n" for line in lines if line[0] in (" ", gone))
    replacement = "".join(f"{line[1:]}\n" for line in lines if line[0] in (" ", new))
    assert source.count(old) == 1, f"these lines stand {source.count(old)} times in the file:\n{old}"
    return source.replace(old, replacement)


@dataclass
class Host:
    """
    A project in an environment of its own.

    Args:
        folder: The project, with ``manage.py``.
        environment: The virtual environment.
        variables: Further environment variables.
    """

    folder: Path
    environment: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """What its programs run with: the environment activated, as a shell would have it."""
        inherited = environment()
        path = f"{self.environment / 'bin'}:{inherited['PATH']}"
        return {**inherited, **network(), "PATH": path, "VIRTUAL_ENV": str(self.environment), **self.variables}

    def run(self, command: str, *, text: str = "", ok: bool = True) -> str:
        """Run a command as it would be typed, in the project; return what it prints."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.env,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=80,
        )
        said = done.stdout + done.stderr
        assert (done.returncode == 0) is ok, f"$ {command}\nended with {done.returncode}:\n{said}"
        return done.stdout

    @contextmanager
    def serve(self, command: str) -> Iterator[Process]:
        """Run the command of a server, on a free port in place of the one that it names."""
        port = free_port()
        typed = shlex.split(command.replace("8000", str(port)))
        log = self.folder.parent / f"server-{port}.log"
        with Process("host", ["env", *typed], port=port, log=log, env=self.env, cwd=self.folder) as server:
            yield server

    def sources(self) -> dict[str, str]:
        """Every source file of the project."""
        paths = [path for path in sorted(self.folder.rglob("*.*")) if path.suffix in SOURCES]
        return {str(path.relative_to(self.folder)): path.read_text() for path in paths}

    def change(self, file: str, diff: str, *, backwards: bool = False) -> None:
        """Apply one of the guide's diffs to a file of the project."""
        path = self.folder / file
        path.write_text(apply_diff(path.read_text(), diff, backwards=backwards))

    def packages(self) -> set[str]:
        """What is installed."""
        return set(self.run("python -m pip freeze").splitlines())

    def schema(self) -> list[str]:
        """What the database holds that an application could leave behind."""
        query = (
            "import sqlite3; db = sqlite3.connect('db.sqlite3');"
            "print(*db.execute('select type, name, sql from sqlite_master order by 1, 2'), sep='\\n');"
            "print(*db.execute('select app_label, model from django_content_type order by 1, 2'), sep='\\n');"
            "print(*db.execute('select codename from auth_permission order by 1'), sep='\\n');"
            "print(*db.execute('select app, name from django_migrations order by 1, 2'), sep='\\n')"
        )
        return self.run(f'python -c "{query}"').splitlines()


def normalised(text: str) -> str:
    """Printed text without the run of blanks that aligns columns."""
    return re.sub(r" {2,}", "  ", text).strip()
