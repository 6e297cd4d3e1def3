"""
What was built, kept in memory: the page, whose files have hashed names as Vite's manifest lists them; the incident
notes; and the client library for hosts' own pages, whose names stay.
"""

import hashlib
import json
import mimetypes
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

#: Where `make install`, and the wheel, put the built page.
DIST = Path(__file__).parent / "dist"
#: The client library's part of it.
CLIENT = "client"
#: The incident notes, made of `docs/incidents.md`.
INCIDENTS = "incidents.html"


@dataclass(frozen=True)
class Entry:
    """What a page must load: a module script (or none) and style sheets."""

    script: str | None
    styles: tuple[str, ...]


@dataclass(frozen=True)
class Asset:
    """A built file."""

    content: bytes
    content_type: str

    @cached_property
    def etag(self) -> str:
        """Changes with the content; as the HTTP header has it, with its quotes."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


def entry(source: str, dist: Path = DIST) -> Entry | None:
    """
    The built files of an entry point.

    Args:
        source: Its path in the sources, such as ``src/main.tsx``.

    Returns:
        None if the page has not been built.
    """
    manifest = _manifest(dist)
    chunk = manifest.get(source)
    if chunk is None:
        return None
    styles = [style for name in [source, *chunk.get("imports", [])] for style in manifest[name].get("css", [])]
    if chunk["file"].endswith(".css"):
        return Entry(None, (chunk["file"], *styles))
    return Entry(chunk["file"], tuple(styles))


def asset(name: str, dist: Path = DIST) -> Asset | None:
    """A built file of the page by its name, which has its hash; None for any other name."""
    return None if name == INCIDENTS or name.startswith(f"{CLIENT}/") else _files(dist).get(name)


def incidents(dist: Path = DIST) -> str | None:
    """The incident notes, as HTML that stands within a page; None if they have not been built."""
    found = _files(dist).get(INCIDENTS)
    return None if found is None else found.content.decode()


def client_file(name: str, dist: Path = DIST) -> Asset | None:
    """A file of the client library by its name, such as ``hubsocket.js``; None for any other name."""
    return _files(dist).get(f"{CLIENT}/{name}")


@cache
def _manifest(dist: Path) -> dict[str, Any]:
    path = dist / "manifest.json"
    return json.loads(path.read_text()) if path.is_file() else {}


@cache
def _files(dist: Path) -> dict[str, Asset]:
    if not dist.is_dir():
        return {}
    files = [path for path in dist.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return {path.relative_to(dist).as_posix(): _read(path) for path in files}


def _read(path: Path) -> Asset:
    # What the machine's own table says of these differs, down to films for TypeScript.
    known = {".js": "text/javascript", ".map": "application/json", ".ts": "text/plain"}
    content_type = known.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return Asset(path.read_bytes(), content_type or "application/octet-stream")
