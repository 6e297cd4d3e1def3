"""
The one thing that building adds to hatchling: no wheel without the page.

The page is built by Vite and not committed, so a wheel made from a fresh clone would install a hub without a face
and nobody would notice until the first visit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MANIFEST = Path("hub", "web", "dist", "manifest.json")


class PageIsBuilt(BuildHookInterface[Any]):
    """Refuses to build anything but an editable install while ``hub/web/dist`` is missing."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  the interface's arguments
        """
        Check before hatchling collects the files.

        Raises:
            FileNotFoundError: The page has not been built.
        """
        if version != "editable" and not Path(self.root, MANIFEST).is_file():
            raise FileNotFoundError(
                f"{MANIFEST} is missing: the operator page is not built, and the wheel would lack it. "
                "Run `make wheel`, or build the page with `npm ci && npm run build` in frontend/ and try again."
            )
