import { expect, test } from "vitest";
import { append, EMPTY, recent, replaceHistory, WINDOW } from "../../src/store/series";
import { history, totals } from "../samples";

test("a history becomes a series; what it has no column for is unknown", () => {
  const series = replaceHistory(EMPTY, history([10, 11, 12]));
  expect(series.at).toEqual([10, 11, 12]);
  expect(series.columns.active).toEqual([0, 1, 2]);
  expect(series.columns.lost).toEqual([null, null, null]);
});

test("a hole in a history is a null, not a line", () => {
  const series = replaceHistory(EMPTY, history([10, 11, 20]));
  expect(series.at).toEqual([10, 11, 15.5, 20]);
  expect(series.columns.sent_rate).toEqual([0, 1, null, 2]);
});

test("points are appended, a repeated moment replaces, an earlier one is ignored", () => {
  let series = append(EMPTY, 10, totals({ active: 1 }), 1);
  series = append(series, 11, totals({ active: 2 }), 1);
  series = append(series, 11, totals({ active: 3 }), 1);
  series = append(series, 9, totals({ active: 4 }), 1);
  expect(series.at).toEqual([10, 11]);
  expect(series.columns.active).toEqual([1, 3]);
});

test("a missing delta breaks the line; at a slower cadence it does not", () => {
  const series = append(EMPTY, 10, totals(), 1);
  expect(append(series, 15, totals(), 1).columns.active).toEqual([3, null, 3]);
  expect(append(series, 15, totals(), 5).columns.active).toEqual([3, 3]);
});

test("an unknown quantile stays unknown", () => {
  const series = append(EMPTY, 10, totals({ latency: {}, connect_rate: null }), 1);
  expect(series.columns.latency_p95).toEqual([null]);
  expect(series.columns.connect_rate).toEqual([null]);
});

test("what was known before the new history begins is kept, with a break between", () => {
  const known = replaceHistory(EMPTY, history([10, 11, 12]));
  const series = replaceHistory(known, history([30, 31]));
  expect(series.at).toEqual([10, 11, 12, 21, 30, 31]);
  expect(series.columns.active).toEqual([0, 1, 2, null, 0, 1]);
});

test("where the two overlap, the new history is right", () => {
  const known = replaceHistory(EMPTY, history([10, 11, 12]));
  expect(replaceHistory(known, history([11, 12])).columns.active).toEqual([0, 0, 1]);
});

test("an empty history forgets nothing", () => {
  const known = replaceHistory(EMPTY, history([10, 11]));
  expect(replaceHistory(known, history([])).at).toEqual([10, 11]);
});

test("an hour is kept", () => {
  const long = replaceHistory(EMPTY, history(Array.from({ length: 5000 }, (_, second) => second)));
  expect(long.at[0]).toBe(4999 - WINDOW);
  expect(long.columns.active[0]).toBe(4999 - WINDOW);
  expect(append(long, 5000, totals(), 1).at).toHaveLength(long.at.length);
});

test("a series is never changed in place", () => {
  const series = append(EMPTY, 10, totals(), 1);
  append(series, 11, totals(), 1);
  expect(series.at).toEqual([10]);
  expect(EMPTY.at).toEqual([]);
});

test("recent takes the end of a column", () => {
  const series = replaceHistory(EMPTY, history([10, 11, 12, 13]));
  expect(recent(series, "active", 2, 13)).toEqual({ at: [11, 12, 13], values: [1, 2, 3] });
  expect(recent(series, "active", 2, 99)).toEqual({ at: [], values: [] });
});
