"""
What happens to members, told as scripts: each has a tenant of its own, so that all of them share one server.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.presence.stage import GRACE, INBOX_MESSAGES, INTERVAL, MOMENT, STALE_AFTER, TIMEOUT, Stage, page

Scenario = Callable[[Stage], Awaitable[None]]
JOINED, LEFT = ("joined", "ann"), ("left", "ann")


# --- states -------------------------------------------------------------------------------------------------------


def transitions(consumer: str) -> Scenario:
    """Every state of a negotiated client, there and back."""

    async def scenario(stage: Stage) -> None:
        ann = await stage.visit("ann", consumer)
        await stage.expect(ann="online")
        await stage.always(STALE_AFTER + MOMENT, ann="online")
        ann.beating = False
        await stage.expect(ann="stale")
        ann.beating = True
        await stage.expect(ann="online")
        ann.beating = False
        await stage.expect(ann="stale")
        await stage.expect()
        assert await stage.history() == [JOINED, LEFT]
        # The server has kept the connection all the while: a word from it, and she is here again.
        ann.beating = True
        await stage.expect(ann="online")
        await ann.close()
        await stage.expect()
        assert await stage.history() == [JOINED, LEFT, JOINED, LEFT]

    return scenario


async def any_frame_is_a_sign_of_life(stage: Stage) -> None:
    ann = await stage.visit("ann", "wire")
    ann.beating = False
    for _ in range(int(TIMEOUT / INTERVAL) + 2):
        await ann.say(type="hello")
        await stage.always(INTERVAL, ann="online")
    members = await stage.members()
    assert members["ann"]["heard_by"] == "frame"
    assert members["ann"]["negotiated"] == 1


async def evidence(stage: Stage) -> None:
    """When she was last heard of, how, whether her page is hidden, how far away she is."""
    ann = await stage.visit("ann")
    ann.beating = False
    hello = ann.controls[0]
    await ann.heartbeat(hidden=True, lag=0.25, echo=hello["at"], held=0.0)
    seen = await stage.member("ann", heard_by="heartbeat")
    assert (seen["hidden"], seen["lag"], seen["name"], seen["connections"]) == (True, 0.25, "Ann", 1)
    assert 0 < seen["rtt"] < 10
    assert seen["consumers"] == ["room"]
    assert seen["joined_at"] <= seen["heard_at"]


def plain(consumer: str) -> Scenario:
    """A plain client is online or idle, and there while the server keeps it."""

    async def scenario(stage: Stage) -> None:
        ann = await stage.visit("ann", consumer, negotiated=False)
        await stage.expect(ann="online")
        await stage.always(STALE_AFTER, ann="online")
        await stage.expect(ann="idle")
        await stage.always(TIMEOUT, ann="idle")
        await ann.say(type="here")
        await stage.expect(ann="online")
        assert [frame for frame in ann.heard if isinstance(frame, str) and frame.startswith("\0")] == []
        await ann.close()
        await stage.expect()
        assert await stage.history() == [JOINED, LEFT]

    return scenario


async def nobody_at_a_consumer_without_presence(stage: Stage) -> None:
    await stage.visit("ann", "quiet")
    await stage.always(MOMENT)
    assert await stage.history() == []


# --- several connections ------------------------------------------------------------------------------------------


async def several_tabs(stage: Stage) -> None:
    tabs = [await stage.visit("ann", consumer) for consumer in ("room", "wire", "wrapped")]
    plain_tab = await stage.visit("ann", negotiated=False)
    await stage.expect(ann="online")
    assert (await stage.members())["ann"]["connections"] == 4
    await plain_tab.close()
    await tabs[0].close()
    await stage.always(GRACE + MOMENT, ann="online")
    tabs[1].beating = False  # silent, where another speaks
    await stage.always(TIMEOUT, ann="online")
    tabs[2].beating = False
    await stage.expect(ann="stale")
    tabs[1].beating = tabs[2].beating = True
    await stage.expect(ann="online")
    await tabs[1].close()
    await tabs[2].close()
    await stage.expect()
    assert await stage.history() == [JOINED, LEFT]


async def reload_without_flapping(stage: Stage) -> None:
    ann = await stage.visit("ann")
    await stage.expect(ann="online")
    for _ in range(4):
        await ann.close()
        await stage.always(GRACE / 3, ann="online")
        ann = await stage.visit("ann")
    await stage.expect(ann="online")
    assert (await stage.members())["ann"]["connections"] == 1
    assert await stage.history() == [JOINED]
    await ann.say(type="quit")  # the consumer closes: as clean an end as the client's own
    await stage.expect()
    assert await stage.history() == [JOINED, LEFT]


async def unclean_end(stage: Stage) -> None:
    """Nobody knows of a client that is gone without a word whether it comes back: it stays while its silence may."""
    ann = await stage.visit("ann")
    await stage.expect(ann="online")
    await ann.vanish()
    await stage.expect(ann="stale")
    await stage.expect()
    assert await stage.history() == [JOINED, LEFT]


async def killed_client(stage: Stage) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        page(Path(folder), stage.url("ann"), stage.url("bob", "wire")) as both,
    ):
        await stage.expect(ann="online", bob="online")
        both.send_signal(signal.SIGKILL)
        await stage.expect(ann="stale", bob="stale")
        await stage.expect()


async def sleeping_client(stage: Stage) -> None:
    """A laptop is shut and opened again: its process stands still, its connection stays."""
    with tempfile.TemporaryDirectory() as folder, page(Path(folder), stage.url("ann")) as lid:
        await stage.expect(ann="online")
        lid.send_signal(signal.SIGSTOP)
        await stage.expect(ann="stale")
        await stage.expect()
        lid.send_signal(signal.SIGCONT)
        await stage.expect(ann="online")
    assert await stage.history() == [JOINED, LEFT, JOINED]


# --- slow handlers ------------------------------------------------------------------------------------------------


def sleeping_handler(consumer: str) -> Scenario:
    """The client lives while its consumer's handler doesn't come back."""

    async def scenario(stage: Stage) -> None:
        ann = await stage.visit("ann", consumer)
        await ann.say(type="sleep", seconds=TIMEOUT * 1.5)
        await stage.expect(ann="online")
        await stage.always(TIMEOUT * 1.5, ann="online")
        await ann.hear(type="sleep")
        await stage.always(STALE_AFTER, ann="online")
        assert await stage.history() == [JOINED]

    return scenario


async def parked_reader(stage: Stage) -> None:
    """Nobody reads a client whose inbox is full: that it is not heard says nothing of it."""
    ann = await stage.visit("ann")
    await stage.expect(ann="online")
    ann.beating = False
    # A reader that is parked reads on when half of the inbox is free: that takes longer than the time-out.
    slow = TIMEOUT / (INBOX_MESSAGES / 2) * 1.2
    for _ in range(INBOX_MESSAGES + 3):
        await ann.say(type="sleep", seconds=slow)
    await stage.always(slow * INBOX_MESSAGES / 2, ann="online")
    await stage.expect(slow * INBOX_MESSAGES + 20, ann="stale")
    await stage.expect()
    assert await stage.history() == [JOINED, LEFT]


# --- groups, signals, messages ------------------------------------------------------------------------------------


async def groups(stage: Stage) -> None:
    lobby, annex = f"{stage.tenant}.lobby", f"{stage.tenant}.annex"
    ann, bob = await stage.visit("ann"), await stage.visit("bob", "desk")
    await stage.expect(ann="online", bob="online")
    assert set(await stage.members(lobby)) == {"ann", "bob"}
    assert await stage.members(annex) == {}
    await ann.say(type="enter", group=annex)
    await ann.hear(type="enter")
    assert set(await stage.members(annex)) == {"ann"}
    assert (await stage.members())["ann"]["groups"] == sorted([annex, lobby])
    await ann.say(type="leave", group=annex)
    await ann.hear(type="leave")
    assert await stage.members(annex) == {}
    await bob.close()
    await stage.expect(ann="online")
    assert sorted(await stage.history(lobby)) == [("joined", "ann"), ("joined", "bob"), ("left", "bob")]
    assert await stage.history(annex) == [JOINED, LEFT]


async def signals_and_messages_come_once(stage: Stage) -> None:
    watchers = [await stage.visit("eve"), await stage.visit("eve", "wrapped")]
    await stage.expect(eve="online")
    ann = await stage.visit("ann")
    second = await stage.visit("ann", negotiated=False)
    for eve in watchers:
        event = await eve.hear(type="presence.changed", event="joined", member="ann")
        assert event == {
            "type": "presence.changed", "event": "joined", "member": "ann", "name": "Ann",
            "group": f"{stage.tenant}.lobby", "tenant": stage.tenant,
        }  # fmt: skip
    await ann.close()
    await second.close()
    for eve in watchers:
        await eve.hear(type="presence.changed", event="left", member="ann")
        events = [(told["event"], told["member"]) for told in told_of(eve.heard) if told["member"] == "ann"]
        assert events == [JOINED, LEFT]
    for group in (None, f"{stage.tenant}.lobby"):
        assert await stage.history(group) == [("joined", "eve"), JOINED, LEFT]


def told_of(heard: list[str | bytes]) -> list[dict[str, str]]:
    """The messages of presence among what a client heard."""
    import json

    return [content for content in map(json.loads, heard) if content["type"] == "presence.changed"]


SCENARIOS: dict[str, Scenario] = {
    **{f"transitions-{consumer}": transitions(consumer) for consumer in ("room", "wrapped", "desk", "wire")},
    **{f"plain-{consumer}": plain(consumer) for consumer in ("room", "wrapped", "desk")},
    **{f"sleeping-handler-{consumer}": sleeping_handler(consumer) for consumer in ("room", "wrapped")},
    "any-frame": any_frame_is_a_sign_of_life,
    "evidence": evidence,
    "nobody": nobody_at_a_consumer_without_presence,
    "several-tabs": several_tabs,
    "reload": reload_without_flapping,
    "unclean-end": unclean_end,
    "killed-client": killed_client,
    "sleeping-client": sleeping_client,
    "parked-reader": parked_reader,
    "groups": groups,
    "once": signals_and_messages_come_once,
}
