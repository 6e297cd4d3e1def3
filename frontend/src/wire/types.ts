// Generated from schema.json by `npm run types`; do not edit.

export type ChannelsHubOperatorFeed = ServerMessage | ClientMessage;
export type ServerMessage =
  Hello | Snapshot | Delta | Event | Gap | Result | Members | AlertPage | AlertDetail | Preview | ServerHeartbeat;
export type ClientMessage =
  | Subscribe
  | Resume
  | ListMembers
  | Acknowledge
  | Unacknowledge
  | Silence
  | PreviewSilence
  | EndSilence
  | ListAlerts
  | ShowAlert
  | ClientHeartbeat;

/**
 * The first message on every connection.
 */
export interface Hello {
  at: number;
  boot: string;
  cadence: number;
  cadences: number[];
  cursor: string;
  heartbeat_interval: number;
  node: string;
  permissions: Permissions;
  type: "hello";
  version: string;
}
/**
 * What this operator may do. ``tenants`` null: all of them.
 */
export interface Permissions {
  operate: boolean;
  operator: string;
  tenants?: string[] | null;
  view: boolean;
}
/**
 * The whole of one topic, after ``subscribe``, ``resume`` or a ``gap``: forget what you knew of it.
 *
 * ``tenant`` is absent where the numbers span all tenants. Only the field named like the topic is present
 * (``totals`` brings ``history``, ``events`` brings the most recent ones, oldest first). ``alerts`` and ``silences``
 * are null while the hub can't read them.
 */
export interface Snapshot {
  alerts?: ActiveAlerts | null;
  at: number;
  consumers?: ConsumerRow[];
  cursor: string;
  dropped?: Dropped;
  events?: Event[];
  history?: History;
  layers?: LayerRow[];
  metrics?: MetricRow[];
  nodes?: NodeRow[];
  presence?: PresenceRow[];
  silences?: SilenceRow[] | null;
  slow?: SlowRow[];
  tenant?: string;
  topic:
    | "alerts"
    | "consumers"
    | "dropped"
    | "events"
    | "layers"
    | "metrics"
    | "nodes"
    | "presence"
    | "silences"
    | "slow"
    | "totals";
  totals?: Totals;
  type: "snapshot";
}
/**
 * Alerts that are pending or firing: firing ones first, the worst first, then the newest; at most 500.
 *
 * ``firing`` and ``pending`` count all of them. ``evaluated`` false: no process evaluates the rules at the moment, and
 * the list is what it was.
 */
export interface ActiveAlerts {
  evaluated: boolean;
  firing: number;
  pending: number;
  rows: AlertRow[];
}
/**
 * One life of an alert: a rule that is, or was, broken for one set of labels.
 *
 * ``id`` is that of this life, ``key`` the same for every life of the alert. ``tenant`` is empty for one of no tenant
 * in particular. ``value`` is its number now, or when it was resolved; ``worst`` the farthest that it was beyond
 * ``threshold``; ``unit`` says how to write them. ``muted`` says why nobody is told of it at the moment; empty: it is
 * told. ``acknowledged_by`` is empty if nobody has acknowledged it.
 */
export interface AlertRow {
  acknowledged_at: number | null;
  acknowledged_by: string;
  action: string;
  fired_at: number | null;
  id: number;
  key: string;
  labels: {
    [k: string]: string;
  };
  muted: string;
  resolved_at: number | null;
  rule: string;
  runbook: string;
  severity: "critical" | "high" | "low" | "medium";
  since: number;
  state: "firing" | "pending" | "resolved";
  summary: string;
  tenant: string;
  threshold: number;
  unit: string;
  value: number | null;
  worst: number | null;
}
/**
 * The same numbers for one consumer class and one tenant (an empty string: no tenant).
 */
export interface ConsumerRow {
  accepted: number;
  active: number;
  backlog: number;
  closed: number;
  connect_rate: number | null;
  consumer: string;
  disconnect_rate: number | null;
  error_rate: number | null;
  errors: number;
  failed: number;
  latency: Quantiles;
  lost: number;
  received: number;
  received_bytes: number;
  received_rate: number | null;
  rejected: number;
  sent: number;
  sent_bytes: number;
  sent_rate: number | null;
  tenant: string;
  wait: Quantiles;
}
/**
 * Quantiles of a duration over the last ten seconds, in seconds; null where nothing was measured.
 */
export interface Quantiles {
  p50?: number | null;
  p95?: number | null;
  p99?: number | null;
}
/**
 * Everything that was lost: by reason; by reason, consumer and tenant, at most 50; and at most 20 recent ones with
 * their places, the newest first.
 *
 * ``gaps``: how often messages were lost in a number that nobody can know, which no other number here contains. Null:
 * that happened, and nobody can know whether it concerns what is asked for.
 */
export interface Dropped {
  gaps?: number | null;
  reasons?: ReasonRow[];
  recent?: Drop[];
  rows?: DroppedRow[];
}
/**
 * What was lost for one reason.
 *
 * ``messages``: since each node's start; for ``group_lost`` memberships. ``rate``: per second, over the last tick.
 * ``last_at``: when it was last seen to grow; null: not since this node looks.
 */
export interface ReasonRow {
  last_at: number | null;
  messages: number;
  rate: number | null;
  reason:
    | "after_close"
    | "buffer_overflow"
    | "channel_full"
    | "expired"
    | "group_lost"
    | "over_capacity"
    | "teardown"
    | "unconfirmed"
    | "unknown";
}
/**
 * Losses in channel layers that followed each other, from ``since`` to ``at``, as far as they are known.
 *
 * ``messages`` null: nobody can know how many (``reason`` is ``unknown``, ``layer`` says which). ``channel`` and
 * ``connection`` are named where there was but one; ``channels`` and ``connections`` say how many, to 256.
 */
export interface Drop {
  at: number;
  channel?: string;
  channels?: number;
  connection?: string;
  connections?: number;
  consumer: string;
  group?: string;
  layer?: string;
  messages: number | null;
  node: string;
  reason:
    | "after_close"
    | "buffer_overflow"
    | "channel_full"
    | "expired"
    | "group_lost"
    | "over_capacity"
    | "teardown"
    | "unconfirmed"
    | "unknown";
  since: number;
  tenant: string;
}
/**
 * The same for one consumer (``unknown``: nobody can say whose it was) and one tenant.
 */
export interface DroppedRow {
  consumer: string;
  last_at: number | null;
  messages: number;
  rate: number | null;
  reason:
    | "after_close"
    | "buffer_overflow"
    | "channel_full"
    | "expired"
    | "group_lost"
    | "over_capacity"
    | "teardown"
    | "unconfirmed"
    | "unknown";
  tenant: string;
}
/**
 * Something rare that happened. ``count`` > 1: a summary of that many of one kind within a second, after the
 * first ones were sent one by one.
 */
export interface Event {
  at: number;
  connection?: string;
  consumer?: string;
  count?: number;
  cursor: string;
  details?: {
    [k: string]: string | number | boolean | null;
  };
  kind: string;
  node: string;
  severity: "error" | "info" | "warning";
  tenant?: string;
  type: "event";
}
/**
 * The totals of the past, oldest first, one list per column and all of one length, ready for a chart. A null
 * is a moment for which the hub has no number.
 */
export interface History {
  active: (number | null)[];
  at: number[];
  backlog: (number | null)[];
  connect_rate: (number | null)[];
  disconnect_rate: (number | null)[];
  error_rate: (number | null)[];
  latency_p50: (number | null)[];
  latency_p95: (number | null)[];
  latency_p99: (number | null)[];
  received_rate: (number | null)[];
  sent_rate: (number | null)[];
  step: number;
  wait_p50: (number | null)[];
  wait_p95: (number | null)[];
  wait_p99: (number | null)[];
}
/**
 * How full a channel layer is, as one node sees it.
 *
 * ``depth`` (messages that wait for the node) null: the layer can't be looked at now, and is unknown, not empty.
 * ``capacity``, of one queue, and ``fullest``, the fullest queue's share of it, are null also where a layer knows no
 * bound. ``channel`` is empty where the queue belongs to all connections of the node; ``consumer`` and ``tenant`` say
 * whose channel it is, as far as known. ``gaps`` as in ``dropped``.
 */
export interface LayerRow {
  backend: string;
  capacity: number | null;
  channel?: string;
  consumer?: string;
  depth: number | null;
  fullest: number | null;
  gaps?: number;
  layer: string;
  node: string;
  oldest: number | null;
  tenant?: string;
}
/**
 * A business metric of the host, registered through ``hub.metrics``.
 */
export interface MetricRow {
  count?: number | null;
  help: string;
  kind: "counter" | "gauge" | "histogram";
  labels: {
    [k: string]: string;
  };
  name: string;
  value: number;
}
/**
 * One process of the fleet. ``unknown``: it has not been heard of for longer than its lease.
 */
export interface NodeRow {
  active: number;
  boot: string;
  host: string;
  loop_lag: number | null;
  node: string;
  pid: number;
  sampler_seconds: number;
  seen_at: number;
  started_at: number;
  state: "live" | "unknown";
  version: string;
}
/**
 * How many members a tenant has, by state. All zero: the last one has left, and the row is no more.
 *
 * ``version`` grows with every change of the tenant's roster: a list of members that is older is out of date.
 */
export interface PresenceRow {
  connections: number;
  idle: number;
  online: number;
  stale: number;
  tenant: string;
  version: number;
}
/**
 * A silence that is coming or active: nobody is told of alerts that match.
 *
 * ``tenant``: the only one whose alerts it can match; empty: made by somebody who sees all.
 */
export interface SilenceRow {
  by: string;
  ends_at: number;
  id: string;
  matchers: string;
  starts_at: number;
  state: "active" | "coming" | "expired";
  tenant: string;
  why: string;
}
/**
 * An episode of slowness, open (``closed_at`` null) or closed within the last five minutes.
 *
 * ``seconds``: the most that it has taken; more than ``threshold`` is slow. ``lasted``: from ``since`` to its end.
 * ``connection`` is empty where a whole process suffers and nobody is known to be at fault. ``details`` as in its
 * events: ``file``, ``line``, ``function`` and ``waits`` say where, as far as known. ``member`` and ``name``: who is
 * connected, redacted; empty where that is not known, or where ``HUB["SLOW_MEMBERS"]`` doesn't let it be told.
 */
export interface SlowRow {
  cause: "client" | "handler" | "layer" | "loop" | "queue" | "sync_thread";
  closed_at?: number | null;
  connection: string;
  consumer: string;
  details?: {
    [k: string]: string | number | boolean | null;
  };
  lasted?: number | null;
  member?: string;
  name?: string;
  node: string;
  seconds: number;
  since: number;
  tenant: string;
  threshold: number;
}
/**
 * The sum over everything the operator may see. Counters are absolute since each node's start; rates are per
 * second, over the last tick.
 */
export interface Totals {
  accepted: number;
  active: number;
  backlog: number;
  closed: number;
  connect_rate: number | null;
  disconnect_rate: number | null;
  error_rate: number | null;
  errors: number;
  failed: number;
  latency: Quantiles;
  lost: number;
  received: number;
  received_bytes: number;
  received_rate: number | null;
  rejected: number;
  sent: number;
  sent_bytes: number;
  sent_rate: number | null;
  wait: Quantiles;
}
/**
 * Absolute values of what changed in one topic since the last delta of this subscription's cadence; ``slow``,
 * ``dropped``, ``layers``, ``alerts`` and ``silences`` are whole.
 */
export interface Delta {
  alerts?: ActiveAlerts | null;
  at: number;
  consumers?: ConsumerRow[];
  dropped?: Dropped;
  layers?: LayerRow[];
  metrics?: MetricRow[];
  nodes?: NodeRow[];
  presence?: PresenceRow[];
  removed?: RowKey[];
  silences?: SilenceRow[] | null;
  slow?: SlowRow[];
  tenant?: string;
  topic:
    | "alerts"
    | "consumers"
    | "dropped"
    | "events"
    | "layers"
    | "metrics"
    | "nodes"
    | "presence"
    | "silences"
    | "slow"
    | "totals";
  totals?: Totals;
  type: "delta";
}
/**
 * Names a consumer row that is no more.
 */
export interface RowKey {
  consumer: string;
  tenant: string;
}
/**
 * Events between the client's cursor and ``cursor`` can't be replayed; fresh snapshots follow.
 *
 * ``epoch``: the cursor is of another boot; ``expired``: older than what is kept; ``future``: newer than
 * anything sent.
 */
export interface Gap {
  cursor: string;
  missed?: number | null;
  reason: "epoch" | "expired" | "future";
  since: string;
  type: "gap";
}
/**
 * The answer to one client message; ``ref`` is null when the message could not be read far enough.
 */
export interface Result {
  error?: Error | null;
  ok: boolean;
  ref: string | null;
  type: "result";
}
/**
 * Why a request was refused: a stable code, and a sentence that says what was wrong and what to do.
 */
export interface Error {
  code:
    | "invalid"
    | "malformed"
    | "not_allowed"
    | "too_large"
    | "too_many"
    | "unavailable"
    | "unknown_type"
    | "wrong_encoding";
  message: string;
}
/**
 * The answer to ``list_members``: a page of the roster, by tenant and member. ``next``: pass it as ``after`` to go
 * on; null at the end. ``total``: members that match.
 */
export interface Members {
  at: number;
  members: MemberRow[];
  next?: string | null;
  ref: string;
  total: number;
  type: "members";
}
/**
 * One member: somebody of a tenant, with any number of connections.
 *
 * ``heard_by``: the last sign of life, at ``heard_at``, was the connection's own accept or close, a frame, a
 * heartbeat or a confirm of our client library, or nothing but that the server keeps the connection.
 * ``hidden``: every page of the member is hidden; ``rtt`` and ``lag`` (age of the page's queue), in seconds, are
 * known of clients with our library only.
 */
export interface MemberRow {
  connections: number;
  consumers?: string[];
  groups?: string[];
  heard_at: number;
  heard_by: "accept" | "close" | "confirm" | "connection" | "frame" | "heartbeat";
  hidden?: boolean | null;
  joined_at: number;
  lag?: number | null;
  member: string;
  name: string;
  negotiated: number;
  nodes?: string[];
  rtt?: number | null;
  state: "idle" | "online" | "stale";
  tenant: string;
}
/**
 * The answer to ``list_alerts``: alerts as they are and were, newest first. ``next``: pass it as ``before`` to go on;
 * null at the end.
 */
export interface AlertPage {
  alerts: AlertRow[];
  at: number;
  next?: number | null;
  ref: string;
  type: "alerts";
}
/**
 * The answer to ``show_alert``: its number over time, what became of it and who was told, both newest first.
 */
export interface AlertDetail {
  alert: AlertRow;
  at: number;
  changes: AlertChange[];
  curve: Curve;
  deliveries: Delivery[];
  ref: string;
  type: "alert";
}
/**
 * What became of an alert, and by whom (``by`` empty: the hub itself); ``detail`` of ``told``: who, and what.
 */
export interface AlertChange {
  at: number;
  by: string;
  detail: string;
  kind: string;
  value: number | null;
}
/**
 * A number over time, oldest first: columns of one length, ready for a chart.
 */
export interface Curve {
  at: number[];
  values: number[];
}
/**
 * A message to one receiver; ``error`` is that of the last attempt, for operators who see all tenants.
 */
export interface Delivery {
  attempts: number;
  created_at: number;
  delivered_at: number | null;
  error: string;
  kind: string;
  receiver: string;
  state: "dead" | "delivered" | "waiting";
}
/**
 * The answer to ``preview_silence``: active alerts that it would match, at most 100; ``total`` counts them all.
 */
export interface Preview {
  alerts: AlertRow[];
  at: number;
  ref: string;
  total: number;
  type: "preview";
}
/**
 * Sent in answer to a client's heartbeat (``echo`` is its ``sent_at``) and when nothing else was sent for
 * the heartbeat interval. ``cursor``: everything up to it has been sent.
 */
export interface ServerHeartbeat {
  at: number;
  cursor: string;
  echo?: number | null;
  type: "heartbeat";
}
/**
 * Replaces the subscription. Null lists mean "all that I may see"; tenants one may not see are an error.
 * Snapshots of the topics follow the result; then deltas at the cadence, and events as they happen.
 */
export interface Subscribe {
  cadence?: 1 | 5 | 15;
  consumers?: string[] | null;
  ref?: string | null;
  severities?: ("error" | "info" | "warning")[] | null;
  tenants?: string[] | null;
  topics?:
    | (
        | "alerts"
        | "consumers"
        | "dropped"
        | "events"
        | "layers"
        | "metrics"
        | "nodes"
        | "presence"
        | "silences"
        | "slow"
        | "totals"
      )[]
    | null;
  type: "subscribe";
}
/**
 * Replay the events after ``cursor``, or send a ``gap`` if that can't be done. Sent before ``subscribe`` it waits
 * for the subscription and takes the place of its snapshot of events.
 */
export interface Resume {
  cursor: string;
  ref?: string | null;
  type: "resume";
}
/**
 * Asks for a page of the roster; answered with ``members``. ``search`` looks into ids and names, whatever the case;
 * ``after`` is the ``next`` of the page before.
 */
export interface ListMembers {
  after?: string | null;
  group?: string | null;
  limit?: number;
  /**
   * Chosen by the client; comes back in the result.
   */
  ref: string;
  search?: string | null;
  states?: ("idle" | "online" | "stale")[] | null;
  tenant?: string | null;
  type: "list_members";
}
/**
 * Somebody takes care of an alert that fires: it is not repeated, nor escalated, while it lasts.
 */
export interface Acknowledge {
  key: string;
  /**
   * Chosen by the client; comes back in the result.
   */
  ref: string;
  type: "acknowledge";
}
/**
 * Nobody takes care of an alert any more.
 */
export interface Unacknowledge {
  key: string;
  /**
   * Chosen by the client; comes back in the result.
   */
  ref: string;
  type: "unacknowledge";
}
/**
 * Nobody is told of alerts that match, for ``seconds``, or until ``ends_at``: one of the two. ``starts_at`` null: from
 * now on. Who is bound to tenants must name one of them in the matchers, as in ``tenant=acme``.
 */
export interface Silence {
  ends_at?: number | null;
  /**
   * As in rule=handler_errors, tenant=acme.
   */
  matchers: string;
  /**
   * Chosen by the client; comes back in the result.
   */
  ref: string;
  seconds?: number | null;
  starts_at?: number | null;
  type: "silence";
  why: string;
}
/**
 * Asks which active alerts a silence would match; answered with ``preview``.
 */
export interface PreviewSilence {
  /**
   * As in rule=handler_errors, tenant=acme.
   */
  matchers: string;
  /**
   * Chosen by the client; comes back in the result.
   */
  ref: string;
  type: "preview_silence";
}
/**
 * Ends a silence before its time.
 */
export interface EndSilence {
  id: string;
  /**
   * Chosen by the client; comes back in the result.
   */
  ref: string;
  type: "end_silence";
}
/**
 * Asks for a page of the history; answered with ``alerts``. ``before`` is the ``next`` of the page before.
 */
export interface ListAlerts {
  before?: number | null;
  limit?: number;
  /**
   * Chosen by the client; comes back in the result.
   */
  ref: string;
  state?: ("firing" | "pending" | "resolved") | null;
  type: "list_alerts";
}
/**
 * Asks for all that is kept of one alert; answered with ``alert``.
 */
export interface ShowAlert {
  id: number;
  /**
   * Chosen by the client; comes back in the result.
   */
  ref: string;
  type: "show_alert";
}
/**
 * A sign of life; answered at once with a heartbeat that echoes ``sent_at``.
 */
export interface ClientHeartbeat {
  ref?: string | null;
  sent_at: number;
  type: "heartbeat";
}
