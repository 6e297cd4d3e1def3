"""``/metrics``: this process's numbers, copied on the event loop in slices and encoded in a thread of the hub's."""

from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, HttpResponseNotFound
from django.views.decorators.http import require_safe

from hub import __version__
from hub.access import may_scrape
from hub.conf import config
from hub.core.ledger import Counts
from hub.export.prometheus import HubCollector, exposition
from hub.faults import FAULTS
from hub.feed.service import FeedService
from hub.fleet.view import FleetView
from hub.instrument.state import instruments
from hub.metrics import REGISTRY
from hub.node.executor import run_in_thread
from hub.node.node import Node, current_node
from hub.node.sampler import sample
from hub.web.security import secured_async

Own = tuple[str, str, str, str | None, dict[str, float]]


@secured_async
@require_safe
async def metrics(request: HttpRequest) -> HttpResponse:
    """The exposition; ``name[]`` chooses samples, the Accept header text or OpenMetrics."""
    settings = config()
    if not (settings.enabled and settings.prometheus):
        return HttpResponseNotFound("Channels Hub: metrics are switched off.\n", content_type="text/plain")
    headers = {name.lower(): value for name, value in request.headers.items()}
    if not may_scrape(request.META.get("REMOTE_ADDR") or "", headers, settings):
        text = "Channels Hub: send the token of HUB['METRICS_TOKEN'] as a bearer token, or scrape from a network\n"
        return HttpResponseForbidden(text + "of HUB['METRICS_NETWORKS'] directly.\n", content_type="text/plain")
    rows = await sample(instruments().ledger)
    own = own_metrics(current_node())
    names = request.GET.getlist("name[]")
    body, content_type = await run_in_thread(_encode, rows, own, headers.get("accept", ""), names)
    return HttpResponse(body, content_type=content_type)


def _encode(rows: list[list[object]], own: list[Own], accept: str, names: list[str]) -> tuple[bytes, str]:
    settings = config()
    collector = HubCollector(
        map(Counts.unpack, rows), REGISTRY.pack(), own,
        max_tenants=settings.tenant_labels, max_types=settings.type_labels,
    )  # fmt: skip
    return exposition(collector, accept, names)


def own_metrics(node: Node | None) -> list[Own]:
    """The hub's own health, as (name, kind, help, label, values)."""
    faults: dict[str, float] = dict(FAULTS)
    own: list[Own] = [
        ("hub_info", "gauge", "Always 1; the version of Channels Hub.", "version", {__version__: 1}),
        ("hub_faults", "counter", "Faults inside the hub, by place.", "place", faults),
    ]
    if node is not None:
        own += _node_metrics(node)
    return own


def _node_metrics(node: Node) -> list[Own]:
    feed, view = node.part(FeedService), node.part(FleetView)
    numbers = (
        ("hub_feed_clients", "gauge", "Operators connected.", len(feed.listeners)),
        ("hub_feed_frames", "counter", "Frames sent to operators.", feed.frames_sent),
        ("hub_feed_encodings", "counter", "Messages encoded for operators.", feed.topics.encodings),
        ("hub_feed_closed_slow", "counter", "Operators closed because they could not keep up.", feed.closed_slow),
        ("hub_events", "counter", "Events sent.", node.events_sent),
        ("hub_sampler_seconds", "gauge", "Time that the last sample took.", node.sampler_seconds),
        ("hub_loop_lag_seconds", "gauge", "How late the last sample began.", node.loop_lag or 0.0),
        ("hub_history_bytes", "gauge", "Memory of the history.", view.history.nbytes),
        ("hub_history_evicted", "counter", "Series let go of for lack of memory.", view.history.evicted),
    )
    return [(name, kind, help_text, None, {"": float(value)}) for name, kind, help_text, value in numbers]
