import { expect, test } from "vitest";
import { backoff } from "../../src/feed/backoff";

test("the ceiling doubles from half a second to fifteen", () => {
  const ceilings = [0, 1, 2, 3, 4, 5, 50].map((attempt) => backoff(attempt, () => 1));
  expect(ceilings).toEqual([0.5, 1, 2, 4, 8, 15, 15]);
});

test("any delay below the ceiling may come", () => {
  expect(backoff(3, () => 0)).toBe(0);
  expect(backoff(3, () => 0.25)).toBe(1);
});
