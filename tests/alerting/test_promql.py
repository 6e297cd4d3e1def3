from __future__ import annotations

import re

import pytest

from hub.alerting.pack import PACK, read_settings
from hub.alerting.promql import Rules, alert_name, regex, seconds, selecting, translate
from hub.alerting.sources import watched
from hub.core.matchers import parse_matchers
from hub.core.rulebook import read_rules
from hub.core.series import HISTOGRAM, Watched

BUSINESS = Watched("orders_total", "counter", ("shop", "outcome"), "orders")
WATCHED = {**watched(), BUSINESS.name: BUSINESS}
COUNTERS = {name for name, one in WATCHED.items() if one.kind == "counter"}
EVERYTHING = translate(read_settings(dict.fromkeys(PACK, True), WATCHED)[0], WATCHED, "docs/incidents.md")


def translated(**rule: object) -> Rules:
    """One rule; what is not said is as in many."""
    written = {"severity": "low", "above": 1, "summary": "{value}", **rule}
    rules, flaws = read_rules({"mine": written}, WATCHED, "here")
    assert [] == list(map(str, flaws))
    return translate(rules, WATCHED, "docs/incidents.md")


def expression(**rule: object) -> str:
    [alert] = translated(**rule).alerts
    return alert.expression


def number(**rule: object) -> str:
    """The last of what is recorded for a rule."""
    return list(translated(**rule).recordings.values())[-1]


def flat(text: str) -> str:
    return " ".join(text.split())


# --- the pack -----------------------------------------------------------------------------------------------------


def test_every_rule_of_the_pack_becomes_an_alert():
    assert {} == EVERYTHING.left_out
    assert [alert_name(name) for name in PACK] == [alert.name for alert in EVERYTHING.alerts]


@pytest.mark.parametrize("alert", EVERYTHING.alerts, ids=[alert.name for alert in EVERYTHING.alerts])
def test_an_alert_has_the_severity_the_times_and_the_runbook_of_its_rule(alert):
    rule = PACK[alert.labels["rule"]]
    assert rule["severity"] == alert.labels["severity"]
    assert rule.get("keep", 60) == alert.keep
    assert rule.get("for", 0) + (rule["above"] if rule["look"] == "absent" else 0) == alert.wait
    assert f"docs/incidents.md#{alert.labels['rule']}" == alert.annotations["runbook_url"]
    assert {"summary", "action", "runbook_url"} == alert.annotations.keys()


@pytest.mark.parametrize("text", [*EVERYTHING.recordings.values(), *(alert.expression for alert in EVERYTHING.alerts)])
def test_only_counters_grow_and_nothing_is_divided_by_nothing(text):
    for metric in re.findall(r"(?:increase|rate)\((\w+)", text):
        buckets = metric.removesuffix("_bucket")
        assert metric in COUNTERS or WATCHED[buckets].kind == HISTOGRAM
    for divisor in re.findall(r"\n/\n(.*)", text):
        # What stands above is at least one wherever it has a value, and so is a sum with it.
        assert divisor.startswith(("clamp_min(", "("))


def test_numbers_that_two_rules_look_at_are_recorded_once():
    both = [alert for alert in EVERYTHING.alerts if alert.name in ("HubHandlerErrors", "HubHandlerErrorsMany")]
    assert ["consumer_tenant:ws_handler_errors:increase5m"] * 2 == [one.expression.split()[0] for one in both]


# --- selecting ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("tenant=acme", 'tenant="acme"'),
        ("tenant!=acme", 'tenant!="acme"'),
        ("tenant~acme", 'tenant="acme"'),
        ("tenant!~acme", 'tenant!="acme"'),
        ("tenant~a*|b.c", r'tenant=~"a.*|b\\.c"'),
        ("tenant!~a|b", 'tenant!~"a|b"'),
        (r'tenant="say \"hi\", \\ you"', r'tenant="say \"hi\", \\ you"'),
        ("node=one", 'instance="one"'),
    ],
)
def test_matchers_are_written_as_prometheus_does(written, told):
    [matcher] = parse_matchers(written)
    assert told == selecting(matcher)


def test_a_pattern_is_no_regular_expression_of_its_writers():
    assert r"a\.b.*\(c\+\)|d\$" == regex("a.b*(c+)|d$")
    assert re.fullmatch(regex("a.b*(c+)|d$"), "a.bxx(c+)")


def test_series_of_a_rule_are_picked():
    told = expression(look="level", of="ws_connections_active", where="tenant!=acme", by=[])
    assert "hub:ws_connections_active:sum > 1" == told
    assert {"hub:ws_connections_active:sum": 'sum (ws_connections_active{tenant!="acme"})'} == translated(
        look="level", of="ws_connections_active", where="tenant!=acme", by=[]
    ).recordings


def test_the_same_number_of_other_series_gets_a_name_of_its_own():
    rule = {"look": "level", "of": "ws_connections_active", "by": [], "above": 1, "severity": "low", "summary": "-"}
    rules, _ = read_rules({"one": rule, "two": {**rule, "where": "tenant=acme"}}, WATCHED, "here")
    assert ["hub:ws_connections_active:sum", "hub:ws_connections_active:sum:two"] == list(
        translate(rules, WATCHED, "").recordings
    )


@pytest.mark.parametrize(("given", "told"), [(300, "5m"), (90, "90s"), (7200, "2h"), (1.5, "1500ms")])
def test_durations_are_written_as_prometheus_does(given, told):
    assert told == seconds(given)


# --- looks --------------------------------------------------------------------------------------------------------


def test_growth_counts_series_that_begin_to_exist_while_their_process_is_seen():
    assert flat(number(look="count", of="orders_total", by=["shop"], window=60)) == flat("""
        sum by (shop) (
          orders_total
            unless orders_total offset 1m
            and count_over_time(orders_total[1m])
              < on (job, instance) group_left sum by (job, instance) (count_over_time(hub_info[1m]))
          or
          increase(orders_total[1m])
        )""")


def test_a_rate_is_growth_by_the_second():
    assert number(look="rate", of="orders_total", by=["shop"], window=300) == "shop:orders:increase5m / 300"


def test_a_ratio_says_nothing_of_nothing():
    ratio = {"look": "ratio", "of": "orders_total", "where": "outcome=declined", "under": "orders_total", "window": 60}
    told = number(**ratio, by=["shop"], least=0)
    assert flat(told) == "shop:orders:increase1m / (shop:orders:increase1m:mine >= 1)"


def test_a_part_is_of_what_is_there_now():
    part = {"look": "part", "of": "ws_presence_members", "where": "state=stale", "under": "ws_presence_members"}
    assert flat(number(**part, by=["tenant"], least=10)) == (
        '(sum by (tenant) (ws_presence_members{state="stale"}) >= 10) / (sum by (tenant) (ws_presence_members) > 0)'
    )


def test_a_share_is_of_those_that_are_left_and_gone():
    told = number(look="share", of="ws_disconnects_total", under="ws_connections_active", by=["consumer"], window=60)
    gone = "consumer:ws_disconnects:increase1m"
    assert flat(told) == f"({gone} >= 1) / ( {gone} + sum by (consumer) (ws_connections_active) or {gone} )"


def test_a_quantile_needs_something_that_was_observed():
    told = number(look="quantile", of="ws_message_latency_seconds", by=["consumer"], window=60, quantile=0.5)
    buckets = "consumer_le:ws_message_latency_seconds_bucket:increase1m"
    assert flat(told) == (f'histogram_quantile(0.5, {buckets}) and sum by (consumer) ({buckets}{{le="+Inf"}}) >= 1')


def test_a_change_waits_until_there_is_something_to_compare_with():
    told = flat(number(look="change", of="orders_total", by=["shop"], window=60, offset=3600, least=5))
    assert told.startswith("(shop:orders:increase1m >= 5) / clamp_min( sum by (shop) ( orders_total offset 1h unless")
    assert "orders_total offset 61m" in told
    assert "count_over_time(orders_total[1m] offset 1h)" in told
    assert told.endswith("shop:orders:increase1m * 0, 1 ) and on () group(hub_info offset 61m)")


def test_what_is_absent_was_there_within_the_hour():
    [alert] = translated(look="absent", of="ws_connections_active", by=["tenant"], above=30, summary="{value}").alerts
    assert flat(alert.expression) == (
        "group by (tenant) (last_over_time(ws_connections_active[1h])) unless group by (tenant) (ws_connections_active)"
    )
    assert (30, "more than 30 s") == (alert.wait, alert.annotations["summary"])


def test_a_process_that_is_lost_is_one_that_is_not_scraped():
    [alert] = translated(look="absent", of="hub_node_up", by=["node"], above=15).alerts
    assert "group by (instance) (last_over_time(hub_info[1h]))" in alert.expression


def test_episodes_that_are_over_are_seen_in_the_counter():
    slow = {"look": "level", "of": "ws_slow_consumers", "where": "cause=handler", "by": ["consumer"], "above": 0}
    assert flat(number(**slow)) == (
        'consumer:ws_slow_episodes:increase1m > 0 or sum by (consumer) (ws_slow_consumers{cause="handler"})'
    )
    # One that has to last is seen while it does.
    assert number(**slow, **{"for": 60}) == 'sum by (consumer) (ws_slow_consumers{cause="handler"})'


# --- thresholds ---------------------------------------------------------------------------------------------------


def test_what_fires_goes_on_until_the_release():
    told = expression(look="level", of="ws_connections_active", by=["tenant"], above=1000000, release=2.5)
    name = "tenant:ws_connections_active:sum"
    assert flat(told) == (
        f'{name} > 1000000 or {name} > 2.5 and on (tenant) ALERTS{{alertname="HubMine", alertstate="firing"}}'
    )


def test_too_little_within_a_part_of_a_window_is_nothing_yet():
    rule = {"look": "count", "of": "orders_total", "by": [], "window": 600, "severity": "low", "summary": "-"}
    rules, _ = read_rules({"mine": {**rule, "below": 5}}, WATCHED, "here")
    [alert] = translate(rules, WATCHED, "").alerts
    assert flat(alert.expression) == "( hub:orders:increase10m < 5 ) and on () group(hub_info offset 10m)"


# --- what there is not --------------------------------------------------------------------------------------------


def test_events_by_kind_are_left_out_with_the_reason():
    made = translated(look="count", of="hub_events_total", where="kind=member.left", by=["node"], window=60)
    assert {"mine": "Prometheus has hub_events_total without kind"} == made.left_out
    assert ([], {}) == (made.alerts, made.recordings)


def test_a_node_by_name_is_left_out_with_the_reason():
    made = translated(look="level", of="ws_channel_layer_depth", where="node=web-1", by=["layer"])
    assert "Prometheus knows processes by where it scrapes them" in made.left_out["mine"]


# --- texts --------------------------------------------------------------------------------------------------------


def test_texts_become_templates_and_nothing_else_does():
    [alert] = translated(
        look="level", of="ws_channel_layer_depth", by=["layer", "node"], above=1000, labels={"team": "{{ chat }}"},
        summary="{{team}} {team}: {layer} on {node} has {value}, over {threshold} ({rule}, {severity})",
        runbook="https://wiki/{x}",
    ).alerts  # fmt: skip
    assert alert.annotations["summary"] == (
        "{{ `{` }}{{ `{` }}{{ `{` }} chat }}} {{ `{` }}{{ `{` }} chat }}: {{ or $labels.layer `-` }} on "
        "{{ or $labels.instance `-` }} has {{ $value | humanize }} messages, over 1,000 messages (mine, low)"
    )
    assert {"team": "{{ `{` }}{{ `{` }} chat }}", "rule": "mine", "severity": "low"} == alert.labels
    assert "https://wiki/{{ `{` }}x}" == alert.annotations["runbook_url"]


@pytest.mark.parametrize(
    ("unit", "told"),
    [
        ("ratio", "{{ $value | humanizePercentage }}"),
        ("seconds", "{{ $value | humanizeDuration }}"),
        ("times", "{{ printf `%.3g` $value }} times"),
        ("orders", "{{ $value | humanize }} orders"),
        ("", "{{ $value | humanize }}"),
    ],
)
def test_numbers_are_written_for_people(unit, told):
    [alert] = translated(look="level", of="ws_connections_active", by=[], unit=unit).alerts
    assert told == alert.annotations["summary"]
