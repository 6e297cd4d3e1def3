"""``manage.py hub_operator``: make an operator, or change what one may do."""

import secrets
import sys
from argparse import ArgumentParser, BooleanOptionalAction
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from hub.models import TenantOperator


class Command(BaseCommand):
    """See the module."""

    help = "Make a user an operator, creating it if need be; what is not named of an existing one stays as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("name", help="user name")
        parser.add_argument("--operate", action=BooleanOptionalAction, help="may act, too: acknowledge, disconnect")
        tenants = parser.add_mutually_exclusive_group()
        tenants.add_argument("--tenant", action="append", dest="tenants", help="the only one(s) it sees; repeatable")
        tenants.add_argument("--all-tenants", action="store_true", help="sees all tenants, as a new operator does")
        parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401, ARG002 - Django's signature
        """Create or update the user."""
        users = get_user_model()
        name = options["name"]
        user = users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()
        created = user is None
        if user is None:
            user = users(**{users.USERNAME_FIELD: name})
        shown = self._set_password(user, created=created, from_stdin=options["password_stdin"])
        user.save()
        self._grant(user, operate=options["operate"])
        self._bind(user, options["tenants"], everything=options["all_tenants"])
        self.stdout.write(f"{name} is {'created' if created else 'updated'}: {self._summary(user)}.")
        if shown:
            self.stdout.write(f"Password, shown this once: {shown}")

    def _set_password(self, user: Any, *, created: bool, from_stdin: bool) -> str | None:  # noqa: ANN401 - the host's
        """Set what was given, or something random for a new user, which is returned to be shown."""
        if from_stdin:
            password = sys.stdin.readline().rstrip("\r\n")
            try:
                validate_password(password, user)
            except ValidationError as error:
                raise CommandError(" ".join(error.messages)) from error
            user.set_password(password)
        elif created:
            password = secrets.token_urlsafe(12)
            user.set_password(password)
            return password
        return None

    def _grant(self, user: Any, *, operate: bool | None) -> None:  # noqa: ANN401 - the host's
        known = {each.codename: each for each in Permission.objects.filter(content_type__app_label="hub")}
        user.user_permissions.add(known["view_ops"])
        if operate is not None:
            change = user.user_permissions.add if operate else user.user_permissions.remove
            change(known["operate"])

    def _bind(self, user: Any, tenants: list[str] | None, *, everything: bool) -> None:  # noqa: ANN401 - the host's
        if tenants is not None or everything:
            TenantOperator.objects.filter(user=user).delete()
        wanted = [TenantOperator(user=user, tenant=tenant) for tenant in dict.fromkeys(tenants or ())]
        TenantOperator.objects.bulk_create(wanted)

    def _summary(self, user: Any) -> str:  # noqa: ANN401 - the host's
        fresh = get_user_model()._default_manager.get(pk=user.pk)
        tenants = sorted(TenantOperator.objects.filter(user=user).values_list("tenant", flat=True))
        may = "watch and act" if fresh.has_perm("hub.operate") else "watch"
        return f"may {may}, on {', '.join(tenants) or 'all tenants'}"
