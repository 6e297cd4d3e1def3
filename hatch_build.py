"""
The one thing that building adds to hatchling: no wheel without the page and the client library.

Both are built by Vite and not committed, so a wheel made from a fresh clone would install a hub without a face
and nobody would notice until the first visit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

DIST = Path("hub", "web", "dist")
#: What a build leaves there: the list of the page's files, the incident notes, the client library.
BUILT = (DIST / "manifest.json", DIST / "incidents.html", DIST / "client" / "hubsocket.js")


class PageIsBuilt(BuildHookInterface[Any]):
    """Refuses to build anything but an editable install while ``hub/web/dist`` is missing."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  the interface's arguments
        """
        Check before hatchling collects the files.

        Raises:
            FileNotFoundError: The page or the library has not been built.
        """
        missing = [str(file) for file in BUILT if not Path(self.root, file).is_file()]
        if version != "editable" and missing:
            raise FileNotFoundError(
                f"{' and '.join(missing)}: not built, and the wheel would lack the page or the client library. "
                "Run `make wheel`, or build both with `npm ci && npm run build` in frontend/ and try again."
            )
