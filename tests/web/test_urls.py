"""The pages' addresses, at the root of the site or under a host's prefix."""

import importlib
import sys
from types import ModuleType
from typing import Any

import pytest
from django.test import Client
from django.urls import clear_url_caches, include, path, resolve, reverse

from hub.web import urls


@pytest.fixture
def host(settings):
    """A host that includes the pages under a prefix."""
    module: Any = ModuleType("tests.web.host_urls")
    module.urlpatterns = [path("ops/hub/", include("hub.web.urls"))]
    sys.modules[module.__name__] = module
    settings.ROOT_URLCONF = module.__name__
    clear_url_caches()
    yield
    del sys.modules[module.__name__]
    clear_url_caches()


def test_names():
    names = ("page", "incidents", "login", "logout", "metrics")
    assert [reverse(f"hub:{name}") for name in names] == ["/", "/incidents/", "/login/", "/logout/", "/metrics"]
    assert reverse("hub:asset", args=["main-1a.js"]) == "/assets/main-1a.js"
    assert resolve("/metrics/").func is resolve("/metrics").func


@pytest.mark.django_db
def test_under_a_prefix(host, visitor):
    assert Client().get("/ops/hub/").headers["Location"] == "/ops/hub/login/?next=/ops/hub/"
    page = visitor.get("/ops/hub/").text
    assert 'data-logout="/ops/hub/logout/"' in page
    assert 'src="/ops/hub/assets/' in page
    assert Client().get("/ops/hub/metrics").status_code == 200
    assert Client().get("/metrics").status_code == 404


@pytest.mark.parametrize(
    ("configured", "expected"), [("/prom/hub", "prom/hub"), ("/prom/hub/", "prom/hub"), ("/", "metrics")]
)
def test_the_path_of_the_metrics_can_be_set(configure, configured, expected):
    configure(METRICS_PATH=configured)
    try:
        patterns = [str(pattern.pattern) for pattern in importlib.reload(urls).urlpatterns]
        assert [expected, f"{expected}/"] == patterns[-2:]
    finally:
        configure()
        importlib.reload(urls)
