"""System check of the consumer classes: what they say about presence, together with the settings."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from channels.routing import get_default_application
from django.core.checks import CheckMessage, Error, register

from hub.conf import Config, problems_and_config
from hub.core.errors import ConfigurationError
from hub.core.policy import SILENT_INTERVALS
from hub.instrument.members import own_policy
from hub.instrument.mixin import MonitoredConsumerMixin


@register("hub")
def check_policies(app_configs: Sequence[Any] | None = None, **_: object) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """``hub.E004``: a consumer class and the settings contradict each other; those of the settings hold."""
    # Classes are known once they are imported. What is wrong with the application is for others to say.
    with suppress(Exception):
        get_default_application()
    return list(contradictions(problems_and_config()[0]))


def contradictions(settings: Config) -> Iterator[CheckMessage]:
    """One error for each class that asks for what can't be; none for those that inherit it."""
    wrong: set[type] = set()
    for cls in subclasses(MonitoredConsumerMixin):
        if "_hub_policy" not in vars(cls):
            continue  # refused when it was made
        try:
            own_policy(cls, settings)
        except ConfigurationError as error:
            if wrong.isdisjoint(cls.__mro__):
                yield Error(f"{cls.__module__}.{cls.__qualname__}: {error}", hint=_remedy(cls, settings), id="hub.E004")
            wrong.add(cls)


def subclasses(cls: type) -> list[type]:
    """All classes below one, each once, bases before what is made of them."""
    found: set[type] = set()
    waiting: list[type] = [cls]
    while waiting:
        below: set[type] = set(type.__subclasses__(waiting.pop())) - found
        found |= below
        waiting += below
    return sorted(found, key=lambda one: (len(one.__mro__), one.__module__, one.__qualname__))


def _remedy(cls: Any, settings: Config) -> str:  # noqa: ANN401 - a class with the mixin
    if cls.hub_presence_timeout is None:
        interval, timeout = cls.hub_heartbeat_interval, settings.presence_timeout
        return (
            f"Give the class a hub_presence_timeout of at least {SILENT_INTERVALS * interval:g} seconds too, or a"
            f" hub_heartbeat_interval of at most {timeout / SILENT_INTERVALS:g} seconds."
        )
    interval, timeout = settings.heartbeat_interval, cls.hub_presence_timeout
    return (
        f"Give the class a hub_heartbeat_interval of at most {timeout / SILENT_INTERVALS:g} seconds too, or a"
        f" hub_presence_timeout of at least {SILENT_INTERVALS * interval:g} seconds."
    )
