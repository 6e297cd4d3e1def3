"""``docs/operations.md`` names every event, check and place of a fault, and no other."""

from __future__ import annotations

import re

from hub.core import presence
from hub.core.events import SEVERITY_BY_KIND
from hub.feed import wire
from tests.docs.markdown import prose, tables
from tests.support.processes import ROOT

DOCUMENT, FEED = ROOT / "docs" / "operations.md", ROOT / "docs" / "feed.md"
EVENTS, STATES, CHECKS, PLACES = tables(DOCUMENT)
SOURCES = {path: path.read_text() for path in sorted(ROOT.joinpath("hub").rglob("*.py"))}


def in_sources(pattern: str) -> set[str]:
    return {found for source in SOURCES.values() for found in re.findall(pattern, source)}


def test_the_events_are_those_of_the_code():
    assert {row["kind"]: row["severity"] for row in EVENTS} == SEVERITY_BY_KIND


def test_the_states_of_members_are_those_of_the_code():
    assert [row["state"] for row in STATES] == ["online", "idle", "stale", "gone"]
    assert {row["state"] for row in STATES} == {*presence.STATES, "gone"}


def test_the_checks_are_those_of_the_code():
    assert {row["id"] for row in CHECKS} == in_sources(r"\"(hub\.[EW]\d{3})\"")


def test_the_places_of_faults_are_those_of_the_code():
    recorded = in_sources(r"record_fault\(\s*[\"](.+?)[\"],")
    kept = in_sources(r"\.keep\(.+, [\"](\w+)[\"]\)")
    named = {place for row in PLACES for place in (re.findall(r"`(.+?)`", row["place"]) or [row["place"]])}
    assert named == recorded | kept


def test_the_log_line_is_that_of_the_code():
    line = "Channels Hub: fault in <place> (further ones are only counted)"
    assert line in DOCUMENT.read_text()
    assert line.replace("<place>", "%s") in SOURCES[ROOT / "hub" / "faults.py"]


def test_the_limits_of_logins_are_those_of_the_code():
    assert "ten for one name from one address in five minutes" in " ".join(prose(DOCUMENT).split())
    assert "Throttle(attempts=10, window=300.0" in SOURCES[ROOT / "hub" / "web" / "views.py"]


def test_close_codes_are_those_of_the_code():
    codes = {str(value) for name, value in vars(wire).items() if name.startswith("CLOSE_")}
    named = {
        code: document.name for document in (DOCUMENT, FEED) for code in re.findall(r"\b4\d{3}\b", prose(document))
    }
    assert {code: name for code, name in named.items() if code not in codes} == {}
    assert codes <= {row["code"] for table in tables(FEED) for row in table if "code" in row}
    senders = [row for row in PLACES if "sender" in row["place"]]
    assert {str(wire.CLOSE_INTERNAL_ERROR)} == {row["what becomes of it"].rpartition(" ")[2] for row in senders}
