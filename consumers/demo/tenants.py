"""The tenants of the demo, and how a route names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The largest customer first; visitors are spread over them in this order, four to one.
TENANTS = ("acme", "globex", "initech", "umbrella")


def route_tenant(scope: Mapping[str, Any]) -> str | None:
    """Return the tenant of ``ws/demo/<tenant>/...``; None where there is no such tenant."""
    tenant = scope["url_route"]["kwargs"]["tenant"]
    return tenant if tenant in TENANTS else None
