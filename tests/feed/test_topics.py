"""Encoded once per tick and topic, however many listen; what changed and nothing else."""

from typing import Any

import pytest

from hub import metrics
from hub.access import Rights
from hub.core.metrics import Registry
from hub.feed import wire
from hub.feed.members import rounded
from hub.feed.topics import scopes_of
from tests.feed.stage import of_type, stage


@pytest.fixture
def registry(monkeypatch):
    """Business metrics of this test only."""
    fresh = Registry()
    monkeypatch.setattr(metrics, "REGISTRY", fresh)
    monkeypatch.setattr("hub.node.node.REGISTRY", fresh)
    return fresh


@pytest.mark.parametrize("operators", [1, 2, 60])
async def test_a_tick_is_encoded_once_per_topic_however_many_listen(operators):
    async with stage() as on:
        on.receive_messages("shop.Chat", "acme")
        await on.tick()
        listening = [on.operator() for _ in range(operators)]
        for operator in listening:
            await operator.ask(type="subscribe", topics=["totals", "consumers", "nodes"])
        assert on.topics.encodings == 3
        for _ in range(10):
            before = on.topics.encodings
            on.receive_messages("shop.Chat", "acme")
            await on.tick()
            frames = [await operator.read() for operator in listening]
            assert on.topics.encodings - before == 3
            assert all(frame == frames[0] for frame in frames)


async def test_each_subprotocol_scope_and_filter_is_encoded_for_itself():
    async with stage() as on:
        await on.tick()
        for subprotocol in wire.SUBPROTOCOLS:
            for _ in range(3):
                await on.operator(subprotocol=subprotocol).ask(type="subscribe", topics=["totals"])
        assert on.topics.encodings == 2
        for _ in range(3):
            await on.operator().ask(type="subscribe", topics=["totals"], tenants=["acme"])
        assert on.topics.encodings == 3
        for _ in range(3):
            await on.operator().ask(type="subscribe", topics=["consumers"], consumers=["b", "a"])
        assert on.topics.encodings == 4


async def test_sessions_that_came_at_different_times_share_their_deltas():
    async with stage() as on:
        listening = []
        for _ in range(5):
            await on.tick()
            listening.append(on.operator())
            await listening[-1].ask(type="subscribe", topics=["totals"])
        for operator in listening:
            await operator.read()
        await on.tick()
        before = on.topics.encodings
        for operator in listening:
            await operator.read()
        # The last one's snapshot was of the tick before: they all know the same.
        assert on.topics.encodings - before <= 2


async def test_an_event_is_encoded_once_per_subprotocol():
    async with stage() as on:
        operators = [on.operator(subprotocol=name) for name in wire.SUBPROTOCOLS for _ in range(5)]
        for operator in operators:
            await operator.ask(type="subscribe", topics=["events"])
        await on.happen()
        frames = {operator.session.next_frame(0.0, "") for operator in operators}
        assert len(frames) == 2


async def test_rows_that_did_not_change_are_not_sent_again():
    async with stage() as on:
        on.receive_messages("quiet", "acme")
        on.receive_messages("busy", "acme")
        await on.tick()
        operator = on.operator()
        await operator.ask(type="subscribe", topics=["consumers"])
        # Quantiles are over ten seconds: after those, a quiet row stands still.
        deltas: list[dict[str, Any]] = []
        for _ in range(15):
            on.receive_messages("busy", "acme")
            await on.tick()
            deltas = await operator.read()
        assert [row["consumer"] for row in deltas[0]["consumers"]] == ["busy"]
        for _ in range(15):
            await on.tick()
            deltas = await operator.read()
        assert of_type(deltas, "delta") == []


async def test_a_row_that_has_gone_is_named_as_removed():
    async with stage() as on:
        on.receive_messages("shop.Chat", "acme")
        on.receive_messages("shop.Chat", "globex")
        await on.tick()
        operator = on.operator()
        await operator.ask(type="subscribe", topics=["consumers"], tenants=["acme"])
        on.ledger.counts.clear()
        await on.tick()
        [delta] = await operator.read()
        assert delta["removed"] == [{"consumer": "shop.Chat", "tenant": "acme"}]


async def test_metrics_are_sent_when_they_change_and_only_those(registry):
    orders = metrics.counter("orders_total", "Orders.", labels=("shop",))
    queue = metrics.histogram("queue_seconds", "Waiting.", buckets=(1.0,))
    orders.inc(shop="north")
    async with stage() as on:
        await on.tick()
        operator = on.operator()
        [_, snapshot] = await operator.ask(type="subscribe", topics=["metrics"])
        assert [(row["name"], row["value"]) for row in snapshot["metrics"]] == [
            ("orders_total", 1),
            ("queue_seconds", 0),
        ]
        for _ in range(5):
            await on.tick()
            assert of_type(await operator.read(), "delta") == []
        orders.inc(2, shop="north")
        await on.tick()
        [delta] = await operator.read()
        assert [(row["name"], row["labels"], row["value"]) for row in delta["metrics"]] == [
            ("orders_total", {"shop": "north"}, 3)
        ]
        queue.observe(0.5)
        queue.observe(0.25)
        await on.tick()
        [delta] = await operator.read()
        assert [(row["value"], row["count"]) for row in delta["metrics"]] == [(0.75, 2)]


async def test_a_slow_listener_is_told_of_metrics_that_changed_meanwhile(registry):
    orders = metrics.counter("orders_total", "Orders.")
    async with stage() as on:
        await on.tick()
        slow, quick = on.operator(), on.operator()
        for operator in (slow, quick):
            await operator.ask(type="subscribe", topics=["metrics"])
        orders.inc()
        for _ in range(5):
            await on.tick()
            await quick.read()
        [delta] = of_type(await slow.read(), "delta")
        assert delta["metrics"][0]["value"] == 1


async def test_metrics_of_a_tenant_are_those_labelled_with_it(registry):
    sales = metrics.gauge("sales", "Sales.", labels=("tenant",))
    sales.set(1, tenant="acme")
    sales.set(2, tenant="globex")
    metrics.gauge("weather", "Degrees.").set(20)
    async with stage() as on:
        await on.tick()
        operator = on.operator(Rights(view=True, tenants=frozenset({"acme"})))
        [_, snapshot] = await operator.ask(type="subscribe", topics=["metrics"])
        assert [row["value"] for row in snapshot["metrics"]] == [1]


@pytest.mark.slow
async def test_nothing_is_kept_for_tenants_that_do_not_exist():
    async with stage() as on:
        operator = on.operator()
        for number in range(20):
            await on.tick()
            names = [f"nobody-{number}-{index}" for index in range(200)]
            await operator.ask(type="subscribe", tenants=names, topics=["metrics", "totals"])
        await on.tick()
        on.topics.snapshot("totals", None, None, "", wire.JSON_SUBPROTOCOL)
        assert len(on.topics._kept) == 1
        assert len(on.topics._metric_rows) <= 1


async def test_the_history_comes_with_the_totals_in_columns_of_one_length():
    async with stage() as on:
        for _ in range(30):
            on.receive_messages("shop.Chat", "acme")
            await on.tick()
        [_, snapshot] = await on.operator().ask(type="subscribe", topics=["totals"])
        history = snapshot["history"]
        columns = {name: column for name, column in history.items() if name != "step"}
        assert {len(column) for column in columns.values()} == {30}
        assert history["at"] == sorted(history["at"])
        assert history["received_rate"][0] is None, "before the second sample no rate is known"
        assert history["received_rate"][-1] == 1.0


@pytest.mark.parametrize(("value", "expected"), [(None, None), (0.0, 0.0), (1 / 3, 0.333333), (1234567.0, 1234570.0)])
def test_numbers_are_rounded_to_six_digits(value, expected):
    assert rounded(value) == expected


def test_scopes():
    everything, bound = Rights(view=True), Rights(view=True, tenants=frozenset({"b", "a"}))
    assert scopes_of(everything, None) == [None]
    assert scopes_of(everything, ["x", "x", ""]) == ["x", ""]
    assert scopes_of(bound, None) == ["a", "b"]
    assert scopes_of(Rights(view=True, tenants=frozenset()), None) == []
