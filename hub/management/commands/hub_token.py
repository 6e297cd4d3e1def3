"""``manage.py hub_token``: tokens with which programs read the operator feed."""

from argparse import ArgumentParser
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from hub.access import digest_of, new_token
from hub.models import AccessToken


class Command(BaseCommand):
    """See the module."""

    help = "Create, list and revoke the tokens with which programs read the operator feed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the actions."""
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make a token; it is shown this once")
        create.add_argument("name", help="what it is for; each name is used once")
        create.add_argument("--operate", action="store_true", help="it may act, too")
        create.add_argument("--tenant", action="append", dest="tenants", help="the only one(s) it sees (default: all)")
        create.add_argument("--days", type=float, help="it expires after so many days (default: never)")
        actions.add_parser("list", help="show every token, not the secrets")
        actions.add_parser("revoke", help="end a token; feeds that use it close").add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        """Run one action."""
        actions: dict[str, Callable[[dict[str, Any]], None]] = {
            "create": self._create, "list": self._list, "revoke": self._revoke,
        }  # fmt: skip
        actions[options["action"]](options)

    def _create(self, options: dict[str, Any]) -> None:
        name, days = options["name"], options["days"]
        if not 0 < len(name) <= 100:  # noqa: PLR2004 - as the model says
            raise CommandError("A name has 1 to 100 characters.")
        if days is not None and not 0 < days <= 36_500:  # noqa: PLR2004 - a century; beyond, dates end
            raise CommandError("--days is more than 0 and at most 36500.")
        if AccessToken.objects.filter(name=name).exists():
            raise CommandError(f"There is a token {name!r} already; revoke it first, or choose another name.")
        token = new_token()
        AccessToken.objects.create(
            name=name, digest=digest_of(token), operate=options["operate"], tenants=options["tenants"],
            expires_at=None if days is None else timezone.now() + timedelta(days=days),
        )  # fmt: skip
        self.stderr.write("Keep it safe: it is not shown again. Send it as  Authorization: Bearer <token>")
        self.stdout.write(token)

    def _list(self, _options: dict[str, Any]) -> None:
        for token in AccessToken.objects.order_by("name"):
            rights = "view and operate" if token.operate else "view"
            tenants = "all tenants" if token.tenants is None else ", ".join(token.tenants)
            facts = (
                token.name, rights, tenants, f"made {_shown(token.created_at)}",
                f"expires {_shown(token.expires_at)}", f"used {_shown(token.last_used_at)}",
            )  # fmt: skip
            self.stdout.write(" | ".join(facts))

    def _revoke(self, options: dict[str, Any]) -> None:
        deleted, _ = AccessToken.objects.filter(name=options["name"]).delete()
        if not deleted:
            raise CommandError(f"There is no token {options['name']!r}; `hub_token list` shows all.")
        self.stdout.write(f"{options['name']} is revoked.")


def _shown(at: datetime | None) -> str:
    return "never" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"
