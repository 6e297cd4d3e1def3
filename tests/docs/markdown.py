"""The documents as tests read them: fenced blocks with the marker before each, tables, links, inline code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import ROOT

DOCUMENTS = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.joinpath("docs").glob("*.md")))

_FENCE = re.compile(
    r"(?:^<!-- (?P<marker>[^\n]+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, the HTML comment right before it, and its text."""

    document: Path
    line: int
    language: str
    marker: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The lines behind a prompt."""
        return [line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ ")]


def blocks(document: Path) -> list[Block]:
    """Every fenced block of a document."""
    text = document.read_text()
    return [
        Block(
            document,
            text.count("\n", 0, found.start("text")),
            found["language"],
            found["marker"] or "",
            found["text"],
        )
        for found in _FENCE.finditer(text)
    ]


def all_blocks(*languages: str) -> list[Block]:
    """Every fenced block of these languages, in all documents."""
    return [block for document in DOCUMENTS for block in blocks(document) if block.language in languages]


def prose(document: Path) -> str:
    """A document without its fenced blocks."""
    return _FENCE.sub("", document.read_text())


def tables(document: Path) -> list[list[dict[str, str]]]:
    """Every table of a document, as rows by column heading; code ticks are taken off cells that are code alone."""
    found: list[list[dict[str, str]]] = []
    heading: list[str] | None = None
    for line in [*prose(document).splitlines(), ""]:
        if not line.startswith("|"):
            heading = None
            continue
        cells = [_plain(cell) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if heading is None:
            heading = cells
            found.append([])
        elif not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            found[-1].append(dict(zip(heading, cells, strict=True)))
    return found


def _plain(cell: str) -> str:
    text = cell.strip().replace(r"\|", "|")
    return text[1:-1] if re.fullmatch(r"`[^`]*`", text) else text


def anchors(document: Path) -> set[str]:
    """What a link can point to in a document, as GitHub makes it from headings."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
