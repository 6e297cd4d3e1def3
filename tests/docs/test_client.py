"""``docs/client.md`` and the library's own README name every option of both clients with its default, and no other."""

from __future__ import annotations

import inspect
import re
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from hub import client
from hub.client import connect
from tests.docs.markdown import prose, tables
from tests.support.processes import ROOT

DOCUMENT = ROOT / "docs" / "client.md"
LIBRARY = ROOT / "frontend" / "client"
SOURCE = LIBRARY.joinpath("hubsocket.ts").read_text()
#: What stands for a default that the code has not as a literal.
WORDS: dict[str, Any] = {"none": None, "None": None, "no limit": float("inf"), "by the close code": "comesBack"}


def documented(rows: list[dict[str, str]]) -> dict[str, Any]:
    """Defaults by option; a row may have two of each."""
    found: dict[str, Any] = {}
    for row in rows:
        name, default = list(row.values())[:2]
        names = re.findall(r"\w+", name)
        for one, value in zip_longest(names, default.split(" and ")):
            assert one is not None, row
            found[one] = plain(value)
    return found


def plain(default: str) -> Any:
    """A default as it is written in a document."""
    text = default.replace("`", "").replace(",", "").removesuffix(" s")
    if text in WORDS:
        return WORDS[text]
    if text.endswith(" MiB"):
        return int(text.removesuffix(" MiB")) << 20
    if text.isdigit():
        return int(text)
    return {"true": True, "True": True}.get(text, text)


def options_of(interface: str) -> list[str]:
    body = re.search(rf"^export interface {interface} \{{$(.*?)^\}}$", SOURCE, re.MULTILINE | re.DOTALL)
    assert body is not None
    return re.findall(r"^  (?:readonly )?(\w+)\??[:(]", body[1], re.MULTILINE)


def written_in_code(option: str) -> Any:
    """A default as the code has it."""
    found = re.search(rf"\b{option}(?: =|[^;{{]{{0,3}}\?\?) ([\w.* ]+?)\s?[,)}}]", SOURCE)
    if found is None:
        return {"negotiate": True, "reconnect": "comesBack"}.get(option)
    value = found[1]
    if value == "Number.POSITIVE_INFINITY":
        return float("inf")
    base, _, power = value.partition(" ** ")
    return int(base) ** int(power or 1)


@pytest.mark.parametrize("document", [DOCUMENT, LIBRARY / "README.md"], ids=lambda path: path.name)
def test_the_browsers_options_are_written_as_they_are(document: Path):
    rows = next(table for table in tables(document) if "option" in table[0])
    assert documented(rows) == {option: written_in_code(option) for option in options_of("HubSocketOptions")}


def test_what_is_on_where_nothing_is_said_is_so_in_the_code():
    assert "this.#options.negotiate === false" in SOURCE
    assert "this.#options.reconnect !== false" in SOURCE


def test_pythons_keywords_are_written_as_they_are():
    keywords = {
        name: parameter.default.__name__ if inspect.isfunction(parameter.default) else parameter.default
        for name, parameter in inspect.signature(connect).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    rows = next(table for table in tables(DOCUMENT) if "keyword" in table[0])
    written = {name: getattr(client, str(value), value) for name, value in documented(rows).items()}
    assert written == keywords | {"reconnect_delays": client.full_jitter}


def test_what_a_resume_hook_is_given_is_the_same_in_both_and_written():
    browser = set(options_of("ResumeContext"))
    python = set(inspect.signature(client.ResumeContext).parameters) | {"send"}
    # Each by the word of its platform.
    assert browser - {"url"} == python - {"uri"}
    assert {name for name in browser | python if f"{name}" not in DOCUMENT.read_text()} == set()
    table = LIBRARY.joinpath("README.md").read_text().partition("`ResumeContext`:\n\n")[2].partition("\n\n")[0]
    assert browser == {name for row in table.splitlines() for name in re.findall(r"`(\w+)", row.split("|")[1])}


def test_what_closes_for_good_is_the_same_in_both_and_written():
    text = " ".join(prose(DOCUMENT).split())
    assert "the code is 1000 or 1008, or one from 4400 to 4499" in text
    assert "(4408, 4425 and 4429 excepted" in text
    assert frozenset({1000, 1008, *range(4400, 4500)}) - {4408, 4425, 4429} == client.FINAL_CODES
    assert "code === 1000 || code === 1008 || (code >= 4400 && code <= 4499)" in SOURCE
    assert "/^44(08|25|29)$/" in SOURCE
