"""
Token log-in for shop, chat and machines: the custom middleware that most projects with an app end up writing.

A token is ``name@tenant`` with a signature. The key is public and opens nothing but the demo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from django.contrib.auth.models import AnonymousUser
from django.core.signing import BadSignature, Signer

from consumers.demo.tenants import TENANTS

_SIGNER = Signer(key="the demo shop has no secrets", salt="consumers.demo.token")


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody, or something, that is logged in to one tenant."""

    name: str
    tenant: str
    is_authenticated: bool = True
    is_anonymous: bool = False

    @property
    def pk(self) -> str:
        """The customer's key: unique over all tenants."""
        return f"{self.name}@{self.tenant}"

    def get_username(self) -> str:
        """Return the name, as Django's users do."""
        return self.pk


def make_token(name: str, tenant: str) -> str:
    """Return the token with which ``name`` logs in to ``tenant``."""
    return _SIGNER.sign(f"{name}@{tenant}")


def read_token(token: str) -> Customer | AnonymousUser:
    """Return whose token it is; nobody, if the signature is wrong or the tenant unknown."""
    try:
        name, _, tenant = _SIGNER.unsign(token).rpartition("@")
    except BadSignature:
        return AnonymousUser()
    return Customer(name, tenant) if name and tenant in TENANTS else AnonymousUser()


class TokenAuth:
    """Puts the owner of ``?token=`` into the scope as its user."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - an ASGI application
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401
        """Run the inner application for that user."""
        tokens = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])
        await self.inner({**scope, "user": read_token(tokens[0])}, receive, send)
