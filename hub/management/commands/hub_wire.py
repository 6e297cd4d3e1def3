"""``manage.py hub_wire``: write, or check, the JSON Schema of the operator feed."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError

from hub.feed import wire

DEFAULT = Path("frontend/src/wire/schema.json")


def schema() -> str:
    """The JSON Schema of every message, as text; the same for the same types."""
    (server, client), components = msgspec.json.schema_components(
        [wire.ServerMessage, wire.ClientMessage], ref_template="#/$defs/{name}"
    )
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Channels Hub operator feed",
        "$defs": {**components, "ServerMessage": server, "ClientMessage": client},
        "anyOf": [{"$ref": "#/$defs/ServerMessage"}, {"$ref": "#/$defs/ClientMessage"}],
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


class Command(BaseCommand):
    """See the module."""

    help = "Write the JSON Schema of the operator feed; the TypeScript types are generated from it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("file", nargs="?", type=Path, default=DEFAULT, help=f"where to (default {DEFAULT})")
        parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is out of date")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        """Write or check."""
        file: Path = options["file"]
        text = schema()
        if not options["check"]:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            self.stdout.write(f"{file} written")
        elif not file.is_file() or file.read_text() != text:
            raise CommandError(f"{file} is out of date: run manage.py hub_wire, then npm run types in frontend/")
