"""The feed's route, in a host's router."""

import importlib

import pytest
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator

from hub import conf
from hub.feed import routing
from hub.feed.consumer import OpsConsumer


@pytest.mark.parametrize("configured", ["/ws/ops/", "/internal/ops"])
def test_the_route_is_where_the_page_looks_for_it(settings, configured):
    settings.HUB = {"FEED_PATH": configured}
    conf.config.cache_clear()
    try:
        [route] = importlib.reload(routing).websocket_urlpatterns
        assert f"/{route.pattern}" == configured
        assert route.callback.consumer_class is OpsConsumer
    finally:
        settings.HUB = {}
        conf.config.cache_clear()
        importlib.reload(routing)


async def test_without_authentication_around_it_nobody_is_logged_in():
    application = URLRouter(routing.websocket_urlpatterns)
    communicator = WebsocketCommunicator(application, "/ws/ops/", headers=[(b"origin", b"http://localhost")])
    assert (await communicator.connect())[0]
    assert (await communicator.receive_output())["code"] == 4401
    await communicator.disconnect()


# Nothing is asked of the database, but the hub's thread looks after its connection.
@pytest.mark.django_db
async def test_nor_does_anybody_see_who_is_there():
    communicator = WebsocketCommunicator(
        URLRouter(routing.presence_urlpatterns), "/ws/presence/", headers=[(b"origin", b"http://localhost")]
    )
    assert (await communicator.connect())[0]
    assert (await communicator.receive_output())["code"] == 4401
    await communicator.disconnect()
