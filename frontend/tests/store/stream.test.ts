import { expect, test } from "vitest";
import * as stream from "../../src/store/stream";
import type { Gap } from "../../src/wire/types";
import { event } from "../samples";

const gap: Gap = { type: "gap", reason: "epoch", since: "boot-2", cursor: "next-0" };
const cursors = (of: stream.Stream) => of.items.map((item) => (item.type === "gap" ? "gap" : item.event.cursor));
const ALL = { severities: new Set(["info", "warning", "error"] as const), kind: "", text: "" };

test("the newest is on top, and nothing comes twice", () => {
  const once = stream.addEvents(stream.EMPTY, [event(1), event(2)]);
  const twice = stream.addEvents(once, [event(2), event(3)]);
  expect(cursors(twice)).toEqual(["boot-3", "boot-2", "boot-1"]);
  expect(twice.seq).toBe(3);
});

test("it keeps no more than its share, and still counts on", () => {
  const many = Array.from({ length: stream.KEPT + 20 }, (_, id) => event(id));
  const full = stream.addEvents(stream.EMPTY, many);
  expect(full.items).toHaveLength(stream.KEPT);
  expect(full.seq).toBe(stream.KEPT + 20);
  expect(cursors(full)[0]).toBe(`boot-${stream.KEPT + 19}`);
});

test("a snapshot replaces what was known", () => {
  const known = stream.addEvents(stream.EMPTY, [event(1), event(2)]);
  const replaced = stream.replaceEvents(known, [event(8), event(9)], 50);
  expect(cursors(replaced)).toEqual(["boot-9", "boot-8"]);
  expect(replaced.seq).toBe(4);
});

test("a snapshot after a gap goes on above it", () => {
  const known = stream.addEvents(stream.EMPTY, [event(1), event(2)]);
  const broken = stream.addGap(known, gap, 1002);
  const whole = stream.replaceEvents(broken, [event(1, { cursor: "next-1" })], 1010);
  expect(cursors(whole)).toEqual(["next-1", "gap", "boot-2", "boot-1"]);
  expect(whole.items[1]).toMatchObject({ from: 1002, to: 1010 });
  expect(cursors(stream.replaceEvents(whole, [], 1020))).toEqual([]);
});

test("filters go by severity, kind and text; a gap always stays", () => {
  let all = stream.addEvents(stream.EMPTY, [
    event(1, { kind: "handler.error", severity: "error", details: { exception: "KeyError" } }),
    event(2, { tenant: "acme", consumer: "shop.Chat" }),
  ]);
  all = stream.addGap(all, gap, null);
  const found = (filter: Partial<stream.StreamFilter>) =>
    cursors({ items: stream.filterStream(all.items, { ...ALL, ...filter }), seq: 0 });
  expect(found({})).toEqual(["gap", "boot-2", "boot-1"]);
  expect(found({ severities: new Set(["error"]) })).toEqual(["gap", "boot-1"]);
  expect(found({ kind: "connection.opened" })).toEqual(["gap", "boot-2"]);
  expect(found({ text: "keyerr" })).toEqual(["gap", "boot-1"]);
  expect(found({ text: "handler error" })).toEqual(["gap", "boot-1"]);
  expect(found({ text: " ACME " })).toEqual(["gap", "boot-2"]);
});

test("the kinds are those seen", () => {
  const all = stream.addEvents(stream.EMPTY, [event(1), event(2), event(3, { kind: "node.started" })]);
  expect(stream.kindsOf(all.items)).toEqual(["connection.opened", "node.started"]);
});

test("kinds of one family can be seen together", () => {
  const all = stream.addEvents(stream.EMPTY, [
    event(1, { kind: "member.joined" }),
    event(2, { kind: "member.left" }),
    event(3, { kind: "node.started" }),
  ]);
  expect(stream.kindsOf(all.items)).toEqual(["member.", "member.joined", "member.left", "node.started"]);
  const members = stream.filterStream(all.items, { ...ALL, kind: "member." });
  expect(cursors({ items: members, seq: 0 })).toEqual(["boot-2", "boot-1"]);
});
