"""What alerting works with: rules, who is told, and how, from the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit, urlunsplit

from hub.alerting.engine import Engine
from hub.alerting.pack import INHIBITIONS, PACK, read_settings
from hub.alerting.receivers.base import Receiver
from hub.alerting.receivers.settings import read_plan, read_receivers
from hub.alerting.sources import watched
from hub.alerting.zones import local
from hub.conf import Config
from hub.core.alerts import Alerts
from hub.core.routing import Routing
from hub.core.rules import Rule
from hub.core.series import Watched
from hub.core.silences import Inhibition, Maintenance
from hub.metrics import REGISTRY

_DAY = 86_400.0
#: The hub's own incident notes, as seen from the operator page.
NOTES = "incidents/"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """
    Rules, routes and receivers of one process.

    Attributes:
        receivers: By the names that routes give them.
        last_resort: Who is told of what no route takes.
        retention: Seconds that history is kept.
        page: Absolute address of the operator page; empty: nobody has said.
        site: What the deployment is called.
    """

    rules: tuple[Rule, ...]
    watched: Mapping[str, Watched]
    routing: Routing
    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    last_resort: tuple[str, ...] = ()
    inhibitions: tuple[Inhibition, ...] = INHIBITIONS
    maintenance: tuple[Maintenance, ...] = ()
    retention: float = 30 * _DAY
    page: str = ""
    site: str = ""

    def make_engine(self, now: float) -> Engine:
        """An engine that knows nothing yet."""
        alerts = Alerts(self.routing, local, self.inhibitions, self.maintenance)
        return Engine(self.rules, self.watched, alerts, now)


def read_setup(config: Config) -> Setup:
    """What the settings say; what they say wrongly is left out, and a system check tells of it."""
    metrics = watched(REGISTRY.pack())
    rules, _ = read_settings(config.rules, metrics)
    receivers, _ = read_receivers(config)
    plan, _ = read_plan(config, receivers)
    return Setup(
        rules=tuple(with_runbook(rule, config) for rule in rules),
        watched=metrics,
        routing=plan.routing,
        receivers=receivers,
        last_resort=plan.last_resort,
        inhibitions=plan.inhibitions,
        maintenance=plan.maintenance,
        retention=config.alert_retention_days * _DAY,
        page=_as_folder(config.page_url) if config.page_url else "",
        site=config.site_name,
    )


def with_runbook(rule: Rule, config: Config) -> Rule:
    """The rule, with a link to the notes about it: its own, the host's, or the hub's, which know only the pack."""
    notes = config.runbooks or (NOTES if rule.name in PACK else "")
    return replace(rule, runbook=rule.runbook or (notes and f"{notes}#{rule.name}"))


def _as_folder(page: str) -> str:
    """The page's address as links in it see it: Django leads to the one with the slash."""
    parts = urlsplit(page)
    path = parts.path if parts.path.endswith("/") else f"{parts.path}/"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, parts.fragment))
