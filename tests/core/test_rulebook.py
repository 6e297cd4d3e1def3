from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.looks import Look
from hub.core.matchers import parse_matchers
from hub.core.rulebook import KEYS, MAX_RULES, Flaw, read_rule, read_rules
from hub.core.rules import Rule
from hub.core.series import Selection
from tests import strategies  # noqa: F401 - loads the profile
from tests.core.watching import WATCHED

GOOD = {
    "look": "count", "of": "errors_total", "where": "tenant!=test", "by": ["tenant"], "window": 300, "least": 2,
    "above": 10, "release": 5, "for": 30, "keep": 120, "severity": "high", "summary": "{value} at {tenant}, {team}",
    "action": "Look.", "runbook": "https://example.com/book#errors", "labels": {"team": "chat"},
}  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


def flaws_of(**changed) -> list[Flaw]:
    given = {key: value for key, value in {**GOOD, **changed}.items() if value is not ...}
    found, flaws = read_rule("errors", given, WATCHED, "HUB['RULES']['errors']")
    assert (found is None) == bool(flaws)
    return flaws


def test_a_rule_is_read_as_it_is_written():
    found, flaws = read_rule("errors", GOOD, WATCHED, "here")
    look = Look(
        "count", Selection("errors_total", parse_matchers("tenant!=test"), ("tenant",)), window=300.0, least=2.0
    )
    assert [] == flaws
    assert found == Rule(
        name="errors", look=look, threshold=10.0, release=5.0, severity="high", summary="{value} at {tenant}, {team}",
        wait=30.0, keep=120.0, action="Look.", runbook="https://example.com/book#errors", unit="errors",
        labels=(("team", "chat"),),
    )  # fmt: skip


def test_what_is_left_out_has_a_sensible_default():
    found, _ = read_rule(
        "deep", {"look": "level", "of": "depth", "below": 3, "severity": "low", "summary": "!"}, WATCHED, ""
    )
    assert found is not None
    assert (("consumer", "tenant"), 3.0, 0.0, 60.0) == (found.look.of.by, found.release, found.wait, found.keep)


@pytest.mark.parametrize(
    ("key", "changed", "told"),
    [
        ("colour", {"colour": 1}, "no 'colour'"),
        ("look", {"look": "average"}, "'average'"),
        ("look", {"look": ...}, "missing"),
        ("of", {"of": "erors_total"}, "'erors_total'"),
        ("of", {"of": "depth"}, "depth is a gauge"),
        ("of", {"of": 5}, "5"),
        ("where", {"where": "tenant"}, "'tenant'"),
        ("where", {"where": "shop=a"}, "no label 'shop'"),
        ("by", {"by": ["shop"]}, "no label 'shop'"),
        ("by", {"by": "tenant"}, "'tenant'"),
        ("by", {"by": ["tenant", "tenant"]}, "twice"),
        ("highest", {"highest": True}, "counter"),
        ("window", {"window": ...}, "missing"),
        ("window", {"window": "5m"}, "'5m'"),
        ("window", {"window": True}, "True"),
        ("window", {"window": 0}, "0"),
        ("window", {"look": "level", "of": "depth"}, "no use"),
        ("quantile", {"quantile": 0.5}, "no use"),
        ("quantile", {"look": "quantile", "of": "seconds", "quantile": 95}, "95"),
        ("under", {"under": "received_total"}, "no use"),
        ("under", {"look": "ratio", "under": ...}, "missing"),
        ("by", {"look": "share", "of": "errors_total", "under": "up"}, "both metrics"),
        ("offset", {"look": "change", "offset": 60}, "overlap"),
        ("above", {"above": ...}, "not said"),
        ("above", {"below": 1}, "both sides"),
        ("above", {"above": float("nan")}, "nan"),
        ("release", {"release": 11}, "beyond the threshold"),
        ("release", {"above": ..., "below": 10, "release": 9}, "beyond the threshold"),
        ("for", {"for": -1}, "-1"),
        ("keep", {"keep": 1e9}, "1000000000.0"),
        ("severity", {"severity": "urgent"}, "'urgent'"),
        ("summary", {"summary": ...}, "missing"),
        ("summary", {"summary": " "}, "' '"),
        ("summary", {"summary": "{consumer}"}, "{consumer}"),
        ("summary", {"summary": "x" * 1001}, "xxx"),
        ("action", {"action": "{nobody}"}, "{nobody}"),
        ("runbook", {"runbook": "javascript:alert(1)"}, "no address"),
        ("labels", {"labels": {"severity": "low"}}, "no labels"),
        ("labels", {"labels": {"team": 5}}, "no labels"),
        ("labels", {"labels": ["team"]}, "no labels"),
    ],
)  # fmt: skip
def test_a_flaw_names_the_place_what_stands_there_and_the_remedy(key, changed, told):
    [flaw] = flaws_of(**changed)
    assert f"HUB['RULES']['errors'][{key!r}]" == flaw.place
    assert told in flaw.message
    assert flaw.hint


def test_all_flaws_are_told_at_once():
    found = flaws_of(look="average", above="ten", severity="urgent", summary=5, colour=1)
    assert ["colour", "look", "above", "severity", "summary"] == [flaw.place.split("'")[-2] for flaw in found]


@pytest.mark.parametrize("name", ["", "Errors", "1st", "a b", "a" * 65, 5, None])
def test_a_name_must_do_as_a_label(name):
    found, [flaw] = read_rule(name, GOOD, WATCHED, "here")
    assert (None, "lower-case" in flaw.hint) == (found, True)


@pytest.mark.parametrize("written", [None, "a rule", [GOOD], 5])
def test_what_is_no_dictionary_is_no_rule(written):
    assert "no rule" in read_rule("errors", written, WATCHED, "here")[1][0].message
    assert "no dictionary" in read_rules(written, WATCHED, "here")[1][0].message


def test_a_flawed_rule_does_not_keep_the_others_from_being_used():
    rules, flaws = read_rules({"good": GOOD, "bad": {**GOOD, "window": 0}}, WATCHED, "HUB['RULES']")
    assert (["good"], ["HUB['RULES']['bad']['window']"]) == (
        [rule.name for rule in rules], [flaw.place for flaw in flaws],
    )  # fmt: skip
    assert "HUB['RULES']['bad']['window']: 0 can't be it. Give a number of at least 1" in str(flaws[0])


def test_there_is_a_bound_to_rules():
    rules, [flaw] = read_rules({f"r{number}": GOOD for number in range(MAX_RULES + 1)}, WATCHED, "here")
    assert (MAX_RULES, "too many" in flaw.message) == (len(rules), True)


@given(st.dictionaries(st.sampled_from(KEYS), anything, max_size=6), st.booleans())
def test_whatever_is_written_is_a_rule_or_flawed_and_never_an_error(written, over_good):
    found, flaws = read_rule("errors", {**(GOOD if over_good else {}), **written}, WATCHED, "here")
    assert (found is None) == bool(flaws)


@given(anything)
def test_nor_is_what_is_no_rule_at_all(written):
    read_rules(written, WATCHED, "here")
