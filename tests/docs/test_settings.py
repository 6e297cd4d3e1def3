"""``docs/settings.md`` names every setting with its variable, type, range and default, and no other."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.conf import _TYPES as TYPES
from hub.conf import ENVIRONMENT, Config
from tests.docs.markdown import tables
from tests.support.processes import ROOT

SETTINGS = ROOT / "docs" / "settings.md"
SCHEMA: dict[str, Any] = msgspec.json.schema_components([Config])[1]["Config"]["properties"]

#: Paths of Python objects, which the schema can't tell from other text.
DOTTED = {"TENANT", "PRESENCE_GROUPS"}


def kind(key: str) -> str:
    schema = SCHEMA[key]
    schema = schema.get("anyOf", [schema])[0]
    if schema["type"] in ("integer", "number"):
        annotation = str(TYPES[key.lower()])
        return next((unit for unit in ("seconds", "bytes", "days", "ms") if f"'{unit}'" in annotation), "count")
    if "pattern" in schema:
        return "address"
    return (
        "path"
        if key in DOTTED
        else {"boolean": "switch", "array": "list", "string": "text", "object": "dictionary"}[schema["type"]]
    )


def bounds(key: str) -> str:
    schema = SCHEMA[key]
    if "maximum" not in schema:
        return ""
    least = schema.get("minimum", f"above {schema.get('exclusiveMinimum')}")
    return f"{least} to {schema['maximum']}"


def default(key: str) -> str:
    value = SCHEMA[key]["default"]
    if value in (None, {}, []):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_table_is_what_the_code_says():
    written = {
        row["key"]: (row["environment"], row["type"], row["range"], row["default"]) for row in tables(SETTINGS)[0]
    }
    expected = {key: (ENVIRONMENT[key.lower()], kind(key), bounds(key), default(key)) for key in SCHEMA}
    assert written == expected


@pytest.mark.parametrize("row", tables(SETTINGS)[1], ids=lambda row: row["variable"])
def test_the_site_reads_what_the_second_table_names(row):
    source = ROOT.joinpath("hub", "settings.py").read_text()
    read_by_the_database_url = row["variable"] == "DATABASE_URL" and "dj_database_url.config(" in source
    assert f'"{row["variable"]}"' in source or read_by_the_database_url
