"""What the site serves."""

from consumers.demo.routing import ROUTES
from consumers.routing import websocket_urlpatterns
from hub import MonitoredConsumerMixin


def consumer_class(application):
    return getattr(application, "inner", application).consumer_class


def test_every_demo_consumer_is_monitored_and_keeps_its_own_base():
    for application in ROUTES.values():
        first, second = consumer_class(application).__bases__
        assert first is MonitoredConsumerMixin
        assert second.__module__ == "channels.generic.websocket"


def test_the_site_serves_the_feed_and_the_demo():
    routes = [str(pattern.pattern) for pattern in websocket_urlpatterns]
    assert {"ws/ops/", "ws/presence/"} <= set(routes)
    assert set(ROUTES) <= set(routes)
    assert len(routes) == len(set(routes))
