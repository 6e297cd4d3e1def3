"""``docs/alerts.md`` names every rule, key and look, and what it shows can be used."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from hub.alerting.pack import OFF, PACK, read_settings
from hub.alerting.receivers.settings import KINDS, read_plan, read_receivers
from hub.alerting.receivers.webhook import document
from hub.alerting.sources import watched
from hub.alerting.trial import try_rules
from hub.conf import RECEIVER_VARIABLES, read
from hub.core.looks import KINDS as LOOK_KINDS
from hub.core.routebook import ROUTE_KEYS
from hub.core.routing import PACES
from hub.core.rulebook import KEYS
from tests.alerting.messages import message
from tests.alerting.receivers.made import made
from tests.docs.markdown import blocks, tables
from tests.support.processes import ROOT
from tests.support.receivers import ROUTING_KEY, SLACK_TOKEN, WEBHOOK_SECRET

DOCUMENT = ROOT / "docs" / "alerts.md"
RULES, KEYS_TOLD, LOOKS, RECEIVERS, WEBHOOK, ROUTES, PACES_TOLD = tables(DOCUMENT)
PYTHON = [block.text for block in blocks(DOCUMENT) if block.language == "python"]
WATCHED = watched()


def names(rows: list[dict[str, str]], column: str) -> set[str]:
    """What a column names, one or several in a cell."""
    return {name for row in rows for name in row[column].replace("`", "").split(", ")}


def run(word: str) -> dict[str, Any]:
    """What the one Python block with this word in it defines."""
    [text] = [text for text in PYTHON if word in text]
    scope: dict[str, Any] = {}
    exec(text, scope)  # noqa: S102 - our own text
    return scope


def test_the_pack_is_that_of_the_code():
    assert {row["rule"]: row["severity"] for row in RULES} == {name: rule["severity"] for name, rule in PACK.items()}
    assert {row["rule"] for row in RULES if " Off: " in row["when"]} == OFF


@pytest.mark.parametrize("row", RULES, ids=lambda row: row["rule"])
def test_the_threshold_is_that_of_the_code(row):
    above = PACK[row["rule"]]["above"]
    words = {2: "twice", 3: "three times", 0: ""} if PACK[row["rule"]]["look"] == "change" else {0: ""}
    shown = words.get(above, f"{100 * above:g} %" if above < 1 else f"{above:,}".removesuffix(".0"))
    assert shown in row["when"]


def test_the_keys_are_those_of_the_code():
    assert names(KEYS_TOLD, "key") == set(KEYS)


def test_the_looks_are_those_of_the_code():
    assert {row["look"]: row["of"].split(",")[0].split()[1] for row in LOOKS} == {
        look: of for look, (of, _) in LOOK_KINDS.items()
    }


def test_the_example_of_settings_can_be_used():
    rules, flaws = read_settings(run('"RULES"')["HUB"]["RULES"], WATCHED)
    assert [] == flaws
    assert {"crowded", "traffic_risen"} <= {rule.name for rule in rules}


def test_the_example_of_a_test_passes():
    [block] = [block for block in blocks(DOCUMENT) if block.language == "toml"]
    assert [("a crowd for a minute", [])] == list(try_rules(tomllib.loads(block.text), WATCHED))


# --- who is told --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_options_of_receivers_are_those_of_the_code(kind):
    told = names([row for row in RECEIVERS if row["type"] in ("any", kind)], "option")
    assert told == set(KINDS[kind][0].__struct_fields__) - {"type"}


def test_the_example_of_receivers_and_routes_can_be_used():
    environ = {
        "SLACK_BOT_TOKEN": SLACK_TOKEN, "PAGERDUTY_ROUTING_KEY": ROUTING_KEY, "TICKETS_SECRET": WEBHOOK_SECRET,
    }  # fmt: skip
    settings, problems = read(run('"RECEIVERS"')["HUB"], environ)
    receivers, flaws = read_receivers(settings)
    plan, wrong = read_plan(settings, receivers)
    assert ([], [], []) == (problems, flaws, wrong)
    assert set(receivers) == {"chat", "pager", "mail", "tickets"} == set(plan.routing.receivers)


def test_the_variables_are_those_of_the_code():
    text = DOCUMENT.read_text()
    assert not [name for name in RECEIVER_VARIABLES if f"`{name}`" not in text]


def test_the_example_verifies_what_a_webhook_is_sent():
    is_ours = run("def is_ours")["is_ours"]
    with made("webhook") as pair:
        pair.receiver.deliver(message(), {})
        [request] = pair.server.got
    assert is_ours(WEBHOOK_SECRET, request.headers, request.body)
    assert not is_ours(WEBHOOK_SECRET, request.headers, request.body + b" ")


def test_the_shape_of_a_webhook_s_message_is_that_of_the_code():
    sent = document(message())
    assert names(WEBHOOK, "key") == set(sent)
    [of_alerts] = [row["what it says"] for row in WEBHOOK if "firing" in row["key"]]
    assert set(of_alerts.partition(": ")[2].replace("`", "").split(", ")) == set(sent["firing"][0])


def test_the_keys_of_routes_are_those_of_the_code():
    assert names(ROUTES, "key") == set(ROUTE_KEYS)


def test_the_paces_are_those_of_the_code():
    assert PACES_TOLD == [
        {
            "severity": severity, "wait": f"{pace.wait:g}", "interval": f"{pace.interval:g}",
            "repeat": f"{pace.repeat:g}", "digest": "yes" if pace.digest else "no",
        }
        for severity, pace in PACES.items()
    ]  # fmt: skip
