import { expect, test } from "vitest";
import { INITIAL, metricKey, reduce, rowKey, type State, subscribed } from "../../src/store/state";
import type { MetricRow, NodeRow, ServerMessage } from "../../src/wire/types";
import {
  alertRow,
  consumerRow,
  droppedRow,
  event,
  hello,
  history,
  layerRow,
  presenceRow,
  silenceRow,
  totals,
} from "../samples";

const after = (messages: ServerMessage[], from: State = INITIAL) => messages.reduce(reduce, from);
const node = (name: string, changes: Partial<NodeRow> = {}): NodeRow => ({
  node: name,
  boot: "boot",
  state: "live",
  host: "app-1",
  pid: 1,
  version: "0.1",
  started_at: 1,
  seen_at: 1,
  active: 1,
  sampler_seconds: 0.001,
  loop_lag: null,
  ...changes,
});

test("totals: a snapshot brings the past, a delta one point more", () => {
  const state = after([
    {
      type: "snapshot",
      topic: "totals",
      at: 12,
      cursor: "c",
      totals: totals({ active: 5 }),
      history: history([10, 11]),
    },
    { type: "delta", topic: "totals", at: 13, totals: totals({ active: 6 }) },
  ]);
  expect(state.totals?.active).toBe(6);
  expect(state.series.at).toEqual([10, 11, 12, 13]);
  expect(state.series.columns.active).toEqual([0, 1, 5, 6]);
});

test("consumers: a delta changes, adds and removes; a snapshot starts anew", () => {
  const [chat, ticker] = [consumerRow("a.Chat", "acme"), consumerRow("a.Ticker", "")];
  const begun = after([{ type: "snapshot", topic: "consumers", at: 1, cursor: "c", consumers: [chat, ticker] }]);
  const changed = after(
    [
      {
        type: "delta",
        topic: "consumers",
        at: 2,
        consumers: [consumerRow("a.Chat", "acme", { active: 9 }), consumerRow("a.New", "globex")],
        removed: [{ consumer: "a.Ticker", tenant: "" }],
      },
    ],
    begun,
  );
  expect([...(changed.consumers?.keys() ?? [])]).toEqual(["acme\na.Chat", "globex\na.New"]);
  expect(changed.consumers?.get("acme\na.Chat")?.active).toBe(9);
  expect(changed.tenants).toEqual(["", "acme", "globex"]);
  const anew = after([{ type: "snapshot", topic: "consumers", at: 3, cursor: "c" }], changed);
  expect(anew.consumers?.size).toBe(0);
  expect(anew.tenants).toEqual(["", "acme", "globex"]);
});

test("nodes and metrics are told apart by name and labels", () => {
  const metric: MetricRow = { name: "orders", kind: "counter", help: "", labels: { shop: "a", at: "b" }, value: 1 };
  const state = after([
    { type: "snapshot", topic: "nodes", at: 1, cursor: "c", nodes: [node("one"), node("two")] },
    { type: "delta", topic: "nodes", at: 2, nodes: [node("two", { state: "unknown" })] },
    { type: "snapshot", topic: "metrics", at: 2, cursor: "c", metrics: [metric] },
    { type: "delta", topic: "metrics", at: 3, metrics: [{ ...metric, labels: { at: "b", shop: "a" }, value: 2 }] },
  ]);
  expect([...(state.nodes?.values() ?? [])].map((row) => row.state)).toEqual(["live", "unknown"]);
  expect([...(state.metrics?.values() ?? [])].map((row) => row.value)).toEqual([2]);
  expect(metricKey(metric)).not.toBe(metricKey({ ...metric, labels: { shop: "b", at: "a" } }));
});

test("a gap says between which moments events are missing", () => {
  const state = after([
    hello(),
    { type: "snapshot", topic: "events", at: 1001, cursor: "boot-1", events: [event(1)] },
    { type: "delta", topic: "totals", at: 1005, totals: totals() },
    hello({ at: 1020, boot: "next" }),
    { type: "heartbeat", at: 1020, cursor: "next-1", echo: 1 },
    { type: "gap", reason: "epoch", since: "boot-1", cursor: "next-1" },
    { type: "snapshot", topic: "events", at: 1021, cursor: "next-1", events: [event(1, { cursor: "next-1" })] },
  ]);
  expect(state.stream?.items.map((item) => item.type)).toEqual(["event", "gap", "event"]);
  expect(state.stream?.items[1]).toMatchObject({ from: 1005, to: 1021 });
});

test("a replay after a reconnect only adds", () => {
  const state = after([
    hello(),
    { type: "snapshot", topic: "events", at: 1001, cursor: "boot-1", events: [event(1)] },
    hello(),
    event(2),
  ]);
  expect(state.stream?.items).toHaveLength(2);
});

test("another tenant's numbers replace all that depends on the tenant", () => {
  const all = after([
    hello(),
    { type: "snapshot", topic: "totals", at: 12, cursor: "c", totals: totals(), history: history([10, 11]) },
    { type: "snapshot", topic: "consumers", at: 12, cursor: "c", consumers: [consumerRow("a.Chat", "acme")] },
    { type: "snapshot", topic: "nodes", at: 12, cursor: "c", nodes: [node("one")] },
    event(1),
  ]);
  expect(subscribed(all, null)).toBe(all);
  const one = subscribed(all, "acme");
  expect(one).toMatchObject({ tenant: "acme", totals: null, consumers: null, stream: null, tenants: ["acme"] });
  expect(one.series.at).toEqual([]);
  expect(one.nodes?.size).toBe(1);
});

test("an operator's own tenants can be chosen before anything connects", () => {
  const permissions = { operator: "ops", view: true, operate: false, tenants: ["globex", "acme"] };
  expect(after([hello({ permissions })]).tenants).toEqual(["acme", "globex"]);
});

test("what does not change stays the very same", () => {
  const begun = after([
    { type: "snapshot", topic: "consumers", at: 1, cursor: "c", consumers: [consumerRow("a", "t")] },
  ]);
  const later = after([{ type: "delta", topic: "consumers", at: 2, consumers: [consumerRow("a", "t")] }], begun);
  expect(later.tenants).toBe(begun.tenants);
  expect(later.series).toBe(begun.series);
  expect(rowKey({ consumer: "a", tenant: "t" })).toBe("t\na");
});

test("presence: a delta changes, adds and takes away who has nobody; another tenant's is not known", () => {
  const begun = after([
    { type: "snapshot", topic: "presence", at: 1, cursor: "c", presence: [presenceRow("acme", 1), presenceRow("", 2)] },
  ]);
  const nobody = { online: 0, connections: 0 };
  const rows = [presenceRow("globex", 4, { stale: 2 }), presenceRow("acme", 5, nobody)];
  const changed = after([{ type: "delta", topic: "presence", at: 2, presence: rows }], begun);
  expect([...(changed.presence?.keys() ?? [])]).toEqual(["", "globex"]);
  expect(changed.presence?.get("globex")?.stale).toBe(2);
  expect(changed.tenants).toEqual(["", "acme", "globex"]);
  expect(after([{ type: "snapshot", topic: "presence", at: 3, cursor: "c" }], changed).presence?.size).toBe(0);
  expect(subscribed(changed, "acme").presence).toBeNull();
});

test("dropped and layers are whole; the layers are the fleet's, whichever tenant is looked at", () => {
  const begun = after([
    { type: "snapshot", topic: "dropped", at: 1, cursor: "c", dropped: { rows: [droppedRow()], gaps: 0 } },
    { type: "snapshot", topic: "layers", at: 1, cursor: "c", layers: [layerRow()] },
  ]);
  const rows = [droppedRow({ tenant: "globex" })];
  const changed = after([{ type: "delta", topic: "dropped", at: 2, dropped: { rows, gaps: null } }], begun);
  expect(changed.dropped).toEqual({ rows, gaps: null });
  expect(changed.layers).toBe(begun.layers);
  expect(after([{ type: "delta", topic: "layers", at: 2, layers: [] }], begun).layers).toEqual([]);
  expect(after([{ type: "snapshot", topic: "dropped", at: 3, cursor: "c" }], changed).dropped).toEqual({});
  expect(subscribed(changed, "acme")).toMatchObject({ dropped: null, layers: begun.layers });
});

test("alerts and silences are whole, and null where the hub does not know; the silences stay with another tenant", () => {
  const rows = [alertRow(1)];
  const alerts = { rows, firing: 1, pending: 0, evaluated: true };
  const begun = after([
    { type: "snapshot", topic: "alerts", at: 1, cursor: "c", alerts },
    { type: "snapshot", topic: "silences", at: 1, cursor: "c", silences: [silenceRow("5")] },
  ]);
  expect(INITIAL).toMatchObject({ alerts: undefined, silences: undefined });
  expect(begun.alerts).toEqual(alerts);
  const lost = after([{ type: "delta", topic: "alerts", at: 2, alerts: null }], begun);
  expect(lost).toMatchObject({ alerts: null, silences: begun.silences });
  expect(after([{ type: "delta", topic: "alerts", at: 3, alerts }], lost).alerts).toEqual(alerts);
  expect(after([{ type: "delta", topic: "silences", at: 2, silences: [] }], begun).silences).toEqual([]);
  expect(subscribed(begun, "acme")).toMatchObject({ alerts: undefined, silences: begun.silences });
});
