"""The built page: files with hashed names, as Vite's manifest lists them, kept in memory."""

import json
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

#: Where `make install`, and the wheel, put the built page.
DIST = Path(__file__).parent / "dist"


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
    """A built file by its name in the manifest; None for any other name."""
    return _files(dist).get(name)


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
    content_type = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0]
    return Asset(path.read_bytes(), content_type or "application/octet-stream")
