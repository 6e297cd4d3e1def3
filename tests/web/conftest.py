"""Pages of the site, asked for by Django's client."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from hub import conf
from hub.instrument import state
from hub.web import views
from hub.web.throttle import Throttle

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _fresh_throttle(monkeypatch):
    monkeypatch.setattr(views, "LOGINS", Throttle(attempts=10, window=300.0, keys=10_000))


@pytest.fixture
def configure(settings):
    """``configure(ENABLED=False)``: what stands in ``settings.HUB``."""

    def change(**hub):
        settings.HUB = hub
        conf.config.cache_clear()
        state.reset()

    yield change
    conf.config.cache_clear()
    state.reset()


@pytest.fixture
def ledger(configure):
    """The process's ledger, empty."""
    state.reset()
    yield state.instruments().ledger
    state.reset()


@pytest.fixture
def operator(db):
    """Somebody who may watch."""
    user = get_user_model().objects.create_user("ops", password=PASSWORD)
    user.user_permissions.add(Permission.objects.get(codename="view_ops"))
    return user


@pytest.fixture
def visitor(operator):
    """A browser in which the operator is logged in."""
    client = Client()
    client.force_login(operator)
    return client
