from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alerting.message import MAX_SHOWN, address, compose, cut, figures, moment, one_line, sparkline, timestamp
from hub.core.groups import ACKNOWLEDGED, CHANGED, FIRED, OVER, REPEATED
from tests.alerting.messages import AT, EVIL, LIFE, PAGE, alert, evil, message, notice, resolved, storm


def test_the_hub_s_own_notes_are_beside_the_page():
    assert f"{PAGE}incidents/#loop_blocked" == message(FIRED, alert(runbook="incidents/#loop_blocked")).runbook


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FIRED, "Firing"), (CHANGED, "Changed"), (REPEATED, "Still firing"), (ACKNOWLEDGED, "Acknowledged by ann"),
        (OVER, "Resolved"),
    ],
)  # fmt: skip
def test_a_title_says_what_has_become_of_what(kind, status):
    one = message(kind, by="ann" if kind == ACKNOWLEDGED else "")
    assert f"{status}: chat, tenant acme: 120 errors within 5 min" == one.title
    assert (kind == OVER) == one.over


def test_a_storm_in_200_tenants_is_one_line_that_says_so():
    one = storm()
    assert "200 alerts: handler_errors (tenants tenant-000, tenant-001, tenant-002 and 197 more)" == one.subject
    assert (MAX_SHOWN, "and 190 more", 200) == (len(one.lines), one.more, len(one.tenants))


def test_several_alerts_of_one_tenant_name_their_rules():
    rules = ("handler_errors", "message_slow", "frames_dropped", "slow_consumer")
    one = message(FIRED, *(alert(rule=rule, key=rule) for rule in rules))
    assert "4 alerts: handler_errors, message_slow, frames_dropped and 1 more, tenant acme" == one.subject


def test_a_line_has_the_figure_against_the_threshold_and_since_when():
    [line] = message().lines
    assert ("120 errors, threshold 10 errors", "▁▁▃█", AT - 60, "", True) == (
        line.figures, line.curve, line.since, line.lasted, line.new,
    )  # fmt: skip
    [over] = message(OVER).lines
    assert ("at worst 150 errors, threshold 10 errors", "11 min", False) == (over.figures, over.lasted, over.new)


def test_what_is_not_known_is_said_to_be_so():
    assert "not known now, threshold 10 errors" == figures(alert(value=None))


def test_links_lead_to_the_page_at_that_alert_and_to_the_runbook():
    one = message()
    assert f"{PAGE}#alert={LIFE}" == one.page
    assert f"{PAGE}?a=b#alert={LIFE}" == message(page=f"{PAGE}?a=b#top").page
    assert PAGE == compose(notice(), {}, PAGE, "").page
    assert "https://runbooks.example.com/errors" == one.runbook
    assert ("", "") == (message(page=None).page, message(FIRED, alert(runbook=""), page=None).runbook)


def test_a_runbook_may_be_a_path_of_the_page_s_own_host():
    assert "https://hub.example.com/help/errors" == message(FIRED, alert(runbook="/help/errors")).runbook
    assert "" == message(FIRED, alert(runbook="/help/errors"), page=None).runbook


@pytest.mark.parametrize(
    "given",
    ["javascript:alert(1)", "data:text/html,x", "https://a b", 'https://a"b', "//evil", "", "https://[", "x" * 9],
)
def test_other_addresses_are_no_links(given):
    assert "" == address(given)


def test_what_came_from_outside_stands_on_one_line_and_reads_from_left_to_right():
    for text in (evil().title, *evil().tenants, evil().lines[0].summary, evil(ACKNOWLEDGED).status, one_line(EVIL)):
        assert text.splitlines() == [text]
        assert not any(char in text for char in "\r\n\x1b\u202e\ud800")
        text.encode()


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_becomes_a_line(text):
    line = one_line(text)
    assert line.splitlines() in ([line], [])
    line.encode()


@pytest.mark.parametrize(
    ("values", "curve"),
    [
        ([], ""), ([1.0], ""), ([2.0, 2.0], "▁▁"), ([0.0, 7.0], "▁█"), ([0.0, math.nan, math.inf, 1.0], "▁█"),
        (list(range(100)), "▁▁▁▂▂▂▃▃▃▄▄▄▅▅▅▆▆▆▇▇▇███"),
    ],
)  # fmt: skip
def test_a_sparkline(values, curve):
    assert len(curve) == len(sparkline(values))
    assert (curve[:1], curve[-1:]) == (sparkline(values)[:1], sparkline(values)[-1:])


@given(st.lists(st.floats(-1e300, 1e300)))
def test_any_numbers_make_a_sparkline(values):
    assert set(sparkline(values)) <= set("▁▂▃▄▅▆▇█")


def test_times_are_in_utc():
    assert ("2026-11-18 11:06:40 UTC", "2026-11-18T11:06:40.250Z") == (moment(AT + 0.25), timestamp(AT + 0.25))


def test_a_text_is_cut_with_a_sign_of_it():
    assert ("abc", "ab…") == (cut("abc", 3), cut("abcd", 3))


def test_alerts_that_fire_come_before_those_that_are_over():
    mixed = notice(CHANGED, alert("one"), resolved=(resolved(alert("two")),))
    assert ["", "11 min"] == [line.lasted for line in compose(mixed, {}, None, "").lines]
