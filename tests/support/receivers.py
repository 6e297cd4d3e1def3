"""
Receivers of alerts on 127.0.0.1: HTTP and SMTP servers in threads of this process that hold what comes to the formats
and limits which Slack, PagerDuty, Alertmanager and Standard Webhooks document, and that misbehave when told to.

``with Slack() as slack: …`` starts one; ``slack.url`` is where it is, ``slack.got`` what came, ``slack.flaws`` what was
wrong with it. ``slack.next`` are answers to the next requests, one each, ``slack.down`` is one to all of them.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.support.formats import alertmanager_flaws, pagerduty_flaws, slack_flaws

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import EmailMessage

LOCALHOST = "127.0.0.1"
JSON = "application/json"


# --- what comes, and what is answered -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Got:
    """A request: its path, its headers by lower-case name, its body, and when it came, on the monotonic clock."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """
    What a receiver does with a request.

    Attributes:
        how: ``answer``; ``hang``, ``close`` and ``reset`` without an answer; ``drip`` it, a byte in a fifth of a
            second; ``lose`` it: take the request and close; ``echo``: the status, and all that was sent.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    how: str = "answer"


HANG, CLOSE, RESET, DRIP, LOSE = (Answer(how=how) for how in ("hang", "close", "reset", "drip", "lose"))
FLOOD = Answer(body=b"ok" * (5 << 20))
BUSY, BUSY_FOR_7_S = Answer(429, b"rate limited"), Answer(429, b"rate limited", {"Retry-After": "7"})
BROKEN = Answer(503, b"<html>upstream is gone</html>")


def answer_json(value: object, status: int = 200, **headers: str) -> Answer:
    """An answer in JSON; ``retry_after="7"`` is a header."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"Content-Type": JSON, **named})


class HttpReceiver:
    """
    One that takes everything.

    Attributes:
        got: Requests, in their order.
        flaws: What was wrong with them.
        next: Answers to the next requests.
        down: The answer to all of them; None: the usual ones.
    """

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.flaws: list[str] = []
        self.next: list[Answer] = []
        self.down: Answer | None = None
        self._came = threading.Condition()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self.url = f"http://{LOCALHOST}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def usual(self, request: Got) -> Answer:
        """What is answered unless something else was asked for."""
        return Answer()

    def wait(self, count: int, timeout: float = 10.0) -> list[Got]:
        """The first requests, when so many have come."""
        with self._came:
            if not self._came.wait_for(lambda: len(self.got) >= count, timeout):
                raise AssertionError(f"{len(self.got)} requests came within {timeout} s, not {count}")
            return self.got[:count]

    def require(self, right: bool, flaw: str) -> None:
        """Note what is wrong."""
        if not right:
            self.flaws.append(flaw)

    def _take(self, request: Got) -> Answer:
        with self._came:
            self.got.append(request)
            asked = self.next.pop(0) if self.next else self.down
            answer = asked if asked is not None and asked.how != "lose" else self.usual(request)
            self._came.notify_all()
        return answer if asked is None or asked.how != "lose" else CLOSE


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.receiver._take(Got(self.path, headers, self.body, time.monotonic()))
        self.close_connection = True
        with contextlib.suppress(OSError):
            getattr(self, f"_{answer.how}")(answer)

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def _drip(self, answer: Answer) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-Patience: " + b"x" * 10_000:
            if self.server.receiver._over.wait(0.2):
                return
            self.wfile.write(bytes([byte]))

    def _echo(self, answer: Answer) -> None:
        said = f"{self.path} {self.headers} ".encode() + self.body
        self._answer(Answer(answer.status, said))

    def _hang(self, answer: Answer) -> None:
        self.server.receiver._over.wait(60)

    def _close(self, answer: Answer) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)

    def _reset(self, answer: Answer) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, receiver: HttpReceiver) -> None:
        self.receiver = receiver
        super().__init__((LOCALHOST, 0), _Handler)

    def handle_error(self, *_: object) -> None:
        """Clients that leave are part of the plan."""

    def shutdown_request(self, request: Any) -> None:
        with contextlib.suppress(OSError):
            super().shutdown_request(request)


# --- Slack --------------------------------------------------------------------------------------------------------

SLACK_TOKEN = "xoxb-1234567890-abcdefghijklmnopqrstuvwx"
SLACK_PATH = "/services/T00000000/B00000000/Zx8Kq2Vn5Rt7Wb1Lm4Pd9Hs3"


class Slack(HttpReceiver):
    """
    Incoming webhooks at `SLACK_PATH`, and ``chat.postMessage`` and ``chat.update`` of a bot in the channel ``#alerts``.

    Attributes:
        messages: What stands in the channel, by ``ts``; of a thread's answers ``thread_ts`` says of which.
    """

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[str, dict[str, Any]] = {}

    @property
    def webhook(self) -> str:
        return self.url + SLACK_PATH

    def usual(self, request: Got) -> Answer:
        self.require(request.headers.get("content-type", "").startswith(JSON), "not sent as JSON")
        if request.path == SLACK_PATH:
            found = slack_flaws(request.json)
            self.flaws += found
            return Answer(400, b"invalid_blocks") if found else self._post(request.json, "ok")
        if request.headers.get("authorization") != f"Bearer {SLACK_TOKEN}":
            return answer_json({"ok": False, "error": "invalid_auth"})
        if request.path not in ("/api/chat.postMessage", "/api/chat.update"):
            return answer_json({"ok": False, "error": "unknown_method"})
        return self._call(request.path.rpartition(".")[2], request.json)

    def _call(self, method: str, payload: dict[str, Any]) -> Answer:
        found = slack_flaws(payload)
        self.flaws += found
        channel, ts = payload.get("channel"), payload.get("ts")
        if channel not in ("#alerts", "C0ALERTS"):
            return answer_json({"ok": False, "error": "channel_not_found"})
        if found:
            return answer_json({"ok": False, "error": "invalid_blocks", "errors": found})
        if method == "postMessage":
            return self._post(payload, None)
        if channel != "C0ALERTS" or ts not in self.messages:
            return answer_json({"ok": False, "error": "message_not_found"})
        self.messages[ts] = {**self.messages[ts], **payload, "edited": True}
        return answer_json({"ok": True, "channel": "C0ALERTS", "ts": ts})

    def _post(self, payload: dict[str, Any], said: str | None) -> Answer:
        ts = f"17000000{len(self.messages):02}.000100"
        self.messages[ts] = payload
        return Answer(body=said.encode()) if said else answer_json({"ok": True, "channel": "C0ALERTS", "ts": ts})


# --- PagerDuty ----------------------------------------------------------------------------------------------------

ROUTING_KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"


class PagerDuty(HttpReceiver):
    """
    Events API v2.

    Attributes:
        incidents: Whether each is ``triggered``, ``acknowledged`` or ``resolved``, by deduplication key.
    """

    def __init__(self) -> None:
        super().__init__()
        self.incidents: dict[str, str] = {}

    def usual(self, request: Got) -> Answer:
        self.require(request.path == "/v2/enqueue", f"{request.path} is no address of the API")
        event = request.json
        if event.get("routing_key") != ROUTING_KEY:
            errors = ["Length of 'routing_key' is incorrect (should be 32 characters)"]
            return answer_json({"status": "invalid event", "message": "Event object is invalid", "errors": errors}, 400)
        errors = pagerduty_flaws(event, len(request.body))
        self.flaws += errors
        if errors:
            return answer_json({"status": "invalid event", "message": "Event object is invalid", "errors": errors}, 400)
        key, state = event["dedup_key"], {"trigger": "triggered", "acknowledge": "acknowledged"}
        if event["event_action"] == "trigger" or key in self.incidents:
            self.incidents[key] = state.get(event["event_action"], "resolved")
        return answer_json({"status": "success", "message": "Event processed", "dedup_key": key}, 202)


# --- Alertmanager -------------------------------------------------------------------------------------------------


class Alertmanager(HttpReceiver):
    """
    The v2 API.

    Attributes:
        alerts: As they were sent last, by their labels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alerts: dict[frozenset[tuple[str, str]], dict[str, Any]] = {}

    def usual(self, request: Got) -> Answer:
        self.require(request.path == "/api/v2/alerts", f"{request.path} is no address of the API")
        flaws = [flaw for alert in request.json for flaw in alertmanager_flaws(alert)]
        self.flaws += flaws
        if flaws:
            return answer_json("; ".join(flaws), 400)
        for alert in request.json:
            self.alerts[frozenset(alert["labels"].items())] = alert
        return Answer()


# --- a webhook ----------------------------------------------------------------------------------------------------

WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a secret of the webhook's own").decode()


class Webhook(HttpReceiver):
    """
    Verifies signatures as https://www.standardwebhooks.com says, and honours ``Idempotency-Key``.

    Attributes:
        messages: What was taken, each once, by its key.
        doubled: Keys that came again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[str, dict[str, Any]] = {}
        self.doubled: list[str] = []

    def usual(self, request: Got) -> Answer:
        name, at = (request.headers.get(f"webhook-{part}", "") for part in ("id", "timestamp"))
        secret = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
        signed = hmac.new(secret, f"{name}.{at}.".encode() + request.body, hashlib.sha256).digest()
        expected = f"v1,{base64.b64encode(signed).decode()}"
        if request.headers.get("webhook-signature") != expected or abs(time.time() - float(at)) > 300:
            return answer_json({"error": "signature"}, 401)
        key = request.headers.get("idempotency-key", "")
        self.require(bool(key), "no Idempotency-Key")
        if key in self.messages:
            self.doubled.append(key)
        self.messages.setdefault(key, request.json)
        return Answer(204)


# --- mail ---------------------------------------------------------------------------------------------------------

SMTP_USER, SMTP_PASSWORD = "alerts", "correct-horse-battery-staple"


class Mailbox:
    """
    An SMTP server that takes mail for everybody, after a login.

    Attributes:
        mails: As they came.
        answer: What is answered to the content of a mail; empty: it is taken.
        hangs: It takes three seconds.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = ""
        self.hangs = False

    def __enter__(self) -> Self:
        self._controller = Controller(
            self, hostname=LOCALHOST, port=_free_port(), authenticator=_login, auth_require_tls=False,
        )  # fmt: skip
        self._controller.start()
        self.port = int(self._controller.port)
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail."""
        if self.hangs:
            await asyncio.sleep(3)
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        if self.answer:
            return self.answer
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


def _login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = (data.login, data.password) == (SMTP_USER.encode(), SMTP_PASSWORD.encode())
    return AuthResult(success=right, handled=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        return int(probe.getsockname()[1])
