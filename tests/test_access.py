"""Who may do what, at every door: roles against actions, and every judgement by itself."""

import json
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from hub import access, conf
from hub.access import NO_RIGHTS, Operator, Rights
from hub.conf import Config
from hub.feed.routing import websocket_urlpatterns
from hub.instrument import state
from hub.models import AccessToken, TenantOperator
from hub.node import node as nodes
from hub.node.executor import run_in_thread

TOKEN = "a-token-for-scraping"
ORIGIN = (b"origin", b"http://localhost")
PASSWORD = "correct horse battery staple"

pytestmark = pytest.mark.django_db
#: What other threads must see is committed; that takes long, so that these tests look at many cases each.
committed = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def make_user(name, *codenames, **fields):
    user = get_user_model().objects.create_user(name, password=PASSWORD, **fields)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="hub", codename__in=codenames))
    return user


def bound(name):
    user = make_user(name, "view_ops")
    TenantOperator.objects.create(user=user, tenant="acme")
    return user


ROLES = {
    "anonymous": lambda: None,
    "no permission": lambda: make_user("nobody"),
    "operate only": lambda: make_user("blind", "operate"),
    "view": lambda: make_user("viewer", "view_ops"),
    "view+operate": lambda: make_user("operator", "view_ops", "operate"),
    "bound": lambda: bound("bound"),
    "inactive": lambda: make_user("gone", "view_ops", is_active=False),
    "superuser": lambda: get_user_model().objects.create_superuser("root", password=PASSWORD),
}


def browser(user):
    """A browser in which somebody is logged in; even an inactive user may still have a session from before."""
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


@pytest.fixture
def configure(settings):
    """``configure(METRICS_TOKEN=...)``: what stands in ``settings.HUB``."""

    def change(**hub):
        settings.HUB = hub
        conf.config.cache_clear()
        state.reset()

    yield change
    conf.config.cache_clear()
    state.reset()


# --- the page -------------------------------------------------------------------------------------------------------

WATCHES = {"view", "view+operate", "bound", "superuser"}


@pytest.mark.parametrize("role", ROLES)
def test_page(role):
    answer = browser(ROLES[role]()).get("/")
    if role in {"anonymous", "inactive"}:
        assert (answer.status_code, answer.headers["Location"]) == (302, "/login/?next=/")
    elif role in WATCHES:
        # Built or not, it is their page.
        assert answer.status_code in (200, 503)
    else:
        assert answer.status_code == 403
        assert b"hub.view_ops" in answer.content


# --- the metrics: a role changes nothing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "address", "headers", "status"),
    [
        (None, "127.0.0.1", {}, 200),
        (None, "127.8.9.1", {}, 200),
        (None, "::1", {}, 200),
        (None, "::ffff:127.0.0.1", {}, 200),
        (None, "10.0.0.1", {}, 403),
        (None, "", {}, 403),
        (None, "127.0.0.1", {"x-forwarded-for": "10.0.0.1"}, 403),
        (None, "127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, 403),
        (None, "127.0.0.1", {"forwarded": "for=127.0.0.1"}, 403),
        (None, "127.0.0.1", {"via": "1.1 proxy"}, 403),
        (None, "127.0.0.1", {"x-real-ip": "127.0.0.1"}, 403),
        (TOKEN, "127.0.0.1", {}, 200),
        (TOKEN, "10.0.0.1", {}, 403),
        (TOKEN, "10.0.0.1", {"authorization": f"Bearer {TOKEN}"}, 200),
        (TOKEN, "10.0.0.1", {"authorization": f"bearer  {TOKEN} "}, 200),
        (TOKEN, "10.0.0.1", {"authorization": "Bearer wrong-wrong-wrong"}, 403),
        (TOKEN, "10.0.0.1", {"authorization": "Bearer "}, 403),
        (TOKEN, "10.0.0.1", {"authorization": f"Basic {TOKEN}"}, 403),
        (TOKEN, "127.0.0.1", {"authorization": "Bearer wrong-wrong-wrong"}, 403),
        (TOKEN, "127.0.0.1", {"x-forwarded-for": "10.0.0.1"}, 403),
        (TOKEN, "127.0.0.1", {"x-forwarded-for": "10.0.0.1", "authorization": f"Bearer {TOKEN}"}, 200),
        (None, "10.0.0.1", {"authorization": "Bearer "}, 403),
        (None, "10.0.0.1", {"authorization": "Bearer None"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
def test_metrics(configure, path, token, address, headers, status):
    configure(METRICS_TOKEN=token)
    assert Client().get(path, REMOTE_ADDR=address, headers=headers).status_code == status


@pytest.mark.parametrize("role", ROLES)
def test_a_login_opens_no_metrics(role):
    client = browser(ROLES[role]())
    assert client.get("/metrics", REMOTE_ADDR="10.0.0.1").status_code == 403
    assert client.get("/metrics").status_code == 200


# --- the feed -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def feed(headers):
    """A connection to the feed in this process, and what it says first."""
    application = AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
    communicator = WebsocketCommunicator(application, "/ws/ops/", headers=headers)
    accepted, _ = await communicator.connect(timeout=10)
    assert accepted, "accepted first, so that a browser learns the close code"
    try:
        yield communicator
    finally:
        await communicator.disconnect(timeout=10)


@pytest.fixture
async def node():
    """A node of this test's own, ended with it."""
    nodes._current.clear()
    yield
    for node in nodes._current:
        await node.stop()
    nodes._current.clear()


def cookie(client):
    morsel = client.cookies.get(django_settings.SESSION_COOKIE_NAME)
    return [] if morsel is None else [(b"cookie", f"{morsel.key}={morsel.value}".encode())]


async def heard(communicator):
    """The next message, or the code with which the connection was closed."""
    output = await communicator.receive_output(timeout=10)
    return output["code"] if output["type"] == "websocket.close" else json.loads(output["text"])


def log_in_as(make):
    return browser(make())


async def result(communicator, tenant):
    """Whether a subscription to a tenant is granted."""
    await communicator.send_to(text_data=json.dumps({"type": "subscribe", "ref": tenant, "tenants": [tenant]}))
    while (answer := await heard(communicator))["type"] != "result":
        pass
    return answer["ok"]


@committed
async def test_feed(subtests, node):
    for role, make in ROLES.items():
        client = await run_in_thread(log_in_as, make)
        with subtests.test(role):
            async with feed([ORIGIN, *cookie(client)]) as communicator:
                answer = await heard(communicator)
                if role not in WATCHES:
                    # Django's own login no longer knows an inactive user.
                    assert answer == (4401 if role in {"anonymous", "inactive"} else 4403)
                    continue
                assert answer["type"] == "hello"
                permissions = answer["permissions"]
                assert permissions["view"] is True
                assert permissions["operate"] is (role in {"view+operate", "superuser"})
                assert permissions["tenants"] == (["acme"] if role == "bound" else None)
                assert await result(communicator, "acme")
                assert await result(communicator, "globex") is (role != "bound")


WRONG_ORIGINS = [
    [],
    [(b"origin", b"http://evil.example")],
    [(b"origin", b"null")],
    [(b"origin", b"http://localhost.evil.example")],
    [(b"origin", b"\xff")],
    [(b"origin", b"http://[")],
    [ORIGIN, (b"origin", b"http://evil.example")],
]


def superuser():
    return browser(ROLES["superuser"]())


@committed
async def test_a_cookie_with_a_wrong_origin_or_without_one_opens_nothing(subtests, node):
    client = await run_in_thread(superuser)
    for headers in WRONG_ORIGINS:
        with subtests.test(str(headers)):
            async with feed([*headers, *cookie(client)]) as communicator:
                assert await heard(communicator) == 4403


@committed
async def test_with_the_hub_switched_off_the_feed_is_closed_and_no_node_starts(configure):
    client = await run_in_thread(superuser)
    nodes._current.clear()
    configure(ENABLED=False)
    async with feed([ORIGIN, *cookie(client)]) as communicator:
        assert await heard(communicator) == 4403
    assert nodes._current == []


# --- tokens of programs ---------------------------------------------------------------------------------------------


def make_token(name="program", **fields):
    token = access.new_token()
    AccessToken.objects.create(name=name, digest=access.digest_of(token), **fields)
    return token


TOKENS: dict[str, tuple[dict[str, Any], Rights | None]] = {
    "view": ({}, Rights(view=True)),
    "operate": ({"operate": True}, Rights(view=True, operate=True)),
    "bound": ({"tenants": ["acme"]}, Rights(view=True, tenants=frozenset({"acme"}))),
    "of no tenant": ({"tenants": []}, Rights(view=True, tenants=frozenset())),
    "no view": ({"view": False}, Rights()),
    "expires later": ({"expires_at": timezone.now() + timedelta(days=1)}, Rights(view=True)),
    "expired": ({"expires_at": timezone.now() - timedelta(seconds=1)}, None),
}


@committed
async def test_feed_with_a_token(subtests, node):
    for name, (fields, rights) in TOKENS.items():
        token = await run_in_thread(make_token, name, **fields)
        with subtests.test(name):
            async with feed([(b"authorization", f"Bearer {token}".encode())]) as communicator:
                answer = await heard(communicator)
            if rights is None or not rights.view:
                assert answer == (4401 if rights is None else 4403)
            else:
                tenants = None if rights.tenants is None else sorted(rights.tenants)
                assert answer["permissions"] == {
                    "operator": name, "view": True, "operate": rights.operate, "tenants": tenants,
                }  # fmt: skip


@committed
async def test_a_token_is_what_counts_whatever_the_cookie(subtests, node):
    client = await run_in_thread(superuser)
    token = await run_in_thread(make_token, tenants=["acme"])
    for given in ("Bearer wrong", "Bearer", "bearer ", "Bearer hub_\xff"):
        with subtests.test(given):
            headers = [ORIGIN, *cookie(client), (b"authorization", given.encode("latin-1"))]
            async with feed(headers) as communicator:
                assert await heard(communicator) == 4401
    good, basic = (b"authorization", f"Bearer {token}".encode()), (b"authorization", b"Basic b3BzOm9wcw==")
    async with feed([ORIGIN, *cookie(client), good]) as communicator:
        assert (await heard(communicator))["permissions"]["tenants"] == ["acme"]
    # Another kind of authorization is not ours: a proxy's, say.
    async with feed([ORIGIN, *cookie(client), basic]) as communicator:
        assert (await heard(communicator))["permissions"]["tenants"] is None


def test_two_tokens_are_none():
    one, two = (b"authorization", b"Bearer one"), (b"authorization", b"Bearer two")
    assert access.bearer_token([one]) == "one"
    assert access.bearer_token([one, two]) == ""
    assert access.bearer_token([one, (b"authorization", b"Basic x")]) == ""
    assert access.bearer_token([(b"authorization", b"Basic x")]) is None
    assert access.bearer_token([]) is None


def test_the_last_use_of_a_token_is_recorded_to_the_minute():
    token = make_token()
    assert access.operator_of_token(token) == Operator("program", Rights(view=True))
    first = AccessToken.objects.get().last_used_at
    assert first is not None
    access.operator_of_token(token)
    assert AccessToken.objects.get().last_used_at == first
    long_ago = first - timedelta(hours=1)
    AccessToken.objects.update(last_used_at=long_ago)
    access.operator_of_token(token)
    assert AccessToken.objects.get().last_used_at > long_ago


def test_tokens_are_long_random_and_stored_as_digests():
    tokens = {access.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.startswith("hub_") and len(token) >= 40 for token in tokens)
    assert len(access.digest_of("x")) == 64


# --- judgements -----------------------------------------------------------------------------------------------------


def test_rights_are_those_of_the_database_not_of_a_copy():
    user = make_user("viewer", "view_ops")
    assert user.has_perm("hub.view_ops")
    user.user_permissions.clear()
    assert access.rights_of(user) == NO_RIGHTS
    get_user_model().objects.all().delete()
    assert access.rights_of(user) == NO_RIGHTS
    assert access.rights_of(None) is None


def test_sees():
    assert not NO_RIGHTS.sees("acme")
    assert Rights(view=True).sees("acme")
    assert Rights(view=True, tenants=frozenset({"acme"})).sees("acme")
    assert not Rights(view=True, tenants=frozenset({"acme"})).sees("")
    assert not Rights(view=False, tenants=frozenset({"acme"})).sees("acme")


def test_a_session_ends_with_logout_password_change_and_deletion():
    user = make_user("viewer", "view_ops")

    def logged_in():
        client = Client()
        client.force_login(user)
        return client

    client = logged_in()
    assert access.session_alive(client.session, user)
    assert not access.session_alive(client.session, make_user("somebody else"))
    session = client.session
    client.post("/logout/")
    assert not access.session_alive(session, user)

    client = logged_in()
    user.set_password("another password entirely")
    user.save()
    assert not access.session_alive(client.session, user)

    client = logged_in()
    assert access.session_alive(client.session, user)
    get_user_model().objects.filter(pk=user.pk).delete()
    assert not access.session_alive(client.session, user)
    assert not access.session_alive(Client().session, user)
    assert not access.session_alive(None, user)


@pytest.mark.parametrize(
    ("origin", "allowed", "expected"),
    [
        (b"https://ops.example.com", ("https://ops.example.com",), True),
        (b"http://ops.example.com", ("https://ops.example.com",), False),
        (b"https://ops.example.com:8443", ("https://ops.example.com",), False),
        (b"https://ops.example.com", (".example.com",), True),
        (b"https://example.com.evil.org", (".example.com",), False),
        (b"https://anything.example", ("*",), True),
        (b"https://ops.example.com", (), False),
    ],
)
def test_origins(origin, allowed, expected):
    assert access.origin_allowed([(b"origin", origin)], Config(allowed_origins=allowed)) is expected


def test_without_a_setting_origins_are_the_allowed_hosts(settings):
    settings.ALLOWED_HOSTS = ["ops.example.com"]
    assert access.origin_allowed([(b"origin", b"https://ops.example.com")], Config())
    assert not access.origin_allowed([(b"origin", b"https://localhost")], Config())


def test_networks_of_the_settings():
    config = Config(metrics_networks=("10.0.0.0/8", "fd00::/8"))
    assert access.may_scrape("10.1.2.3", {}, config)
    assert access.may_scrape("fd00::1", {}, config)
    assert not access.may_scrape("127.0.0.1", {}, config)
    assert not access.may_scrape("no address", {}, config)
