"""
Whatever a consumer does wrong, the ledger is right to the last number.

The conversations of `tests.equivalence`, one at a time on Channels' communicator, each with a ledger of its own: all
of them keep the rules that hold for any conversation, and those that misbehave have exactly the numbers they should.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from channels.layers import channel_layers

from hub.conf import config
from hub.core.ledger import Counts
from hub.instrument.state import Instruments, instruments, reset
from tests.equivalence.application import registry
from tests.equivalence.clients import LocalClient
from tests.equivalence.conversations import held_on
from tests.equivalence.script import COMMUNICATOR, Conversation, Transcripts
from tests.equivalence.stage import hold
from tests.equivalence.variants import MONITORED, Variant

CONVERSATIONS = {conversation.name: conversation for conversation in held_on(COMMUNICATOR)}
WITH_MIXIN = [variant for variant in MONITORED if variant.attributes is not None]
#: What is tried while working; the others combine these, and take their time.
EVERYDAY = ("mixin", "mixin-channels-own", "wrapper", "negotiated")
ALL = [
    pytest.param(variant, id=variant.name, marks=() if variant.name in EVERYDAY else pytest.mark.slow)
    for variant in MONITORED
]

#: What each misbehaviour must count as; what is not named must be zero.
EXPECTED: dict[str, dict[str, dict[str, int]]] = {
    "connect-raises": {"failures": {"error": 1}, "errors": {"PuppetError": 1}},
    "refused": {"failures": {"rejected": 1}},
    "refused-with-code": {"failures": {"rejected": 1}},
    "refused-by-exception": {"failures": {"rejected": 1}},
    "never-accepts": {"failures": {"timeout": 1}},
    "cancelled-before-accept": {"failures": {"timeout": 1}},
    "accepted-then-raises": {"disconnects": {"1011": 1}, "errors": {"ValueError": 1}},
    "accepted-then-closes": {"disconnects": {"4004": 1}},
    "client-closes": {"disconnects": {"1000": 1}},
    "client-closes-with-code": {"disconnects": {"4321": 1}},
    "server-closes": {"disconnects": {"1000": 1}, "received": {"text": 1}},
    "server-closes-with-reason": {"disconnects": {"4001": 1}, "received": {"text": 1}},
    "last-words": {"disconnects": {"1000": 1}, "received": {"text": 1}, "sent": {"text": 1}},
    "closes-twice": {"disconnects": {"4001": 1}, "received": {"text": 1}},
    "closes-twice-carelessly": {"disconnects": {"4001": 1}, "received": {"text": 1}},
    "sends-after-close": {"disconnects": {"4001": 1}, "received": {"text": 1}, "lost": {"after_close": 1}},
    "sends-in-disconnect": {
        "disconnects": {"1000": 1},
        "received": {"text": 1},
        "sent": {"text": 1},
        "lost": {"after_close": 1},
    },
    "closes-in-disconnect": {"disconnects": {"1000": 1}, "received": {"text": 1}, "sent": {"text": 1}},
    "raises-in-disconnect": {
        "disconnects": {"1000": 1},
        "received": {"text": 1},
        "sent": {"text": 1},
        "errors": {"PuppetError": 1},
    },
    "raises-own": {
        "disconnects": {"1011": 1},
        "received": {"text": 1},
        "sent": {"text": 1},
        "errors": {"PuppetError": 1},
    },
    "raises-os": {
        "disconnects": {"1011": 1},
        "received": {"text": 1},
        "sent": {"text": 1},
        "errors": {"ConnectionResetError": 1},
    },
    "raises-stop": {"disconnects": {"1006": 1}, "received": {"text": 1}, "sent": {"text": 1}},
    "raises-cancelled": {"disconnects": {"1006": 1}, "received": {"text": 1}, "sent": {"text": 1}},
    "no-handlers-at-all": {"disconnects": {"1011": 1}, "received": {"text": 1}, "errors": {"ValueError": 1}},
    "no-handler-for-the-end": {"disconnects": {"1000": 1}, "errors": {"ValueError": 1}},
    "killed": {"disconnects": {"1006": 1}, "received": {"text": 1}, "sent": {"text": 1}},
    "cancelled-idle": {"disconnects": {"1006": 1}, "received": {"text": 1}, "sent": {"text": 1}},
    "cancelled-in-handler": {"disconnects": {"1006": 1}, "received": {"text": 1}},
    "cancels-itself": {"disconnects": {"1006": 1}, "received": {"text": 1}, "sent": {"text": 1}},
    "will-not-be-cancelled": {"disconnects": {"1000": 1}, "received": {"text": 2}, "sent": {"text": 2}},
    "group-handler-raises": {
        "disconnects": {"1011": 1},
        "received": {"text": 1},
        "layer": {"room.explosion": 1},
        "errors": {"PuppetError": 1},
    },
    "unknown-type": {
        "disconnects": {"1011": 1},
        "received": {"text": 1},
        "layer": {"nobody.here": 1},
        "errors": {"ValueError": 1},
    },
    "underscored-type": {
        "disconnects": {"1011": 1},
        "received": {"text": 1},
        "layer": {"_secret.door": 1},
        "errors": {"ValueError": 1},
    },
    "without-layer": {"disconnects": {"1000": 1}, "received": {"text": 2}, "sent": {"text": 2}},
    "without-layer-but-groups": {"failures": {"error": 1}, "errors": {"InvalidChannelLayerError": 1}},
    "json-malformed": {"disconnects": {"1011": 1}, "received": {"text": 1}, "errors": {"JSONDecodeError": 1}},
    "json-types": {"disconnects": {"1000": 1}, "received": {"chat.say": 1}, "sent": {"other": 1}},
    "sync-raises": {"disconnects": {"1011": 1}, "received": {"text": 1}, "errors": {"PuppetError": 1}},
    "sync-raises-in-disconnect": {"disconnects": {"1000": 1}, "errors": {"PuppetError": 1}},
    "sync-closes-twice": {"disconnects": {"4001": 1}, "received": {"text": 1}},
    "sync-sends-after-close": {"disconnects": {"4001": 1}, "received": {"text": 1}, "lost": {"after_close": 1}},
}
#: Those whose client leaves: if it is one that confirms frames, these are lost, for it has confirmed none.
LEFT = {
    "sends-in-disconnect", "closes-in-disconnect", "raises-in-disconnect", "killed", "will-not-be-cancelled",
    "without-layer", "json-types",
}  # fmt: skip
#: A subclass whose `__call__` never calls the one it inherits: a mixin among its bases is not even asked.
UNSEEN = ("replaces-call", "base-class")
#: Consumers that have no dispatch of Channels' left: nobody knows when their handlers begin and end.
UNOBSERVED = {"replaces-call"}


@pytest.fixture
def ledger() -> Iterator[None]:
    """Counts and channel layers of this test alone: earlier conversations have left members in their groups."""
    kept = instruments()
    reset(Instruments(config()))
    channel_layers.backends.clear()
    registry.witnesses.clear()
    yield
    reset(kept)


async def held(conversation: Conversation, variant: Variant) -> tuple[Counts, Transcripts]:
    """Hold a conversation; returns everything that was counted meanwhile."""
    result = await hold(conversation, variant, 0, LocalClient)
    assert not result.failure, result.failure
    total = Counts()
    for counts in instruments().ledger:
        total.add(counts)
    return total, result.transcripts


@pytest.mark.parametrize("variant", ALL)
@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_what_holds_for_every_conversation(ledger: None, name: str, variant: Variant) -> None:
    conversation = CONVERSATIONS[name]
    counts, transcripts = await held(conversation, variant)
    if (name, variant.name) == UNSEEN:
        assert not list(instruments().ledger)
        return
    ended = sum(counts.disconnects.values())
    assert counts.active == 0
    assert counts.waiting == 0
    assert counts.accepted == ended == counts.duration.count
    assert counts.accepted + sum(counts.failures.values()) == len(conversation.clients)
    assert counts.arrived == sum(counts.received.values()) + counts.inbound_lost
    frames = sum(is_frame(entry) for transcript in transcripts.values() for entry in transcript.client)
    assert sum(counts.sent.values()) + counts.lost.get("after_close", 0) == frames
    observed = variant.attributes is not None and conversation.consumer not in UNOBSERVED
    handled = sum(counts.received.values()) + sum(counts.layer.values()) if observed else 0
    assert counts.latency.count == handled


@pytest.mark.parametrize("variant", WITH_MIXIN, ids=lambda variant: variant.name)
@pytest.mark.parametrize("name", EXPECTED)
async def test_a_misbehaving_consumer_to_the_last_number(ledger: None, name: str, variant: Variant) -> None:
    counts, _ = await held(CONVERSATIONS[name], variant)
    shown: dict[str, dict[str, int]] = {
        "failures": counts.failures,
        "disconnects": counts.disconnects,
        "received": counts.received,
        "sent": counts.sent,
        "layer": counts.layer,
        "errors": counts.errors,
        "lost": counts.lost,
    }
    expected = EXPECTED[name]
    if variant.negotiated and name in LEFT:
        unconfirmed = {"unconfirmed": sum(expected["sent"].values())}
        expected = {**expected, "lost": {**expected.get("lost", {}), **unconfirmed}}
    assert {what: numbers for what, numbers in shown.items() if numbers} == expected
    assert instruments().ledger.active == 0


@pytest.mark.parametrize("name", ["raises-in-mid-queue", "cancelled-in-mid-queue"])
@pytest.mark.parametrize("variant", WITH_MIXIN, ids=lambda variant: variant.name)
async def test_what_was_read_ahead_and_never_handled_is_lost_by_name(ledger: None, name: str, variant: Variant) -> None:
    counts, _ = await held(CONVERSATIONS[name], variant)
    assert sum(counts.received.values()) == {"raises-in-mid-queue": 2, "cancelled-in-mid-queue": 1}[name]
    assert counts.lost.get("teardown", 0) == counts.inbound_lost
    if variant.inbox:
        assert counts.inbound_lost == {"raises-in-mid-queue": 2, "cancelled-in-mid-queue": 20}[name]


def is_frame(entry: list[Any]) -> bool:
    """Whether an entry of a client's transcript is a message that was sent to it."""
    odd = entry[0] in {"odd", "late", "first"} and "'type': 'websocket.send'" in entry[1]
    return entry[0] in {"text", "binary"} or odd
