"""
Who may do what, at every door: deny by default.

Operators are Django users with ``hub.view_ops`` (watch) and ``hub.operate`` (act); a user bound to tenants
(`hub.models.TenantOperator`) may see and touch these only.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlparse

from channels.security.websocket import OriginValidator
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.base import SessionBase

from hub.conf import Config

#: Headers by which a proxy says that it forwards for somebody else.
FORWARDED_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


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


def session_alive(session: Any) -> bool:  # noqa: ANN401 - the host's own session engine
    """Whether the session behind a feed still is a logged-in one; blocks, so call it in a thread."""
    if not isinstance(session, SessionBase) and not hasattr(session, "session_key"):
        return False
    key = session.session_key
    if not key:
        return False
    stored = type(_unwrapped(session))(key)
    return "_auth_user_id" in stored


def _unwrapped(session: Any) -> Any:  # noqa: ANN401 - Channels hands out a lazy object
    return getattr(session, "_wrapped", session)


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
        return bool(OriginValidator(None, allowed).valid_origin(origin))
    except (UnicodeDecodeError, ValueError):
        return False


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
