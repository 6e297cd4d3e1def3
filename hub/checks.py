"""System checks: what is set up wrongly, each with a number, the value and the remedy."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's own name

from hub.conf import Problem, misnamed_variables, problems_and_config

#: Applications without which the operator page and feed can't tell who somebody is.
REQUIRED_APPS = ("django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions")


@register("hub")
def check_settings(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """``hub.E001``: an unknown key in ``settings.HUB``; ``hub.E002``: a value that can't be used."""
    return [_error(problem) for problem in problems_and_config()[1]]


def _error(problem: Problem) -> CheckMessage:
    number = "hub.E001" if problem.unknown_key else "hub.E002"
    return Error(problem.message, hint=problem.hint, id=number)


@register("hub")
def check_apps(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """``hub.E003``: the hub can't know its operators."""
    return [
        Error(
            f"Channels Hub needs {name} to know its operators",
            hint=f"Add {name!r} to INSTALLED_APPS, and the middleware that goes with it.",
            id="hub.E003",
        )
        for name in REQUIRED_APPS
        if not apps.is_installed(name)
    ]


@register("hub")
def check_metrics_access(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """``hub.W001``: everybody may read the metrics."""
    config = problems_and_config()[0]
    if not any(ip_network(network).prefixlen == 0 for network in config.metrics_networks):
        return []
    hint = "Name the networks of your Prometheus in HUB['METRICS_NETWORKS'], or none and set HUB['METRICS_TOKEN']."
    return [Warning("Anybody may read the metrics without a token", hint=hint, id="hub.W001")]


@register("hub")
def check_environment(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """``hub.W002``: a variable that nobody reads, with a name like one of the hub's."""
    return [Warning(problem.message, hint=problem.hint, id="hub.W002") for problem in misnamed_variables()]
