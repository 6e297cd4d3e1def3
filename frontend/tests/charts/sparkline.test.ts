import { expect, test } from "vitest";
import { sparkPath } from "../../src/charts/Sparkline";

test("an unknown value breaks the line", () => {
  expect(sparkPath([0, 1, 2, 3], [1, null, 2, 2], 0, 4)).toBe("M0.0 14.0M50.0 2.0L75.0 2.0");
});

test("all zero lies on the ground, nothing draws nothing", () => {
  expect(sparkPath([0, 4], [0, 0], 0, 4)).toBe("M0.0 26.0L100.0 26.0");
  expect(sparkPath([], [], 0, 4)).toBe("");
});
