/**
 * The totals of the last hour, one list per column, ready for a chart. Where the hub has no number there is a
 * null, also where messages are missing: a line drawn over a hole would be a guess.
 */
import type { History, Totals } from "../wire/types";

const COLUMNS = [
  "active",
  "connect_rate",
  "disconnect_rate",
  "received_rate",
  "sent_rate",
  "error_rate",
  "backlog",
  "latency_p50",
  "latency_p95",
  "latency_p99",
  "wait_p50",
  "wait_p95",
  "wait_p99",
  "lost",
] as const;

export type Column = (typeof COLUMNS)[number];
type Value = number | null;
type Point = Record<Column, Value>;

export interface Series {
  /** Seconds between two points. */
  readonly step: number;
  readonly at: readonly number[];
  readonly columns: Readonly<Record<Column, readonly Value[]>>;
}

export const WINDOW = 3600;
/** Steps without a point that make a hole. */
const HOLE = 2.5;

const NOTHING = Object.fromEntries(COLUMNS.map((column) => [column, null])) as Point;

export const EMPTY: Series = { step: 1, at: [], columns: columnsOf(() => []) };

function columnsOf<T>(make: (column: Column) => T): Record<Column, T> {
  return Object.fromEntries(COLUMNS.map((column) => [column, make(column)])) as Record<Column, T>;
}

/** A series that is still being put together; `finish` hands it out. */
class Builder {
  private readonly at: number[];
  private readonly columns: Record<Column, Value[]>;

  constructor(
    private readonly step: number,
    from: Series = EMPTY,
  ) {
    this.at = from.at.slice();
    this.columns = columnsOf((column) => from.columns[column].slice());
  }

  add(at: number, point: Point, hole = this.step * HOLE): this {
    const last = this.at.at(-1);
    if (last !== undefined) {
      if (at < last) return this;
      if (at === last) this.drop();
      else if (at - last > hole) this.put((last + at) / 2, NOTHING);
    }
    return this.put(at, point);
  }

  finish(): Series {
    const oldest = (this.at.at(-1) ?? 0) - WINDOW;
    const keep = this.at.findIndex((at) => at >= oldest);
    if (keep <= 0) return { step: this.step, at: this.at, columns: this.columns };
    return {
      step: this.step,
      at: this.at.slice(keep),
      columns: columnsOf((column) => this.columns[column].slice(keep)),
    };
  }

  private put(at: number, point: Point): this {
    this.at.push(at);
    for (const column of COLUMNS) this.columns[column].push(point[column]);
    return this;
  }

  private drop(): void {
    this.at.pop();
    for (const column of COLUMNS) this.columns[column].pop();
  }
}

function pointOf(totals: Totals): Point {
  const { latency, wait } = totals;
  return {
    active: totals.active,
    connect_rate: totals.connect_rate,
    disconnect_rate: totals.disconnect_rate,
    received_rate: totals.received_rate,
    sent_rate: totals.sent_rate,
    error_rate: totals.error_rate,
    backlog: totals.backlog,
    latency_p50: latency.p50 ?? null,
    latency_p95: latency.p95 ?? null,
    latency_p99: latency.p99 ?? null,
    wait_p50: wait.p50 ?? null,
    wait_p95: wait.p95 ?? null,
    wait_p99: wait.p99 ?? null,
    lost: totals.lost,
  };
}

/**
 * The history of a snapshot. What `known` has from before its beginning is kept: those numbers were true, and a
 * hub that restarted no longer has them.
 */
export function replaceHistory(known: Series, history: History): Series {
  const begin = history.at[0];
  const builder = new Builder(history.step);
  known.at.forEach((at, index) => {
    if (begin === undefined || at < begin) builder.add(at, pointAt(known, index), known.step * HOLE);
  });
  const hole = Math.max(history.step, known.step) * HOLE;
  history.at.forEach((at, index) => {
    builder.add(at, { ...NOTHING, ...historyPoint(history, index) }, hole);
  });
  return builder.finish();
}

function pointAt(series: Series, index: number): Point {
  return columnsOf((column) => series.columns[column][index] ?? null);
}

function historyPoint(history: History, index: number): Partial<Point> {
  const known = COLUMNS.filter((column) => column !== "lost");
  return Object.fromEntries(known.map((column) => [column, history[column][index] ?? null]));
}

/** One more point; a second one of the same moment takes the place of the first. */
export function append(series: Series, at: number, totals: Totals, cadence: number): Series {
  return new Builder(series.step, series).add(at, pointOf(totals), Math.max(series.step, cadence) * HOLE).finish();
}

/** The newest values of one column, over so many seconds before `until`. */
export function recent(
  series: Series,
  column: Column,
  seconds: number,
  until: number,
): { at: number[]; values: Value[] } {
  const begin = series.at.findIndex((at) => at >= until - seconds);
  if (begin < 0) return { at: [], values: [] };
  return { at: series.at.slice(begin), values: series.columns[column].slice(begin) };
}
