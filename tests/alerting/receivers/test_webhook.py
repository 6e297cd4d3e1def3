from __future__ import annotations

import base64

import pytest

from hub.alerting.receivers.base import DeliveryError, RefusedError
from hub.alerting.receivers.webhook import VERSION, _key, document, sign
from hub.core.groups import ACKNOWLEDGED, CHANGED, FIRED, OVER
from hub.core.redaction import Secret
from tests.alerting.messages import EVIL, INCIDENT, alert, evil, message, notice, resolved
from tests.alerting.receivers.made import made
from tests.support.receivers import LOSE


@pytest.fixture
def pair():
    with made("webhook") as one:
        yield one


def test_a_message_is_signed_and_has_a_name_of_its_own(pair):
    for number, kind in enumerate((FIRED, CHANGED, ACKNOWLEDGED, OVER), 1):
        pair.receiver.deliver(message(kind, number=number, by="ann"), {})
    assert [f"{INCIDENT}-{number}" for number in range(1, 5)] == list(pair.server.messages)
    assert ([], []) == (pair.server.flaws, pair.server.doubled)


def test_the_same_message_another_time_is_known_by_its_name(pair):
    pair.server.next = [LOSE]
    with pytest.raises(DeliveryError):
        pair.receiver.deliver(message(), {})
    pair.receiver.deliver(message(), {})
    assert ([f"{INCIDENT}-1"], 1) == (pair.server.doubled, len(pair.server.messages))


def test_a_wrong_secret_is_refused(pair):
    pair.receiver._options.secret.value = "another secret of the webhook's"
    with pytest.raises(RefusedError, match="answered 401"):
        pair.receiver.deliver(message(), {})


def test_the_signature_is_that_of_standard_webhooks():
    # The example of the specification's own libraries.
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" == signature


def test_a_secret_may_be_any_text():
    assert b"sixteen characters" == _key(Secret("sixteen characters"))
    assert b"abc" == _key(Secret(f"whsec_{base64.b64encode(b'abc').decode()}"))
    with pytest.raises(ValueError, match="base64"):
        _key(Secret("whsec_%%%"))


def test_the_document_says_all_there_is():
    one = document(message())
    assert (VERSION, f"{INCIDENT}-1", "fired", 1) == (one["version"], one["id"], one["kind"], one["number"])
    [told] = one["firing"]
    assert ("acme", 120.0, 10.0, True, [0.0, 3.0, 40.0, 120.0]) == (
        told["labels"]["tenant"], told["value"], told["threshold"], told["new"], told["curve"],
    )  # fmt: skip
    assert ("2026-11-18T11:05:40.000Z", None) == (told["fired_at"], told["resolved_at"])


def test_what_is_over_says_when(pair):
    pair.receiver.deliver(message(CHANGED, notice(CHANGED).firing[0], resolved=(resolved(alert("other")),)), {})
    [sent] = pair.server.messages.values()
    assert ["2026-11-18T11:16:40.000Z"] == [one["resolved_at"] for one in sent["resolved"]]


def test_a_program_gets_labels_as_they_are(pair):
    pair.receiver.deliver(evil(), {})
    [sent] = pair.server.messages.values()
    assert EVIL.replace("\ud800", "?") == sent["firing"][0]["labels"]["tenant"]
