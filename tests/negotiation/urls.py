"""The host's pages: the hub's metrics, and what its consumers were handed."""

from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from tests.negotiation.consumers import handed


async def known(_: HttpRequest) -> JsonResponse:
    """How many frames each consumer class was handed."""
    return JsonResponse(handed)


urlpatterns = [path("hub/", include("hub.web.urls")), path("handed/", known)]
