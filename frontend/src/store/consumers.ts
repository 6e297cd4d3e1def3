/** Filter and order of the consumers table. */
import type { ConsumerRow } from "../wire/types";
import { rowKey } from "./state";

type Value = string | number | null;

/** What a row can be sorted by, in the order of the columns. */
export const SORTS = {
  consumer: (row: ConsumerRow): Value => row.consumer.slice(row.consumer.lastIndexOf(".") + 1).toLowerCase(),
  tenant: (row: ConsumerRow): Value => row.tenant.toLowerCase(),
  active: (row: ConsumerRow): Value => row.active,
  connect_rate: (row: ConsumerRow): Value => row.connect_rate,
  received_rate: (row: ConsumerRow): Value => row.received_rate,
  sent_rate: (row: ConsumerRow): Value => row.sent_rate,
  latency_p50: (row: ConsumerRow): Value => row.latency.p50 ?? null,
  latency_p95: (row: ConsumerRow): Value => row.latency.p95 ?? null,
  latency_p99: (row: ConsumerRow): Value => row.latency.p99 ?? null,
  wait_p95: (row: ConsumerRow): Value => row.wait.p95 ?? null,
  backlog: (row: ConsumerRow): Value => row.backlog,
  errors: (row: ConsumerRow): Value => row.errors,
  lost: (row: ConsumerRow): Value => row.lost,
} as const;

export type SortKey = keyof typeof SORTS;

export interface Sort {
  readonly key: SortKey;
  readonly descending: boolean;
}

/** Worst first. */
export const DEFAULT_SORT: Sort = { key: "latency_p95", descending: true };

/** The same column again turns the order; a new one begins with the worst, or with A. */
export function toggleSort(sort: Sort, key: SortKey): Sort {
  if (sort.key === key) return { key, descending: !sort.descending };
  return { key, descending: key !== "consumer" && key !== "tenant" };
}

/** Unknown values come last, whichever way the order goes; equals go by traffic, then by name. */
export function sortRows(rows: readonly ConsumerRow[], sort: Sort): ConsumerRow[] {
  const value = SORTS[sort.key];
  const turn = sort.descending ? -1 : 1;
  return rows.toSorted((a, b) => {
    const [left, right] = [value(a), value(b)];
    if (left === null || right === null) return Number(left === null) - Number(right === null) || byTraffic(a, b);
    return turn * compare(left, right) || byTraffic(a, b);
  });
}

function byTraffic(a: ConsumerRow, b: ConsumerRow): number {
  return (b.received_rate ?? 0) - (a.received_rate ?? 0) || compare(rowKey(a), rowKey(b));
}

function compare(left: string | number, right: string | number): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Every word must occur in the consumer's or the tenant's name. */
export function filterRows(rows: readonly ConsumerRow[], text: string): ConsumerRow[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return rows.slice();
  return rows.filter((row) => {
    const name = `${row.consumer} ${row.tenant || "no tenant"}`.toLowerCase();
    return words.every((word) => name.includes(word));
  });
}

/** `rows` in an earlier order; those that were not there yet go to the end. */
export function holdOrder(rows: readonly ConsumerRow[], keys: readonly string[]): ConsumerRow[] {
  const place = new Map(keys.map((key, index) => [key, index]));
  return rows.toSorted((a, b) => (place.get(rowKey(a)) ?? Infinity) - (place.get(rowKey(b)) ?? Infinity) || 0);
}
