"""The sync consumers and their queries."""

from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.dateparse import parse_datetime

pytestmark = pytest.mark.django_db(transaction=True)


@database_sync_to_async
def populate():
    users = get_user_model().objects
    users.create(username="ada")
    users.create(username="ben", is_active=False)
    Session.objects.create(session_key="live", expire_date=timezone.now() + timedelta(hours=1))
    Session.objects.create(session_key="over", expire_date=timezone.now() - timedelta(hours=1))


async def test_the_directory_answers_line_by_line(connect):
    await populate()
    person = await connect("/ws/demo/initech/directory/")

    await person.send_to(text_data="count")
    assert await person.receive_from() == "2 people"
    await person.send_to(text_data="TIME")
    assert parse_datetime(await person.receive_from())
    await person.send_to(text_data="HELP")
    assert await person.receive_from() == "?"


async def test_the_directory_hangs_up_when_asked(application):
    person = WebsocketCommunicator(application, "/ws/demo/initech/directory/")
    await person.connect()
    await person.send_to(text_data="QUIT")
    assert (await person.receive_output())["type"] == "websocket.close"
    await person.disconnect()


async def test_reports_count_what_is_in_the_database(connect):
    await populate()
    person = await connect("/ws/demo/umbrella/reports/")

    await person.send_json_to({"type": "people"})
    assert await person.receive_json_from() == {"type": "report", "of": "people", "count": 1}
    await person.send_json_to({"type": "sessions"})
    assert await person.receive_json_from() == {"type": "report", "of": "sessions", "count": 1}
    await person.send_json_to({"type": "secrets"})
    assert (await person.receive_json_from())["type"] == "error"


@pytest.mark.parametrize("path", ["/ws/demo/hooli/directory/", "/ws/demo/hooli/reports/"])
async def test_unknown_tenants_are_turned_away(application, path):
    accepted, _ = await WebsocketCommunicator(application, path).connect()
    assert not accepted
