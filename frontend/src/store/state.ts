/** What the page knows, as one value; `reduce` says what a message changes. */
import type {
  ActiveAlerts,
  ConsumerRow,
  Delta,
  Dropped,
  Hello,
  LayerRow,
  MetricRow,
  NodeRow,
  PresenceRow,
  ServerMessage,
  SilenceRow,
  SlowRow,
  Snapshot,
  Totals,
} from "../wire/types";
import * as series from "./series";
import * as stream from "./stream";

export interface State {
  readonly hello: Hello | null;
  /** The tenant that the numbers are of; null: all of them. */
  readonly tenant: string | null;
  /** When the newest message was sent, by the server's clock. */
  readonly at: number | null;
  /** `at` as it was when the connection before this one ended. */
  readonly lostAt: number | null;
  readonly totals: Totals | null;
  readonly series: series.Series;
  /** Null: no snapshot yet. */
  readonly consumers: ReadonlyMap<string, ConsumerRow> | null;
  /** By tenant; who has nobody is not in it. */
  readonly presence: ReadonlyMap<string, PresenceRow> | null;
  /** Worst first. */
  readonly slow: readonly SlowRow[] | null;
  readonly dropped: Dropped | null;
  /** Fullest first. */
  readonly layers: readonly LayerRow[] | null;
  /** Undefined: no snapshot yet; null: the hub itself does not know. */
  readonly alerts: ActiveAlerts | null | undefined;
  readonly silences: readonly SilenceRow[] | null | undefined;
  readonly nodes: ReadonlyMap<string, NodeRow> | null;
  readonly metrics: ReadonlyMap<string, MetricRow> | null;
  readonly stream: stream.Stream | null;
  /** Every tenant seen, in order: the choice does not shrink to the chosen one. */
  readonly tenants: readonly string[];
}

export const INITIAL: State = {
  hello: null,
  tenant: null,
  at: null,
  lostAt: null,
  totals: null,
  series: series.EMPTY,
  consumers: null,
  presence: null,
  slow: null,
  dropped: null,
  layers: null,
  alerts: undefined,
  silences: undefined,
  nodes: null,
  metrics: null,
  stream: null,
  tenants: [],
};

/** The server confirmed a subscription. With another tenant than before, nothing known is of it. */
export function subscribed(state: State, tenant: string | null): State {
  if (tenant === state.tenant) return state;
  return {
    ...state,
    tenant,
    totals: null,
    series: series.EMPTY,
    consumers: null,
    presence: null,
    slow: null,
    dropped: null,
    alerts: undefined,
    stream: null,
  };
}

export function reduce(state: State, message: ServerMessage): State {
  switch (message.type) {
    case "hello":
      return receiveHello(state, message);
    case "snapshot":
      return receiveSnapshot({ ...state, at: message.at }, message);
    case "delta":
      return receiveDelta({ ...state, at: message.at }, message);
    case "event":
      return { ...state, at: message.at, stream: stream.addEvents(state.stream ?? stream.EMPTY, [message]) };
    case "gap":
      return { ...state, stream: stream.addGap(state.stream ?? stream.EMPTY, message, state.lostAt) };
    case "heartbeat":
    case "members":
    case "alerts":
    case "alert":
    case "preview":
      return { ...state, at: message.at };
    case "result":
      return state;
  }
}

function receiveHello(state: State, hello: Hello): State {
  return { ...state, hello, lostAt: state.at, tenants: union(state.tenants, hello.permissions.tenants ?? []) };
}

function receiveSnapshot(state: State, snapshot: Snapshot): State {
  switch (snapshot.topic) {
    case "totals": {
      const history = snapshot.history ?? null;
      const known = history ? series.replaceHistory(state.series, history) : state.series;
      return withTotals({ ...state, series: known }, snapshot.totals, snapshot.at);
    }
    case "consumers":
      return withConsumers({ ...state, consumers: new Map() }, snapshot.consumers ?? []);
    case "presence":
      return withPresence({ ...state, presence: new Map() }, snapshot.presence ?? []);
    case "slow":
      return { ...state, slow: snapshot.slow ?? [] };
    case "dropped":
      return { ...state, dropped: snapshot.dropped ?? {} };
    case "layers":
      return { ...state, layers: snapshot.layers ?? [] };
    case "alerts":
      return { ...state, alerts: snapshot.alerts ?? null };
    case "silences":
      return { ...state, silences: snapshot.silences ?? null };
    case "nodes":
      return { ...state, nodes: merge(new Map(), snapshot.nodes ?? [], (row) => row.node) };
    case "metrics":
      return { ...state, metrics: merge(new Map(), snapshot.metrics ?? [], metricKey) };
    case "events":
      return {
        ...state,
        stream: stream.replaceEvents(state.stream ?? stream.EMPTY, snapshot.events ?? [], snapshot.at),
      };
  }
}

function receiveDelta(state: State, delta: Delta): State {
  switch (delta.topic) {
    case "totals":
      return withTotals(state, delta.totals, delta.at);
    case "consumers": {
      const kept = new Map(state.consumers);
      for (const row of delta.removed ?? []) kept.delete(rowKey(row));
      return withConsumers({ ...state, consumers: kept }, delta.consumers ?? []);
    }
    case "presence":
      return withPresence(state, delta.presence ?? []);
    case "slow":
      return { ...state, slow: delta.slow ?? state.slow };
    case "dropped":
      return { ...state, dropped: delta.dropped ?? state.dropped };
    case "layers":
      return { ...state, layers: delta.layers ?? state.layers };
    case "alerts":
      return { ...state, alerts: delta.alerts ?? null };
    case "silences":
      return { ...state, silences: delta.silences ?? null };
    case "nodes":
      return { ...state, nodes: merge(state.nodes, delta.nodes ?? [], (row) => row.node) };
    case "metrics":
      return { ...state, metrics: merge(state.metrics, delta.metrics ?? [], metricKey) };
    case "events":
      return state;
  }
}

function withTotals(state: State, totals: Totals | undefined, at: number): State {
  if (totals === undefined) return state;
  return { ...state, totals, series: series.append(state.series, at, totals, state.hello?.cadence ?? 1) };
}

function withConsumers(state: State, rows: readonly ConsumerRow[]): State {
  const tenants = union(
    state.tenants,
    rows.map((row) => row.tenant),
  );
  return { ...state, tenants, consumers: merge(state.consumers, rows, rowKey) };
}

function withPresence(state: State, rows: readonly PresenceRow[]): State {
  const presence = merge(state.presence, rows, (row) => row.tenant);
  for (const row of rows) if (membersOf(row) === 0) presence.delete(row.tenant);
  return { ...state, presence, tenants: union(state.tenants, [...presence.keys()]) };
}

export const membersOf = (row: PresenceRow): number => row.online + row.idle + row.stale;

export function rowKey(row: { consumer: string; tenant: string }): string {
  return `${row.tenant}\n${row.consumer}`;
}

export function metricKey(row: MetricRow): string {
  return JSON.stringify([row.name, ...Object.entries(row.labels).sort()]);
}

function merge<Row>(known: ReadonlyMap<string, Row> | null, rows: readonly Row[], key: (row: Row) => string) {
  const merged = new Map(known);
  for (const row of rows) merged.set(key(row), row);
  return merged;
}

/** Sorted; the very same list when nothing is added, so that nobody is told of a change. */
function union(known: readonly string[], added: readonly string[]): readonly string[] {
  const all = new Set(known);
  for (const tenant of added) all.add(tenant);
  return all.size === known.length ? known : [...all].sort();
}
