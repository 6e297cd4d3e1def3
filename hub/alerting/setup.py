"""What alerting works with: rules, who is told, and how, from the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.alerting.engine import Engine
from hub.alerting.pack import INHIBITIONS, read_settings
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
        rules=tuple(rules),
        watched=metrics,
        routing=plan.routing,
        receivers=receivers,
        last_resort=plan.last_resort,
        inhibitions=plan.inhibitions,
        maintenance=plan.maintenance,
        retention=config.alert_retention_days * _DAY,
        page=config.page_url or "",
        site=config.site_name,
    )
