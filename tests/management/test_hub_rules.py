from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from hub.alerting.pack import OFF, PACK
from hub.conf import config

TESTS = Path(__file__).parent.parent / "alerting" / "pack.toml"


@pytest.fixture(autouse=True)
def _fresh_settings():
    config.cache_clear()
    yield
    config.cache_clear()


def run(capsys, *arguments: str) -> str:
    call_command("hub_rules", *arguments)
    return str(capsys.readouterr().out)


def test_the_pack_is_checked(capsys):
    assert f"{len(PACK) - len(OFF)} rules are on" in run(capsys, "check")


@override_settings(HUB={"RULES": {"handler_errors": {"above": "many"}}})
def test_what_is_wrong_is_said_and_fails(capsys):
    with pytest.raises(CommandError, match="1 of what"):
        call_command("hub_rules", "check")
    assert "HUB['RULES']['handler_errors']['above']: 'many'" in capsys.readouterr().err


@override_settings(HUB={"RULES": {"handler_errors": {"above": 20}, "layer_filling": False}})
def test_they_are_listed_for_people_and_programs(capsys):
    lines = run(capsys, "list").splitlines()
    [line] = [line for line in lines if line.startswith("handler_errors ")]
    assert "high      count of ws_handler_errors_total within 5 min above 20 errors, by consumer, tenant" in line
    assert "Off: layer_filling, node_lost, traffic_risen." == lines[-1]
    found = json.loads(run(capsys, "list", "--json"))
    assert ["layer_filling", *sorted(OFF)] == found["off"]
    [rule] = [rule for rule in found["on"] if rule["name"] == "handler_errors"]
    assert (20, 300, "high") == (rule["above"], rule["window"], rule["severity"])


def test_a_file_of_tests_is_run(capsys):
    assert all(line.startswith("ok: ") for line in run(capsys, "test", str(TESTS)).splitlines())


def test_a_test_that_fails_says_why_and_fails(capsys, tmp_path):
    file = tmp_path / "tests.json"
    expect = {"at": 0, "rule": "handler_errors", "state": "firing"}
    file.write_text(json.dumps({"tests": [{"name": "one", "expect": [expect]}]}))
    with pytest.raises(CommandError, match="1 of 1 tests failed"):
        call_command("hub_rules", "test", str(file))
    assert "FAILED: one\n  at 0 s handler_errors is inactive, not firing\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content"), [("a.toml", "= 1"), ("a.json", "{"), ("a.toml", "x = 1"), ("b.toml", None)]
)
def test_a_file_that_cannot_be_read_is_said_with_its_name(tmp_path, name, content):
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    with pytest.raises(CommandError, match=name):
        call_command("hub_rules", "test", str(file))
