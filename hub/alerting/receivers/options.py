"""What the options of receivers have in common: their types, and what is refused."""

from base64 import b64encode
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
from msgspec import Meta, Struct

from hub.alerting.message import one_line
from hub.core.redaction import Secret

Text = Annotated[str, Meta(min_length=1, max_length=200)]
PerMinute = Annotated[float, Meta(gt=0, le=6000)]


class Address(Secret):
    """An address of HTTP. Slack's are secrets, others may hold a password."""

    __slots__ = ()


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What every receiver may be told in ``HUB["RECEIVERS"]``.

    Attributes:
        type: What kind of receiver it is.
        per_minute: Messages that it takes in a minute at most.
    """

    type: str
    per_minute: PerMinute = 60.0


def decode(wanted: type[Any], given: object) -> object:
    """
    What msgspec can't make by itself: a `Secret` or an `Address` from text.

    Raises:
        ValueError: It is none; says why, without showing it.
    """
    if not isinstance(given, str) or not given.strip() or one_line(given) != given.strip():
        raise ValueError("Expected text on one line")
    if wanted is Address:
        _require_address(given.strip())
    return wanted(given.strip())


def basic(user: str, password: Secret) -> Secret:
    """The header of basic authentication."""
    return Secret(f"Basic {b64encode(f'{user}:{password.value}'.encode()).decode()}")


def _require_address(given: str) -> None:
    try:
        # Neither sees every flaw: httpx takes half an IPv6 address for a name.
        known = httpx.URL(given).scheme in ("http", "https") and bool(urlsplit(given).hostname) and " " not in given
    except (httpx.InvalidURL, ValueError):
        known = False
    if not known:
        raise ValueError("Expected an address that begins with https:// or http://")
