from __future__ import annotations

import pytest

from hub.alerting.pack import INHIBITIONS, OFF, PACK, PLACE, read_settings
from hub.alerting.sources import watched
from hub.core.matchers import match
from hub.core.rules import SEVERITIES, Rule

WATCHED = watched()
OWN = {"look": "level", "of": "ws_connections_active", "above": 1000, "severity": "low", "summary": "{value}"}


def rules(given: object) -> dict[str, Rule]:
    found, flaws = read_settings(given, WATCHED)
    assert [] == list(map(str, flaws))
    return {rule.name: rule for rule in found}


def test_the_pack_is_what_there_is_without_settings():
    assert [name for name in PACK if name not in OFF] == list(rules({}))


def test_every_rule_says_what_to_do_and_how_bad_it_is():
    for rule in rules(dict.fromkeys(PACK, True)).values():
        assert rule.action
        assert rule.severity in SEVERITIES
        assert "{" in rule.summary


@pytest.mark.parametrize("name", PACK)
def test_each_rule_is_off_by_one_setting(name):
    assert name not in rules({**dict.fromkeys(OFF, True), name: False})


@pytest.mark.parametrize("name", sorted(OFF))
def test_what_is_off_is_on_by_one_setting(name):
    assert name in rules({name: True})
    assert name in rules({name: {"severity": "low"}})


@pytest.mark.parametrize("name", PACK)
def test_each_threshold_is_set_by_one_setting(name):
    changed = rules({name: {"above": 0.05}})[name]
    [before] = [rule for rule in rules(dict.fromkeys(PACK, True)).values() if rule.name == name]
    assert (0.05, 0.05, before.look, before.summary) == (
        changed.threshold, changed.release, changed.look, changed.summary,
    )  # fmt: skip


def test_another_threshold_may_have_a_release_of_its_own():
    changed = rules({"handler_errors": {"above": 20, "release": 2}})["handler_errors"]
    assert (20.0, 2.0) == (changed.threshold, changed.release)


def test_a_host_adds_its_own_at_the_end():
    assert [*rules({}), "crowded"] == list(rules({"crowded": OWN}))


def test_what_is_changed_wrongly_stays_as_it_is_and_is_said():
    found, [flaw] = read_settings({"handler_errors": {"above": "many"}}, WATCHED)
    assert f"{PLACE}['handler_errors']['above']" == flaw.place
    assert [10.0] == [rule.threshold for rule in found if rule.name == "handler_errors"]


def test_what_is_off_and_changed_wrongly_stays_off():
    found, [_] = read_settings({"node_lost": {"above": "many"}}, WATCHED)
    assert "node_lost" not in [rule.name for rule in found]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (5, "no dictionary"), ({"handler_erors": False}, "no such rule"), ({5: True}, "no such rule"),
        ({"own": 5}, "no rule"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_spoils_nothing(given, told):
    found, [flaw] = read_settings(given, WATCHED)
    assert told in flaw.message
    assert flaw.hint
    assert list(rules({})) == [rule.name for rule in found]


def test_what_explains_what_is_there_and_agrees_in_the_labels():
    known = rules(dict.fromkeys(PACK, True))
    for inhibition in INHIBITIONS:
        sides = [
            [rule for rule in known.values() if match(matchers, {"rule": rule.name})]
            for matchers in (inhibition.cause, inhibition.effect)
        ]
        for rule in (*sides[0], *sides[1]):
            assert set(inhibition.equal) <= set(rule.look.of.by)
        assert all(sides)
