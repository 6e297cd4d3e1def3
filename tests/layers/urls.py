"""The host's pages: the hub's, one that sends to a group, and what the host itself has counted."""

from channels.layers import get_channel_layer
from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from tests.layers.consumers import handled, released, tickers


async def publish(request: HttpRequest, group: str, count: int) -> JsonResponse:
    """Send so many messages to a group."""
    layer = get_channel_layer()
    for number in range(count):
        await layer.group_send(group, {"type": "room.message", "number": number})
    return JsonResponse({})


async def release(_: HttpRequest) -> JsonResponse:
    """Let the handlers go on that hang."""
    released.set()
    return JsonResponse({})


async def order(_: HttpRequest, frames: int, size: int, end: str) -> JsonResponse:
    """Let all tickers do what they would for a client that says so."""
    for ticker in list(tickers):
        await ticker.tick(frames, size, end)
    return JsonResponse({})


async def known(_: HttpRequest) -> JsonResponse:
    """What reached the members, to hold against what the hub says."""
    return JsonResponse(handled)


urlpatterns = [
    path("hub/", include("hub.web.urls")),
    path("publish/<slug:group>/<int:count>/", publish),
    path("release/", release),
    path("order/<int:frames>/<int:size>/<slug:end>/", order),
    path("known/", known),
]
