"""``/metrics``: this process's numbers, copied on the event loop in slices and encoded in a thread of the hub's."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from hub import __version__
from hub.access import may_scrape
from hub.conf import config
from hub.core.ledger import Counts
from hub.core.metrics import Packed
from hub.export.prometheus import HubCollector, exposition
from hub.faults import FAULTS
from hub.feed.service import FeedService
from hub.fleet.view import FleetView
from hub.instrument.state import instruments
from hub.metrics import REGISTRY
from hub.node.executor import breathing, run_in_thread
from hub.node.layers import LayerWatch
from hub.node.node import Node, current_node
from hub.node.presence import NodePresence
from hub.node.sampler import Sampler
from hub.web.security import HEADERS, secured_async

Application = Callable[[Any, Any, Any], Awaitable[Any]]
REFUSAL = (
    b"Channels Hub: send the token of HUB['METRICS_TOKEN'] as a bearer token, or scrape from a network\n"
    b"of HUB['METRICS_NETWORKS'] directly.\n"
)

#: Rows that are unpacked in about a millisecond.
ROWS = 50
#: Bytes handed to the server at once: a large answer in one piece keeps its loop busy.
CHUNK_BYTES = 256 * 1024

Own = tuple[str, str, str, str | None, dict[str, float]]
Members = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Answer:
    """What a scraper is told."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


async def scrape(address: str, headers: dict[str, str], names: list[str]) -> Answer:
    """
    Answer one scrape.

    Args:
        address: Of the peer, as the server sees it.
        headers: By lower-case name; ``accept`` chooses between text and OpenMetrics.
        names: Only samples of these names; all if empty.
    """
    settings = config()
    if not (settings.enabled and settings.prometheus):
        return Answer(404, b"Channels Hub: metrics are switched off.\n")
    if not may_scrape(address, headers, settings):
        return Answer(403, REFUSAL)
    node = current_node()
    sampler = Sampler(instruments().ledger) if node is None else node.sampler
    rows = await sampler.sample()
    own, members = own_metrics(node), members_of(node)
    process = [] if node is None else [*node.measure_process(), *node.measure_alerts()]
    body, content_type = await run_in_thread(_encode, rows, members, process, own, headers.get("accept", ""), names)
    return Answer(200, body, content_type)


@secured_async
@require_safe
async def metrics(request: HttpRequest) -> HttpResponse:
    """The exposition as a Django view, at any prefix."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    answer = await scrape(request.META.get("REMOTE_ADDR") or "", headers, request.GET.getlist("name[]"))
    return HttpResponse(answer.body, status=answer.status, content_type=answer.content_type)


def metrics_before(application: Application) -> Application:
    """
    Answer scrapes before an ASGI application sees them, so that they wait for none of its middleware and threads.

    Args:
        application: Django's, usually; gets every request but those for ``HUB["METRICS_PATH"]``.
    """
    path = config().metrics_path.rstrip("/")

    async def answer_or_pass_on(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope["type"] != "http" or scope["path"].rstrip("/") != path or scope["method"] not in {"GET", "HEAD"}:
            await application(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        names = parse_qs(scope["query_string"].decode("latin-1")).get("name[]", [])
        client = scope.get("client")
        answer = await scrape(client[0] if client else "", headers, names)
        await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer)})
        await _send_body(send, b"" if scope["method"] == "HEAD" else answer.body)

    return answer_or_pass_on


async def _send_body(send: Any, body: bytes) -> None:  # noqa: ANN401 - ASGI
    for begin in range(0, max(1, len(body)), CHUNK_BYTES):
        end = begin + CHUNK_BYTES
        await send({"type": "http.response.body", "body": body[begin:end], "more_body": end < len(body)})
        await asyncio.sleep(0)


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    named = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body)), **HEADERS}
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in named.items()]


def members_of(node: Node | None) -> Members:
    """This process's members by tenant and state; a copy."""
    if node is None:
        return {}
    return {tenant: dict(states) for tenant, states in node.part(NodePresence).members.counts.items()}


def _encode(
    rows: list[list[object]], members: Members, process: list[Packed], own: list[Own], accept: str, names: list[str]
) -> tuple[bytes, str]:
    settings = config()
    collector = HubCollector(
        breathing(map(Counts.unpack, rows), ROWS), process + REGISTRY.pack(), own, presence=members,
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
        (
            "hub_presence_sweep_seconds", "gauge", "Time that the last sweep of presence took.",
            node.part(NodePresence).sweep_seconds,
        ),
        ("hub_history_bytes", "gauge", "Memory of the history.", view.history.nbytes),
        ("hub_history_evicted", "counter", "Series let go of for lack of memory.", view.history.evicted),
    )  # fmt: skip
    own = [(name, kind, help_text, None, {"": float(value)}) for name, kind, help_text, value in numbers]
    return [*own, *layer_metrics(node.part(LayerWatch))]


def layer_metrics(watch: LayerWatch) -> list[Own]:
    """The channel layers of this process, by alias; one of which nothing is known has no numbers."""
    depths = watch.depths
    # Where something waits and nobody knows since when, there is no number.
    oldest = {
        alias: depth.oldest or 0.0 for alias, depth in depths.items() if depth.oldest is not None or not depth.messages
    }
    capacities = {alias: float(depth.capacity) for alias, depth in depths.items() if depth.capacity is not None}
    numbers: tuple[tuple[str, str, str, dict[str, float]], ...] = (
        (
            "ws_channel_layer_depth", "gauge", "Messages that wait in the channel layer for this process.",
            {alias: float(depth.messages) for alias, depth in depths.items()},
        ),
        ("ws_channel_layer_oldest_seconds", "gauge", "How long the oldest of them has waited.", oldest),
        ("ws_channel_layer_capacity", "gauge", "Messages that fit into one queue of the layer.", capacities),
        (
            "ws_channel_layer_fill_ratio", "gauge", "The fullest queue of the layer, of its capacity.",
            {alias: depth.fullest for alias, depth in depths.items() if depth.capacity is not None},
        ),
        (
            "ws_channel_layer_gaps", "counter", "Times that messages were lost in a number that nobody can know.",
            {alias: float(gaps) for alias, gaps in watch.gaps().items()},
        ),
    )  # fmt: skip
    return [(name, kind, help_text, "layer", values) for name, kind, help_text, values in numbers]
