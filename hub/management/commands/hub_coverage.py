"""``manage.py hub_coverage``: every WebSocket route of the real router, and what is seen of it."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from channels.routing import get_default_application
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from hub.conf import config
from hub.instrument.asgi import MonitoredApplication
from hub.instrument.coverage import NONE, coverage_of
from hub.instrument.layers.adopt import coverage as coverage_of_layers
from hub.instrument.routes import Route, websocket_routes


class Command(BaseCommand):
    """See the module."""

    help = "List every WebSocket route of ASGI_APPLICATION, every channel layer, and how they are monitored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument("--fail", action="store_true", help="exit with 1 if a route is not monitored")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        """List the routes."""
        try:
            application = get_default_application()
        except ImproperlyConfigured as error:
            raise CommandError(f"{error} Set ASGI_APPLICATION to the path of your outermost application.") from error
        wrapped = isinstance(application, MonitoredApplication)
        rows = [_row(route, wrapped=wrapped) for route in websocket_routes(application)]
        if options["json"]:
            told = {"wrapped": wrapped, "routes": rows, "layers": coverage_of_layers()}
            self.stdout.write(json.dumps(told, indent=2))
        else:
            self._print(rows, wrapped=wrapped)
            self._print_layers()
        if options["fail"] and not rows:
            raise CommandError("no WebSocket route was found")
        if options["fail"] and any(row["monitored"] == NONE for row in rows):
            raise CommandError("some routes are not monitored")

    def _print(self, rows: list[dict[str, Any]], *, wrapped: bool) -> None:
        if not config().enabled:
            self.stdout.write(self.style.WARNING("HUB_ENABLED is off: nothing is monitored at run time."))
        state = "wrapped by hub.monitor()" if wrapped else "not wrapped by hub.monitor()"
        self.stdout.write(f"The application is {state}; {len(rows)} WebSocket route(s).")
        if not rows:
            self.stdout.write("No URLRouter was found: is it hidden behind middleware that keeps no reference?")
            return
        widths = [max(len(row[column]) for row in rows) for column in ("path", "consumer")]
        for row in rows:
            line = f"{row['path']:<{widths[0]}}  {row['consumer']:<{widths[1]}}  {_in_words(row)}"
            self.stdout.write(self.style.ERROR(line) if row["monitored"] == NONE else line)

    def _print_layers(self) -> None:
        for alias, state in coverage_of_layers().items():
            line = f"Channel layer {alias!r}: {state}."
            self.stdout.write(self.style.WARNING(line) if state.startswith(NONE) else line)


def _row(route: Route, *, wrapped: bool) -> dict[str, Any]:
    consumer = route.consumer_class
    name = f"{consumer.__module__}.{consumer.__qualname__}" if consumer is not None else "(an ASGI application)"
    return {"path": route.path, "consumer": name, **asdict(coverage_of(consumer, config(), wrapped=wrapped))}


def _in_words(row: dict[str, Any]) -> str:
    """What is seen of a route, in one line."""
    more = [words for words, column in (("control frames", "control_frames"), ("presence", "presence")) if row[column]]
    return "; ".join([row["monitored"], ", ".join(more)] if more else [row["monitored"]])
