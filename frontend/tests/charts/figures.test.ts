import { expect, test } from "vitest";
import { figurePaths } from "../../src/charts/FigureChart";

test("line and threshold share a scale that begins at zero", () => {
  const { line, limit, highest } = figurePaths({ at: [0, 10, 20], values: [0, 5, 10] }, 5);
  expect(line).toBe("M0.0 69.0L200.0 36.0L400.0 3.0");
  expect(limit).toBe("M0 36.0H400");
  expect(highest).toBe(10);
});

test("a threshold beyond all values is seen, below zero too", () => {
  expect(figurePaths({ at: [0, 1], values: [1, 1] }, 10).limit).toBe("M0 3.0H400");
  expect(figurePaths({ at: [0, 1], values: [1, 1] }, -1).limit).toBe("M0 69.0H400");
});

test("equal times and values make no nonsense", () => {
  expect(figurePaths({ at: [5, 5], values: [0, 0] }, 0).line).not.toMatch(/NaN|Infinity/);
});
