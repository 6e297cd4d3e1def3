"""System checks: alert rules, receivers and routes that can't be used, each with place and remedy."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, register

from hub.alerting.pack import read_settings
from hub.alerting.receivers.settings import read_plan, read_receivers
from hub.alerting.sources import watched
from hub.conf import problems_and_config
from hub.core.rulebook import Flaw
from hub.metrics import REGISTRY


@register("hub")
def check_rules(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """``hub.E005``: a rule in ``HUB["RULES"]`` can't be used."""
    flaws = read_settings(problems_and_config()[0].rules, watched(REGISTRY.pack()))[1]
    return _errors(flaws, "hub.E005")


@register("hub")
def check_receivers(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """
    ``hub.E006``: a receiver in ``HUB["RECEIVERS"]`` can't be used; ``hub.E007``: a route, a receiver of last resort, a
    maintenance window or an inhibition can't.
    """
    config = problems_and_config()[0]
    receivers, flaws = read_receivers(config)
    return [*_errors(flaws, "hub.E006"), *_errors(read_plan(config, receivers)[1], "hub.E007")]


def _errors(flaws: Iterable[Flaw], number: str) -> list[CheckMessage]:
    return [Error(f"{flaw.place}: {flaw.message}", hint=flaw.hint, id=number) for flaw in flaws]
