"""Layers that are configured under their own names, instrumented by a setting; and how that is told."""

from __future__ import annotations

from typing import Any

import pytest
from channels.layers import BaseChannelLayer, InMemoryChannelLayer, channel_layers, get_channel_layer
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.test import override_settings
from django.utils.module_loading import import_string

from hub import layers
from hub.instrument.layers.adopt import adopt, coverage, instrument_layers, instrumented_class
from hub.instrument.layers.base import Instrumented


class OwnLayer(InMemoryChannelLayer):
    """A host's own, on top of one that is known."""

    async def send(self, channel, message):
        await super().send(channel, {**message, "stamped": True})


class Foreign(BaseChannelLayer):
    """A layer that nobody knows here."""


def configured(**backends):
    return override_settings(CHANNEL_LAYERS={alias: {"BACKEND": path} for alias, path in backends.items()})


HERE = "tests.instrument.test_layers_adopt"


@pytest.mark.parametrize("name", layers.__all__)
def test_the_public_names_are_backends(name):
    made = import_string(f"hub.layers.{name}")
    assert issubclass(made, Instrumented)
    assert name == made.__name__


def test_no_other_name_is_handed_out():
    with pytest.raises(AttributeError, match="NoLayer"):
        layers.NoLayer  # noqa: B018


async def test_a_configured_layer_is_instrumented_for_whoever_holds_it(shared):
    with configured(default="channels.layers.InMemoryChannelLayer"):
        held: Any = get_channel_layer()
        instrument_layers()
        assert held is get_channel_layer()
        assert ("InMemoryChannelLayer", "default") == (type(held).__name__, held.hub_alias)
        assert isinstance(held, Instrumented)


async def test_a_host_s_own_subclass_keeps_what_it_does(shared):
    with configured(default=f"{HERE}.OwnLayer"):
        instrument_layers()
        layer: Any = get_channel_layer()
        channel = await layer.new_channel()
        await layer.send(channel, {"type": "x"})
        assert {"type": "x", "stamped": True} == await layer.receive(channel)
        assert isinstance(layer, Instrumented | OwnLayer)


def test_a_layer_that_came_later_is_found(shared):
    with configured(default="channels.layers.InMemoryChannelLayer"):
        instrument_layers()
        other: Any = InMemoryChannelLayer()
        channel_layers.set("other", other)
        channel_layers.configs["other"] = {}
        instrument_layers()
        assert isinstance(other, Instrumented)


def test_a_setting_leaves_layers_as_they_are(setup):
    setup(LAYERS=False)
    with configured(default="channels.layers.InMemoryChannelLayer"):
        instrument_layers()
        assert not isinstance(get_channel_layer(), Instrumented)
        assert {"default": "none: HUB['LAYERS'] is off"} == coverage()


def test_a_layer_that_can_t_be_made_harms_nobody(shared, faults):
    with configured(default="no.such.Layer", other="channels.layers.InMemoryChannelLayer"):
        instrument_layers()
        assert isinstance(get_channel_layer("other"), Instrumented)
        assert {"channel layer": 1} == dict(faults)


def test_each_kind_has_a_class():
    for bare in (InMemoryChannelLayer, RedisChannelLayer, RedisPubSubChannelLayer):
        made = instrumented_class(bare)
        assert made is instrumented_class(bare)
        assert (bare.__name__, bare.__module__) == (made.__name__, made.__module__)
    assert instrumented_class(Foreign) is None
    assert not adopt(Foreign(), "default")


def test_coverage_says_how_each_layer_is_instrumented(shared):
    with configured(
        default="channels.layers.InMemoryChannelLayer", ours="hub.layers.InMemoryChannelLayer",
        foreign=f"{HERE}.Foreign", broken="no.such.Layer",
    ):  # fmt: skip
        expected = {
            "default": "instrumented, by HUB['LAYERS']",
            "ours": "instrumented, by its BACKEND",
            "foreign": f"none: {HERE}.Foreign is no layer of Channels or channels_redis",
            "broken": "none: it can't be made (InvalidChannelLayerError)",
        }
        assert expected == coverage()
        instrument_layers()
        assert expected == coverage()
