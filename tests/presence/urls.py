"""The host's pages: its roster by the hub's API, what its signals told it, and a door to its clock."""

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from hub import presence
from hub.instrument.state import instruments
from tests.presence import walltime
from tests.presence.consumers import told


async def members(request: HttpRequest, tenant: str) -> JsonResponse:
    """Everybody of a tenant, or of one of its groups."""
    group = request.GET.get("group")
    found = presence.members(tenant, group)
    assert presence.count(tenant, group) == len(found)
    return JsonResponse({member.member: asdict(member) for member in found}, json_dumps_params={"default": list})


async def history(_: HttpRequest, tenant: str) -> JsonResponse:
    """What the signals told of a tenant, in order."""
    return JsonResponse([entry for entry in told if entry[0] == tenant], safe=False)


async def health(_: HttpRequest) -> JsonResponse:
    """What connections cost the hub: events of presence by kind, faults, garbled control frames."""
    counts: dict[str, Any] = {"garbled": sum(counts.garbled for counts in instruments().ledger)}
    return JsonResponse(counts)


async def jump(request: HttpRequest) -> JsonResponse:
    """Move the wall clock of this process."""
    walltime.jump(float(request.GET["seconds"]))
    return JsonResponse({"at": walltime.wall()})


urlpatterns = [
    path("hub/", include("hub.web.urls")),
    path("members/<slug:tenant>/", members),
    path("history/<slug:tenant>/", history),
    path("health/", health),
    path("jump/", jump),
]
