from __future__ import annotations

import pytest

from hub.alerting.pack import PACK
from hub.alerting.setup import read_setup
from hub.conf import Config

OWN = {"look": "level", "of": "ws_connections_active", "above": 5000, "severity": "low", "summary": "{tenant}: {value}"}


def runbooks(**settings) -> dict[str, str]:
    return {rule.name: rule.runbook for rule in read_setup(Config(**settings)).rules}


def test_rules_of_the_pack_lead_to_the_hub_s_own_notes():
    found = runbooks()
    assert {f"incidents/#{name}" for name in found} == set(found.values())
    assert found.keys() <= PACK.keys()


def test_a_rule_of_the_host_has_none_unless_it_says_so():
    rules = {"crowded": OWN, "packed": {**OWN, "runbook": "/wiki/packed"}, "loop_blocked": {"runbook": "/wiki/loop"}}
    found = runbooks(rules=rules)
    assert ("", "/wiki/packed", "/wiki/loop") == tuple(found[name] for name in rules)


def test_the_host_s_notes_take_the_place_of_the_hub_s():
    found = runbooks(rules={"crowded": OWN}, runbooks="https://wiki.example.com/hub")
    assert {f"https://wiki.example.com/hub#{name}" for name in found} == set(found.values())
    assert "crowded" in found


@pytest.mark.parametrize(
    ("given", "page"),
    [
        (None, ""),
        ("https://hub.example.com/hub/", "https://hub.example.com/hub/"),
        ("https://hub.example.com/hub", "https://hub.example.com/hub/"),
        ("https://hub.example.com", "https://hub.example.com/"),
        ("https://hub.example.com/hub?a=b", "https://hub.example.com/hub/?a=b"),
    ],
)
def test_the_page_is_where_its_links_begin(given, page):
    assert page == read_setup(Config(page_url=given)).page
