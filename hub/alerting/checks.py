"""System check: alert rules that can't be used, each with place and remedy."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, register

from hub.alerting.pack import read_settings
from hub.alerting.sources import watched
from hub.conf import problems_and_config
from hub.metrics import REGISTRY


@register("hub")
def check_rules(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """``hub.E005``: a rule in ``HUB["RULES"]`` can't be used."""
    flaws = read_settings(problems_and_config()[0].rules, watched(REGISTRY.pack()))[1]
    return [Error(f"{flaw.place}: {flaw.message}", hint=flaw.hint, id="hub.E005") for flaw in flaws]
