import { expect, test } from "vitest";
import { DEFAULT_SORT, filterRows, holdOrder, sortRows, toggleSort } from "../../src/store/consumers";
import { rowKey } from "../../src/store/state";
import { consumerRow } from "../samples";

const p95 = (value: number | null) => ({ latency: { p50: null, p95: value, p99: null } });
const SLOW = consumerRow("shop.Chat", "acme", p95(0.9));
const FAST = consumerRow("shop.Ticker", "globex", p95(0.1));
const IDLE = consumerRow("api.Legacy", "", p95(null));
const ROWS = [IDLE, FAST, SLOW];

test("the worst comes first, the unknown last whichever way", () => {
  expect(sortRows(ROWS, DEFAULT_SORT)).toEqual([SLOW, FAST, IDLE]);
  expect(sortRows(ROWS, { key: "latency_p95", descending: false })).toEqual([FAST, SLOW, IDLE]);
});

test("names sort by their last part", () => {
  expect(sortRows(ROWS, { key: "consumer", descending: false })).toEqual([SLOW, IDLE, FAST]);
});

test("equals go by traffic, then by name, so that the order is always the same", () => {
  const busy = consumerRow("z.Busy", "a", { received_rate: 99, errors: 1 });
  const a = consumerRow("a.A", "a", { errors: 1 });
  const b = consumerRow("b.B", "a", { errors: 1 });
  expect(sortRows([b, a, busy], { key: "errors", descending: true })).toEqual([busy, a, b]);
  expect(sortRows([busy, a, b], { key: "errors", descending: false })).toEqual([busy, a, b]);
});

test("the same column turns the order, a new one begins with the worst, a name with A", () => {
  expect(toggleSort(DEFAULT_SORT, "latency_p95")).toEqual({ key: "latency_p95", descending: false });
  expect(toggleSort(DEFAULT_SORT, "errors")).toEqual({ key: "errors", descending: true });
  expect(toggleSort(DEFAULT_SORT, "tenant")).toEqual({ key: "tenant", descending: false });
});

test("every word of the filter must occur", () => {
  expect(filterRows(ROWS, "")).toEqual(ROWS);
  expect(filterRows(ROWS, "SHOP acme")).toEqual([SLOW]);
  expect(filterRows(ROWS, "no tenant")).toEqual([IDLE]);
  expect(filterRows(ROWS, "nobody")).toEqual([]);
});

test("a held order stays, new rows go to the end", () => {
  expect(holdOrder([SLOW, FAST, IDLE], [rowKey(FAST), rowKey(SLOW)])).toEqual([FAST, SLOW, IDLE]);
});
