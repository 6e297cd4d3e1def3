"""The host's pages: one that has the library, and what the hub knows of those who use it."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from tests.browser.library.consumers import present

SCRIPT = """
import { HubSocket } from "/hub/client/hubsocket.js";
window.HubSocket = HubSocket;
"""
WORKER = """
import { HubSocket } from "/hub/client/hubsocket.js";
new HubSocket(`/notes/${self.name}/`).send("from a worker");
"""
STRICT = "default-src 'none'; script-src 'self'; connect-src 'self'"


async def page(request: HttpRequest) -> HttpResponse:
    """Under a policy that forbids workers from blobs, if asked."""
    headers = {"Content-Security-Policy": STRICT} if "strict" in request.GET else {}
    return HttpResponse('<!doctype html><script type="module" src="/page.js"></script>', headers=headers)


async def script(request: HttpRequest) -> HttpResponse:
    return HttpResponse(WORKER if request.path == "/worker.js" else SCRIPT, content_type="text/javascript")


async def known(_: HttpRequest, name: str) -> JsonResponse:
    """What the hub knows of a client."""
    connection: Any = present.get(name)
    if connection is None or connection.control is None:
        return JsonResponse({})
    control = connection.control
    names = ("frames_sent", "frames_confirmed", "heartbeat_at", "hidden", "lag", "rtt", "missed")
    counts = connection.counts
    return JsonResponse({
        **{field: getattr(control, field) for field in names},
        "number": connection.number, "heartbeats": counts.heartbeats, "garbled": counts.garbled,
    })  # fmt: skip


urlpatterns = [
    path("hub/", include("hub.web.urls")),
    path("page/", page),
    path("page.js", script),
    path("worker.js", script),
    path("known/<slug:name>/", known),
]
