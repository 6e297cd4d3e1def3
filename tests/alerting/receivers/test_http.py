from __future__ import annotations

import pytest

from hub.alerting.receivers.base import DeliveryError, RefusedError
from hub.alerting.receivers.http import LONGEST_REST, Answer, Http
from hub.alerting.receivers.options import Address
from hub.core.redaction import Secret
from tests.handclock import HandClock
from tests.support.receivers import HttpReceiver

NOON = 1_794_398_400.0


def http(*secrets: str) -> Http:
    return Http(tuple(map(Secret, secrets)), clock=HandClock(NOON - 1_000_000.0))


@pytest.mark.parametrize(
    ("given", "rest"),
    [
        ("", None), ("7", 7.0), (" 7 ", 7.0), ("0", 0.0), ("soon", None), ("-1", None), ("1.5", None), ("٣", None),
        ("9" * 30, LONGEST_REST), ("Wed, 11 Nov 2026 12:00:30 GMT", 30.0), ("Wed, 11 Nov 2026 11:00:00 GMT", 0.0),
        ("Wed, 11 Nov 9999 11:00:00 GMT", LONGEST_REST), ("Wed, 99 Nov 2026", None),
    ],
)  # fmt: skip
def test_how_long_it_asks_to_be_left_alone(given, rest):
    assert rest == http().rest(Answer(429, {"retry-after": given}, b""))


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_what_means_yes(status):
    http().require(Answer(status, {}, b""))


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 410, 422])
def test_what_means_never(status):
    with pytest.raises(RefusedError):
        http().require(Answer(status, {}, b""))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_means_not_now(status):
    with pytest.raises(DeliveryError) as caught:
        http().require(Answer(status, {}, b""))
    assert DeliveryError is type(caught.value)


@pytest.mark.parametrize(
    ("body", "quote"),
    [
        (b"", ""), (b"no_service", ": no_service"), (b"a\r\n\x00b\x1b[31m", ": a b [31m"),
        (b"mail bob@example.com", ": mail [e-mail]"), (b"x" * 5000, f": {'x' * 119}…"), (b"\xff\xfe", ": \ufffd\ufffd"),
        (b"your token s3cr3t-t0ken-of-45-characters", ""), (b"part: t0ken-of-45", ""),
    ],
)  # fmt: skip
def test_what_is_shown_of_an_answer(body, quote):
    assert quote == http("s3cr3t-t0ken-of-45-characters").quote(Answer(400, {}, body))


def test_an_answer_shows_nothing_but_its_status():
    assert "Answer(status=200)" == repr(Answer(200, {"x": "secret"}, b"secret"))


def test_json_that_is_none_is_none():
    assert (None, None, {"a": 1}) == tuple(Answer(200, {}, body).json for body in (b"", b"\xff", b'{"a": 1}'))


def test_a_request_says_who_sends_it_and_opens_secrets_on_the_wire_only():
    with HttpReceiver() as server:
        http().post(Address(f"{server.url}/x"), {"key": Secret("abc")}, {"Authorization": Secret("Bearer abc")})
        [request] = server.got
    assert ({"key": "abc"}, "Bearer abc", "/x") == (request.json, request.headers["authorization"], request.path)
    assert request.headers["user-agent"].startswith("channels-hub/")


def test_a_proxy_of_the_environment_is_used_unless_it_says_otherwise(monkeypatch):
    with HttpReceiver() as proxy, HttpReceiver() as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        http().post(Address(server.url), {})
        http().post(Address("http://hub.example.com/a"), {})
        assert (["/"], ["http://hub.example.com/a"]) == tuple(
            [request.path for request in one.got] for one in (server, proxy)
        )
