from __future__ import annotations

from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from django.core.checks import CheckMessage, run_checks
from django.test import override_settings

from hub import MonitoredConsumerMixin
from hub.conf import Config
from hub.instrument.checks import check_policies, contradictions

#: Settings that the class below, made when it is asked for, can't be used with.
SHORT = {"HEARTBEAT_INTERVAL": 1, "PRESENCE_TIMEOUT": 20}


class Slow(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """Right by the defaults."""

    hub_heartbeat_interval = 25.0


class Slower(Slow):
    """Says nothing else."""


class Brief(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """Right by the defaults, too."""

    hub_presence_timeout = 70.0


def about(kind: type, messages: Any) -> list[CheckMessage]:
    return [message for message in messages if message.msg.startswith(f"{kind.__module__}.{kind.__qualname__}: ")]


def test_what_fits_is_fine():
    assert [] == [message for kind in (Slow, Slower, Brief) for message in about(kind, contradictions(Config()))]


def test_an_interval_that_is_too_long_for_the_settings_is_named_with_the_remedy():
    messages = list(contradictions(Config(heartbeat_interval=1.0, presence_timeout=20.0)))
    [message] = about(Slow, messages)
    assert message.id == "hub.E004"
    assert "time-out of 20 s" in message.msg
    assert "hub_presence_timeout of at least 50 seconds" in str(message.hint)
    assert "hub_heartbeat_interval of at most 10 seconds" in str(message.hint)
    assert [] == about(Slower, messages)


def test_so_is_a_time_out_that_is_too_short():
    [message] = about(Brief, contradictions(Config(heartbeat_interval=100.0)))
    assert "intervals of 100 s" in message.msg
    assert "hub_heartbeat_interval of at most 35 seconds" in str(message.hint)
    assert "hub_presence_timeout of at least 200 seconds" in str(message.hint)


@pytest.mark.django_db
def test_django_runs_the_check():
    with override_settings(HUB=SHORT):
        assert about(Slow, run_checks())


@pytest.mark.parametrize("application", [None, "no.such.module", f"{__name__}.missing"])
def test_an_application_that_cannot_be_imported_is_for_others_to_tell(application):
    with override_settings(HUB=SHORT, ASGI_APPLICATION=application):
        assert about(Slow, check_policies())
