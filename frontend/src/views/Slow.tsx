/** What is slow: who, where, why and since when in one look; the worst first. */
import { bytes, clock, count, duration } from "../format";
import type { SlowRow } from "../wire/types";
import { usePage } from "./page";
import { Age, ConsumerName, Icon, TenantName } from "./parts";

/** So many times the threshold is no longer just slow. */
const SEVERE = 10;

const WHY: Record<SlowRow["cause"], string> = {
  handler: "its handler takes long",
  client: "its client does not keep up",
  queue: "its messages wait for their turn",
  layer: "its messages wait in the channel layer",
  loop: "it blocked the event loop: everybody on this node stood still",
  sync_thread: "it holds the shared sync thread: all synchronous code on this node waits",
};

/** A layer's queue of a whole process belongs to no connection. */
const ofProcess = (row: SlowRow) =>
  row.cause === "loop" || row.cause === "sync_thread" || (row.cause === "layer" && row.connection === "");

const why = (row: SlowRow) =>
  row.cause === "layer" && ofProcess(row) ? "messages for this node wait in the channel layer" : WHY[row.cause];

type Severity = "severe" | "slow" | "recovered";
const SIGNS = { severe: "error", slow: "warning", recovered: "info" } as const;

export function severityOf(row: SlowRow): Severity {
  if (row.closed_at != null) return "recovered";
  return ofProcess(row) || row.seconds >= SEVERE * row.threshold ? "severe" : "slow";
}

export function Slow() {
  const { hub } = usePage();
  const rows = hub.slow.value;
  if (rows === null) return null;
  const open = rows.filter((row) => row.closed_at == null).length;
  return (
    <section class="slow" aria-labelledby="slow-title" data-testid="slow" data-open={open}>
      <div class="section-head">
        <h2 id="slow-title">Slow</h2>
        <HeadText open={open} />
      </div>
      <div class="card">
        {rows.length === 0 ? (
          <Well />
        ) : (
          <ul class="slow-list">
            {rows.map((row) => (
              <Episode key={`${row.node}/${row.cause}/${row.connection}/${row.since}`} row={row} />
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}

function HeadText({ open }: { open: number }) {
  const { hub } = usePage();
  const at = hub.at.value;
  if (hub.frozen.value && at !== null) return <span class="hint">unknown now; as of {clock(at)}</span>;
  return (
    <span class="hint" role="status">
      {open === 0 ? "nothing at the moment" : `${count(open)} at the moment`}
    </span>
  );
}

function Well() {
  return (
    <p class="slow-well muted" data-testid="slow-well">
      <Icon name="info" />
      <span>
        Handlers, their messages, channel layers, clients as far as they show it, the event loop and the shared sync
        thread are within their thresholds. What takes longer is listed here while it lasts, and five minutes beyond.
      </span>
    </p>
  );
}

function Episode({ row }: { row: SlowRow }) {
  const severity = severityOf(row);
  return (
    <li class={`is-${severity}`} data-testid="slow-row" data-cause={row.cause} data-severity={severity}>
      <span class="slow-severity">
        <Icon name={SIGNS[severity]} />
        {severity}
      </span>
      <div>
        <ConsumerName consumer={row.consumer} />
        <p class="muted">
          <TenantName tenant={row.tenant} />
          {row.connection !== "" && ` · connection ${row.connection}`}
        </p>
        {row.member !== undefined && row.member !== "" && <Member row={row} />}
      </div>
      <div class="slow-what">
        <p>{why(row)}</p>
        {row.cause === "client" && <Behind row={row} />}
        {row.cause === "layer" && <Waiting row={row} />}
        <Where row={row} />
      </div>
      <p class="slow-time">
        {duration(row.seconds)}
        <small>{row.closed_at == null ? "so far" : "at its worst"}</small>
      </p>
      <p class="slow-time">
        {row.closed_at == null ? <Age at={row.since} /> : duration(row.lasted)}
        <small>{row.closed_at == null ? `since ${clock(row.since)}` : "in all"}</small>
      </p>
    </li>
  );
}

/** Who is connected, where the host lets it be told. */
function Member({ row }: { row: SlowRow }) {
  return (
    <p class="muted" data-testid="slow-member">
      {row.name === undefined || row.name === "" ? row.member : `${row.name} (${row.member})`}
    </p>
  );
}

function Where({ row }: { row: SlowRow }) {
  const { file, line, function: name, waits } = row.details ?? {};
  if (file == null) return waits == null ? null : <p class="muted">{String(waits)}</p>;
  return (
    <p class="slow-where" title={waits == null ? undefined : String(waits)}>
      {String(file)}:{String(line)} <b>{String(name)}</b> <span class="muted">on {row.node}</span>
    </p>
  );
}

/** How much a client has not got, as far as anybody knows; what nobody knows stands in the title. */
function Behind({ row }: { row: SlowRow }) {
  const { frames_behind: frames, unsent_bytes: unsent, kernel_bytes: kernel, unknown } = row.details ?? {};
  const waiting = Number(unsent ?? 0) + Number(kernel ?? 0);
  const parts = [
    frames == null ? "" : `${count(Number(frames))} frames behind`,
    waiting > 0 ? `${bytes(waiting)} wait for it` : "",
  ].filter((part) => part !== "");
  if (parts.length === 0) return null;
  return (
    <p class="muted" title={unknown == null ? undefined : `Unknown: ${String(unknown)}`}>
      {parts.join(", ")}
    </p>
  );
}

/** What waits in a channel layer, and where; what nobody knows stands in the title. */
function Waiting({ row }: { row: SlowRow }) {
  const { layer, waiting, groups, unknown } = row.details ?? {};
  if (layer == null) return null;
  const parts = [
    waiting == null ? "" : `${count(Number(waiting))} wait`,
    `layer ${String(layer)}`,
    groups == null ? "" : `groups ${String(groups)}`,
    row.connection === "" ? `on ${row.node}` : "",
  ].filter((part) => part !== "");
  return (
    <p class="muted" title={unknown == null ? undefined : `Unknown: ${String(unknown)}`}>
      {parts.join(" · ")}
    </p>
  );
}
