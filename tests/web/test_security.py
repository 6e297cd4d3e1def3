"""The headers of every response."""

import re

import pytest
from django.http import HttpResponse
from django.test import Client

from hub.web import assets
from hub.web.security import HEADERS, POLICY, secured, secured_async
from hub.web.views import PAGE_ENTRY

pytestmark = pytest.mark.django_db


def answers(visitor):
    stranger = Client()
    yield "page", visitor.get("/")
    yield "notes", visitor.get("/incidents/")
    yield "redirect to the login", stranger.get("/")
    yield "login", stranger.get("/login/")
    yield "failed login", stranger.post("/login/", {"username": "x", "password": "y"})
    yield "logout by GET", visitor.get("/logout/")
    yield "post to the page", visitor.post("/")
    yield "asset", stranger.get(f"/assets/{assets.entry(PAGE_ENTRY).script}")
    yield "metrics", stranger.get("/metrics")
    yield "metrics refused", stranger.get("/metrics", REMOTE_ADDR="10.0.0.1")
    yield "post to the metrics", stranger.post("/metrics")
    yield "logout", visitor.post("/logout/")


def test_every_response_has_the_headers(visitor):
    for name, answer in answers(visitor):
        missing = {header for header, value in HEADERS.items() if answer.headers.get(header) != value}
        assert not missing, f"{name} ({answer.status_code})"


def test_the_policy_allows_nothing_inline_and_nobody_else():
    directives = dict(part.strip().split(" ", 1) for part in POLICY.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["frame-ancestors"] == "'none'"
    assert "unsafe" not in POLICY
    assert not re.search(r"https?:|\*", POLICY)


def test_a_view_may_be_stricter_itself():
    @secured
    def view(request):
        return HttpResponse(headers={"Referrer-Policy": "no-referrer"})

    assert view(None).headers["Referrer-Policy"] == "no-referrer"
    assert view(None).headers["Content-Security-Policy"] == POLICY
    assert view.__name__ == "view"


async def test_an_asynchronous_view_stays_one():
    @secured_async
    async def view(request):
        return HttpResponse()

    assert (await view(None)).headers["Content-Security-Policy"] == POLICY
