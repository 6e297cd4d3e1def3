from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from hub.alerting.pack import PACK
from hub.alerting.sources import watched
from hub.alerting.trial import try_rules
from hub.core.errors import ConfigurationError

DOCUMENT: dict[str, Any] = tomllib.loads(Path(__file__).with_name("pack.toml").read_text())
WATCHED = watched()
ERRORS = {
    "metric": "ws_handler_errors_total",
    "labels": {"consumer": "chat", "tenant": "acme", "exception": "ValueError"},
    "values": "11",
}
FIRES = {"at": 0, "rule": "handler_errors", "state": "firing"}


def outcome(expect: dict[str, Any], **series: Any) -> list[str]:
    trial = {"name": "one", "series": [{**ERRORS, **series}], "expect": [{**FIRES, **expect}]}
    [(name, failures)] = try_rules({"tests": [trial]}, WATCHED)
    assert "one" == name
    return failures


# --- the rule pack ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(DOCUMENT["tests"])), ids=lambda number: DOCUMENT["tests"][number]["name"])
def test_each_rule_of_the_pack_fires_when_it_should_and_is_over_when_it_should(number):
    alone = {"rules": DOCUMENT["rules"], "tests": [DOCUMENT["tests"][number]]}
    assert [[]] == [failures for _, failures in try_rules(alone, WATCHED)]


def test_none_is_forgotten():
    expected: dict[str, set[str]] = {}
    for trial in DOCUMENT["tests"]:
        for one in trial["expect"]:
            expected.setdefault(one["rule"], set()).add(one["state"])
    assert dict.fromkeys(PACK, True) == {rule: {"firing", "inactive"} <= states for rule, states in expected.items()}


# --- failures -----------------------------------------------------------------------------------------------------


def test_what_is_as_expected_is_no_failure():
    assert [] == outcome({})
    assert [] == outcome({"labels": {"tenant": "acme"}})
    assert [] == outcome({"state": "inactive", "labels": {"tenant": "globex"}})


def test_what_is_not_says_when_what_and_how():
    assert ["at 0 s handler_errors with {'tenant': 'globex'} is inactive, not firing"] == outcome(
        {"labels": {"tenant": "globex"}}
    )
    assert ["at 0 s handler_errors is inactive, not firing"] == outcome({}, values="10")


def test_between_samples_far_apart_it_is_looked_at_as_in_reality():
    series = {"metric": "ws_inbound_backlog_messages", "labels": {"consumer": "chat"}, "values": "2000x3"}
    expect = [
        {"at": at, "rule": "inbound_backlog", "state": state} for at, state in ((29.5, "pending"), (30, "firing"))
    ]
    trial = {"step": 300, "series": [series], "expect": expect}
    assert [("tests[0]", [])] == list(try_rules({"tests": [trial]}, WATCHED))


def test_own_rules_are_tried_beside_the_pack():
    own = {
        "look": "level", "of": "ws_connections_active", "above": 1, "severity": "low", "summary": "{value}",
    }  # fmt: skip
    series = {"metric": "ws_connections_active", "labels": {"consumer": "chat"}, "values": "2"}
    trial = {"series": [series], "expect": [{"at": 0, "rule": "own", "state": "firing"}]}
    assert [("tests[0]", [])] == list(try_rules({"rules": {"own": own}, "tests": [trial]}, WATCHED))


# --- what can't be read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (None, "no tests"),
        ({}, "no tests"),
        ({"tests": {"name": "one"}}, "no list"),
        ({"tests": ["one"]}, r"tests\[0\] is 'one', no table"),
        ({"tests": [{"nam": "one"}]}, "unknown key 'nam'"),
        ({"tests": [{"name": "one"}]}, "expects nothing"),
        ({"tests": [{"step": 0, "expect": [FIRES]}]}, "step above 0"),
        ({"tests": [{"step": "1s", "expect": [FIRES]}]}, "'1s'"),
        ({"tests": [{"expect": [{**FIRES, "at": 1e6}]}]}, "longer step"),
        ({"tests": [{"expect": [{**FIRES, "at": -1}]}]}, "-1"),
        ({"tests": [{"expect": [{**FIRES, "rule": "nothing"}]}]}, "'nothing'.*handler_errors"),
        ({"tests": [{"expect": [{**FIRES, "state": "on"}]}]}, "'on'.*pending"),
        ({"tests": [{"expect": [{**FIRES, "labels": {"tenant": 5}}]}]}, "tenant"),
        ({"tests": [{"series": [{**ERRORS, "metric": "errors"}], "expect": [FIRES]}]}, "no 'errors'"),
        ({"tests": [{"series": [{**ERRORS, "labels": {"shop": "a"}}], "expect": [FIRES]}]}, "'shop'"),
        ({"tests": [{"series": [{**ERRORS, "values": "5 five"}], "expect": [FIRES]}]}, "5 five"),
        ({"tests": [{"series": [{**ERRORS, "values": [5]}], "expect": [FIRES]}]}, r"\[5\]"),
        ({"tests": [{"series": [{**ERRORS, "values": "1x999999"}], "expect": [FIRES]}]}, "longer step"),
        ({"tests": [{"series": [{**ERRORS, "times": 0}], "expect": [FIRES]}]}, "times is 0"),
        ({"rules": {"own": {}}, "tests": [{}]}, "own"),
    ],
)
def test_what_cannot_be_read_is_said_with_place_and_remedy(document, told):
    with pytest.raises(ConfigurationError, match=told):
        list(try_rules(document, WATCHED))
