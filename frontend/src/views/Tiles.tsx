import type { Ink } from "../charts/palette";
import { Sparkline } from "../charts/Sparkline";
import { bytes, count, duration, rate } from "../format";
import { type Column, recent } from "../store/series";
import type { Totals } from "../wire/types";
import { usePage } from "./page";

interface Tile {
  readonly id: string;
  readonly label: string;
  readonly column: Column;
  readonly ink: Ink;
  readonly unit?: string;
  readonly value: (totals: Totals) => number | null | undefined;
  readonly format: (value: number | null | undefined) => string;
  readonly foot: (totals: Totals) => string;
  /** Anything above zero deserves a look. */
  readonly alarming?: "warning" | "error";
}

const TILES: readonly Tile[] = [
  {
    id: "connections",
    label: "Connections",
    column: "active",
    ink: "series-1",
    value: (totals) => totals.active,
    format: count,
    foot: (totals) => `${count(totals.accepted)} since start`,
  },
  {
    id: "opened",
    label: "Opened",
    unit: "/s",
    column: "connect_rate",
    ink: "series-1",
    value: (totals) => totals.connect_rate,
    format: rate,
    foot: (totals) => `${rate(totals.disconnect_rate)}/s closed`,
  },
  {
    id: "received",
    label: "Messages in",
    unit: "/s",
    column: "received_rate",
    ink: "series-1",
    value: (totals) => totals.received_rate,
    format: rate,
    foot: (totals) => `${count(totals.received)} · ${bytes(totals.received_bytes)}`,
  },
  {
    id: "sent",
    label: "Messages out",
    unit: "/s",
    column: "sent_rate",
    ink: "series-2",
    value: (totals) => totals.sent_rate,
    format: rate,
    foot: (totals) => `${count(totals.sent)} · ${bytes(totals.sent_bytes)}`,
  },
  {
    id: "errors",
    label: "Errors",
    unit: "/s",
    column: "error_rate",
    ink: "high",
    value: (totals) => totals.error_rate,
    format: rate,
    foot: (totals) => `${count(totals.errors)} since start`,
    alarming: "error",
  },
  {
    id: "latency",
    label: "Latency p95",
    column: "latency_p95",
    ink: "mid",
    value: (totals) => totals.latency.p95,
    format: duration,
    foot: (totals) => `p99 ${duration(totals.latency.p99)}`,
  },
  {
    id: "wait",
    label: "Queue wait p95",
    column: "wait_p95",
    ink: "mid",
    value: (totals) => totals.wait.p95,
    format: duration,
    foot: (totals) => `p99 ${duration(totals.wait.p99)}`,
  },
  {
    id: "backlog",
    label: "Waiting",
    column: "backlog",
    ink: "mid",
    value: (totals) => totals.backlog,
    format: count,
    foot: () => "messages now",
  },
  {
    id: "lost",
    label: "Lost frames",
    column: "lost",
    ink: "high",
    value: (totals) => totals.lost,
    format: count,
    foot: () => "since start",
    alarming: "warning",
  },
];

/** Seconds that a sparkline shows. */
const SPARK = 300;

export function Tiles() {
  return (
    <section class="tiles" aria-label="Totals">
      {TILES.map((tile) => (
        <TileView key={tile.id} tile={tile} />
      ))}
    </section>
  );
}

function TileView({ tile }: { tile: Tile }) {
  const { hub } = usePage();
  const totals = hub.totals.value;
  const value = totals === null ? null : tile.value(totals);
  const until = Math.floor(hub.now.value);
  const spark = recent(hub.series.value, tile.column, SPARK, until);
  const tone = tile.alarming !== undefined && value != null && value > 0 ? `is-${tile.alarming}` : "";
  // "12.3 ms": the number is big, the unit is not.
  const [number, ...unit] = tile.format(value).split(" ");
  return (
    <div class={`card tile ${tone}`} data-testid={`tile-${tile.id}`} data-value={value ?? ""}>
      <h2>{tile.label}</h2>
      <p class="big">
        {totals === null ? <span class="skeleton-text">–</span> : number}
        {totals !== null && <small>{value == null ? "" : [...unit, tile.unit].join("")}</small>}
      </p>
      <p class="foot">{totals === null ? "\u00a0" : tile.foot(totals)}</p>
      <Sparkline at={spark.at} values={spark.values} from={until - SPARK} until={until} ink={tile.ink} />
    </div>
  );
}
