from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alerting.receivers.settings import KINDS, read_plan, read_receivers
from hub.alerting.zones import local
from hub.conf import Config, read
from hub.core.routing import LAST_RESORT
from tests import strategies  # noqa: F401 - loads the profile
from tests.support.receivers import ROUTING_KEY, SLACK_PATH, SLACK_TOKEN, WEBHOOK_SECRET

HOOK = f"https://hooks.slack.com{SLACK_PATH}"
PASSWORD = "open-sesame-open-sesame"
#: One of each kind, and again with everything that may be said.
RIGHT: list[dict[str, Any]] = [
    {"type": "slack", "url": HOOK},
    {"type": "slack", "token": SLACK_TOKEN, "channel": "#alerts", "per_minute": 20},
    {"type": "slack", "token": SLACK_TOKEN, "channel": "C012AB3CD"},
    {"type": "pagerduty", "routing_key": ROUTING_KEY},
    {"type": "pagerduty", "routing_key": ROUTING_KEY, "url": "https://events.eu.pagerduty.com/v2/enqueue"},
    {"type": "email", "to": ["ops@example.com"]},
    {"type": "email", "to": ["ops@example.com"], "sender": "hub@example.com", "host": "mail", "port": 465, "user": "a",
     "password": PASSWORD, "security": "tls"},
    {"type": "webhook", "url": "https://example.com/hook", "secret": WEBHOOK_SECRET, "token": PASSWORD},
    {"type": "alertmanager", "url": "http://alertmanager:9093"},
    {"type": "alertmanager", "url": "http://alertmanager:9093/am", "user": "a", "password": PASSWORD, "expires": 3600},
    {"type": "apprise", "url": "json://localhost/x"},
]  # fmt: skip
#: What is wrong, and a word of what is said.
WRONG: list[tuple[Any, str]] = [
    (HOOK, "type"),
    ({}, "type"),
    ({"type": "sms"}, "type"),
    ({"type": ["slack"]}, "type"),
    ({"type": "slack"}, "either `url`"),
    ({"type": "slack", "url": HOOK, "token": SLACK_TOKEN, "channel": "#a"}, "either `url`"),
    ({"type": "slack", "token": SLACK_TOKEN}, "either `url`"),
    ({"type": "slack", "token": SLACK_TOKEN, "channel": "<!channel>"}, "$.channel"),
    ({"type": "slack", "url": SLACK_TOKEN}, "$.url"),
    ({"type": "slack", "url": f"ftp://{PASSWORD}"}, "$.url"),
    ({"type": "slack", "url": f"https://[{PASSWORD}"}, "$.url"),
    ({"type": "slack", "url": f"{HOOK}\r\nX: y"}, "$.url"),
    ({"type": "slack", "url": "env:NO_SUCH_VARIABLE"}, "the environment has no NO_SUCH_VARIABLE"),
    ({"type": "slack", "url": HOOK, "colour": "red"}, "colour"),
    ({"type": "slack", "url": HOOK, "per_minute": 0}, "$.per_minute"),
    ({"type": "pagerduty"}, "routing_key"),
    ({"type": "pagerduty", "routing_key": PASSWORD}, "32 letters"),
    ({"type": "pagerduty", "routing_key": 7}, "$.routing_key"),
    ({"type": "email", "to": []}, "$.to"),
    ({"type": "email", "to": "ops@example.com"}, "$.to"),
    ({"type": "email", "to": ["ops"]}, "e-mail addresses in `to`"),
    ({"type": "email", "to": ["a@example.com\r\nBcc: b@example.com"]}, "e-mail addresses in `to`"),
    ({"type": "email", "to": ["ops@example.com"], "sender": "hub"}, "e-mail addresses in `sender`"),
    ({"type": "email", "to": ["ops@example.com"], "password": PASSWORD}, "`host`"),
    ({"type": "email", "to": ["ops@example.com"], "host": "mail", "security": "ssl"}, "$.security"),
    ({"type": "webhook", "url": "https://example.com"}, "secret"),
    ({"type": "webhook", "url": "https://example.com", "secret": "short"}, "16 characters"),
    ({"type": "webhook", "url": "https://example.com", "secret": f"whsec_{PASSWORD}%"}, "base64"),
    ({"type": "alertmanager", "url": "alertmanager:9093"}, "$.url"),
    ({"type": "alertmanager", "url": "http://a:9093", "user": "a"}, "`user` and `password`"),
    ({"type": "alertmanager", "url": "http://a:9093", "expires": 5}, "`expires`"),
    ({"type": "apprise", "url": f"nothing://{PASSWORD}"}, "apprise knows"),
]


def config(**given: Any) -> Config:
    settings, problems = read({key.upper(): value for key, value in given.items()}, {})
    assert [] == problems
    return settings


@pytest.mark.parametrize("given", RIGHT, ids=lambda given: given["type"])
def test_a_receiver_of_each_kind(given):
    receivers, flaws = read_receivers(config(receivers={"ops": given}))
    assert [] == list(map(str, flaws))
    [one] = receivers.values()
    assert ("ops", given["type"]) == (one.name, one.kind)
    assert one.per_minute == given.get("per_minute", one.per_minute) > 0


@pytest.mark.parametrize(("given", "word"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_said_with_its_place_and_without_its_value(given, word):
    receivers, [flaw] = read_receivers(config(receivers={"bad": given, "good": RIGHT[0]}))
    assert ["good"] == list(receivers)
    assert "HUB['RECEIVERS']['bad']" == flaw.place
    assert word in flaw.message
    assert flaw.hint
    assert not [secret for secret in (PASSWORD, SLACK_TOKEN, SLACK_PATH) if secret in str(flaw)]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101, 5])
def test_a_name_is_a_short_text(name):
    settings = Config(receivers={name: RIGHT[0]})
    assert 1 == len(read_receivers(settings)[1])


def test_apprise_without_the_extra_is_a_flaw_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    receivers, [flaw] = read_receivers(config(receivers={"ops": {"type": "apprise", "url": "json://localhost"}}))
    assert ({}, True) == (receivers, "channels-hub[apprise]" in flaw.message)


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
OPTIONS = sorted({option for options, _ in KINDS.values() for option in options.__struct_fields__})


@given(st.dictionaries(st.sampled_from(OPTIONS), plain | st.lists(plain, max_size=2)), st.sampled_from(sorted(KINDS)))
def test_whatever_is_given_there_is_a_receiver_or_a_flaw(given, kind):
    receivers, flaws = read_receivers(Config(receivers={"ops": {**given, "type": kind}}))
    assert 1 == len(receivers) + len(flaws)


# --- the environment ----------------------------------------------------------------------------------------------


def test_values_may_stand_in_the_environment():
    given = {"mail": {"type": "email", "to": ["env:MAIL"]}, "chat": {"type": "slack", "url": "env:HOOK"}}
    settings, problems = read({"RECEIVERS": given}, {"HOOK": HOOK, "MAIL": "ops@example.com"})
    assert [] == problems
    assert ([], {"mail", "chat"}) == (read_receivers(settings)[1], set(read_receivers(settings)[0]))


def test_two_variables_are_a_receiver_each_where_none_is_named():
    environ = {"SLACK_WEBHOOK_URL": HOOK, "PAGERDUTY_ROUTING_KEY": ROUTING_KEY}
    assert ({"slack", "pagerduty"}, []) == _names(read({}, environ)[0])
    assert ({"mail"}, []) == _names(read({"RECEIVERS": {"mail": RIGHT[5]}}, environ)[0])
    assert (set(), []) == _names(read({}, {"SLACK_WEBHOOK_URL": " "})[0])


def _names(settings: Config) -> tuple[set[str], list[Any]]:
    receivers, flaws = read_receivers(settings)
    return set(receivers), flaws


def test_all_of_it_may_stand_in_one_variable():
    settings, problems = read({}, {"HUB_RECEIVERS": msgspec.json.encode({"ops": RIGHT[0]}).decode()})
    assert ([], ({"ops"}, [])) == (problems, _names(settings))


@pytest.mark.parametrize("given", [f"{{{HOOK}", HOOK, [HOOK], 5])
def test_receivers_that_are_no_dictionary_are_not_shown(given):
    _, [problem] = read({"RECEIVERS": given}, {})
    assert SLACK_PATH not in problem.message + problem.hint
    assert "RECEIVERS" in problem.message


def test_the_configuration_shows_no_secret():
    settings = config(receivers={"ops": RIGHT[0], "hook": RIGHT[7]})
    assert "<receivers 'ops', 'hook'>" in repr(settings)
    assert SLACK_PATH not in repr(settings) + str(msgspec.structs.asdict(settings))


# --- who is told of what ------------------------------------------------------------------------------------------

THREE = {"chat": RIGHT[0], "pager": RIGHT[3], "mail": RIGHT[5]}
NOON = 1_794_398_400.0


def told(settings: Config, **labels: str) -> list[str]:
    plan, flaws = read_plan(settings, read_receivers(settings)[0])
    assert [] == flaws
    return [post.receiver for post in plan.routing.posts(labels, NOON, local)]


def test_without_routes_pagers_get_what_is_critical_and_the_others_everything():
    settings = config(receivers=THREE)
    assert ["pager", "chat", "mail"] == told(settings, severity="critical")
    assert ["chat", "mail"] == told(settings, severity="high")
    assert ["pager"] == told(config(receivers={"pager": RIGHT[3]}), severity="low")
    assert [] == told(config(), severity="critical")


def test_routes_are_taken_and_what_fits_none_goes_to_the_last_resort():
    routes = [{"name": "acme", "match": "tenant=acme", "receivers": ["mail"]}]
    settings = config(receivers=THREE, routes=routes)
    assert (["mail"], ["chat", "mail"]) == (told(settings, tenant="acme"), told(settings, tenant="other"))
    settings = config(receivers=THREE, routes=routes, last_resort=["pager"])
    assert ["pager"] == told(settings, tenant="other")
    assert [] == told(config(receivers=THREE, routes=routes, last_resort=[]), tenant="other")


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"routes": [{"name": "a", "receivers": ["nobody"]}]}, "HUB['ROUTES'][0]"),
        ({"routes": ["a"]}, "HUB['ROUTES'][0]"),
        ({"last_resort": ["nobody"]}, "HUB['LAST_RESORT']"),
        ({"maintenance": [{"name": "night", "hours": "always"}]}, "HUB['MAINTENANCE'][0]"),
        ({"inhibitions": [{"cause": "rule=a"}]}, "HUB['INHIBITIONS'][0]"),
    ],
)
def test_what_is_wrong_with_them_is_said_with_its_place(given, place):
    settings = config(receivers=THREE, **given)
    plan, [flaw] = read_plan(settings, read_receivers(settings)[0])
    assert place == flaw.place
    reasons = plan.routing.explain({"severity": "low"}, NOON, local)
    assert ["chat", "mail"] == [post.receiver for reason in reasons for post in reason.posts]


def test_inhibitions_of_a_project_stand_beside_those_of_the_pack():
    settings = config(inhibitions=[{"cause": "rule=a", "effect": "rule=b", "equal": ["tenant"]}])
    plan, flaws = read_plan(settings, {})
    assert [] == flaws
    assert len(read_plan(config(), {})[0].inhibitions) + 1 == len(plan.inhibitions)


def test_a_window_is_read():
    window = {"name": "night", "hours": "Mon-Sun 02:00-03:00 UTC", "match": "severity=low"}
    [one] = read_plan(config(maintenance=[window]), {})[0].maintenance
    assert "night" == one.name
    assert LAST_RESORT
