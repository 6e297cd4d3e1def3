from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from hub.conf import config
from tests.support.receivers import ROUTING_KEY

RECEIVERS = {
    "pager": {"type": "pagerduty", "routing_key": ROUTING_KEY},
    "mail": {"type": "email", "to": ["ops@example.com"]},
}
ROUTES = [
    {"name": "demo", "match": "tenant~demo*", "receivers": []},
    {
        "name": "urgent", "match": "severity=critical", "receivers": ["pager"], "go_on": True,
        "escalate": [{"after": 900, "receivers": ["mail"]}],
    },
    {"name": "office", "hours": "Mon-Fri 09:00-17:00 Europe/Berlin", "hold": True, "receivers": ["mail"]},
]  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh_settings():
    config.cache_clear()
    yield
    config.cache_clear()


def run(capsys, *arguments: str) -> list[str]:
    call_command("hub_route", *arguments)
    return str(capsys.readouterr().out).splitlines()


@override_settings(HUB={"RECEIVERS": RECEIVERS, "ROUTES": ROUTES})
def test_it_says_who_would_be_told_and_why(capsys):
    lines = run(capsys, "severity=critical,tenant=acme,rule=loop_blocked", "--at", "2026-11-21T03:00")
    assert "At 2026-11-21 03:00:00 UTC:" == lines[0]
    assert "     demo: tenant~\"demo*\" does not match: tenant is 'acme'" == lines[1]
    assert '  -> urgent: severity="critical" matches; the next ones are tried too' == lines[2]
    assert lines[3].startswith(
        "       pager: after 250 ms; news every 1 min, again every 30 min until acknowledged; one"
    )
    assert "mail: if nobody acknowledges for 15 min" in lines[4]
    assert "mail: after 250 ms, held until Mon,Tue,Wed,Thu,Fri 09:00-17:00 Europe/Berlin" in lines[6]
    assert "Told: pager, mail." == lines[-1]


@override_settings(HUB={"RECEIVERS": RECEIVERS, "ROUTES": ROUTES})
def test_nobody_is_told_on_purpose(capsys):
    assert "Told: nobody." == run(capsys, "tenant=demo-1")[-1]


@override_settings(HUB={"RECEIVERS": RECEIVERS})
def test_without_routes_severity_decides(capsys):
    assert "Told: pager, mail." == run(capsys, "severity=critical")[-1]
    assert "Told: mail." == run(capsys, "severity=low")[-1]


@override_settings(HUB={"MAINTENANCE": [{"name": "night", "hours": "Mon-Sun 02:00-04:00 UTC"}]})
def test_a_maintenance_window_is_said(capsys):
    assert "nobody is told while the maintenance 'night' lasts" in run(capsys, "a=b", "--at", "2026-11-21T03:00")[1]


@override_settings(HUB={"RECEIVERS": {"bad": {"type": "slack"}}})
def test_what_is_wrong_with_the_settings_is_said_too(capsys):
    call_command("hub_route", "a=b")
    assert "HUB['RECEIVERS']['bad']" in capsys.readouterr().err


@override_settings(HUB={})
def test_without_receivers_it_says_how_to_name_one(capsys):
    call_command("hub_route", "severity=high")
    said = capsys.readouterr()
    assert said.out.endswith("Told: nobody.\n")
    assert "SLACK_WEBHOOK_URL" in said.err


@pytest.mark.parametrize("arguments", [["severity"], ["tenant~a*"], ["a=b", "--at", "soon"], ["severity=urgent"]])
def test_what_is_no_label_or_time_is_refused(arguments):
    with pytest.raises(CommandError):
        call_command("hub_route", *arguments)
