"""The host's pages: the hub's, and what this host knows by itself."""

from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from tests.truth.consumers import witnessed


async def known(_: HttpRequest) -> JsonResponse:
    """What the host has counted by itself, to hold against what the hub says."""
    return JsonResponse({name: dict(counts) for name, counts in witnessed.items()})


urlpatterns = [path("hub/", include("hub.web.urls")), path("known/", known)]
