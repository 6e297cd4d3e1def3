import { expect, test } from "vitest";
import { lossesOf, phaseOf } from "../../src/store/losses";
import { drop, droppedRow } from "../samples";

test("a loss goes on, then is recent, then was earlier; what was never seen to grow is earlier", () => {
  expect(phaseOf(1000, 1000)).toBe("dropping");
  expect(phaseOf(1000, 1010)).toBe("dropping");
  expect(phaseOf(1000, 1011)).toBe("dropped");
  expect(phaseOf(1000, 1300)).toBe("dropped");
  expect(phaseOf(1000, 1301)).toBe("earlier");
  expect(phaseOf(null, 1000)).toBe("earlier");
});

test("places stand with the losses that they are of", () => {
  const { recent, earlier } = lossesOf(
    {
      rows: [droppedRow(), droppedRow({ tenant: "globex", last_at: null })],
      recent: [drop({ group: "one" }), drop({ tenant: "globex", group: "two" }), drop({ reason: "expired" })],
    },
    1000,
  );
  expect(recent.map((loss) => loss.places.map((place) => place.group))).toEqual([["one"]]);
  expect(earlier.map((loss) => loss.places.map((place) => place.group))).toEqual([["two"]]);
});

test("the total is that of all reasons, however few rows came; gaps are in no number", () => {
  const { total, gaps, recent } = lossesOf(
    {
      reasons: [
        { reason: "expired", messages: 3, rate: 0, last_at: null },
        { reason: "teardown", messages: 4, rate: 0, last_at: null },
      ],
      recent: [drop({ reason: "unknown", consumer: "unknown", messages: null, layer: "default" })],
      gaps: 1,
    },
    1000,
  );
  expect(total).toBe(7);
  expect(gaps.map((gap) => gap.layer)).toEqual(["default"]);
  expect(recent).toEqual([]);
});
