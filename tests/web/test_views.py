"""Login, page, logout."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from hub.alerting.pack import PACK
from hub.web import assets, views
from tests.web.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def log_in(client, password=PASSWORD, *, name="ops", then="", **more):
    return client.post("/login/", {"username": name, "password": password, "next": then}, **more)


def test_the_page_asks_for_a_login_and_comes_back():
    answer = Client().get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login/?next=/")


def test_login_leads_to_the_page(operator):
    client = Client()
    assert client.get("/login/").status_code == 200
    answer = log_in(client)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "max-age=0, no-cache, no-store, must-revalidate, private"
    for written in ('data-feed="/ws/ops/"', 'data-user="ops"', 'data-logout="/logout/"', 'data-csrf="'):
        assert written in page.text


def test_the_page_loads_what_was_built(visitor):
    page = visitor.get("/").text
    entry = assets.entry(views.PAGE_ENTRY)
    for name in (entry.script, *entry.styles):
        assert f'"/assets/{name}"' in page
        assert visitor.get(f"/assets/{name}").status_code == 200
    assert "<script>" not in page
    assert "style=" not in page.replace("stylesheet", "")


def test_a_page_that_was_not_built_says_how_to_build_it(visitor, monkeypatch, tmp_path):
    monkeypatch.setattr(assets.entry, "__defaults__", (tmp_path,))
    answer = visitor.get("/")
    assert answer.status_code == 503
    assert "make install" in answer.text
    assert Client().get("/login/").status_code == 200


def test_the_incident_notes_have_a_place_for_every_rule_of_the_pack(visitor):
    notes = visitor.get("/incidents/").text
    assert [] == [rule for rule in PACK if f'<h2 id="{rule}">' not in notes]
    assert '<a href="#handler_errors">' in notes
    assert '.md">' not in notes
    for name in assets.entry(views.NOTES_ENTRY).styles or [assets.entry(views.NOTES_ENTRY).script]:
        assert visitor.get(f"/assets/{name}").status_code == 200


def test_they_ask_for_a_login_and_for_the_right_to_watch():
    answer = Client().get("/incidents/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login/?next=/incidents/")
    client = Client()
    client.force_login(get_user_model().objects.create_user("nobody"))
    assert client.get("/incidents/").status_code == 403


def test_notes_that_were_not_built_say_how_to_build_them(visitor, monkeypatch, tmp_path):
    monkeypatch.setattr(assets.incidents, "__defaults__", (tmp_path,))
    answer = visitor.get("/incidents/")
    assert answer.status_code == 503
    assert "make install" in answer.text


def test_a_user_without_permission_is_told_which_one_and_can_log_out():
    client = Client()
    client.force_login(get_user_model().objects.create_user("<b>nobody</b>"))
    answer = client.get("/")
    assert answer.status_code == 403
    assert "hub.view_ops" in answer.text
    assert "&lt;b&gt;nobody&lt;/b&gt; may not watch" in answer.text
    assert 'action="/logout/"' in answer.text


@pytest.mark.parametrize("password", ["wrong", "", PASSWORD + " ", "x" * 5000])
def test_a_wrong_password_shows_an_error(operator, password):
    answer = log_in(Client(), password)
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert "hub_session" not in answer.cookies


def test_the_error_does_not_tell_whether_the_name_exists(operator):
    known, unknown = log_in(Client(), "wrong"), log_in(Client(), "wrong", name="nobody")
    alert = [text.text.partition('role="alert">')[2].partition("<")[0] for text in (known, unknown)]
    assert alert[0] == alert[1] != ""


def test_what_was_typed_is_escaped():
    assert "&lt;script&gt;" in log_in(Client(), "wrong", name='"><script>').text


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("/", "/"),
        ("/?tenant=acme", "/?tenant=acme"),
        ("http://testserver/", "http://testserver/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("///evil.example", "/"),
        ("http:///evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_login_leads_to_no_other_site(operator, then, expected):
    assert log_in(Client(), then=then).headers["Location"] == expected


def test_forms_need_their_token(operator):
    strict = Client(enforce_csrf_checks=True)
    assert log_in(strict).status_code == 403
    token = strict.get("/login/").context["csrf_token"]
    answer = strict.post("/login/", {"username": "ops", "password": PASSWORD, "csrfmiddlewaretoken": str(token)})
    assert answer.status_code == 302
    assert strict.post("/logout/").status_code == 403


def test_logout_is_a_post_and_ends_the_session(visitor):
    assert visitor.get("/logout/").status_code == 405
    assert visitor.get("/").status_code == 200
    answer = visitor.post("/logout/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login/")
    assert visitor.get("/").status_code == 302


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_the_page_is_only_read(visitor, method):
    assert getattr(visitor, method)("/").status_code == 405


def test_head_of_the_page(visitor):
    assert visitor.head("/").status_code == 200


def test_the_session_cookie_is_for_this_site_and_no_script(operator):
    cookie = log_in(Client()).cookies["hub_session"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_the_session_has_a_new_key_after_login(operator):
    client = Client()
    before = client.session.session_key
    log_in(client)
    assert client.session.session_key != before


# --- too many attempts ----------------------------------------------------------------------------------------------


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(views, "SYSTEM", made)
    return made


def test_ten_failures_then_a_wait_even_with_the_right_password(operator, clock):
    for _ in range(10):
        assert log_in(Client(), "wrong").status_code == 200
        clock.now += 1.0
    for password in ("wrong", PASSWORD):
        answer = log_in(Client(), password)
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "290"
        assert "Too many failed attempts to log in. Try again in 5 minutes." in answer.text
        assert "Content-Security-Policy" in answer.headers
    clock.now += 290.0
    assert log_in(Client()).status_code == 302


def test_another_name_or_address_does_not_wait(operator, clock):
    for _ in range(10):
        log_in(Client(), "wrong")
    assert log_in(Client(), "wrong", name="OPS").status_code == 429
    assert log_in(Client(), "wrong", name="other").status_code == 200
    assert log_in(Client(), REMOTE_ADDR="10.0.0.2").status_code == 302


def test_success_starts_anew(operator, clock):
    for _ in range(3):
        for _ in range(9):
            assert log_in(Client(), "wrong").status_code == 200
        assert log_in(Client()).status_code == 302


# --- switched off ---------------------------------------------------------------------------------------------------


def test_with_the_hub_switched_off_there_is_nothing(visitor, configure):
    configure(ENABLED=False)
    assert {path: visitor.get(path).status_code for path in ("/", "/login/", "/metrics", "/metrics/")} == {
        "/": 404, "/login/": 404, "/metrics": 404, "/metrics/": 404,
    }  # fmt: skip
    assert log_in(Client()).status_code == 404
