from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.db import connection

from hub.access import Operator, Rights
from hub.alerting.actions import acknowledge, end_silence, list_active, silence, unacknowledge
from hub.alerting.duty import ACQUIRE_INTERVAL, MAX_POINTS, REST, REST_WHILE_FIRING, SHORTEST_REST
from hub.alerting.store import LEASE
from hub.core.groups import ACKNOWLEDGED, FIRED, OVER, REPEATED
from hub.models import AlertRecord, Evaluator
from tests.alerting.stage import BACKLOG, PACE, Sink, Site, backlog, make_setup
from tests.handclock import HandClock

pytestmark = pytest.mark.django_db

ANN = Operator("ann", Rights(view=True, operate=True))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def site(sink, clock) -> Site:
    return Site(make_setup(sink), clock)


def waiting(seconds: int) -> dict[str, Any]:
    """A rule that has to be wrong for so long; its key is a word of Python's."""
    return {"for": seconds}


# --- from the numbers to the receiver -----------------------------------------------------------------------------


def test_an_alert_is_told_and_told_to_be_over(site, sink):
    site.live(3, backlog(50))
    assert [FIRED] == sink.kinds
    assert ["acme: 50 messages wait"] == [alert.summary for alert in sink.calls[0].notice.firing]
    site.live(120, backlog(0))
    assert [FIRED, OVER] == sink.kinds
    assert ["firing", "resolved"] == site.told
    assert ["resolved"] == list(AlertRecord.objects.values_list("state", flat=True))


def test_it_wants_to_be_called_again_when_a_message_is_due(clock, sink, site):
    assert REST == site.duty.rest(clock.wall())
    site.decide(backlog(0))
    assert REST == site.duty.rest(clock.wall())
    site.decide(backlog(50))
    clock.advance(PACE.wait - 0.1)
    assert pytest.approx(0.1) == site.duty.rest(clock.wall())
    clock.advance(0.0999)
    assert SHORTEST_REST == site.duty.rest(clock.wall())
    clock.advance(1)
    site.decide(backlog(50))
    assert REST_WHILE_FIRING == site.duty.rest(clock.wall())


def test_what_was_written_is_told_to_the_feed_once(clock):
    site = Site(make_setup(**waiting(3)), clock)
    site.live(2, backlog(50))
    site.live(2, backlog(0))
    site.live(10, backlog(50))
    assert ["pending", "inactive", "pending", "firing"] == site.told


def test_what_fires_is_counted_by_severity(clock):
    site = Site(make_setup(severities=("critical", "low")), clock)
    site.live(2, lambda _: {"ws_inbound_backlog_messages": {("chat", str(number)): 50.0 for number in range(3)}})
    assert {"critical": 3, "low": 3} == site.duty.firing


def test_the_curve_of_an_alert_is_kept_and_stays_short(site, sink):
    site.live(800, lambda second: backlog(50 + second), step=5)
    [row] = list_active(ANN.rights)
    times = [at for at, _ in row.values]
    assert MAX_POINTS / 2 <= len(times) <= MAX_POINTS
    assert times == sorted(times)
    assert row.values[-1][1] > 800
    assert sink.calls[0].curves[row.key] == (50.0, 55.0)


def test_numbers_are_written_also_while_something_else_happens_every_second(site):
    site.live(60, lambda second: {BACKLOG: {("chat", str(number)): 50.0 + second for number in range(second)}})
    values = AlertRecord.objects.order_by("pk").values_list("value", flat=True)
    assert values[0] > 100


# --- another process goes on --------------------------------------------------------------------------------------


def test_another_process_goes_on_where_this_one_was(clock, sink, site):
    site.live(30, backlog(50))
    site.duty.leave(clock.wall())
    other = Site(make_setup(sink), clock, "other")
    other.live(130, backlog(0))
    assert ([FIRED, OVER], 1) == (sink.kinds, len({incident for incident, _ in sink.told}))
    assert "other" == Evaluator.objects.get().holder


def test_a_process_that_just_ends_is_followed_when_its_lease_is_over(clock, sink, site):
    site.live(30, backlog(50))
    other = Site(make_setup(sink), clock, "other")
    other.live(int(LEASE + ACQUIRE_INTERVAL), backlog(50))
    assert other.duty.engine is not None
    other.live(120, backlog(0))
    assert [FIRED, OVER] == sink.kinds


def test_an_alert_of_a_rule_that_is_gone_is_over(clock, sink, site):
    site.live(30, backlog(50))
    site.duty.leave(clock.wall())
    other = Site(make_setup(sink, severities=("low",)), clock, "other")
    other.live(200, backlog(0))
    assert [FIRED, OVER] == sink.kinds
    assert ["resolved"] == list(AlertRecord.objects.values_list("state", flat=True))


def test_a_pending_alert_of_a_rule_that_is_gone_is_forgotten(clock):
    site = Site(make_setup(**waiting(60)), clock)
    site.live(5, backlog(50))
    site.duty.leave(clock.wall())
    Site(make_setup(severities=("low",)), clock, "other").live(5, backlog(0))
    assert not AlertRecord.objects.exists()


def test_a_state_that_nobody_understands_is_begun_anew(clock, sink, site, monkeypatch):
    faults: Counter[str] = Counter()
    monkeypatch.setattr("hub.faults.FAULTS", faults)
    site.live(5, backlog(50))
    site.duty.leave(clock.wall())
    Evaluator.objects.update(state={"of": "the future"})
    other = Site(make_setup(sink), clock, "other")
    other.live(5, backlog(50))
    assert ({"alert state": 1}, 1) == (faults, AlertRecord.objects.filter(state="firing").count())


# --- operators ----------------------------------------------------------------------------------------------------


def test_an_acknowledged_alert_is_not_repeated(clock, sink, site):
    site.live(5, backlog(50))
    [row] = list_active(ANN.rights)
    acknowledge(ANN, row.key, clock)
    site.live(1300, backlog(50), step=5)
    assert [FIRED, ACKNOWLEDGED] == sink.kinds
    assert "acknowledged" in site.told
    unacknowledge(ANN, row.key, clock)
    site.live(300, backlog(50), step=5)
    assert [FIRED, ACKNOWLEDGED, REPEATED] == sink.kinds


def test_an_acknowledgement_holds_for_one_life_of_the_alert(clock, sink, site):
    site.live(5, backlog(50))
    acknowledge(ANN, list_active(ANN.rights)[0].key, clock)
    site.live(100, backlog(0))
    site.live(5, backlog(50))
    [row] = list_active(ANN.rights)
    assert ("", FIRED) == (row.acknowledged_by, sink.kinds[-1])


def test_an_acknowledgement_survives_another_process(clock, sink, site):
    site.live(5, backlog(50))
    acknowledge(ANN, list_active(ANN.rights)[0].key, clock)
    site.duty.leave(clock.wall())
    other = Site(make_setup(sink), clock, "other")
    other.live(1300, backlog(50), step=5)
    assert [FIRED, ACKNOWLEDGED] == sink.kinds


def test_a_silence_keeps_an_alert_from_being_told_until_it_ends(clock, sink, site):
    made = silence(ANN, "rule=crowded_high", "deploy", seconds=3600, clock=clock)
    site.live(60, backlog(50))
    [row] = list_active(ANN.rights)
    assert ([], "firing", f"silenced by {made.id}") == (sink.kinds, row.state, row.muted)
    end_silence(ANN, made.id, clock)
    site.live(5, backlog(50))
    [row] = list_active(ANN.rights)
    assert ([FIRED], "") == (sink.kinds, row.muted)


def test_a_silence_survives_another_process(clock, sink, site):
    silence(ANN, "rule=crowded_high", "deploy", seconds=3600, clock=clock)
    site.live(5, backlog(50))
    site.duty.leave(clock.wall())
    Site(make_setup(sink), clock, "other").live(60, backlog(50))
    assert [] == sink.kinds


# --- the view and the database are away ---------------------------------------------------------------------------


def test_while_nobody_knows_the_numbers_nothing_begins_and_nothing_ends(site, sink):
    site.live(5, backlog(50))
    site.live(300, None, step=5)
    assert [FIRED] == sink.kinds
    site.live(100, backlog(0))
    assert [FIRED, OVER] == sink.kinds


def test_what_the_database_did_not_take_is_written_later(site, sink, clock):
    site.live(1, backlog(0))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE hub_alertrecord RENAME TO hidden")
        for samples in (backlog(50), backlog(50)):
            clock.advance(1.0)
            with pytest.raises(Exception, match="hub_alertrecord"):
                site.decide(samples)
        cursor.execute("ALTER TABLE hidden RENAME TO hub_alertrecord")
    assert ([], []) == (site.told, sink.kinds)
    site.live(1, backlog(50))
    assert (["firing"], [FIRED]) == (site.told, sink.kinds)
