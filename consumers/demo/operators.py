"""
The one-time operator of a demo: a random name and password, valid until the demo ends.

They share one group, which carries their rights and tells them from operators that somebody made on purpose.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission

GROUP = "One-time demo operators"
RIGHTS = ("view_ops", "operate")


@dataclass(frozen=True, slots=True)
class Operator:
    """Name and password, as they are typed in. The password is stored hashed, like any other."""

    name: str
    password: str


def create_operator() -> Operator:
    """Make an operator with those of the hub's rights that exist."""
    operator = Operator(f"operator-{secrets.token_hex(2)}", secrets.token_urlsafe(9))
    group, _ = Group.objects.get_or_create(name=GROUP)
    group.permissions.set(Permission.objects.filter(content_type__app_label="hub", codename__in=RIGHTS))
    user = get_user_model().objects.create_user(operator.name, password=operator.password)
    user.groups.add(group)
    return operator


def remove_operators() -> int:
    """Remove every one-time operator, which ends their sessions as well; return how many there were."""
    operators = get_user_model().objects.filter(groups__name=GROUP)
    count = operators.count()
    operators.delete()
    return count
