"""``manage.py demo_traffic``: visitors for the demo tenants of a running server."""

from __future__ import annotations

import asyncio
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from consumers.demo.tenants import TENANTS
from consumers.demo.traffic.profiles import PROFILES
from consumers.demo.traffic.run import Run, is_loopback


class Command(BaseCommand):
    """Reads the arguments, refuses what would do harm, and runs until told to stop."""

    help = "Send real WebSocket traffic to the demo tenants of a running server, until Ctrl-C or for --duration."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        sizes = ", ".join(f"{profile.name} {profile.visitors:,}" for profile in PROFILES.values())
        parser.add_argument("--url", default="ws://127.0.0.1:8000", help="the server (default: %(default)s)")
        parser.add_argument("--profile", choices=PROFILES, default="calm", help=f"at most so many connections: {sizes}")
        parser.add_argument("--duration", type=float, help="seconds to run (default: until Ctrl-C)")
        parser.add_argument("--seed", type=int, default=1, help="the same number, the same visitors (default: 1)")
        parser.add_argument("--tenants", default=",".join(TENANTS), help="some of %(default)s")
        parser.add_argument("--every", type=float, default=5, help="seconds between two lines (default: 5)")
        parser.add_argument("--allow-remote", action="store_true", help="send the traffic to another machine")

    def handle(self, **options: Any) -> None:  # noqa: ANN401 - Django's signature
        """Check the arguments and run."""
        url, tenants = options["url"], [name.strip() for name in options["tenants"].split(",")]
        if not url.startswith(("ws://", "wss://")):
            raise CommandError(f"--url {url}: a WebSocket address begins with ws:// or wss://.")
        if not is_loopback(url) and not options["allow_remote"]:
            raise CommandError(
                f"--url {url} is not on this machine. If it is yours and may be loaded, add --allow-remote."
            )
        if unknown := set(tenants) - set(TENANTS):
            raise CommandError(f"--tenants {', '.join(sorted(unknown))}: the demo knows {', '.join(TENANTS)}.")
        if options["every"] <= 0 or (options["duration"] is not None and options["duration"] <= 0):
            raise CommandError("--every and --duration are seconds, more than 0.")
        asyncio.run(self._run(url, tenants, options))

    async def _run(self, url: str, tenants: list[str], options: dict[str, Any]) -> None:
        run = Run(url, PROFILES[options["profile"]], tenants, options["seed"])
        for signum in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signum, run.stop)
        await run.run(options["duration"], self._report, options["every"])

    def _report(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
