from __future__ import annotations

from itertools import pairwise
from threading import Barrier, Thread

import pytest
from django.db import connection, connections

from hub.alerting.letters import INTERVAL, ROUTE
from hub.alerting.outbox import CLAIM, LONGEST_PAUSE, LONGEST_RETRY_AFTER, MAX_ATTEMPTS, UNKNOWN_KEPT, Outbox, pause
from hub.alerting.receivers.base import DeliveryError, RefusedError
from hub.alerting.records import delivery_of
from hub.core.groups import CHANGED, FIRED, OVER, Notice
from hub.core.rules import FIRING, Alert
from hub.models import AlertRecord, Delivery, ReceiverMemory
from tests.alerting.stage import Sink
from tests.handclock import HandClock

pytestmark = pytest.mark.django_db

ALERT = Alert(
    key="k", rule="crowded", severity="high", labels={"tenant": "acme"}, state=FIRING, since=1.0, fired_at=1.0,
    value=2.0, worst=2.0, threshold=1.0, summary="2 wait",
)  # fmt: skip


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def outbox(sink, clock) -> Outbox:
    return Outbox({"ops": sink}, "one", clock, page="https://hub.example/", site="shop")


def post(clock, number=1, incident="i", kind=FIRED, receiver="ops", severity="high") -> Delivery:
    notice = Notice(
        incident=incident, number=number, kind=kind, at=clock.wall(), route="all", receiver=receiver, labels={},
        severity=severity, since=clock.wall(), firing=(ALERT,),
    )  # fmt: skip
    delivery = delivery_of(notice, clock.wall())
    delivery.save()
    return delivery


def send(outbox: Outbox) -> int:
    """Send what can be sent now. Returns how many attempts that were."""
    attempts = 0
    while claims := outbox.claim():
        attempts += len(claims)
        for claim in claims:
            outbox.deliver(claim)
    return attempts


def states() -> list[tuple[str, int, str]]:
    return list(Delivery.objects.order_by("pk").values_list("receiver", "number", "state"))


def raising(error: Exception):
    return lambda _: error


# --- what arrives -------------------------------------------------------------------------------------------------


def test_a_message_arrives_with_its_words_and_curve(outbox, sink, clock):
    record = AlertRecord.objects.create(
        key="k", rule="crowded", severity="high", labels={}, state="firing", since="2026-01-01T00:00Z", threshold=1.0,
        values=[[1, 0.5], [2, 2.0]], changed_at="2026-01-01T00:00Z",
    )  # fmt: skip
    post(clock)
    assert 1 == send(outbox)
    [message] = sink.calls
    assert ({"k": (0.5, 2.0)}, f"https://hub.example/#alert={record.pk}", "shop") == (
        message.curves, message.page, message.site,
    )  # fmt: skip
    assert ("i", 1, (ALERT,)) == (message.incident, message.notice.number, message.notice.firing)
    assert [("ops", 1, "delivered")] == states()
    assert 0 == send(outbox)


def test_messages_of_an_incident_go_out_in_their_order(outbox, sink, clock):
    for number, kind in ((3, OVER), (1, FIRED), (2, CHANGED)):
        post(clock, number, kind=kind)
    sink.trouble = lambda message: DeliveryError("no") if message.notice.number == 2 and clock.now < 2000 else None
    send(outbox)
    assert [1] == [number for _, number in sink.told]
    clock.advance(2000)
    send(outbox)
    assert [1, 2, 3] == [number for _, number in sink.told]


def test_the_worst_goes_first(outbox, sink, clock):
    for severity in ("low", "high", "critical", "medium"):
        post(clock, incident=severity, severity=severity)
    send(outbox)
    assert ["critical", "high", "medium", "low"] == [incident for incident, _ in sink.told]


def test_a_receiver_is_handed_what_it_remembers_of_the_incident(outbox, sink, clock):
    for number in (1, 2):
        post(clock, number)
    post(clock, incident="other")
    send(outbox)
    assert {("i", 1): {}, ("i", 2): {"number": 1}, ("other", 1): {}} == dict(zip(sink.told, sink.memories, strict=True))


# --- what does not ------------------------------------------------------------------------------------------------


def test_a_receiver_that_is_away_is_tried_again_later_and_later(outbox, sink, clock):
    sink.trouble = raising(DeliveryError("connection refused"))
    post(clock)
    tried: list[float] = []
    while clock.now < 1000 + 600:
        if send(outbox):
            tried.append(clock.now)
        clock.advance(1.0)
    gaps = [later - before for before, later in pairwise(tried)]
    assert all(gap <= LONGEST_PAUSE + 1 for gap in gaps)
    assert gaps[0] <= 3
    assert max(gaps[-3:]) > 5 * gaps[0]
    assert 10 <= len(tried) <= 30
    assert "connection refused" == Delivery.objects.get().error


def test_pauses_grow_and_are_not_the_same():
    assert all(0.5 <= pause(1) / 2 <= 1 for _ in range(100))
    assert all(LONGEST_PAUSE / 2 <= pause(failures) <= LONGEST_PAUSE for failures in (6, 50, 100_000))
    assert len({pause(5) for _ in range(10)}) == 10


def test_a_receiver_that_asks_for_time_gets_it_for_all_its_messages(outbox, sink, clock):
    busy = DeliveryError("429", retry_after=120)
    sink.trouble = lambda _: busy if sink.attempts == 1 else None
    post(clock, severity="critical")
    post(clock, incident="other")
    send(outbox)
    clock.advance(119)
    assert ([], 1) == (sink.told, sink.attempts)
    assert 0 == send(outbox)
    clock.advance(2)
    send(outbox)
    assert [("i", 1), ("other", 1)] == sink.told


def test_nobody_may_ask_for_ever(outbox, sink, clock):
    sink.trouble = raising(DeliveryError("429", retry_after=1e9))
    post(clock)
    send(outbox)
    clock.advance(LONGEST_RETRY_AFTER + 1)
    assert 1 == send(outbox)


def test_a_receiver_that_raises_something_else_is_tried_again(outbox, sink, clock):
    sink.trouble = raising(KeyError("a secret"))
    post(clock)
    send(outbox)
    delivery = Delivery.objects.get()
    assert ("waiting", "the receiver raised KeyError") == (delivery.state, delivery.error)


def test_one_receiver_in_trouble_does_not_hold_up_another(clock):
    bad, good = Sink("bad", trouble=raising(DeliveryError("no"))), Sink("good")
    outbox = Outbox({"bad": bad, "good": good}, "one", clock)
    for number in range(5):
        post(clock, incident=f"bad{number}", receiver="bad")
        post(clock, incident=f"good{number}", receiver="good")
    send(outbox)
    assert (5, 1) == (len(good.calls), bad.attempts)


def test_a_receiver_gets_no_more_than_it_takes_in_a_minute(outbox, sink, clock):
    sink.per_minute = 3
    for number in range(10):
        post(clock, incident=str(number))
    assert 3 == send(outbox)
    clock.advance(59)
    assert 0 == send(outbox)
    clock.advance(1)
    assert 3 == send(outbox)


def test_memory_that_can_not_be_kept_does_not_matter(outbox, sink, clock, monkeypatch):
    monkeypatch.setattr(sink, "deliver", lambda message, memory: {"connection": object()})
    post(clock)
    send(outbox)
    assert [("ops", 1, "delivered")] == states()
    assert {} == ReceiverMemory.objects.get().memory


# --- dead letters -------------------------------------------------------------------------------------------------


@pytest.fixture
def three(clock) -> tuple[Sink, Sink, Sink, Outbox]:
    ops, mail, pager = Sink("ops"), Sink("mail"), Sink("pager")
    return ops, mail, pager, Outbox({"ops": ops, "mail": mail, "pager": pager}, "one", clock, last_resort=["mail"])


def test_a_message_that_is_refused_is_dead_and_the_others_are_told(three, clock):
    ops, mail, pager, outbox = three
    ops.trouble = raising(RefusedError("no such channel"))
    post(clock)
    post(clock, incident="other")
    send(outbox)
    [told] = mail.calls
    assert ([], FIRED, ROUTE) == (pager.calls, told.notice.kind, told.notice.route)
    assert {"receiver": "ops", "rule": "receiver_failing", "severity": "high"} == told.notice.firing[0].labels
    assert "The receiver ops is not told of alerts: no such channel" == told.notice.firing[0].summary
    # And when it is told again, that is told too, in the same incident.
    ops.trouble = lambda _: None
    post(clock, incident="third")
    send(outbox)
    assert [(told.incident, 1), (told.incident, 2)] == mail.told
    assert [FIRED, OVER] == mail.kinds


def test_a_message_is_dead_after_so_many_attempts(three, clock):
    ops, mail, _, outbox = three
    ops.trouble = raising(DeliveryError("connection refused"))
    post(clock)
    for _ in range(2 * MAX_ATTEMPTS):
        clock.advance(LONGEST_PAUSE + 1)
        send(outbox)
    assert (MAX_ATTEMPTS, [FIRED]) == (ops.attempts, mail.kinds)
    assert ("ops", 1, "dead") == states()[0]
    assert {("ops", "failed"): MAX_ATTEMPTS, ("ops", "dead"): 1, ("mail", "delivered"): 1} == outbox.counts


def test_trouble_that_comes_and_goes_is_told_once_an_hour(three, clock):
    ops, mail, _, outbox = three
    ops.trouble = lambda message: RefusedError("no") if message.incident.endswith("odd") else None
    for number in range(120):
        post(clock, incident=f"{number} {'odd' if number % 2 else 'even'}")
        send(outbox)
        clock.advance(INTERVAL / 60)
    assert 4 == len(mail.calls)


def test_dead_letters_about_dead_letters_are_not_told(clock):
    one, two = (Sink(name, trouble=raising(RefusedError("no"))) for name in ("one", "two"))
    outbox = Outbox({"one": one, "two": two}, "me", clock)
    post(clock, receiver="one")
    send(outbox)
    assert [("one", 1, "dead"), ("two", 1, "dead")] == states()


def test_all_others_are_told_if_nobody_is_of_last_resort(clock):
    sinks = {name: Sink(name) for name in ("one", "two", "three")}
    sinks["one"].trouble = raising(RefusedError("no"))
    outbox = Outbox(sinks, "me", clock, last_resort=["one"])
    post(clock, receiver="one")
    send(outbox)
    assert (1, 1) == (len(sinks["two"].calls), len(sinks["three"].calls))


def test_a_receiver_that_is_gone_from_the_settings_is_waited_for_and_then_told_of(outbox, sink, clock):
    post(clock, receiver="gone")
    send(outbox)
    assert [("gone", 1, "waiting")] == states()
    clock.advance(UNKNOWN_KEPT + 1)
    send(outbox)
    assert ("gone", 1, "dead") == states()[0]
    assert ["ops"] == [message.notice.receiver for message in sink.calls]


# --- claims -------------------------------------------------------------------------------------------------------


def test_what_another_process_has_claimed_is_its_own_until_the_claim_ends(outbox, sink, clock):
    post(clock)
    other = Outbox({"ops": sink}, "two", clock)
    assert 1 == len(other.claim())
    assert [] == outbox.claim()
    clock.advance(CLAIM)
    assert 1 == len(outbox.claim())


def test_what_has_arrived_and_could_not_be_marked_is_not_sent_again(outbox, sink, clock):
    post(clock)
    [claim] = outbox.claim()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE hub_delivery RENAME TO hidden")
        outbox.deliver(claim)
        cursor.execute("ALTER TABLE hidden RENAME TO hub_delivery")
    clock.advance(CLAIM + 1)
    assert 0 == send(outbox)
    assert ([("ops", 1, "delivered")], 1) == (states(), sink.attempts)


@pytest.mark.django_db(transaction=True)
def test_many_processes_at_once_send_each_message_once(clock):
    sink = Sink()
    for number in range(40):
        post(clock, incident=str(number))
    outboxes = [Outbox({"ops": sink}, str(number), clock) for number in range(4)]
    together = Barrier(len(outboxes))

    def work(outbox: Outbox) -> None:
        together.wait()
        try:
            while Delivery.objects.filter(state="waiting").exists():
                send(outbox)
        finally:
            connections.close_all()

    threads = [Thread(target=work, args=(outbox,)) for outbox in outboxes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 40 == len(sink.told) == len(set(sink.told))
    assert {"delivered"} == {state for *_, state in states()}


# --- what it says of itself ---------------------------------------------------------------------------------------


def test_it_says_what_waits_and_since_when(outbox, sink, clock):
    sink.trouble = raising(DeliveryError("no"))
    assert (0, None) == (outbox.waiting, outbox.oldest)
    began = clock.wall()
    post(clock)
    clock.advance(10)
    post(clock, incident="other")
    send(outbox)
    assert (2, began) == (outbox.waiting, outbox.oldest)


def test_a_message_that_nobody_can_read_any_more_holds_up_nothing(outbox, sink, clock):
    broken = post(clock, incident="broken", severity="critical")
    Delivery.objects.filter(pk=broken.pk).update(notice={"route": "all"})
    post(clock)
    for _ in range(2):
        send(outbox)
    assert ([("i", 1)], ["dead", "delivered"]) == (sink.told, [state for *_, state in states()])
