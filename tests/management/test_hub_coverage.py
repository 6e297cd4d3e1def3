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
LAYER = "instrumented, by HUB['LAYERS']"


def coverage(capsys, name: str, **options: bool) -> str:
    with override_settings(ASGI_APPLICATION=f"{HERE}.{name}"):
        call_command("hub_coverage", **options)
    return str(capsys.readouterr().out)


class Silent(Mixed):
    hub_control_frames = False
    hub_presence = False


silent = ProtocolTypeRouter({"websocket": URLRouter([path("silent/", Silent.as_asgi())])})


@pytest.mark.parametrize(("name", "otherwise"), [("unwrapped", "none"), ("wrapped", WRAPPER)])
def test_every_route_is_listed_with_how_it_is_monitored(capsys, name, otherwise):
    found = json.loads(coverage(capsys, name, json=True))
    known = {"control_frames": True, "presence": True}
    others = {"monitored": otherwise, "control_frames": False, "presence": name == "wrapped"}
    unboxed = "mixin, wrapped: the inbox is switched off"
    assert found == {
        "wrapped": name == "wrapped",
        "routes": [
            {"path": "/mixed/", "consumer": f"{HERE}.Mixed", "monitored": "mixin, inbox", **known},
            {"path": "/unboxed/", "consumer": f"{HERE}.Unboxed", "monitored": unboxed, **known},
            {"path": "/plain/", "consumer": f"{HERE}.Plain", **others},
            {"path": "/raw/", "consumer": "(an ASGI application)", **others},
        ],
        "layers": {"default": LAYER},
    }


def test_people_read_a_table(capsys):
    text = coverage(capsys, "wrapped")
    assert "wrapped by hub.monitor(); 4 WebSocket route(s)." in text
    assert text.splitlines()[-1] == f"Channel layer 'default': {LAYER}."
    words = {line.split()[0]: line.split("  ")[-1].strip() for line in text.splitlines()[1:-1]}
    assert words == {
        "/mixed/": "mixin, inbox; control frames, presence",
        "/unboxed/": "mixin, wrapped: the inbox is switched off; control frames, presence",
        "/plain/": f"{WRAPPER}; presence",
        "/raw/": f"{WRAPPER}; presence",
    }


def test_what_a_class_does_without_is_not_claimed(capsys):
    assert coverage(capsys, "silent").splitlines()[1].endswith(f"{HERE}.Silent  mixin, inbox")


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
