"""A site that tells receivers of every kind, what they were told, and what is secret in its settings."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import httpx

from consumers.demo.tenants import TENANTS
from consumers.demo.traffic.profiles import PROFILES
from hub.alerting.pack import PACK
from tests.alerting.provoked.consumers import name_of
from tests.alerting.provoked.provocations import COMPARED, PROVOCATIONS, SHORTENED, Scene, tenants_of
from tests.support.receivers import (
    ROUTING_KEY,
    SLACK_TOKEN,
    SMTP_PASSWORD,
    SMTP_USER,
    WEBHOOK_SECRET,
    Answer,
    HttpReceiver,
    Mailbox,
    PagerDuty,
    Slack,
    Webhook,
)
from tests.support.redis import make_redis
from tests.support.servers import UVICORN, make_server
from tests.support.traffic import make_traffic

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage
    from pathlib import Path

PAGE = "https://hub.example.com/hub/"
WRONG_TOKEN = "a-token-that-is-no-good-anywhere"
#: By the variables that hold them.
SECRETS = {
    "CHAT_TOKEN": SLACK_TOKEN, "PAGER_KEY": ROUTING_KEY, "TICKETS_SECRET": WEBHOOK_SECRET,
    "MAIL_PASSWORD": SMTP_PASSWORD, "WRONG_TOKEN": WRONG_TOKEN,
}  # fmt: skip
#: One message for a rule and where it is; what fires within three seconds is in it.
ROUTE = {"name": "all", "by": ["rule", "consumer", "layer"], "wait": 3, "interval": 10, "repeat": 3600}
#: What the demo's visitors make fire themselves is told as well, and never in one message with what is provoked.
CROWD = {**ROUTE, "name": "crowd", "match": f"tenant~{'|'.join(TENANTS)}"}
#: Seconds that the loop has to be late: for less, a crowd on a busy machine keeps it waiting by itself.
LOOP_BLOCKED = 8
#: Seconds within which a provoked alert is told, and told to be over.
WAIT = 120.0


class Provoked:
    """
    The site and its receivers; a context manager.

    Args:
        folder: For databases and logs.
        traffic: Profile of the demo's visitors.
    """

    def __init__(self, folder: Path, traffic: str) -> None:
        self._folder, self._profile = folder, traffic
        self._began: dict[str, int] = {}
        self.bot, self.channel, self.pager, self.tickets = Slack(), Slack(), PagerDuty(), Webhook()
        self.mailbox, self.gossip = Mailbox(), HttpReceiver()
        # It repeats what it was sent, secrets and all.
        self.gossip.down = Answer(401, how="echo")

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._exits = stack.pop_all()
        return self

    def _start(self, stack: ExitStack) -> None:
        receivers: tuple[Any, ...] = (self.bot, self.channel, self.pager, self.tickets, self.mailbox, self.gossip)
        for one in receivers:
            stack.enter_context(one)
        self.redis = stack.enter_context(make_redis(self._folder))
        self.site = make_server(
            UVICORN, "tests.alerting.provoked.application:application", folder=self._folder, env=self._environment()
        )
        self.site.manage("migrate", "-v", "0")
        self.site.manage("check", "--fail-level", "WARNING")
        stack.enter_context(self.site)
        self.traffic = stack.enter_context(make_traffic(self.site, self._folder, self._profile))
        began = time.monotonic()
        self._until(self.on_duty, 30.0)
        # Until everybody has come, and two windows that are compared with each other are both known.
        time.sleep(max(began + PROFILES[self._profile].arrival - time.monotonic(), 2 * COMPARED))

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def _environment(self) -> dict[str, str]:
        receivers: dict[str, dict[str, Any]] = {
            "bot": {"type": "slack", "token": "env:CHAT_TOKEN", "channel": "#alerts", "api": f"{self.bot.url}/api/"},
            "channel": {"type": "slack", "url": self.channel.webhook},
            "pager": {"type": "pagerduty", "routing_key": "env:PAGER_KEY", "url": f"{self.pager.url}/v2/enqueue"},
            "tickets": {"type": "webhook", "url": self.tickets.url, "secret": "env:TICKETS_SECRET"},
            "mail": {
                "type": "email", "to": ["ops@example.com"], "host": "127.0.0.1", "port": self.mailbox.port,
                "user": SMTP_USER, "password": "env:MAIL_PASSWORD", "security": "none", "sender": "hub@example.com",
            },
            "gossip": {
                "type": "webhook", "url": self.gossip.url, "token": "env:WRONG_TOKEN", "secret": "env:TICKETS_SECRET",
            },
        }  # fmt: skip
        routes = [{**route, "receivers": list(receivers)} for route in (CROWD, ROUTE)]
        return {
            **SECRETS, "DJANGO_SETTINGS_MODULE": "tests.alerting.provoked.settings", "LOG_LEVEL": "DEBUG",
            "LAYER_REDIS_URL": self.redis.url, "HUB_RULES": json.dumps(SHORTENED), "HUB_ROUTES": json.dumps(routes),
            "HUB_RECEIVERS": json.dumps({name: {**one, "per_minute": 6000} for name, one in receivers.items()}),
            "HUB_PAGE_URL": PAGE, "WEBSOCKET_SLOW_CONSUMER_THRESHOLD_MS": str(1000 * LOOP_BLOCKED),
        }  # fmt: skip

    # --- what happens ---

    def provoke(self, *rules: str) -> None:
        """Provoke alerts of some rules, and wait until all receivers know that they are over, or should."""
        self._began |= dict.fromkeys(rules, len(self.tickets.messages))

        async def play() -> None:
            async with asyncio.TaskGroup() as scenes:
                for rule in rules:
                    scenes.create_task(PROVOCATIONS[rule](Scene(rule, self.site, self.redis)))
                    # A small machine would not answer so many handshakes in time.
                    await asyncio.sleep(0.7)

        asyncio.run(play())
        self._until(lambda: all(self.is_over(rule) for rule in rules), WAIT)

    def calm_down(self) -> None:
        """Everybody goes, and what fired on their account is over some time later, or should be."""
        self.traffic.stop()
        self._until(lambda: not self.open(), WAIT)

    def open(self) -> list[str]:
        """Titles of the incidents that nobody was told to be over."""
        last = {message["incident"]: message for message in self.incidents()}
        return [message["title"] for message in last.values() if message["kind"] != "resolved"]

    def incidents(self) -> list[dict[str, Any]]:
        """All that the webhook was told of rules, whatever made them fire; of each incident in order."""
        return [message for message in list(self.tickets.messages.values()) if message["labels"]["rule"] in PACK]

    def is_over(self, rule: str) -> bool:
        return "resolved" in [told["kind"] for told in self.told(rule)]

    @staticmethod
    def _until(condition: Callable[[], bool], seconds: float) -> None:
        """Wait; what does not come is for the tests to tell."""
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.1)

    def on_duty(self) -> bool:
        return "hub_alerts_firing" in self.metrics()

    # --- what was told ---

    def told(self, rule: str) -> list[dict[str, Any]]:
        """What the webhook was told of a rule since it was provoked, and where that was, in order."""
        told = list(self.tickets.messages.values())[self._began[rule] :]
        return [message for message in told if _is_of(rule, message)]

    def paged(self, rule: str) -> list[dict[str, Any]]:
        """The events that PagerDuty got of it; their incident is another one, as each receiver is told by itself."""
        pages = self.pages(rule)
        events = [got.json for got in list(self.pager.got)]
        own = {event["dedup_key"] for event in events if event.get("client_url") in pages}
        return [event for event in events if event["dedup_key"] in own]

    def pages(self, rule: str) -> set[str]:
        """Where links lead in messages of it, whatever receiver they are for."""
        return {message["page"] for message in self.told(rule)}

    def written(self, slack: Slack, rule: str) -> list[dict[str, Any]]:
        """What was posted to Slack with a button that leads there, and what was made of it."""
        pages = self.pages(rule)
        posted = [(got.json, block) for got in list(slack.got) for block in got.json["blocks"]]
        return [said for said, block in posted if pages & {one.get("url") for one in block.get("elements", ())}]

    def mailed(self, rule: str) -> list[EmailMessage]:
        """The mails with a link that leads there."""
        pages = self.pages(rule)
        return [one for one in list(self.mailbox.mails) if pages & set(_text(one).split())]

    # --- what it says of itself ---

    def metrics(self) -> str:
        return httpx.get(f"{self.site.url}/metrics", timeout=30).text

    def dump(self) -> str:
        """All that is in its database."""
        return self.site.manage("dumpdata", "hub")


def _is_of(rule: str, message: dict[str, Any]) -> bool:
    """Whether a message is of a rule where its own provocation was."""
    by = PACK[rule]["by"]
    where = {"consumer": name_of(rule)} if "consumer" in by else {"layer": rule} if "layer" in by else {}
    concerned = "tenant" not in by or not {*tenants_of(rule)}.isdisjoint(message["tenants"])
    return concerned and message["labels"].items() >= {"rule": rule, **where}.items()


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return "" if body is None else str(body.get_content())
