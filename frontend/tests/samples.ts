/** Messages as the server sends them, for tests to vary. */
import type {
  AlertRow,
  ConsumerRow,
  Drop,
  DroppedRow,
  Event,
  Hello,
  History,
  LayerRow,
  MemberRow,
  PresenceRow,
  SilenceRow,
  Totals,
} from "../src/wire/types";

const QUANTILES = { p50: 0.001, p95: 0.004, p99: 0.009 };

export function totals(changes: Partial<Totals> = {}): Totals {
  return {
    active: 3,
    accepted: 10,
    rejected: 0,
    failed: 0,
    closed: 7,
    received: 100,
    sent: 200,
    received_bytes: 1000,
    sent_bytes: 2000,
    errors: 0,
    lost: 0,
    backlog: 0,
    connect_rate: 1,
    disconnect_rate: 1,
    received_rate: 10,
    sent_rate: 20,
    error_rate: 0,
    latency: QUANTILES,
    wait: QUANTILES,
    ...changes,
  };
}

export function consumerRow(consumer: string, tenant: string, changes: Partial<Totals> = {}): ConsumerRow {
  return { ...totals(changes), consumer, tenant };
}

export function event(id: number, changes: Partial<Event> = {}): Event {
  return {
    type: "event",
    cursor: `boot-${id}`,
    at: 1000 + id,
    kind: "connection.opened",
    severity: "info",
    node: "web-1",
    ...changes,
  };
}

export function hello(changes: Partial<Hello> = {}): Hello {
  return {
    type: "hello",
    version: "0.1",
    node: "web-1",
    boot: "boot",
    at: 1000,
    cursor: "boot-0",
    cadence: 1,
    cadences: [1, 5, 15],
    heartbeat_interval: 10,
    permissions: { operator: "ops", view: true, operate: false, tenants: null },
    ...changes,
  };
}

/** A history whose every column holds the index of its point. */
export function history(at: number[], step = 1): History {
  const column = at.map((_, index) => index);
  return {
    step,
    at,
    active: column,
    connect_rate: column,
    disconnect_rate: column,
    received_rate: column,
    sent_rate: column,
    error_rate: column,
    backlog: column,
    latency_p50: column,
    latency_p95: column,
    latency_p99: column,
    wait_p50: column,
    wait_p95: column,
    wait_p99: column,
  };
}

export function presenceRow(tenant: string, version: number, changes: Partial<PresenceRow> = {}): PresenceRow {
  return { tenant, version, online: 1, idle: 0, stale: 0, connections: 1, ...changes };
}

export function memberRow(member: string, changes: Partial<MemberRow> = {}): MemberRow {
  return {
    tenant: "acme",
    member,
    name: `Name of ${member}`,
    state: "online",
    joined_at: 400,
    heard_at: 997,
    heard_by: "heartbeat",
    connections: 1,
    negotiated: 1,
    hidden: false,
    rtt: 0.02,
    lag: null,
    consumers: ["shop.Chat"],
    groups: [],
    nodes: ["web-1"],
    ...changes,
  };
}

export function droppedRow(changes: Partial<DroppedRow> = {}): DroppedRow {
  return {
    reason: "over_capacity",
    consumer: "shop.consumers.Orders",
    tenant: "acme",
    messages: 120,
    rate: 12.5,
    last_at: 998,
    ...changes,
  };
}

export function drop(changes: Partial<Drop> = {}): Drop {
  return {
    reason: "over_capacity",
    consumer: "shop.consumers.Orders",
    tenant: "acme",
    node: "web-1:12",
    since: 940,
    at: 998,
    messages: 100,
    group: "order.7",
    channel: "",
    channels: 12,
    connection: "",
    connections: 12,
    layer: "",
    ...changes,
  };
}

export function layerRow(changes: Partial<LayerRow> = {}): LayerRow {
  return {
    layer: "default",
    backend: "InMemoryChannelLayer",
    node: "web-1:12",
    depth: 85,
    oldest: 4.2,
    capacity: 100,
    fullest: 0.85,
    channel: "specific.abc!def",
    consumer: "shop.consumers.Orders",
    tenant: "acme",
    gaps: 0,
    ...changes,
  };
}

export function alertRow(id: number, changes: Partial<AlertRow> = {}): AlertRow {
  return {
    id,
    key: `key-${id}`,
    rule: "handler_errors",
    severity: "high",
    labels: { rule: "handler_errors", severity: "high", consumer: "shop.consumers.Orders", tenant: "acme" },
    tenant: "acme",
    state: "firing",
    since: 940,
    fired_at: 970,
    resolved_at: null,
    value: 12,
    worst: 14,
    threshold: 10,
    unit: "exceptions",
    summary: `12 exceptions at Orders (${id})`,
    action: "See the newest errors in the events.",
    runbook: "",
    muted: "",
    acknowledged_by: "",
    acknowledged_at: null,
    ...changes,
  };
}

export function silenceRow(id: string, changes: Partial<SilenceRow> = {}): SilenceRow {
  return {
    id,
    matchers: 'tenant="acme"',
    tenant: "acme",
    starts_at: 900,
    ends_at: 4600,
    by: "ann",
    why: "we know",
    state: "active",
    ...changes,
  };
}

/** Asks nobody. */
export const unanswered = () => new Promise<never>(() => {});
