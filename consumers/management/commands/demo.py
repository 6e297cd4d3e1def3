"""``manage.py demo`` (what ``make run`` calls): a server, an operator to log in as, and traffic to look at."""

from __future__ import annotations

import signal
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from consumers.demo.launch import HOST, Child, answers, free_port
from consumers.demo.operators import Operator, create_operator, remove_operators
from consumers.demo.traffic.limits import allow_connections
from consumers.demo.traffic.profiles import PROFILES
from hub.clock import SYSTEM

START_SECONDS = 60
LOOK_EVERY = 0.2
"""Seconds between two looks at the children."""
NO_TRAFFIC = "none"

APPLICATION = "hub.asgi:application"
SERVERS = {
    "daphne": ("-m", "daphne", "-v", "0", "-b", HOST, "-p", "{port}", APPLICATION),
    "uvicorn": ("-m", "uvicorn", "--log-level", "warning", "--host", HOST, "--port", "{port}", APPLICATION),
}


class Command(BaseCommand):
    """Starts the children, watches them, and ends them at Ctrl-C, SIGTERM or when the terminal is closed."""

    help = "Run the hub with demo tenants: prints the address and a one-time operator; Ctrl-C ends it."

    _stopping = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--port", type=int, default=8000, help="the first port to try (default: 8000)")
        parser.add_argument("--server", choices=SERVERS, default="daphne", help="default: %(default)s")
        parser.add_argument("--profile", choices=[*PROFILES, NO_TRAFFIC], default="calm", help="default: %(default)s")
        parser.add_argument("--seed", type=int, default=1, help="of the traffic (default: 1)")

    def handle(self, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Prepare the database, then run until told to stop."""
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(signum) is not signal.SIG_IGN:  # as nohup sets it
                signal.signal(signum, self._stop)
        call_command("migrate", interactive=False, verbosity=0)
        remove_operators()
        operator = create_operator()
        try:
            self._run(operator, options)
        finally:
            remove_operators()

    def _run(self, operator: Operator, options: dict[str, Any]) -> None:
        port = self._choose_port(options["port"])
        # One more for each visitor: the children inherit the limit.
        allow_connections(max(profile.visitors for profile in PROFILES.values()))
        arguments = [argument.format(port=port) for argument in SERVERS[options["server"]]]
        server = Child(arguments, log=settings.VAR / f"demo-{port}.log")
        try:
            self._await_answer(server, port)
            if not self._stopping:
                self._announce(server, port, operator)
                self._watch(server, port, options)
        finally:
            server.stop()

    def _choose_port(self, wanted: int) -> int:
        port = free_port(wanted)
        if port is None:
            raise CommandError(f"Port {wanted} and those after it are taken. Name another one with --port.")
        if port != wanted:
            self.stdout.write(f"Port {wanted} is taken; this is port {port}.")
        return port

    def _await_answer(self, server: Child, port: int) -> None:
        deadline = SYSTEM.monotonic() + START_SECONDS
        while not self._stopping and not answers(port):
            self._check(server)
            if SYSTEM.monotonic() > deadline:
                raise CommandError(f"The server did not answer within {START_SECONDS} s:\n{server.log_tail()}")
            time.sleep(LOOK_EVERY)
        self._check(server)  # or somebody else answered

    def _watch(self, server: Child, port: int, options: dict[str, Any]) -> None:
        traffic = self._start_traffic(port, options)
        try:
            while not self._stopping:
                self._check(server)
                server.trim_log()
                if traffic and traffic.exit_code is not None:
                    self.stderr.write(f"The traffic ended (exit code {traffic.exit_code}); the server goes on.")
                    traffic = None
                time.sleep(LOOK_EVERY)
        finally:
            self.stdout.write("Stopping.")
            if traffic:
                traffic.stop()

    def _start_traffic(self, port: int, options: dict[str, Any]) -> Child | None:
        if options["profile"] == NO_TRAFFIC:
            return None
        url, profile, seed = f"ws://{HOST}:{port}", options["profile"], str(options["seed"])
        command = ["-m", "django", "demo_traffic", "--url", url, "--profile", profile, "--seed", seed]
        return Child([*command, "--every", "10"])

    def _check(self, server: Child) -> None:
        if server.exit_code is not None:
            raise CommandError(
                f"The server ended with exit code {server.exit_code}. The end of {server.log}:\n{server.log_tail()}"
            )

    def _announce(self, server: Child, port: int, operator: Operator) -> None:
        self.stdout.write(
            box(
                "Channels Hub is running, with demo tenants.",
                "",
                f"Page       http://{HOST}:{port}/",
                f"Name       {operator.name}",
                f"Password   {operator.password}",
                f"Metrics    http://{HOST}:{port}/metrics",
                f"Server log {server.log}",
                "",
                "Ctrl-C stops it. Name and password are valid until then.",
            )
        )
        self.stdout.flush()

    def _stop(self, *_: object) -> None:
        self._stopping = True


def box(*lines: str) -> str:
    """Draw a frame around lines, in plain characters where the terminal knows no others."""
    width = max(len(line) for line in lines)
    drawn = [f"┌{'─' * (width + 4)}┐", *(f"│  {line:{width}}  │" for line in lines), f"└{'─' * (width + 4)}┘"]
    text = "\n".join(drawn)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return text.translate(str.maketrans("┌┐└┘─│", "++++-|"))
    return text
