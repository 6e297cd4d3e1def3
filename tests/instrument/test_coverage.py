from __future__ import annotations

from functools import wraps
from typing import Any

import pytest
from channels.consumer import AsyncConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from hub import MonitoredConsumerMixin as Mixin
from hub.conf import Config
from hub.instrument.coverage import NONE, WRAPPER, Coverage, coverage_of, reaches_mixin


class Text(Mixin, AsyncWebsocketConsumer):
    pass


class OwnLoop(AsyncConsumer):
    async def __call__(self, scope, receive, send):
        pass


class MixedLoop(Mixin, OwnLoop):
    pass


def with_attributes(**attributes: Any) -> type:
    return type("Made", (Text,), attributes)


@pytest.mark.parametrize(
    ("kind", "inbox", "text"),
    [
        (Text, True, "mixin, inbox"),
        (Text, False, "mixin, wrapped: the inbox is switched off"),
        (with_attributes(hub_inbox=True), False, "mixin, inbox"),
        (with_attributes(hub_inbox=False), True, "mixin, wrapped: the inbox is switched off"),
        (MixedLoop, True, "mixin, wrapped: a base behind the mixin has a __call__ of its own"),
    ],
)
def test_the_way_of_a_mixed_consumer_is_told_in_words(kind, inbox, text):
    for wrapped in (True, False):
        assert coverage_of(kind, Config(inbox=inbox), wrapped=wrapped) == Coverage(text, True, True)


@pytest.mark.parametrize("kind", [AsyncWebsocketConsumer, dict, None])
def test_others_are_seen_by_the_wrapper_or_not_at_all(kind):
    assert coverage_of(kind, Config(), wrapped=False) == Coverage(NONE)
    assert coverage_of(kind, Config(), wrapped=True) == Coverage(WRAPPER, control_frames=False, presence=True)
    assert coverage_of(kind, Config(presence=False), wrapped=True) == Coverage(WRAPPER)


@pytest.mark.parametrize("setting", [True, False])
@pytest.mark.parametrize("own", [None, True, False])
def test_a_class_decides_over_the_settings_on_control_frames_and_presence(setting, own):
    speaks = setting if own is None else own
    found = coverage_of(with_attributes(hub_control_frames=own), Config(control_frames=setting), wrapped=False)
    assert (found.control_frames, found.presence) == (speaks, True)
    found = coverage_of(with_attributes(hub_presence=own), Config(presence=setting), wrapped=False)
    assert (found.control_frames, found.presence) == (True, speaks)


# --- what never gets to the mixin ---------------------------------------------------------------------------------


class Alone(Text):
    """Replaces everything."""

    async def __call__(self, scope, receive, send):
        await receive()
        await send({"type": "websocket.close"})


class BelowAlone(Alone):
    async def __call__(self, scope, receive, send):
        await super().__call__(scope, receive, send)


class PassesOn(Text):
    async def __call__(self, scope, receive, send):
        await super().__call__({**scope, "more": 1}, receive, send)


class PassesOnInside(Text):
    async def __call__(self, scope, receive, send):
        async def inner():
            return await super(PassesOnInside, self).__call__(scope, receive, send)

        await inner()


class PassesOnByName(Text):
    async def __call__(self, scope, receive, send):
        await Text.__call__(self, scope, receive, send)


class PassesOnElsewhere(Text):
    async def __call__(self, scope, receive, send):
        await self.run(scope, receive, send)

    async def run(self, scope, receive, send):
        await super().__call__(scope, receive, send)


def traced(function):
    @wraps(function)
    async def call(*args):
        return await function(*args)

    return call


class Decorated(Text):
    @traced
    async def __call__(self, scope, receive, send):
        await super().__call__(scope, receive, send)


class Callable:
    async def __call__(self, *args):
        pass


class Unknown(Text):
    __call__ = Callable()


@pytest.mark.parametrize("kind", [Alone, BelowAlone])
def test_a_consumer_whose_call_never_reaches_the_mixin_is_not_called_monitored(kind):
    assert coverage_of(kind, Config(), wrapped=False) == Coverage(NONE)
    assert coverage_of(kind, Config(), wrapped=True) == Coverage(WRAPPER, presence=True)


@pytest.mark.parametrize(
    "kind", [Text, PassesOn, PassesOnInside, PassesOnByName, PassesOnElsewhere, Decorated, Unknown]
)
def test_where_that_cannot_be_known_nothing_is_claimed(kind):
    assert reaches_mixin(kind)
