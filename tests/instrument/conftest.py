"""Fresh instruments for each test, without a node: what they count and send is all that there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from channels.layers import channel_layers
from django.test import override_settings

from hub.conf import Config, config
from hub.core.events import Event
from hub.core.ledger import Counts
from hub.instrument import state
from hub.instrument.state import Instruments
from tests import strategies  # noqa: F401 - loads the profile

Setup = Callable[..., Instruments]


@pytest.fixture(autouse=True)
def faults(monkeypatch) -> Counter[str]:
    """The faults of this test, by place."""
    fresh: Counter[str] = Counter()
    monkeypatch.setattr("hub.faults.FAULTS", fresh)
    return fresh


@pytest.fixture
def setup(monkeypatch) -> Iterator[Setup]:
    """Take other settings, and fresh instruments that follow them: ``setup(INBOX=False)``."""
    monkeypatch.setattr(state, "_starters", [])
    before, channel_layers.backends = channel_layers.backends, {}
    chosen: list[override_settings] = []

    def choose(**hub: Any) -> Instruments:
        override = override_settings(HUB=hub)
        override.enable()
        chosen.append(override)
        config.cache_clear()
        fresh = Instruments(config())
        state.reset(fresh)
        return fresh

    yield choose
    for override in reversed(chosen):
        override.disable()
    config.cache_clear()
    state.reset()
    channel_layers.backends = before


@pytest.fixture
def shared(setup: Setup) -> Instruments:
    """Fresh instruments with the defaults."""
    made = setup()
    assert made.config == Config()
    return made


@pytest.fixture
def events(shared: Instruments) -> list[Event]:
    """What went out by itself."""
    sent: list[Event] = []
    shared.listeners.append(sent.append)
    return sent


def only_row(shared: Instruments) -> Counts:
    """The counts of the one consumer and tenant that there is."""
    [row] = shared.ledger
    return row
