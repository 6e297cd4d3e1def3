"""Every way in which a receiver over HTTP can go wrong, for every kind: what becomes of it, and that nothing leaks."""

from __future__ import annotations

import logging
import socket
import threading
import time
import traceback
from typing import TYPE_CHECKING

import pytest

from hub.alerting.receivers.base import DeliveryError, RefusedError
from hub.core.groups import ACKNOWLEDGED, CHANGED, FIRED, OVER, REPEATED
from tests.alerting.messages import evil, message, storm
from tests.alerting.receivers.made import MAKERS, SHORT, Pair, made
from tests.support.receivers import (
    BROKEN,
    BUSY,
    BUSY_FOR_7_S,
    CLOSE,
    DRIP,
    FLOOD,
    HANG,
    RESET,
    Answer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ELSEWHERE = Answer(307, headers={"Location": "http://127.0.0.1:9/"})
#: What happens, what becomes of it, and how long it asks to be left alone for.
TROUBLE = {
    "busy": (BUSY, DeliveryError, None, "answered 429"),
    "busy_for_7_s": (BUSY_FOR_7_S, DeliveryError, 7.0, "answered 429"),
    "broken": (BROKEN, DeliveryError, None, "answered 503"),
    "timeout_of_a_proxy": (Answer(408), DeliveryError, None, "answered 408"),
    "wrong_token": (Answer(401, b"no"), RefusedError, None, "answered 401: no"),
    "forbidden": (Answer(403), RefusedError, None, "answered 403"),
    "gone": (Answer(410, b"channel_is_archived"), RefusedError, None, "answered 410: channel_is_archived"),
    "elsewhere": (ELSEWHERE, RefusedError, None, "answered 307: it sends elsewhere"),
    "hangs": (HANG, DeliveryError, None, "no answer within 0.5 s"),
    "drips": (DRIP, DeliveryError, None, "no answer within 0.5 s"),
    "closes": (CLOSE, DeliveryError, None, "it closed the connection"),
    "resets": (RESET, DeliveryError, None, "it closed the connection"),
    "sends_10_MB": (FLOOD, DeliveryError, None, "with more than 64 KiB"),
    "repeats_what_it_got": (Answer(400, how="echo"), RefusedError, None, "answered 400"),
    "repeats_it_and_is_broken": (Answer(500, how="echo"), DeliveryError, None, "answered 500"),
}


@pytest.fixture(params=MAKERS)
def pair(request) -> Iterator[Pair]:
    with made(request.param) as one:
        yield one


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("name", MAKERS)
def test_trouble_is_said_without_secrets_and_passes(name, trouble, caplog):
    caplog.set_level(logging.DEBUG)
    answer, kind, rest, words = TROUBLE[trouble]
    with made(name, SHORT if trouble in ("hangs", "drips") else 10.0) as pair:
        pair.server.down = answer
        began = time.monotonic()
        with pytest.raises(kind) as caught:
            pair.receiver.deliver(message(), {})
        assert time.monotonic() - began < SHORT + 5
        assert (kind, rest) == (type(caught.value), caught.value.retry_after)
        assert words in str(caught.value)
        assert_nothing_leaks(pair, caught.value, caplog.text)
        if trouble not in ("hangs", "drips"):
            pair.server.down = None
            pair.receiver.deliver(message(), {})
            assert [] == pair.server.flaws


def assert_nothing_leaks(pair: Pair, error: BaseException, logged: str) -> None:
    shown = [logged, str(error), repr(error), repr(pair.receiver), *vars(pair.receiver).values(), *own_locals(error)]
    for secret in pair.secrets:
        assert not [text for text in map(str, shown) if secret in text]


def own_locals(error: BaseException) -> list[str]:
    """What an error tracker records: the local variables of our own frames, of the error and of those before it."""
    found: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        stack = traceback.TracebackException.from_exception(seen, capture_locals=True).stack
        found += [str(frame.locals) for frame in stack if "/hub/" in frame.filename]
        seen = seen.__cause__ or seen.__context__
    assert found
    return found


@pytest.mark.parametrize("name", ["slack_webhook", "slack_bot", "pagerduty"])
@pytest.mark.parametrize(
    "body", [b"", b"<html>log in</html>", b'{"ok": false}', b'{"status": "failed"}', b"[]", b"{", b"\xff"]
)
def test_200_without_the_word_that_it_was_taken_is_no_success(name, body):
    with made(name) as pair:
        pair.server.next = [Answer(200, body)]
        with pytest.raises(DeliveryError, match="answered 200"):
            pair.receiver.deliver(message(), {})


def test_nobody_listens(pair):
    pair.server.__exit__()
    try:
        with pytest.raises(DeliveryError, match="nobody listens there"):
            pair.receiver.deliver(message(), {})
    finally:
        pair.server.__enter__()


@pytest.mark.parametrize("kind", [FIRED, CHANGED, REPEATED, ACKNOWLEDGED, OVER])
def test_every_message_keeps_to_the_format_whatever_a_tenant_is_called(pair, kind):
    for one in (message(kind, by="ann" if kind == ACKNOWLEDGED else ""), evil(kind), storm(kind=kind)):
        memory = pair.receiver.deliver(one, {})
        pair.receiver.deliver(one, memory)
    assert [] == pair.server.flaws


def test_deliveries_in_parallel_don_t_disturb_each_other(pair):
    errors: list[BaseException] = []

    def deliver() -> None:
        try:
            pair.receiver.deliver(message(), {})
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    threads = [threading.Thread(target=deliver) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ([], 8) == (errors, len(pair.server.got))


def test_a_name_server_that_does_not_answer_takes_no_longer_than_anything_else(monkeypatch):
    # A real one that hangs can't be had without changing the machine's resolver.
    asked = threading.Event()

    def hang(*args: object, **kwargs: object) -> list[object]:
        asked.set()
        time.sleep(2)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    with made("webhook", SHORT) as pair:
        monkeypatch.setattr(socket, "getaddrinfo", hang)
        pair.receiver._options.url.value = "http://hub.example.com/"
        began = time.monotonic()
        with pytest.raises(DeliveryError, match="no answer within"):
            pair.receiver.deliver(message(), {})
        assert asked.is_set()
        assert time.monotonic() - began < 1.5


def test_a_name_that_can_t_be_resolved():
    with made("webhook") as pair:
        pair.receiver._options.url.value = "http://nobody.invalid/"
        with pytest.raises(DeliveryError, match="its name can't be resolved"):
            pair.receiver.deliver(message(), {})
