"""The host's rule for tenants: a callable of the authenticated scope, named in ``HUB["TENANT"]``."""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.utils.module_loading import import_string

from hub.conf import config
from hub.faults import record_fault


@cache
def _rule(path: str) -> Callable[[Any], str | None]:
    rule: Callable[[Any], str | None] = import_string(path)
    return rule


def tenant_of_scope(scope: object) -> str:
    """The tenant of an authenticated scope by the host's rule; empty if there is none or it fails."""
    path = config().tenant
    if path is None or scope is None:
        return ""
    try:
        return str(_rule(path)(scope) or "")
    except Exception as error:  # noqa: BLE001 - the border: the host's rule must not end a connection
        record_fault("HUB['TENANT']", error)
        return ""
