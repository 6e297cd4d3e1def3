"""
Who may do what, at every door: deny by default.

Operators are Django users with ``hub.view_ops`` (watch) and ``hub.operate`` (act); a user bound to tenants
(`hub.models.TenantOperator`) may see and touch these only. Programs bring a token (`hub.models.AccessToken`).
"""

import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlparse

from channels.security.websocket import OriginValidator
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.db.models import Q
from django.utils import timezone

from hub.conf import Config

#: Headers by which a proxy says that it forwards for somebody else.
FORWARDED_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
#: What tokens begin with, so that scanners for leaked secrets can know them.
TOKEN_PREFIX = "hub_"  # noqa: S105 - no password
#: How exactly the last use of a token is recorded.
TOKEN_USE_RECORDED = timedelta(minutes=1)


@dataclass(frozen=True)
class Rights:
    """
    What an operator may do.

    Attributes:
        view: Watch feed and page.
        operate: Acknowledge, silence, disconnect.
        tenants: The only tenants that count; None: all.
    """

    view: bool = False
    operate: bool = False
    tenants: frozenset[str] | None = None

    def sees(self, tenant: str) -> bool:
        """Whether anything of this tenant may be shown."""
        return self.view and (self.tenants is None or tenant in self.tenants)


#: Of somebody who is logged in and may not do anything.
NO_RIGHTS = Rights()


def rights_of(user: Any) -> Rights | None:  # noqa: ANN401 - the host's own user model
    """
    The rights of a user as the database has them now; blocks, so call it in a thread.

    Returns:
        None for somebody who is not logged in.
    """
    from hub.models import TenantOperator  # noqa: PLC0415 - models need the app registry

    if user is None or not getattr(user, "is_authenticated", False):
        return None
    # A fresh copy: permissions are cached on the user, and may have been taken away since.
    fresh = get_user_model()._default_manager.filter(pk=user.pk).first()
    if fresh is None or not fresh.is_active or not fresh.has_perm("hub.view_ops"):
        return NO_RIGHTS
    tenants = frozenset(TenantOperator.objects.filter(user_id=fresh.pk).values_list("tenant", flat=True))
    return Rights(view=True, operate=fresh.has_perm("hub.operate"), tenants=tenants or None)


@dataclass(frozen=True)
class Operator:
    """Somebody at the feed's door, person or program, and what they may do."""

    name: str
    rights: Rights


def operator_of_session(user: Any, session: Any) -> Operator | None:  # noqa: ANN401 - the host's own models
    """
    Who a browser's session belongs to, as the database has it now; blocks, so call it in a thread.

    Returns:
        None if nobody is logged in, or not any more: logged out, expired, or the password was changed.
    """
    rights = rights_of(user) if session_alive(session, user) else None
    return None if rights is None else Operator(user.get_username(), rights)


def session_alive(session: Any, user: Any) -> bool:  # noqa: ANN401 - the host's own session engine
    """Whether the session behind a feed still is a login of this user; blocks, so call it in a thread."""
    key = getattr(session, "session_key", None)
    if not key:
        return False
    stored = type(_unwrapped(session))(key)
    fresh = get_user_model()._default_manager.filter(pk=user.pk).first()
    if fresh is None or stored.get(SESSION_KEY) != fresh._meta.pk.value_to_string(fresh):
        return False
    if not hasattr(fresh, "get_session_auth_hash"):
        return True
    # Changing the password ends all other sessions (Django's session verification).
    verified = str(stored.get(HASH_SESSION_KEY, ""))
    hashes = [fresh.get_session_auth_hash(), *fresh.get_session_auth_fallback_hash()]
    return any(hmac.compare_digest(verified, current) for current in hashes)


def _unwrapped(session: Any) -> Any:  # noqa: ANN401 - Channels hands out a lazy object
    return getattr(session, "_wrapped", session)


def new_token() -> str:
    """A token for a program; only its digest is stored."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """What is stored of a token."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """
    The token that a request brings.

    Returns:
        None if it brings none, and cookies count; something that is no token if it is unclear which is meant.
    """
    given = [value.decode("latin-1") for name, value in headers if name == b"authorization"]
    tokens = [value.partition(" ")[2].strip() for value in given if value.partition(" ")[0].lower() == "bearer"]
    if not tokens:
        return None
    return tokens[0] if len(given) == 1 else ""


def operator_of_token(token: str) -> Operator | None:
    """
    Which program a token belongs to, as the database has it now; blocks, so call it in a thread.

    Returns:
        None for a wrong one, or one that is expired or revoked.
    """
    from hub.models import AccessToken  # noqa: PLC0415 - models need the app registry

    now = timezone.now()
    valid = AccessToken.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now))
    found = valid.filter(digest=digest_of(token)).first()
    if found is None:
        return None
    if found.last_used_at is None or now - found.last_used_at > TOKEN_USE_RECORDED:
        AccessToken.objects.filter(pk=found.pk).update(last_used_at=now)
    tenants = None if found.tenants is None else frozenset(map(str, found.tenants))
    return Operator(found.name, Rights(view=found.view, operate=found.operate, tenants=tenants))


def origin_allowed(headers: Iterable[tuple[bytes, bytes]], config: Config) -> bool:
    """
    Whether a page of this origin may open the feed with the operator's cookie; none at all may not.

    Browsers always send an origin for a WebSocket.
    """
    origins = [value for name, value in headers if name == b"origin"]
    if len(origins) != 1:
        return False
    allowed = config.allowed_origins
    if allowed is None:
        allowed = tuple(settings.ALLOWED_HOSTS)
        if settings.DEBUG and not allowed:
            allowed = ("localhost", "127.0.0.1", "[::1]")
    try:
        origin = urlparse(origins[0].decode("ascii"))
        return OriginValidator(_no_application, allowed).valid_origin(origin)
    except (UnicodeDecodeError, ValueError):
        return False


async def _no_application(*_: object) -> None:
    """What the validator would wrap; we only want its judgement."""


def may_scrape(address: str, headers: Mapping[str, str], config: Config) -> bool:
    """
    Whether a request may read the metrics: with the token, or directly from an allowed network.

    Args:
        address: Of the peer as the server sees it; empty if unknown (a Unix socket).
        headers: By lower-case name. A forwarded request always needs the token.
    """
    given = headers.get("authorization", "")
    if config.metrics_token and given.lower().startswith("bearer "):
        return hmac.compare_digest(given[7:].strip().encode(), config.metrics_token.encode())
    if any(name in headers for name in FORWARDED_HEADERS):
        return False
    try:
        peer = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(peer, "ipv4_mapped", None)
    return any((mapped or peer) in ip_network(network) for network in config.metrics_networks)
