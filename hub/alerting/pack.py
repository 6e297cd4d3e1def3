"""
The rule pack: what the hub looks at unless it is told otherwise, as data.

``HUB["RULES"]`` changes it by name: False turns a rule off, True one of `OFF` on; a dictionary changes what it names
and leaves the rest; under a name of its own it is a rule of the host.
"""

from collections.abc import Mapping
from typing import Any

from hub.core.matchers import parse_matchers
from hub.core.rulebook import Flaw, read_rules
from hub.core.rules import Rule
from hub.core.series import Watched
from hub.core.silences import Inhibition

#: Where what is written in settings stands.
PLACE = "HUB['RULES']"
_BY = ["consumer", "tenant"]
_EPISODE = [*_BY, "cause", "node"]
_MINUTES = 60


def _latency(seconds: float, severity: str) -> dict[str, Any]:
    return {
        "look": "quantile", "of": "ws_message_latency_seconds", "by": ["consumer"], "window": 5 * _MINUTES,
        "quantile": 0.95, "least": 20, "above": seconds, "release": 0.8 * seconds, "for": 60, "severity": severity,
        "summary": "{consumer}: 95 % of messages take up to {value}, over {threshold}",
        "action": "The panel Slow names the line of code where its handlers wait.",
    }  # fmt: skip


#: Rules by name, as `hub.core.rulebook` describes them.
PACK: dict[str, dict[str, Any]] = {
    "connection_failures": {
        "look": "count", "of": "ws_connection_failures_total", "by": ["consumer"], "window": 60, "above": 50,
        "release": 25, "severity": "high",
        "summary": "{consumer}: {value} of the handshake within {window}",
        "action": "The events connection.rejected and connection.failed say why: refused, raised, or no answer.",
    },
    "handler_errors": {
        "look": "count", "of": "ws_handler_errors_total", "by": _BY, "window": 5 * _MINUTES, "above": 10,
        "release": 5, "severity": "high",
        "summary": "{consumer}, tenant {tenant}: {value} within {window}",
        "action": "The events handler.error name exception, file and line.",
    },
    "handler_errors_many": {
        "look": "count", "of": "ws_handler_errors_total", "by": _BY, "window": 5 * _MINUTES, "above": 100,
        "release": 50, "severity": "critical",
        "summary": "{consumer}, tenant {tenant}: {value} within {window}",
        "action": "The events handler.error name exception, file and line; was there a release?",
    },
    "handler_errors_doubled": {
        "look": "change", "of": "ws_handler_errors_total", "by": ["consumer"], "window": 5 * _MINUTES,
        "offset": 5 * _MINUTES, "least": 10, "above": 2, "release": 1, "severity": "critical",
        "summary": "{consumer}: {value} the errors of the {window} before",
        "action": "The events handler.error name exception, file and line; was there a release?",
    },
    "latency_medium": _latency(1.0, "medium"),
    "latency_high": _latency(2.0, "high"),
    "latency_critical": _latency(3.0, "critical"),
    "message_slow": {
        # The highest of all: no more is known of it than the bucket it fell into.
        "look": "quantile", "of": "ws_message_latency_seconds", "by": _BY, "window": 60, "quantile": 1.0, "above": 5,
        "severity": "high",
        "summary": "{consumer}, tenant {tenant}: a message took longer than {threshold}",
        "action": "The panel Slow names the message and the line of code where it waited.",
    },
    "inbound_backlog": {
        "look": "level", "of": "ws_inbound_backlog_messages", "by": _BY, "above": 1000, "release": 500, "for": 30,
        "severity": "medium",
        "summary": "{consumer}, tenant {tenant}: {value} wait for their handler",
        "action": "Handlers are slower than clients send: look at latency, and at who sends.",
    },
    "layer_backlog": {
        "look": "level", "of": "ws_channel_layer_depth", "by": ["layer", "node"], "above": 10_000, "release": 5000,
        "severity": "high",
        "summary": "{value} wait in the channel layer {layer} for {node}",
        "action": "Consumers take messages out slower than groups are sent to; at the capacity messages are lost.",
    },
    "layer_filling": {
        "look": "level", "of": "ws_channel_layer_fill_ratio", "by": ["layer", "node"], "highest": True, "above": 0.8,
        "release": 0.5, "severity": "medium",
        "summary": "A queue of the channel layer {layer} on {node} is at {value} of its capacity",
        "action": "The event layer.filling names the channel; when the queue is full messages are lost.",
    },
    "frames_dropped": {
        # Nobody waits for what a closed connection had still to read, nor for what is sent into it; and whoever closes
        # a laptop leaves something unconfirmed.
        "look": "count", "of": "ws_frames_dropped_total", "where": "reason!~teardown|after_close|unconfirmed",
        "by": ["consumer", "tenant", "reason"], "window": 60, "above": 0, "severity": "high",
        "summary": "{consumer}, tenant {tenant}: {value} lost within {window} ({reason})",
        "action": "The panel Dropped says in which group and for whom; docs/layers.md what the reason means.",
    },
    "frames_lost_untold": {
        "look": "count", "of": "ws_channel_layer_gaps_total", "by": ["layer", "node"], "window": 60, "above": 0,
        "severity": "high",
        "summary": "The channel layer {layer} on {node} has lost messages, and nobody can know how many",
        "action": "Its Redis was away or was emptied: see whether clients have to fetch anew what they show.",
    },
    "mass_disconnect": {
        "look": "share", "of": "ws_disconnects_total", "where": "code!~1000|1001", "under": "ws_connections_active",
        "by": ["consumer"], "window": 60, "least": 20, "above": 0.3, "release": 0.1, "severity": "critical",
        "summary": "{consumer}: {value} of its connections broke off within {window}",
        "action": "Close codes say who ended them: 1006 the network or a proxy, 1011 and 1012 the server.",
    },
    "presence_lost": {
        "look": "part", "of": "ws_presence_members", "where": "state=stale", "under": "ws_presence_members",
        "by": ["tenant"], "least": 10, "above": 0.3, "release": 0.15, "severity": "high",
        "summary": "Tenant {tenant}: {value} of its members have fallen silent, though their connections stand",
        "action": "Compare round trip and lag of the members: the network, a proxy, or a new release of the page.",
    },
    "loop_blocked": {
        "look": "level", "of": "ws_slow_consumers", "where": "cause=loop", "by": ["node"], "above": 0, "keep": 30,
        "severity": "critical",
        "summary": "The event loop of {node} is blocked: all of its connections wait",
        "action": "The panel Slow names the line that blocks; move it to a thread or make it async.",
    },
    "slow_consumer": {
        "look": "level", "of": "ws_slow_consumers", "where": "cause!=loop", "by": _EPISODE,
        "above": 0, "keep": 60, "severity": "medium",
        "summary": "{consumer}, tenant {tenant}, is slow: {cause} ({value} on {node})",
        "action": "The panel Slow says where it waits; docs/slowness.md what the cause means.",
    },
    "slow_for_long": {
        "look": "level", "of": "ws_slow_consumers", "where": "cause!=loop", "by": _EPISODE,
        "above": 0, "for": 60, "keep": 60, "severity": "high",
        "summary": "{consumer}, tenant {tenant}, has been slow for more than a minute: {cause} ({value} on {node})",
        "action": "The panel Slow says where it waits; docs/slowness.md what the cause means.",
    },
    "node_lost": {
        "look": "absent", "of": "hub_node_up", "by": ["node"], "above": 15, "severity": "critical",
        "summary": "{node} has not been heard of for {value}",
        "action": "See whether the process runs; its clients reconnect elsewhere.",
    },
    "traffic_risen": {
        "look": "change", "of": "ws_messages_received_total", "by": ["consumer"], "window": 5 * _MINUTES,
        "offset": 60 * _MINUTES, "least": 1000, "above": 3, "release": 2, "severity": "low",
        "summary": "{consumer}: {value} the messages of an hour before",
        "action": "See which tenants send them.",
    },
}  # fmt: skip
#: Off unless ``HUB["RULES"]`` says True: a process that is stopped on purpose looks lost too, for as long as nodes that
#: withdraw are not told apart; and traffic that rises is no fault.
OFF = frozenset({"node_lost", "traffic_risen"})


def _worse(worse: str, better: str, *equal: str) -> Inhibition:
    return Inhibition(cause=parse_matchers(f"rule={worse}"), effect=parse_matchers(f"rule~{better}"), equal=equal)


#: What explains what: the worse of two thresholds the lesser one, a cause what it leads to.
INHIBITIONS = (
    _worse("handler_errors_many", "handler_errors", *_BY),
    _worse("latency_critical", "latency_high|latency_medium", "consumer"),
    _worse("latency_high", "latency_medium", "consumer"),
    _worse("slow_for_long", "slow_consumer", *_EPISODE),
    _worse("loop_blocked", "slow_consumer|slow_for_long", "node"),
    _worse("layer_backlog", "layer_filling", "layer", "node"),
)


def read_settings(given: object, watched: Mapping[str, Watched]) -> tuple[list[Rule], list[Flaw]]:
    """
    The rules that are on, with what the settings change and add.

    Args:
        given: ``HUB["RULES"]``.
        watched: The metrics there are.

    Returns:
        Them, and what can't be used. Of the pack's rules one that is changed wrongly stays as it is.
    """
    if not isinstance(given, Mapping):
        given, flaws = {}, [_no_dictionary(given)]
    else:
        flaws = [_unknown_switch(name) for name, written in given.items() if _is_lost(name, written)]
    off = {name for name, written in given.items() if written is False}
    off |= {name for name in OFF if given.get(name) is not True}
    changed = {name: written for name, written in given.items() if not isinstance(written, bool)}
    rules, found = read_rules({name: _merged(name, written) for name, written in changed.items()}, watched, PLACE)
    known = {rule.name for rule in rules}
    kept, faulty = read_rules(
        {name: rule for name, rule in PACK.items() if name not in off | known}, watched, "the rule pack"
    )
    order = {name: place for place, name in enumerate(PACK)}
    return sorted([*kept, *rules], key=lambda rule: order.get(rule.name, len(order))), [*flaws, *found, *faulty]


def _merged(name: object, written: object) -> object:
    """A rule of the pack with what is written over it."""
    if not isinstance(name, str) or name not in PACK or not isinstance(written, Mapping):
        return written
    own = dict(PACK[name])
    if {"above", "below"} & written.keys():
        # Another threshold: what released the old one says nothing of it.
        own = {key: value for key, value in own.items() if key not in ("above", "below", "release")}
    return {**own, **written}


def _is_lost(name: object, written: object) -> bool:
    return isinstance(written, bool) and name not in PACK


def _no_dictionary(given: object) -> Flaw:
    return Flaw(PLACE, f"{given!r} is no dictionary of rules", "Write {'name of a rule': False} or {'name': {...}}.")


def _unknown_switch(name: object) -> Flaw:
    return Flaw(f"{PLACE}[{name!r}]", "there is no such rule in the pack", f"Known: {', '.join(PACK)}.")
