// A feed with made-up numbers, and the built page under the product's own CSP: to look at the page without a hub.
//   node dev/feed.mjs [--port 0] [--rows 14] [--members 180] [--empty]
// POST /dev/restart   a new boot: clients are dropped, their cursors are of another epoch
// POST /dev/down, /dev/up, /dev/quiet, /dev/refuse?code=4403
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { WebSocketServer } from "ws";

const { values: flags } = parseArgs({
  options: {
    port: { type: "string", default: "8123" },
    rows: { type: "string", default: "14" },
    members: { type: "string", default: "180" },
    empty: { type: "boolean", default: false },
  },
});

const DIST = new URL("../../hub/web/dist/", import.meta.url);
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
  "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const now = () => Date.now() / 1000;

// --- numbers -------------------------------------------------------------------------------------------------------

const TOPICS = [
  "totals",
  "consumers",
  "presence",
  "slow",
  "dropped",
  "layers",
  "alerts",
  "silences",
  "nodes",
  "metrics",
];
const KINDS = ["chat.consumers.ChatConsumer", "market.ticker.TickerConsumer", "fleet.telemetry.TelemetryConsumer"];
const OLD = "legacy.consumers.LegacyNotificationsConsumer";
const TENANTS = ["acme", "globex", "initech", "umbrella", ""];

function world(rows) {
  return Array.from({ length: rows }, (_, index) => ({
    consumer: index % 4 === 3 ? OLD : KINDS[index % 4],
    tenant: index < 15 ? TENANTS[index % TENANTS.length] : `tenant-${String(Math.floor(index / 4)).padStart(4, "0")}`,
    weight: 1 / (1 + index * 0.6),
    slow: index % 7 === 3 ? 22 : 1 + (index % 3),
    counts: {
      accepted: Math.round(9000 / (1 + index)),
      closed: 0,
      received: 0,
      sent: 0,
      errors: 0,
      lost: index % 6 === 5 ? 3 : 0,
      rejected: 0,
    },
  }));
}

const wave = (at, period, phase = 0) => Math.sin((at / period) * 2 * Math.PI + phase);

/** The whole fleet's load at a moment; the same moment always has the same load, so history and present agree. */
function load(at) {
  const spike = Math.max(0, wave(at, 700) - 0.86) * 6;
  const noise = wave(at, 37) * 0.03 + wave(at, 71.3, 1) * 0.04 + wave(at, 5.9, 2) * 0.008;
  const active = 1180 + 260 * wave(at, 1700) + 70 * wave(at, 260, 1) + 40 * noise;
  return { active, opened: 9 + 3 * wave(at, 90) + 14 * spike + 12 * noise, noise, spike };
}

function rowAt(at, item) {
  const { active, opened, noise, spike } = load(at + item.slow);
  const heat = item.slow * (1 + 0.5 * spike + noise);
  const rate = active * item.weight * 0.9 * (1 + noise);
  const idle = item.weight < 0.09;
  const { counts } = item;
  return {
    active: Math.round(active * item.weight * 0.28),
    ...counts,
    failed: 0,
    received_bytes: counts.received * 112,
    sent_bytes: counts.sent * 164,
    backlog: heat > 20 ? Math.round(heat / 3 + 4 * noise) : 0,
    connect_rate: opened * item.weight * 0.3,
    disconnect_rate: load(at - 25).opened * item.weight * 0.3 * (1 - 4 * noise),
    received_rate: idle ? 0 : rate,
    sent_rate: idle ? 0 : rate * 2.4,
    error_rate: item.slow > 20 ? Math.max(0, noise * 6) : 0,
    latency: idle ? nothing() : quantiles(0.0008 * heat),
    wait: idle ? nothing() : quantiles(0.00009 * heat ** 1.5),
  };
}

const nothing = () => ({ p50: null, p95: null, p99: null });
const quantiles = (base) => ({ p50: base, p95: base * 3.1, p99: base * 7.4 });

function sum(rows, at) {
  const add = (key) => rows.reduce((total, row) => total + (row[key] ?? 0), 0);
  const totals = Object.fromEntries(Object.keys(rows[0] ?? EMPTY).map((key) => [key, add(key)]));
  const { spike, noise } = load(at);
  const busy = rows.length > 0;
  return {
    ...totals,
    latency: busy ? quantiles(0.0021 * (1 + spike + 2 * noise)) : nothing(),
    wait: busy ? quantiles(0.00018 * (1 + 3 * spike + 3 * noise)) : nothing(),
  };
}

const EMPTY = Object.fromEntries(
  (
    "active accepted rejected failed closed received sent received_bytes sent_bytes errors lost backlog " +
    "connect_rate disconnect_rate received_rate sent_rate error_rate"
  )
    .split(" ")
    .map((key) => [key, 0]),
);

// --- members -------------------------------------------------------------------------------------------------------

const NAMES = "Ada Ben Chloé Dmitri Esra Fatima Grace Hugo Inès Jonas Kirsi Liam Mei Noor Olga Pedro".split(" ");

function crowd(size) {
  const all = Array.from({ length: size }, (_, index) => memberAt(index, now() - Math.random() * 9000));
  return { all, joined: size, versions: new Map() };
}

function memberAt(index, joinedAt) {
  const negotiated = index % 4 === 3 ? 0 : 1 + (index % 2);
  const connections = Math.max(1, negotiated + (index % 5 === 0 ? 1 : 0));
  return {
    tenant: TENANTS[index % TENANTS.length],
    member: index % 9 === 8 ? `anonymous:5b0c7d1e:${index}` : String(1000 + index),
    name: index % 9 === 8 ? "" : `${NAMES[index % NAMES.length]} ${String.fromCharCode(65 + (index % 26))}.`,
    joined_at: joinedAt,
    heard_at: now() - (index % 20 === 7 ? 75 : index % 20 === 11 ? 900 : Math.random() * 30),
    heard_by: negotiated === 0 ? "frame" : "heartbeat",
    connections,
    negotiated,
    hidden: negotiated === 0 ? null : index % 3 === 1,
    rtt: negotiated === 0 ? null : 0.008 + (index % 40) / 900,
    lag: negotiated === 0 ? null : 0.001,
    consumers: index % 6 === 5 ? KINDS : [KINDS[index % KINDS.length]],
    groups: index % 2 === 0 ? ["lobby"] : [],
    nodes: ["web-1"],
  };
}

function stateOf(row) {
  const silence = now() - row.heard_at;
  if (row.negotiated === 0) return silence > 300 ? "idle" : "online";
  return silence > 60 ? "stale" : "online";
}

/** One in ten never says a word more; the others do every half minute. Sometimes one leaves, sometimes one joins. */
function live(hub) {
  const { crowd } = hub;
  const changed = (row) => crowd.versions.set(row.tenant, (crowd.versions.get(row.tenant) ?? 0) + 1);
  crowd.all.forEach((row, index) => {
    if (index % 10 !== 7 && now() - row.heard_at > 29) row.heard_at = now();
    if (row.state !== stateOf(row)) changed(row);
    row.state = stateOf(row);
  });
  if (crowd.joined === 0 || Math.random() < 0.4) return;
  const leaves = crowd.all.length > 20 && Math.random() < 0.5;
  const row = leaves
    ? crowd.all.splice(Math.floor(Math.random() * crowd.all.length), 1)[0]
    : memberAt(crowd.joined++, now());
  row.state ??= "online";
  if (!leaves) crowd.all.push(row);
  changed(row);
  const details = { member: row.member, name: row.name };
  emit(hub, { kind: leaves ? "member.left" : "member.joined", severity: "info", tenant: row.tenant, details });
}

function presence(hub, tenant) {
  const rows = new Map();
  for (const row of hub.crowd.all) {
    if (tenant !== null && row.tenant !== tenant) continue;
    const version = hub.crowd.versions.get(row.tenant) ?? 0;
    const zero = { tenant: row.tenant, version, online: 0, idle: 0, stale: 0, connections: 0 };
    if (!rows.has(row.tenant)) rows.set(row.tenant, zero);
    rows.get(row.tenant)[row.state ?? stateOf(row)]++;
    rows.get(row.tenant).connections += row.connections;
  }
  return [...rows.values()];
}

const keyOf = (row) => JSON.stringify([row.tenant, row.member]);

function members(hub, query) {
  const needle = (query.search ?? "").toLowerCase();
  const found = hub.crowd.all
    .map((row) => ({ ...row, state: row.state ?? stateOf(row) }))
    .filter((row) => query.tenant == null || row.tenant === query.tenant)
    .filter((row) => query.group == null || row.groups.includes(query.group))
    .filter((row) => query.states == null || query.states.includes(row.state))
    .filter((row) => `${row.member}\n${row.name}`.toLowerCase().includes(needle))
    .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const rest = found.filter((row) => query.after == null || keyOf(row) > query.after);
  const page = rest.slice(0, query.limit ?? 50);
  const next = rest.length > page.length ? keyOf(page.at(-1)) : null;
  return { type: "members", ref: query.ref, at: now(), members: page, total: found.length, next };
}

// --- trouble ---------------------------------------------------------------------------------------------------------

/** Each becomes slow every so many seconds, for so long: some are open, some are over, whenever one looks. */
const EPISODES = [
  episode("handler", KINDS[0], "acme", "4211", [75, 60], {
    message: "chat.say",
    file: "acme/chat/history.py",
    line: 48,
    function: "read_page",
    waits: "acme/chat/consumers.py:31 chat_say > acme/chat/history.py:48 read_page",
    waiting: 7,
  }),
  episode("client", KINDS[1], "globex", "977", [140, 95], {
    frames_behind: 214,
    silent_seconds: 2.4,
    unsent_bytes: 65_536,
    kernel_bytes: 2_417_000,
    unknown: "time in send: this server's never waits",
  }),
  episode("queue", KINDS[2], "initech", "1308", [50, 9], { message: "telemetry.report", waiting: 41 }),
  episode("loop", KINDS[0], "acme", "4090", [170, 1.4], {
    file: "acme/chat/render.py",
    line: 112,
    function: "to_html",
    waits: "acme/chat/render.py:112 to_html",
  }),
  episode("sync_thread", OLD, "umbrella", "", [230, 3.1], {
    file: "legacy/reports.py",
    line: 17,
    function: "render_all",
  }),
];

function episode(cause, consumer, tenant, connection, [every, lasts], details) {
  return { cause, consumer, tenant, connection, every, lasts, details };
}

/** Open ones first, the worst of them at the top; before its threshold has passed nobody knows of an episode. */
function slow(hub, tenant) {
  const rows = EPISODES.map(({ every, lasts, ...episode }) => {
    const age = now() % every;
    const since = now() - age;
    const over = age >= lasts;
    const [lasted, closed_at] = over ? [lasts, since + lasts] : [null, null];
    return { ...episode, node: "web-1", since, seconds: Math.min(age, lasts), threshold: 0.5, lasted, closed_at };
  });
  return rows
    .filter((row) => hub.items.length > 0 && row.seconds > row.threshold && mayKnow(row, tenant))
    .sort((a, b) => (a.closed_at !== null) - (b.closed_at !== null) || b.seconds - a.seconds);
}

const mayKnow = (row, tenant) => tenant === null || row.tenant === tenant;

/** Each loses so many messages a second, every so many seconds, for so long. */
const LOSSES = [
  loss("over_capacity", KINDS[0], "acme", [12, 90, 25], { group: "chat.lobby", channels: 12, connections: 12 }),
  loss("expired", KINDS[1], "globex", [2, 400, 20], { channel: "specific.5b0c7d1e!a91f", channels: 1 }),
  loss("after_close", KINDS[2], "initech", [0.2, 30, 30], {}),
];

function loss(reason, consumer, tenant, [rate, every, lasts], place) {
  const nowhere = { group: "", channel: "", channels: 0, connection: "", connections: 0 };
  return { reason, consumer, tenant, rate, every, lasts, ...nowhere, ...place };
}

function dropped(hub, tenant) {
  const all = hub.items.length === 0 ? [] : LOSSES.map((one) => lossAt(hub, one));
  const known = all.filter((row) => row.messages > 0 && mayKnow(row, tenant));
  const named = (row) => ({ consumer: row.consumer, tenant: row.tenant, ...counted(row) });
  const recent = known.filter((row) => row.channels > 0).map(({ rate, last_at, ...drop }) => drop);
  return { reasons: known.map(counted), rows: known.map(named), recent, gaps: 0 };
}

const counted = ({ reason, messages, rate, last_at }) => ({ reason, messages, rate, last_at });

function lossAt(hub, { rate, every, lasts, ...whose }) {
  const age = now() % every;
  const since = now() - age;
  const at = Math.min(now(), since + lasts);
  const bursts = Math.floor((since - hub.startedAt) / every);
  const messages = Math.max(0, Math.round(rate * (bursts * lasts + at - since)));
  return { ...whose, node: "web-1", layer: "", messages, rate: age < lasts ? rate : 0, last_at: at, since, at };
}

/** One queue for all of the process, as in channels_redis: it is full while messages are lost. */
function layers(hub) {
  const { rate } = lossAt(hub, LOSSES[0]);
  const fullest = rate > 0 ? 1 : 0.11 + 0.06 * wave(now(), 40);
  const [depth, oldest] = [Math.round(fullest * 100), fullest * 4.2];
  const whose = { channel: "", consumer: "", tenant: "" };
  return [
    { layer: "default", backend: "RedisChannelLayer", node: "web-1", depth, oldest, capacity: 100, fullest, ...whose },
  ];
}

// --- alerts ----------------------------------------------------------------------------------------------------------

const ALERTS = [
  alert("loop_blocked", "critical", "", [0.5, 3.1, "seconds"], "The event loop of web-1 was blocked for 3.1 s"),
  alert("handler_errors", "high", "acme", [10, 41, "exceptions"], "41 exceptions left ChatConsumer for acme in 5 min"),
  alert("frames_dropped", "high", "globex", [0, 12, "messages"], "12 messages of TickerConsumer were lost for globex"),
  alert("latency_medium", "medium", "initech", [1, 1.4, "seconds"], "95 % took up to 1.4 s"),
];

function alert(rule, severity, tenant, [threshold, value, unit], summary) {
  const labels = { rule, severity, ...(tenant && { tenant, consumer: KINDS[0] }) };
  const figures = { threshold, value, worst: value * 1.2, unit };
  const care = { muted: "", acknowledged_by: "", acknowledged_at: null };
  const words = { summary, action: "Look at the newest events of this consumer.", runbook: "https://wiki.example/hub" };
  return { key: `${rule}/${tenant}`, rule, severity, labels, tenant, ...figures, ...care, ...words };
}

function lives(hub) {
  return ALERTS.map((one, index) => {
    const since = hub.startedAt + 300 * index;
    const state = index === 3 ? "pending" : "firing";
    const silence = hub.silences.find((each) => matches(each.matchers, one));
    const care = { ...(hub.care.get(one.key) ?? {}), muted: silence ? `silenced by ${silence.id}` : "" };
    return { ...one, ...care, id: 50 + index, state, since, fired_at: index === 3 ? null : since, resolved_at: null };
  });
}

function alerts(hub, tenant) {
  const rows = hub.items.length === 0 ? [] : lives(hub).filter((row) => mayKnow(row, tenant));
  const countOf = (state) => rows.filter((row) => row.state === state).length;
  return { rows, firing: countOf("firing"), pending: countOf("pending"), evaluated: true };
}

const matches = (matchers, row) =>
  matchers.split(",").every((each) => {
    const [label, value] = each.split("=").map((part) => part.trim().replaceAll('"', ""));
    return (row.labels[label] ?? "") === value;
  });

/** What is asked and done about alerts; what returns nothing is answered by a result. */
const DESK = {
  acknowledge: (hub, { key }) => void hub.care.set(key, { acknowledged_by: "ops", acknowledged_at: now() }),
  unacknowledge: (hub, { key }) => void hub.care.delete(key),
  silence: (hub, { matchers, why, seconds }) => {
    const when = { starts_at: now(), ends_at: now() + seconds, state: "active" };
    hub.silences = [...hub.silences, { id: String(hub.id++), matchers, tenant: "", by: "ops", why, ...when }];
  },
  end_silence: (hub, { id }) => {
    hub.silences = hub.silences.filter((each) => each.id !== id);
  },
  preview_silence: (hub, { matchers }) => {
    const found = lives(hub).filter((row) => matches(matchers, row));
    return { type: "preview", alerts: found, total: found.length };
  },
  list_alerts: (hub) => {
    const over = { state: "resolved", resolved_at: now() - 600 };
    return { type: "alerts", alerts: lives(hub).map((row) => ({ ...row, id: row.id - 40, ...over })), next: null };
  },
  show_alert: (hub, { id }) => {
    const found = lives(hub).find((row) => row.id === id || row.id - 40 === id);
    if (found === undefined) throw new Error(`there is no alert ${id}`);
    const at = Array.from({ length: 60 }, (_, index) => now() - 300 + 5 * index);
    const values = at.map((moment) => found.value * (0.7 + 0.3 * wave(moment, 180)));
    const told = { receiver: "slack", kind: "fired", state: "delivered", attempts: 1, error: "" };
    return {
      type: "alert",
      alert: { ...found, id },
      curve: { at, values },
      changes: [{ at: found.since, kind: "firing", by: "", value: found.value, detail: "" }],
      deliveries: [{ ...told, created_at: found.since + 10, delivered_at: found.since + 10.4 }],
    };
  },
};

function atDesk(hub, message) {
  try {
    const answer = DESK[message.type](hub, message);
    return { at: now(), ...(answer ?? { type: "result", ok: true }), ref: message.ref };
  } catch (error) {
    return { type: "result", ref: message.ref, ok: false, error: { code: "invalid", message: error.message } };
  }
}

// --- one run of a hub ----------------------------------------------------------------------------------------------

function boot(items, startedAt, withPast) {
  const epoch = Math.random().toString(16).slice(2, 10);
  const hub = { epoch, id: 0, startedAt, items, events: [], clients: new Set(), quiet: false };
  hub.care = new Map();
  hub.silences = [];
  hub.crowd = crowd(items.length === 0 ? 0 : Number(flags.members));
  hub.cursor = () => `${epoch}-${hub.id}`;
  emit(hub, { kind: "node.started", severity: "info", details: { version: "0.1.0" } });
  // An hour of 5,000 rows would take a minute to make up; the first ones carry nearly all of the load.
  hub.history = (picked) => history(withPast ? startedAt - 3500 : startedAt, picked.slice(0, 40));
  return hub;
}

function history(from, items) {
  const at = [];
  const until = Math.floor(now());
  for (let moment = Math.ceil(Math.max(from, until - 3600)); moment <= until; moment++)
    if (moment % 3600 < 3000 || moment % 3600 > 3060) at.push(moment);
  const all = at.map((moment) =>
    sum(
      items.map((item) => rowAt(moment, item)),
      moment,
    ),
  );
  const column = (pick) => all.map((totals) => (items.length > 0 ? pick(totals) : null));
  const plain = ["active", "connect_rate", "disconnect_rate", "received_rate", "sent_rate", "error_rate", "backlog"];
  const columns = Object.fromEntries(plain.map((key) => [key, column((totals) => totals[key])]));
  for (const of of ["latency", "wait"])
    for (const p of ["p50", "p95", "p99"]) columns[`${of}_${p}`] = column((totals) => totals[of][p]);
  return { step: 1, at, ...columns };
}

function emit(hub, event) {
  hub.id++;
  const whole = { type: "event", cursor: hub.cursor(), at: now(), node: "web-1", tenant: "", consumer: "", ...event };
  whole.connection ??= "";
  whole.count ??= 1;
  whole.details ??= {};
  hub.events.push(whole);
  if (hub.events.length > 300) hub.events.shift();
  for (const client of hub.clients)
    if (client.subscribed && !hub.quiet && (client.tenant === null || client.tenant === whole.tenant || !whole.tenant))
      client.send(whole);
}

const pick = (list) => list[Math.floor(Math.random() * list.length)];

function happen(hub) {
  if (hub.items.length === 0) return;
  const { consumer, tenant, slow } = pick(hub.items);
  const connection = Math.random().toString(16).slice(2, 10);
  const chance = Math.random();
  const about = { consumer, tenant, connection };
  if (chance < 0.42) emit(hub, { ...about, kind: "connection.opened", severity: "info", details: {} });
  else if (chance < 0.8)
    emit(hub, {
      ...about,
      kind: "connection.closed",
      severity: "info",
      details: { code: pick([1000, 1001, 1006]), seconds: Math.random() * 900 },
    });
  else if (chance < 0.86) emit(hub, { consumer, tenant, kind: "connection.closed", severity: "info", count: 9990 });
  else if (chance < 0.93)
    emit(hub, {
      ...about,
      kind: "connection.rejected",
      severity: "warning",
      details: { code: 403, path: "/ws/chat/" },
    });
  else if (slow > 1)
    emit(hub, {
      ...about,
      kind: "handler.error",
      severity: "error",
      details: {
        message: "chat.say",
        error: "KeyError: '…'",
        file: "chat/consumers.py",
        line: 48,
        function: "chat_say",
      },
    });
}

function count(hub) {
  for (const item of hub.items) {
    const { counts } = item;
    const row = rowAt(now(), item);
    counts.received += Math.round(row.received_rate);
    counts.sent += Math.round(row.sent_rate);
    counts.accepted += Math.round(row.connect_rate);
    counts.errors += Math.random() < row.error_rate ? 1 : 0;
  }
}

function nodes(hub) {
  const common = { host: "app-1.internal", version: "0.1.0", seen_at: now(), sampler_seconds: 0.0004 };
  const active = hub.items.reduce((total, item) => total + rowAt(now(), item).active, 0);
  const live = { ...common, node: "web-1", boot: hub.epoch, state: "live", pid: 4211, started_at: hub.startedAt };
  return [{ ...live, active, loop_lag: 0.0011 }];
}

const metrics = (hub) =>
  hub.items.length === 0
    ? []
    : [
        { name: "orders_total", kind: "counter", help: "Orders.", labels: { shop: "berlin" }, value: 1204 + hub.id },
        { name: "orders_total", kind: "counter", help: "Orders.", labels: { shop: "lisbon" }, value: 388 },
        { name: "carts_open", kind: "gauge", help: "Carts that are open now.", labels: {}, value: 61 },
        {
          name: "checkout_seconds",
          kind: "histogram",
          help: "Time to check out.",
          labels: {},
          value: 402.6,
          count: 913,
        },
      ];

function part(hub, topic, tenant) {
  const items = tenant === null ? hub.items : hub.items.filter((item) => item.tenant === tenant);
  const at = now();
  const head = { topic, at, ...(tenant === null ? {} : { tenant }) };
  const rows = items.map((item) => ({ consumer: item.consumer, tenant: item.tenant, ...rowAt(at, item) }));
  const numbers = rows.map(({ consumer, tenant: _, ...row }) => row);
  if (topic === "totals") return { ...head, totals: sum(numbers, at), items };
  if (topic === "consumers") return { ...head, consumers: rows };
  if (topic === "presence") return { ...head, presence: presence(hub, tenant) };
  if (topic === "slow") return { ...head, slow: slow(hub, tenant) };
  if (topic === "dropped") return { ...head, dropped: dropped(hub, tenant) };
  if (topic === "layers") return { ...head, layers: layers(hub) };
  if (topic === "alerts") return { ...head, alerts: alerts(hub, tenant) };
  if (topic === "silences") return { ...head, silences: hub.silences };
  if (topic === "nodes") return { ...head, nodes: nodes(hub) };
  return { ...head, metrics: metrics(hub) };
}

// --- server --------------------------------------------------------------------------------------------------------

let hub = boot(flags.empty ? [] : world(Number(flags.rows)), now() - 11520, true);
let refusal = null;
let down = false;

const TYPES = { css: "text/css", js: "text/javascript", svg: "image/svg+xml" };

const page = () => {
  const manifest = JSON.parse(readFileSync(new URL("manifest.json", DIST), "utf8"));
  const { file, css } = manifest["src/main.tsx"];
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Channels Hub</title><link rel="stylesheet" href="/assets/${css[0]}"><script type="module" src="/assets/${file}"></script>
<body><div id="hub" data-feed="/ws/ops/" data-user="ops" data-login="/login/" data-logout="/logout/" data-csrf="t0ken" data-version="0.1.0"></div>`;
};

const login = (query) => {
  const { file } = JSON.parse(readFileSync(new URL("manifest.json", DIST), "utf8"))["src/login.css"];
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Log in · Channels Hub</title><link rel="stylesheet" href="/assets/${file}"><body class="login"><main class="card">
<h1 class="brand">Channels Hub</h1><p class="hint">Log in to watch your WebSockets live.</p>${query ? '<p class="error" role="alert">Name and password don’t match.</p>' : ""}
<form method="post"><label for="n">Name</label><input id="n" name="username" autocomplete="username">
<label for="p">Password</label><input id="p" name="password" type="password" autocomplete="current-password">
<button type="submit">Log in</button></form><p class="hint">You need the permission hub.view_ops.</p></main>`;
};

const server = createServer((request, response) => {
  try {
    respond(request, response);
  } catch (error) {
    response.writeHead(503).end(`${error.message}\nIs the page built? npm run build\n`);
  }
});

function respond(request, response) {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  response.setHeader("Content-Security-Policy", CSP);
  if (request.method === "POST") return response.end(control(pathname, searchParams));
  if (pathname === "/") return html(response, page());
  if (pathname === "/login/") return html(response, login(searchParams.has("error")));
  if (!/^\/assets\/[\w.-]+$/.test(pathname)) return response.writeHead(404).end();
  response.setHeader("Content-Type", TYPES[pathname.split(".").at(-1)]);
  response.end(readFileSync(new URL(pathname.slice("/assets/".length), DIST)));
}

function html(response, text) {
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  response.end(text);
}

function control(pathname, query) {
  const drop = (code) => {
    for (const client of [...hub.clients]) client.socket.close(code);
  };
  const actions = {
    "/dev/restart": () => {
      drop(1012);
      hub = boot(hub.items, now(), false);
    },
    "/dev/down": () => {
      down = true;
      drop(1012);
    },
    "/dev/up": () => {
      down = false;
      refusal = null;
    },
    "/dev/quiet": () => {
      hub.quiet = true;
    },
    "/dev/refuse": () => {
      refusal = Number(query.get("code"));
      drop(refusal);
    },
  };
  actions[pathname]?.();
  return pathname in actions ? "done\n" : "?\n";
}

const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] });
server.on("upgrade", (request, socket, head) => {
  if (down) return socket.destroy();
  sockets.handleUpgrade(request, socket, head, serve);
});

function serve(socket) {
  if (refusal !== null) return socket.close(refusal);
  const client = { socket, tenant: null, subscribed: false, resume: null };
  client.send = (message) => socket.send(JSON.stringify(message));
  hub.clients.add(client);
  const mine = hub;
  socket.on("close", () => mine.clients.delete(client));
  socket.on("message", (text) => answer(client, JSON.parse(text)));
  client.send({
    type: "hello",
    version: "0.1.0",
    node: "web-1",
    boot: hub.epoch,
    at: now(),
    cursor: hub.cursor(),
    cadence: 1,
    cadences: [1, 5, 15],
    heartbeat_interval: 10,
    permissions: { operator: "ops", view: true, operate: true, tenants: null },
  });
}

function answer(client, message) {
  if (hub.quiet) return;
  if (message.type === "heartbeat")
    return client.send({ type: "heartbeat", at: now(), cursor: hub.cursor(), echo: message.sent_at });
  if (message.type === "list_members") return client.send(members(hub, message));
  if (message.type in DESK) return client.send(atDesk(hub, message));
  if (message.type === "resume") {
    client.resume = message.cursor;
    return client.send({ type: "result", ref: message.ref ?? null, ok: true });
  }
  client.tenant = message.tenants?.[0] ?? null;
  client.subscribed = true;
  client.send({ type: "result", ref: message.ref ?? null, ok: true });
  for (const topic of TOPICS) {
    const { items, ...content } = part(hub, topic, client.tenant);
    const past = topic === "totals" ? { history: hub.history(items) } : {};
    client.send({ type: "snapshot", cursor: hub.cursor(), ...content, ...past });
  }
  sendEvents(client);
}

function sendEvents(client) {
  const since = client.resume;
  client.resume = null;
  const [epoch, id] = since?.split("-") ?? [];
  if (epoch === hub.epoch)
    return hub.events.filter((event) => Number(event.cursor.split("-")[1]) > Number(id)).forEach(client.send);
  if (since !== null) client.send({ type: "gap", reason: "epoch", since, cursor: hub.cursor(), missed: null });
  const seen = hub.events.filter((event) => client.tenant === null || event.tenant === client.tenant);
  client.send({ type: "snapshot", topic: "events", at: now(), cursor: hub.cursor(), events: seen });
}

setInterval(() => {
  count(hub);
  live(hub);
  if (hub.quiet) return;
  for (const client of hub.clients)
    if (client.subscribed)
      for (const topic of TOPICS) {
        const { items, ...content } = part(hub, topic, client.tenant);
        client.send({ type: "delta", ...content });
      }
}, 1000);
for (let index = 0; index < 40; index++) happen(hub);
hub.events.forEach((event, index) => {
  event.at = now() - (hub.events.length - index) * 3;
});
setInterval(() => happen(hub), 900);

server.listen(Number(flags.port), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
