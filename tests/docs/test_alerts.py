"""``docs/alerts.md`` names every rule, key and look, and what it shows can be used."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from hub.alerting.pack import OFF, PACK, read_settings
from hub.alerting.sources import watched
from hub.alerting.trial import try_rules
from hub.core.looks import KINDS
from hub.core.rulebook import KEYS
from tests.docs.markdown import blocks, tables
from tests.support.processes import ROOT

DOCUMENT = ROOT / "docs" / "alerts.md"
RULES, KEYS_TOLD, LOOKS = tables(DOCUMENT)
WATCHED = watched()


def test_the_pack_is_that_of_the_code():
    assert {row["rule"]: row["severity"] for row in RULES} == {name: rule["severity"] for name, rule in PACK.items()}
    assert {row["rule"] for row in RULES if " Off: " in row["when"]} == OFF


@pytest.mark.parametrize("row", RULES, ids=lambda row: row["rule"])
def test_the_threshold_is_that_of_the_code(row):
    above = PACK[row["rule"]]["above"]
    words = {2: "twice", 3: "three times", 0: ""} if PACK[row["rule"]]["look"] == "change" else {0: ""}
    shown = words.get(above, f"{100 * above:g} %" if above < 1 else f"{above:,}".removesuffix(".0"))
    assert shown in row["when"]


def test_the_keys_are_those_of_the_code():
    told = {key for row in KEYS_TOLD for key in row["key"].replace("`", "").split(", ")}
    assert told == set(KEYS)


def test_the_looks_are_those_of_the_code():
    assert {row["look"]: row["of"].split(",")[0].split()[1] for row in LOOKS} == {
        look: of for look, (of, _) in KINDS.items()
    }


def test_the_example_of_settings_can_be_used():
    [block] = [block for block in blocks(DOCUMENT) if block.language == "python"]
    scope: dict[str, Any] = {}
    exec(block.text, scope)  # noqa: S102 - our own text
    rules, flaws = read_settings(scope["HUB"]["RULES"], WATCHED)
    assert [] == flaws
    assert {"crowded", "traffic_risen"} <= {rule.name for rule in rules}


def test_the_example_of_a_test_passes():
    [block] = [block for block in blocks(DOCUMENT) if block.language == "toml"]
    assert [("a crowd for a minute", [])] == list(try_rules(tomllib.loads(block.text), WATCHED))
