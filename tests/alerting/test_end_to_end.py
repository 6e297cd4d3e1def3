"""
Every rule of the pack, from real traffic or a real fault on a real server to receivers of every kind.

They are provoked in the demo's storm of 2,000 visitors, at the same time, each at a consumer or in a channel layer of
its own; when it is over the tests look at what the receivers were told. These hold what comes to the formats and limits
that Slack and PagerDuty document (`tests.support.formats`), and to the signatures of Standard Webhooks.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from consumers.demo.traffic.profiles import PROFILES
from hub.alerting.message import one_line
from hub.alerting.pack import PACK
from hub.alerting.receivers.pagerduty import SEVERITIES
from tests.alerting.provoked.provocations import HOSTILE, PHASES, PROVOCATIONS, tenants_of
from tests.alerting.provoked.stage import SECRETS, Provoked
from tests.support.receivers import SLACK_PATH

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.timeout(600)]

#: It takes two processes that see each other: `tests.alerting.test_node_lost`.
ELSEWHERE = {"node_lost"}


@pytest.fixture(scope="module")
def provoked(tmp_path_factory) -> Iterator[Provoked]:
    with Provoked(tmp_path_factory.mktemp("provoked"), "storm") as made:
        for rules in PHASES:
            made.provoke(*rules)
        made.calm_down()
        yield made


def test_no_rule_of_the_pack_is_without_a_provocation():
    assert set(PACK) == {*PROVOCATIONS, *ELSEWHERE}


@pytest.mark.parametrize("rule", PROVOCATIONS)
def test_a_rule_fires_once_is_grouped_and_resolves(provoked, rule):
    told = provoked.told(rule)
    assert ("fired", "resolved") == (told[0]["kind"], told[-1]["kind"])
    assert {"changed"} >= {message["kind"] for message in told[1:-1]}
    assert 1 == len({message["incident"] for message in told})
    assert list(range(1, len(told) + 1)) == [message["number"] for message in told]
    fired = [alert for message in told for alert in message["firing"]]
    assert {PACK[rule]["severity"]} == {one["severity"] for one in (*told, *fired)}
    # Each alert is news once, and over once.
    news = [alert["key"] for alert in fired if alert["new"]]
    over = [alert["key"] for message in told for alert in message["resolved"]]
    assert len(news) == len(set(news))
    assert sorted(news) == sorted(over)
    assert all(alert["worst"] > alert["threshold"] for alert in fired)
    concerned = tenants_of(rule) if "tenant" in PACK[rule]["by"] else ("",)
    assert set(concerned) == {alert["labels"].get("tenant", "") for alert in fired}


@pytest.mark.parametrize("rule", PROVOCATIONS)
def test_pagerduty_has_one_incident_and_it_is_resolved(provoked, rule):
    events = provoked.paged(rule)
    [key] = {event["dedup_key"] for event in events}
    assert "resolved" == provoked.pager.incidents[key]
    assert ["resolve"] == [event["event_action"] for event in events if event["event_action"] != "trigger"]
    payload = events[0]["payload"]
    assert (SEVERITIES[PACK[rule]["severity"]], rule) == (payload["severity"], payload["class"])


@pytest.mark.parametrize("rule", PROVOCATIONS)
def test_slack_has_a_message_that_says_in_the_end_that_all_is_over(provoked, rule):
    # A webhook writes anew, a bot keeps the first message as the incident is.
    first, *_, last = [message["text"] for message in provoked.written(provoked.channel, rule)]
    assert first[1:].startswith(" Firing: ")
    assert last.startswith("✅ Resolved: ")
    written = provoked.written(provoked.bot, rule)
    [kept] = {message["ts"] for message in written if "ts" in message}
    assert 1 == len([message for message in written if "ts" not in message])
    assert provoked.bot.messages[kept]["text"].startswith("✅ Resolved: ")
    assert [one for one in provoked.bot.messages.values() if one.get("thread_ts") == kept]


@pytest.mark.parametrize("rule", PROVOCATIONS)
def test_mail_is_one_thread(provoked, rule):
    mails = provoked.mailed(rule)
    assert 1 == len({mail.get("References", mail["Message-ID"]).split()[0] for mail in mails})
    assert len(provoked.told(rule)) == len(mails)


def test_there_was_a_storm(provoked):
    """Everybody came, many of them again and again; waves of them hung up and were cut off."""
    [*_, (opened, closed)] = re.findall(r"opened ([\d,]+).* closed (.*)\.", provoked.traffic.log_text())
    codes = {code: int(count.replace(",", "")) for code, count in re.findall(r"(\d{4}):([\d,]+)", closed)}
    visitors = PROFILES["storm"].visitors
    assert visitors < int(opened.replace(",", ""))
    assert visitors / 20 < min(codes["1001"], codes["1006"])


def test_whatever_fired_on_account_of_the_storm_is_over_when_it_is(provoked):
    assert [] == provoked.open()


def test_nothing_is_told_twice(provoked):
    fires: set[str] = set()
    for message in sorted(provoked.incidents(), key=lambda told: (told["at"], told["number"])):
        news = {alert["key"] for alert in message["firing"] if alert["new"]}
        assert set() == news & fires
        fires = (fires | news) - {alert["key"] for alert in message["resolved"]}


def test_nothing_that_came_breaks_a_format_or_a_limit(provoked):
    assert [] == provoked.bot.flaws
    assert [] == provoked.channel.flaws
    assert [] == provoked.pager.flaws
    assert [] == provoked.tickets.flaws
    assert [] == provoked.tickets.doubled


def test_what_a_tenant_is_called_injects_nothing(provoked):
    hostile = one_line(HOSTILE)
    assert [mail for mail in provoked.mailbox.mails if hostile in mail.get_body(("plain",)).get_content()]
    for mail in provoked.mailbox.mails:
        assert ("ops@example.com", None, None) == (mail["To"], mail["Cc"], mail["Bcc"])
        html = mail.get_body(("html",)).get_content()
        assert "<script" not in html
        assert "evil.example|" not in html or "&lt;http" in html
    for got in (*provoked.bot.got, *provoked.channel.got):
        assert "<!channel>" not in json.dumps(got.json)
    for got in provoked.pager.got:
        texts = [got.json.get("payload", {}).get("summary", ""), got.json.get("payload", {}).get("source", "")]
        assert all(one_line(text) == text for text in texts)


def test_a_receiver_that_refuses_is_told_of_to_the_others_once(provoked):
    letters = [message for message in provoked.tickets.messages.values() if message["route"] == "dead letters"]
    assert [("fired", {"receiver": "gossip"})] == [
        (message["kind"], {name: message["labels"][name] for name in ("receiver",)}) for message in letters
    ]
    assert "401" in letters[0]["title"]


def test_secrets_are_told_to_nobody(provoked):
    shown = {
        "log": provoked.site.log_text(), "database": provoked.dump(), "metrics": provoked.metrics(),
        "check": provoked.site.manage("check"), "Slack": repr([got.body for got in provoked.bot.got]),
        "tickets": repr([got.body for got in provoked.tickets.got]),
    }  # fmt: skip
    for place, text in shown.items():
        assert text
        assert [] == [name for name, secret in {**SECRETS, "path": SLACK_PATH}.items() if secret in text], place


def test_nothing_went_wrong_inside_the_hub(provoked):
    faults = [line for line in provoked.metrics().splitlines() if line.startswith("hub_faults_total{")]
    assert [] == faults
