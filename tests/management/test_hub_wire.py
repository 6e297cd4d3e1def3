from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from django.core.management import CommandError, call_command
from jsonschema import Draft202012Validator

from hub.feed import wire
from hub.management.commands.hub_wire import DEFAULT, schema
from tests.support.processes import ROOT


def test_the_schema_is_one_and_the_same_for_the_same_types():
    assert schema() == schema()


def test_the_schema_is_a_schema_of_every_message():
    document = json.loads(schema())
    Draft202012Validator.check_schema(document)
    for direction in ("ServerMessage", "ClientMessage"):
        for message in getattr(wire, direction).__args__:
            assert message.__name__ in document["$defs"]


def test_a_message_fits_the_schema_and_another_does_not():
    validator = Draft202012Validator(json.loads(schema()))
    assert validator.is_valid(msgspec.to_builtins(wire.Subscribe()))
    assert not validator.is_valid({"type": "no such message"})


def test_it_writes_and_then_finds_nothing_to_complain_of(tmp_path, capsys):
    file = tmp_path / "new" / "schema.json"
    call_command("hub_wire", file)
    assert f"{file} written" in capsys.readouterr().out
    assert schema() == file.read_text()
    call_command("hub_wire", file, check=True)


@pytest.mark.parametrize("content", [None, "", "{}"])
def test_a_file_out_of_date_is_an_error_that_says_what_to_run_and_changes_nothing(tmp_path, content):
    file = tmp_path / "schema.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(CommandError, match=r"run manage\.py hub_wire"):
        call_command("hub_wire", file, check=True)
    assert content == (file.read_text() if file.exists() else None)


def test_the_page_was_built_for_this_wire():
    assert Path(ROOT, DEFAULT).read_text() == schema(), "run manage.py hub_wire, then npm run types in frontend/"
