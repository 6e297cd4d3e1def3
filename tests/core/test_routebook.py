from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import ConfigurationError
from hub.core.hours import Hours
from hub.core.matchers import parse_matchers
from hub.core.routebook import MAX_ENTRIES, ROUTE_KEYS, Reader
from hub.core.routing import Escalation, Pace, Route
from hub.core.silences import Inhibition, Maintenance
from tests import strategies  # noqa: F401 - loads the profile
from tests.core.test_rulebook import anything

ROUTE: dict[str, Any] = {
    "name": "pager", "match": "severity=critical, tenant!=demo", "receivers": ["pagerduty"], "by": ["rule", "tenant"],
    "hours": "Mon-Fri 09:00-17:00 Europe/Berlin", "hold": True, "go_on": True, "wait": 1, "interval": 120,
    "repeat": 900, "digest": True, "escalate": [{"after": 900, "receivers": ["boss"]}],
}  # fmt: skip
HOURS = Hours.parse(ROUTE["hours"])


def local(zone: str, now: float) -> tuple[int, float]:
    if zone != "Europe/Berlin":
        raise ConfigurationError(f"there is no time zone {zone!r}; write one such as Europe/Berlin")
    return 0, 0.0


def reader() -> Reader:
    return Reader(["pagerduty", "boss", "slack"], local)


def test_a_route_is_read_as_it_is_written():
    [route], flaws = reader().routes([ROUTE], "here")
    assert [] == flaws
    assert route == Route(
        name="pager", receivers=("pagerduty",), matchers=parse_matchers(ROUTE["match"]), by=("rule", "tenant"),
        hours=HOURS, hold=True, pace=Pace(wait=1.0, interval=120.0, repeat=900.0, digest=True),
        escalations=(Escalation(after=900.0, receivers=("boss",)),), go_on=True,
    )  # fmt: skip


def test_what_is_left_out_is_the_usual():
    [route], _ = reader().routes([{"name": "all", "receivers": []}], "here")
    assert Route(name="all", receivers=()) == route


def test_windows_and_inhibitions_are_read_too():
    window = {"name": "backup", "match": "tenant=acme", "hours": ROUTE["hours"]}
    inhibition = {"cause": "rule=loop_blocked", "effect": "rule~slow*", "equal": ["node"]}
    expected = Maintenance(name="backup", hours=HOURS, matchers=parse_matchers("tenant=acme"))
    assert ([expected], []) == reader().maintenance([window], "here")
    cause, effect = parse_matchers("rule=loop_blocked"), parse_matchers("rule~slow*")
    assert ([Inhibition(cause=cause, effect=effect, equal=("node",))], []) == reader().inhibitions([inhibition], "here")


@pytest.mark.parametrize(
    ("changed", "told", "remedy"),
    [
        ({"colour": 1}, "'colour'", "Known keys"),
        ({"name": ""}, "name is ''", "text"),
        ({"match": "severity"}, "'severity'", "label=value"),
        ({"receivers": ["nobody"]}, "'nobody'", "pagerduty"),
        ({"receivers": "slack"}, "'slack'", "list"),
        ({"receivers": None}, "None", "list"),
        ({"by": [5]}, r"[5]", "list"),
        ({"hours": "nine to five"}, "'nine to five'", "09:00"),
        ({"hours": "Mon 09:00-17:00 Mars"}, "'Mars'", "Europe/Berlin"),
        ({"hours": None}, "'hold'", "hours"),
        ({"hold": 1}, "hold is 1", "True"),
        ({"interval": 1}, "interval is 1", "10"),
        ({"repeat": "1h"}, "'1h'", "seconds"),
        ({"wait": float("nan")}, "nan", "seconds"),
        ({"escalate": {"after": 900}}, "escalate", "after"),
        ({"escalate": [{"after": 900}]}, "no escalation", "receivers"),
        ({"escalate": [{"after": 0, "receivers": ["boss"]}]}, "after is 0", "seconds"),
    ],
)
def test_a_flaw_names_place_value_and_remedy_and_spoils_no_other_route(changed, told, remedy):
    other = {"name": "other", "receivers": ["slack"]}
    [route], [flaw] = reader().routes([{**ROUTE, **changed}, other], "HUB['ROUTES']")
    assert ("other", "HUB['ROUTES'][0]") == (route.name, flaw.place)
    assert told in flaw.message
    assert remedy in flaw.hint


@pytest.mark.parametrize("side", ["cause", "effect"])
def test_an_inhibition_must_say_of_what(side):
    written = {"cause": "rule=a", "effect": "rule=b", side: ""}
    assert f"{side} matches everything" in reader().inhibitions([written], "here")[1][0].message


def test_of_two_routes_with_one_name_the_first_is_used():
    [route], [flaw] = reader().routes([{**ROUTE, "by": []}, ROUTE], "here")
    assert ((), True) == (route.by, "'pager'" in flaw.message)


@pytest.mark.parametrize("written", [None, {}, "pager", [ROUTE] * (MAX_ENTRIES + 1)])
def test_what_is_no_list_is_said(written):
    found, [flaw] = reader().routes(written, "here")
    assert ([], "here") == (found, flaw.place)


@given(st.lists(st.dictionaries(st.sampled_from(ROUTE_KEYS), anything, max_size=6) | anything, max_size=3) | anything)
def test_whatever_is_written_is_read_or_flawed_and_never_an_error(written):
    for read in (reader().routes, reader().maintenance, reader().inhibitions):
        found, flaws = read(written, "here")
        assert isinstance(written, list) or flaws
        assert all(flaw.message and flaw.place for flaw in flaws)
        assert len(found) <= (len(written) if isinstance(written, list) else 0)


@given(st.dictionaries(st.sampled_from(ROUTE_KEYS), anything, max_size=2))
def test_nor_is_what_is_nearly_right(changed):
    found, flaws = reader().routes([{**ROUTE, **changed}], "here")
    assert 1 == len(found) + len(flaws)
