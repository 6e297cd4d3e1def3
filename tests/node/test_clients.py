from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest

from hub.core.control import Heartbeat, Negotiated
from hub.core.ledger import OPEN, Connection, Ledger
from hub.instrument.busy import SENT
from hub.node import clients as module
from hub.node.clients import MAX_ASKED, MAX_LOOKED_AT, Clients
from tests.node.test_evidence import Entry
from tests.support.tcp import read, tcp_pair

BEGIN = 1000.0


def taken(since: float, now: float) -> float:
    """The loop is never blocked."""
    return now - since


@pytest.fixture(autouse=True)
def nobody_else():
    SENT.clear()
    yield
    SENT.clear()


@pytest.fixture
def clients() -> Clients:
    return Clients(Ledger())


def sent_to(entry: Entry) -> Entry:
    """What the first frame does."""
    entry.connection.state = OPEN
    entry.connection.touched = True
    SENT[entry.connection] = entry  # type: ignore[assignment]
    return entry


def negotiated(number: int = 1, threshold: float = 0.5) -> Entry:
    """A client that speaks control frames."""
    entry = Entry(number, threshold=threshold)
    control = entry.connection.control = Negotiated(lambda: None)
    control.heartbeat(Heartbeat(0), BEGIN)
    return entry


def control_of(entry: Entry) -> Negotiated:
    assert entry.connection.control is not None
    return entry.connection.control


def behind(clients: Clients, now: float) -> dict[int, float]:
    """By how many seconds, by connection."""
    return {entry.connection.number: seconds for entry, seconds in clients.look(now, taken)}


# --- by confirmations ---------------------------------------------------------------------------------------------


def test_a_client_is_behind_by_the_age_of_the_oldest_frame_that_it_has_not_confirmed(clients):
    entry = sent_to(negotiated())
    control = control_of(entry)
    control.frames_sent = 3
    assert {} == behind(clients, BEGIN)
    control.frames_sent = 5
    assert {1: 0.5} == behind(clients, BEGIN + 0.5)
    control.confirm(3, BEGIN + 0.6)
    assert {1: 0.375} == behind(clients, BEGIN + 0.875)
    control.confirm(5, BEGIN + 0.9)
    assert {} == behind(clients, BEGIN + 1.0)


def test_nobody_looks_at_a_client_that_has_confirmed_all_until_something_is_sent_to_it_again(clients):
    entry = sent_to(negotiated())
    control_of(entry).frames_sent = 1
    clients.look(BEGIN, taken)
    assert (True, True) == (bool(clients), entry.connection.touched)
    control_of(entry).confirm(1, BEGIN + 0.1)
    clients.look(BEGIN + 0.125, taken)
    assert (False, False) == (bool(clients), entry.connection.touched)
    control_of(entry).frames_sent = 2
    assert {} == behind(clients, BEGIN + 60.0)
    sent_to(entry)
    assert {} == behind(clients, BEGIN + 120.0)
    assert {1: 1.0} == behind(clients, BEGIN + 121.0)


def test_time_in_which_the_loop_was_blocked_counts_for_no_client(clients):
    entry = sent_to(negotiated())
    control_of(entry).frames_sent = 1
    clients.look(BEGIN, taken)
    assert [] == clients.look(BEGIN + 5.0, lambda since, now: now - since - 4.9)


def test_while_nobody_reads_what_a_client_says_its_silence_is_not_its_fault(clients):
    entry = sent_to(negotiated())
    control_of(entry).frames_sent = 1
    clients.look(BEGIN, taken)
    entry.connection.reading = False
    assert {} == behind(clients, BEGIN + 2.0)
    assert "nobody reads them" in str(clients.details(entry, BEGIN + 2.0)["unknown"])
    entry.connection.reading = True
    assert {} == behind(clients, BEGIN + 2.125)
    assert {1: 0.625} == behind(clients, BEGIN + 2.625)


def test_a_client_that_never_answered_the_hello_is_as_good_as_a_plain_one(clients):
    entry = Entry()
    entry.connection.control = Negotiated(lambda: None)
    sent_to(entry)
    control_of(entry).frames_sent = 10
    assert {} == behind(clients, BEGIN)
    assert {} == behind(clients, BEGIN + 60.0)
    assert "never answered the hello" in str(clients.details(entry, BEGIN + 60.0)["unknown"])


def test_a_connection_that_is_closed_is_looked_at_no_more(clients):
    entry = sent_to(negotiated())
    control_of(entry).frames_sent = 1
    clients.look(BEGIN, taken)
    entry.connection.closing = True
    assert {} == behind(clients, BEGIN + 1.0)
    assert not clients


def test_one_that_has_ended_is_forgotten(clients):
    entry = sent_to(negotiated())
    control_of(entry).frames_sent = 1
    clients.look(BEGIN, taken)
    clients.forget(entry.connection)
    assert not clients


def test_where_there_are_many_each_has_its_turn_and_those_behind_stay_so_meanwhile(clients):
    entries = [sent_to(negotiated(number)) for number in range(MAX_LOOKED_AT + 10)]
    for entry in entries:
        control_of(entry).frames_sent = 1
    for now in (BEGIN, BEGIN + 0.125):
        clients.look(now, taken)
    for now in (BEGIN + 1.0, BEGIN + 2.0):
        assert len(entries) == len(behind(clients, now))
    for entry in entries:
        control_of(entry).confirm(1, BEGIN + 3.0)
    assert 10 == len(behind(clients, BEGIN + 3.0))
    assert {} == behind(clients, BEGIN + 3.125)


def test_what_is_told_of_a_client_that_confirms(clients):
    entry = sent_to(negotiated())
    control = control_of(entry)
    control.frames_sent = 9
    control.confirm(2, BEGIN)
    control.hidden = True
    clients.look(BEGIN, taken)
    clients.look(BEGIN + 1.0, taken)
    assert {
        "frames_behind": 7, "silent_seconds": 1.0, "hidden": True, "oldest_seconds": 1.0,
        "unsent_bytes": None, "kernel_bytes": None,
        "unknown": "unsent_bytes: the server doesn't tell; kernel_bytes: no TCP socket of Linux is known",
    } == clients.details(entry, BEGIN + 1.0)  # fmt: skip


# --- by bytes -----------------------------------------------------------------------------------------------------


class Peer:
    """A plain client of a server like uvicorn, which reads when it is told to."""

    def __init__(self, transport: asyncio.Transport, theirs: Any) -> None:
        self.transport, self.theirs = transport, theirs
        self.written = 0

    async def send(self, message: Any) -> None:
        """Bound, as uvicorn's is."""

    def write(self, size: int) -> None:
        self.transport.write(bytes(size))
        self.written += size

    async def read(self, size: int | None = None) -> None:
        """All that was written, unless it is told how much."""
        size = self.written if size is None else size
        await asyncio.to_thread(read, self.theirs, size)
        self.written -= size
        # What waits in the transport moves on in the loop.
        for _ in range(3):
            await asyncio.sleep(0.01)


@pytest.fixture
async def plain() -> AsyncIterator[tuple[Entry, Peer]]:
    with ExitStack() as stack:
        ours, theirs = stack.enter_context(tcp_pair())
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
        peer, entry = Peer(transport, theirs), Entry()
        entry.connection.raw_send = peer.send
        yield sent_to(entry), peer
        transport.abort()
        await asyncio.sleep(0)


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what the other end has acknowledged")


async def test_a_plain_client_that_does_not_read_is_behind_once_the_buffers_are_full(clients, plain):
    entry, peer = plain
    peer.write(8_000_000)
    assert {} == behind(clients, BEGIN)
    assert {1: 0.75} == behind(clients, BEGIN + 0.75)
    details = clients.details(entry, BEGIN + 0.75)
    assert details["unsent_bytes"] > 1_000_000
    assert "confirmations: plain client" == details["unknown"]
    assert "frames_behind" not in details
    await peer.read()
    assert {} == behind(clients, BEGIN + 1.0)
    assert not clients
    assert not entry.connection.touched


@linux
async def test_one_that_reads_all_the_time_is_not_though_something_is_always_on_its_way(clients, plain):
    _, peer = plain
    peer.write(4_000_000)
    for tick in range(20):
        assert {} == behind(clients, BEGIN + tick / 8)
        peer.write(2_000_000)
        await peer.read(2_000_000)
    assert clients, "something is on its way"


async def test_at_a_low_rate_a_plain_client_that_does_not_read_is_unknown(clients, plain):
    _, peer = plain
    peer.write(500)
    for tick in range(20):
        assert {} == behind(clients, BEGIN + tick / 8)
        await asyncio.sleep(0.01)
    assert not clients


async def test_where_only_the_buffer_of_the_server_is_known_it_has_to_empty(clients, plain, monkeypatch):
    entry, peer = plain
    monkeypatch.setattr(module, "kernel_bytes", lambda _: None)
    monkeypatch.setattr(module, "acknowledged_bytes", lambda _: None)
    peer.write(8_000_000)
    behind(clients, BEGIN)
    assert {1: 0.75} == behind(clients, BEGIN + 0.75)
    assert None is clients.details(entry, BEGIN + 0.75)["kernel_bytes"]
    await peer.read()
    assert {} == behind(clients, BEGIN + 1.0)


async def test_of_plain_clients_no_more_are_asked_in_one_look_than_may_be(clients, monkeypatch):
    asked: list[Any] = []
    monkeypatch.setattr(module, "kernel_bytes", asked.append)
    for number in range(2 * MAX_ASKED + 1):
        sent_to(Entry(number))
    last = sent_to(negotiated(number=100_000))
    control_of(last).frames_sent = 1
    clients.look(BEGIN, taken)
    assert MAX_ASKED == len(asked)
    for tick in range(1, 3):
        clients.look(BEGIN + tick / 8, taken)
    assert 2 * MAX_ASKED + 1 == len(asked)
    # Whoever confirms does not wait behind them.
    assert {100_000: 1.0} == behind(clients, BEGIN + 1.0)


async def test_a_negotiated_client_is_not_asked_for_bytes_while_it_says_what_it_has(clients, plain, monkeypatch):
    _, peer = plain
    asked: list[Any] = []
    monkeypatch.setattr(module, "outbound_bytes", asked.append)
    SENT.clear()
    entry = sent_to(negotiated())
    entry.connection.raw_send = peer.send
    control_of(entry).frames_sent = 1
    clients.look(BEGIN, taken)
    assert [] == asked


def test_a_connection_has_no_more_than_its_record_to_be_looked_up_by():
    first, second = (Connection(1, "chat", BEGIN, lambda: "") for _ in range(2))
    assert 2 == len({first, second}), "two records are never equal"
