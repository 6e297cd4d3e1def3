"""
From what is written in settings to receivers, and to who is told of what; and what is wrong with what is written.

A receiver that has a flaw is left out, and so is a route that names it: what that would have taken goes on to later
ones and to the receivers of last resort.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from hub.alerting.pack import INHIBITIONS
from hub.alerting.receivers.alertmanager import Alertmanager, AlertmanagerOptions
from hub.alerting.receivers.apprise import Apprise, AppriseOptions
from hub.alerting.receivers.base import Receiver
from hub.alerting.receivers.email import Email, EmailOptions
from hub.alerting.receivers.options import Options, decode
from hub.alerting.receivers.pagerduty import PagerDuty, PagerDutyOptions
from hub.alerting.receivers.slack import Slack, SlackOptions
from hub.alerting.receivers.webhook import Webhook, WebhookOptions
from hub.alerting.zones import local
from hub.conf import FROM_ENVIRONMENT, RECEIVER_VARIABLES, Config
from hub.core.matchers import EQUAL, Matcher
from hub.core.routebook import Reader
from hub.core.routing import Route, Routing
from hub.core.rulebook import Flaw
from hub.core.rules import CRITICAL
from hub.core.silences import Inhibition, Maintenance

PLACE = "HUB['RECEIVERS']"
MAX_NAME = 100
#: What to do where nobody can be told.
NO_RECEIVERS = f"There are no receivers: name one in {PLACE}, or set {' or '.join(RECEIVER_VARIABLES)}."
#: Options and maker of each kind.
KINDS: dict[str, tuple[type[Options], Callable[[str, Any], Receiver]]] = {
    "slack": (SlackOptions, Slack),
    "pagerduty": (PagerDutyOptions, PagerDuty),
    "email": (EmailOptions, Email),
    "webhook": (WebhookOptions, Webhook),
    "alertmanager": (AlertmanagerOptions, Alertmanager),
    "apprise": (AppriseOptions, Apprise),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is told of what, what explains what, and when nobody is told."""

    routing: Routing
    last_resort: tuple[str, ...]
    inhibitions: tuple[Inhibition, ...]
    maintenance: tuple[Maintenance, ...]


# --- receivers ----------------------------------------------------------------------------------------------------


def read_receivers(config: Config) -> tuple[dict[str, Receiver], list[Flaw]]:
    """The receivers of ``HUB["RECEIVERS"]`` by name, and what can't be used. No flaw shows a value."""
    receivers: dict[str, Receiver] = {}
    flaws: list[Flaw] = []
    for name, given in config.receivers.items():
        made = _receiver(name, given)
        if isinstance(made, Flaw):
            flaws.append(made)
        else:
            receivers[made.name] = made
    return receivers, flaws


def _receiver(name: object, given: object) -> Receiver | Flaw:
    place = f"{PLACE}[{name!r}]"
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name.strip()) <= MAX_NAME:
        return Flaw(place, "this is no name", f"Give it a text of at most {MAX_NAME} characters.")
    kind = given.get("type") if isinstance(given, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS:
        return Flaw(place, "its type is none that there is", f"Write {{'type': …}} with one of {', '.join(KINDS)}.")
    for variable in _missing(given):
        return Flaw(place, f"the environment has no {variable}", "Set it, or take the receiver out.")
    options, make = KINDS[kind]
    try:
        return make(name, msgspec.convert(given, options, dec_hook=decode, strict=False))
    except msgspec.ValidationError as error:
        known = ", ".join(option for option in options.__struct_fields__ if option != "type")
        return Flaw(place, str(error), f"Options of {kind}: {known}.")


def _missing(given: object) -> Iterator[str]:
    """Variables that the environment has not."""
    if isinstance(given, Mapping | list):
        for one in given.values() if isinstance(given, Mapping) else given:
            yield from _missing(one)
    elif isinstance(given, str) and given.startswith(FROM_ENVIRONMENT):
        yield given.removeprefix(FROM_ENVIRONMENT)


# --- who is told of what ------------------------------------------------------------------------------------------


def read_plan(config: Config, receivers: Mapping[str, Receiver]) -> tuple[Plan, list[Flaw]]:
    """What the settings say of who is told, and what of it can't be used."""
    reader = Reader(receivers, local)
    routes, flaws = reader.routes(config.routes, "HUB['ROUTES']")
    windows, wrong_windows = reader.maintenance(config.maintenance, "HUB['MAINTENANCE']")
    inhibitions, wrong_inhibitions = read_inhibitions(config)
    last, wrong_last = _last_resort(config, receivers)
    plan = Plan(
        routing=Routing(routes if config.routes else usual_routes(receivers), last),
        last_resort=last,
        inhibitions=inhibitions,
        maintenance=tuple(windows),
    )
    return plan, [*flaws, *wrong_last, *wrong_windows, *wrong_inhibitions]


def read_inhibitions(config: Config) -> tuple[tuple[Inhibition, ...], list[Flaw]]:
    """What explains what: the pack's, and those of ``HUB["INHIBITIONS"]``; and what can't be used."""
    own, flaws = Reader({}, local).inhibitions(config.inhibitions, "HUB['INHIBITIONS']")
    return (*INHIBITIONS, *own), flaws


def usual_routes(receivers: Mapping[str, Receiver]) -> list[Route]:
    """Who is told where nobody has said so: pagers of what somebody has to act on at once, the others of everything."""
    pagers, others = _by_urgency(receivers)
    if not pagers or not others:
        return [Route(name="everything", receivers=(*pagers, *others))]
    urgent = (Matcher("severity", EQUAL, CRITICAL),)
    return [
        Route(name="pagers", receivers=pagers, matchers=urgent, go_on=True),
        Route(name="everything", receivers=others),
    ]


def _by_urgency(receivers: Mapping[str, Receiver]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    pagers = tuple(name for name, receiver in receivers.items() if receiver.kind == PagerDuty.kind)
    return pagers, tuple(name for name in receivers if name not in pagers)


def _last_resort(config: Config, receivers: Mapping[str, Receiver]) -> tuple[tuple[str, ...], list[Flaw]]:
    pagers, others = _by_urgency(receivers)
    if config.last_resort is None:
        return others or pagers, []
    known = tuple(name for name in config.last_resort if name in receivers)
    hint = f"Known: {', '.join(receivers) or 'none'}."
    flaws = [
        Flaw("HUB['LAST_RESORT']", f"there is no receiver {name!r}", hint)
        for name in config.last_resort
        if name not in known
    ]
    # Named wrongly, all of them: it was not meant that nobody is told.
    return (others or pagers if flaws and not known else known), flaws
