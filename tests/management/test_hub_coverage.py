from __future__ import annotations

import json
from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django import urls
from django.core.management import CommandError, call_command
from django.test import override_settings

from hub import MonitoredConsumerMixin, monitor
from hub.conf import config

#: Django's types know of views only.
path: Any = urls.path


class Plain(AsyncWebsocketConsumer):
    pass


class Mixed(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    pass


class Unboxed(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    hub_inbox = False


async def raw(scope, receive, send):
    """No consumer."""


def make():
    routes = [
        path("mixed/", Mixed.as_asgi()),
        path("unboxed/", Unboxed.as_asgi()),
        path("plain/", Plain.as_asgi()),
        path("raw/", raw),
    ]
    return ProtocolTypeRouter({"websocket": URLRouter(routes)})


unwrapped = make()
wrapped = monitor(make())
all_mixed = ProtocolTypeRouter({"websocket": URLRouter([path("mixed/", Mixed.as_asgi())])})
without_router = raw
HERE = __name__
WRAPPER = "wrapper: frames, connections, durations, close codes"


def coverage(capsys, name: str, **options: bool) -> str:
    with override_settings(ASGI_APPLICATION=f"{HERE}.{name}"):
        call_command("hub_coverage", **options)
    return str(capsys.readouterr().out)


@pytest.mark.parametrize(("name", "otherwise"), [("unwrapped", "none"), ("wrapped", WRAPPER)])
def test_every_route_is_listed_with_how_it_is_monitored(capsys, name, otherwise):
    found = json.loads(coverage(capsys, name, json=True))
    assert found == {
        "wrapped": name == "wrapped",
        "routes": [
            {"path": "/mixed/", "consumer": f"{HERE}.Mixed", "monitored": "mixin, inbox"},
            {
                "path": "/unboxed/",
                "consumer": f"{HERE}.Unboxed",
                "monitored": "mixin, wrapped: the inbox is switched off",
            },
            {"path": "/plain/", "consumer": f"{HERE}.Plain", "monitored": otherwise},
            {"path": "/raw/", "consumer": "(an ASGI application)", "monitored": otherwise},
        ],
    }


def test_people_read_a_table(capsys):
    text = coverage(capsys, "wrapped")
    assert "wrapped by hub.monitor(); 4 WebSocket route(s)." in text
    assert f"/mixed/    {HERE}.Mixed " in text


def test_a_gap_can_fail_a_build(capsys):
    with pytest.raises(CommandError, match="not monitored"):
        coverage(capsys, "unwrapped", fail=True)
    coverage(capsys, "wrapped", fail=True)
    coverage(capsys, "all_mixed", fail=True)


def test_no_router_is_said_and_not_assumed_to_be_fine(capsys):
    assert "No URLRouter was found" in coverage(capsys, "without_router")


def test_no_router_can_fail_a_build_too(capsys):
    with pytest.raises(CommandError):
        coverage(capsys, "without_router", fail=True)


@pytest.mark.parametrize("setting", [None, "no.such.module"])
def test_a_project_without_an_application_is_told_what_to_set(setting):
    with override_settings(ASGI_APPLICATION=setting), pytest.raises(CommandError, match="ASGI_APPLICATION"):
        call_command("hub_coverage")


def test_a_hub_that_is_off_is_said_first(capsys):
    try:
        with override_settings(HUB={"ENABLED": False}):
            config.cache_clear()
            assert "HUB_ENABLED is off" in coverage(capsys, "all_mixed").splitlines()[0]
    finally:
        config.cache_clear()


def test_the_site_itself_is_monitored(capsys):
    call_command("hub_coverage", json=True, fail=True)
    found = json.loads(capsys.readouterr().out)
    assert found["wrapped"]
    assert "/ws/ops/" in [route["path"] for route in found["routes"]]
