import { signal } from "@preact/signals";
import { beforeEach, expect, test } from "vitest";
import type { FeedState, MemberQuery } from "../../src/feed/feed";
import { heldLines, memberKey, NO_FILTER, nextLines, Roster, tallyOf } from "../../src/store/roster";
import type { MemberRow, Members, PresenceRow } from "../../src/wire/types";
import { memberRow, presenceRow } from "../samples";

let page: ReturnType<typeof surroundings>;
let roster: Roster;
let asked: MemberQuery[];
let now: number;

const surroundings = () => ({
  feed: signal<FeedState>({ kind: "live", rtt: null }),
  tenant: signal<string | null>(null),
  presence: signal<ReadonlyMap<string, PresenceRow> | null>(new Map([["acme", presenceRow("acme", 1)]])),
});
const ref = () => `members-${asked.length}`;
const answer = (members: MemberRow[], changes: Partial<Members> = {}) =>
  roster.receive(ref(), { type: "members", ref: ref(), at: 1000, members, total: members.length, ...changes });
const changed = (tenant: string, version: number) => {
  page.presence.value = new Map(page.presence.value).set(tenant, presenceRow(tenant, version));
};
/** Lets time pass as the page does; returns how often was asked meanwhile. */
const pass = (seconds: number) => {
  const before = asked.length;
  for (let step = 0; step < seconds * 4; step++) {
    now += 0.25;
    roster.look(now);
  }
  return asked.length - before;
};
const shown = () => roster.shown.value?.lines.map((line) => (line.gone ? `-${line.row.member}` : line.row.member));

beforeEach(() => {
  [page, asked, now] = [surroundings(), [], 100];
  roster = new Roster(page, (query) => {
    asked.push(query);
    return ref();
  });
  roster.watch(true);
});

test("asked at once, then every few seconds, and within a second of a change", () => {
  expect(pass(0.25)).toBe(1);
  expect(asked[0]).toEqual({ limit: 50 });
  answer([memberRow("1")]);
  expect(shown()).toEqual(["1"]);
  expect(pass(4.5)).toBe(0);
  expect(pass(0.5)).toBe(1);
  answer([memberRow("1")]);
  changed("acme", 2);
  expect(pass(0.75)).toBe(0);
  expect(pass(0.5)).toBe(1);
});

test("however often the roster changes, it is asked once a second, and never twice at a time", () => {
  pass(0.25);
  answer([]);
  let times = 0;
  for (let second = 0; second < 10; second++) {
    changed("acme", second + 10);
    times += pass(1);
    answer([]);
  }
  expect(times).toBe(10);
  changed("acme", 99);
  expect(pass(1)).toBe(1);
  changed("acme", 100);
  expect(pass(3)).toBe(0);
});

test("never while nobody looks, or nobody answers", () => {
  roster.watch(false);
  expect(pass(20)).toBe(0);
  roster.watch(true);
  page.feed.value = { kind: "stale", since: 1 };
  expect(pass(20)).toBe(0);
  page.feed.value = { kind: "live", rtt: null };
  expect(pass(0.25)).toBe(1);
  roster.lost();
  expect(pass(5)).toBe(1);
});

test("no answer: asked anew after a while", () => {
  pass(0.25);
  expect(pass(10)).toBe(0);
  expect(pass(1)).toBe(1);
});

test("with a tenant chosen only its changes count", () => {
  roster.narrow({ tenant: "acme" });
  pass(0.25);
  expect(asked[0]).toEqual({ limit: 50, tenant: "acme" });
  answer([]);
  changed("globex", 5);
  expect(pass(4)).toBe(0);
  changed("acme", 5);
  expect(pass(1)).toBe(1);
});

test("the page's own tenant comes before the one chosen here", () => {
  roster.narrow({ tenant: "acme" });
  page.tenant.value = "globex";
  pass(0.25);
  expect(asked[0]?.tenant).toBe("globex");
});

test("another filter is asked for at once; an answer to the one before is not shown", () => {
  pass(0.25);
  answer([memberRow("1")]);
  roster.narrow({ search: " an ", states: new Set(["stale", "online"]), group: "lobby" });
  expect(roster.busy.value).toBe(true);
  expect(shown()).toEqual(["1"]);
  expect(pass(0.25)).toBe(1);
  expect(asked[1]).toEqual({ limit: 50, states: ["online", "stale"], group: "lobby", search: "an" });
  roster.narrow({ search: "ann" });
  answer([memberRow("2")]);
  expect(shown()).toEqual(["1"]);
  pass(0.25);
  answer([memberRow("3")]);
  expect(shown()).toEqual(["3"]);
  expect(roster.busy.value).toBe(false);
});

test("pages: forth, back, and back by itself when all on a page have left", () => {
  pass(0.25);
  answer([memberRow("1")], { next: "after 1", total: 3 });
  roster.next();
  roster.next();
  pass(0.25);
  expect(asked[1]?.after).toBe("after 1");
  answer([memberRow("2")], { next: "after 2", total: 3 });
  roster.next();
  pass(0.25);
  expect(asked[2]?.after).toBe("after 2");
  answer([], { total: 2 });
  pass(0.25);
  expect(asked[3]?.after).toBe("after 1");
  roster.previous();
  pass(0.25);
  answer([]);
  expect(roster.places.value).toEqual([]);
  roster.narrow(NO_FILTER);
  expect(roster.places.value).toEqual([]);
});

test("a refusal is told, and another question tries again", () => {
  pass(0.25);
  roster.receive(ref(), { code: "not_allowed", message: "Not yours." });
  expect(roster.problem.value).toBe("Not yours.");
  expect(pass(4)).toBe(0);
  roster.narrow({ tenant: "acme" });
  expect(roster.problem.value).toBeNull();
  expect(pass(0.25)).toBe(1);
});

test("who is open or in focus stays in its place when it leaves", () => {
  pass(0.25);
  answer(["1", "2", "3"].map((id) => memberRow(id)));
  roster.toggle(memberKey(memberRow("2")));
  pass(5);
  answer(["1", "3", "4"].map((id) => memberRow(id)));
  expect(shown()).toEqual(["1", "-2", "3", "4"]);
  roster.toggle(memberKey(memberRow("2")));
  pass(5);
  answer(["1", "3"].map((id) => memberRow(id)));
  expect(shown()).toEqual(["1", "3"]);
});

test("while somebody points at a line, lines neither come nor go, but change", () => {
  const before = nextLines([], [memberRow("1"), memberRow("2")], new Set());
  const held = heldLines(before, [memberRow("0"), memberRow("2", { state: "stale" })]);
  expect(held.map((line) => [line.row.member, line.row.state, line.gone])).toEqual([
    ["1", "online", true],
    ["2", "stale", false],
  ]);
});

test("tallies are sums, and nothing where nothing is known", () => {
  const rows = [presenceRow("a", 1, { stale: 2, connections: 4 }), presenceRow("b", 1)];
  expect(tallyOf(rows)).toEqual({ online: 2, idle: 0, stale: 2, connections: 5 });
  expect(tallyOf([])).toEqual({ online: 0, idle: 0, stale: 0, connections: 0 });
  expect(tallyOf(null)).toBeNull();
});
