import { type Signal, signal } from "@preact/signals";
import { beforeEach, expect, test } from "vitest";
import type { AlertRequest, FeedState } from "../../src/feed/feed";
import { AlertDesk, alertInHash, hashOf, matchersOf, whyMuted } from "../../src/store/alerts";
import type { ActiveAlerts, AlertDetail, AlertRow, SilenceRow } from "../../src/wire/types";
import { alertRow, silenceRow } from "../samples";

const REFUSED = { code: "not_allowed" as const, message: "You may watch, and not act." };

let feed: Signal<FeedState>;
let alerts: Signal<ActiveAlerts | null | undefined>;
let desk: AlertDesk;
let asked: AlertRequest[];
let answers: ((answer: unknown) => void)[];

const list = (...rows: AlertRow[]): ActiveAlerts => ({ rows, firing: rows.length, pending: 0, evaluated: true });
const detailOf = (alert: AlertRow): AlertDetail => ({
  type: "alert",
  ref: "1",
  at: 1000,
  alert,
  curve: { at: [], values: [] },
  changes: [],
  deliveries: [],
});

/** Answers the oldest request that waits. */
async function answer(given: unknown): Promise<void> {
  answers.shift()?.(given);
  await Promise.resolve();
  await Promise.resolve();
}

beforeEach(() => {
  feed = signal<FeedState>({ kind: "live", rtt: null });
  alerts = signal<ActiveAlerts | null | undefined>(list(alertRow(1), alertRow(2)));
  [asked, answers] = [[], []];
  const ask = (request: AlertRequest) => {
    asked.push(request);
    return new Promise((resolve) => answers.push(resolve));
  };
  desk = new AlertDesk({ feed, alerts, silences: signal<SilenceRow[]>([]) }, ask as never);
});

test("an open alert is asked for once, and again when the list has changed", async () => {
  desk.look(1);
  expect(asked).toEqual([]);
  desk.open(1);
  expect(desk.row.value?.id).toBe(1);
  desk.look(1);
  desk.look(2);
  expect(asked).toEqual([{ type: "show_alert", id: 1 }]);
  await answer(detailOf(alertRow(1)));
  expect(desk.detail.value?.alert.id).toBe(1);
  desk.look(3);
  expect(asked.length).toBe(1);
  alerts.value = list(alertRow(1, { value: 20 }));
  expect(desk.row.value?.value).toBe(20);
  desk.look(4);
  expect(asked.length).toBe(2);
});

test("an open alert is asked for again after a while: whom it was told does not change the list", async () => {
  desk.open(1);
  desk.look(1);
  await answer(detailOf(alertRow(1)));
  desk.look(5.9);
  expect(asked.length).toBe(1);
  desk.look(6);
  desk.look(12);
  expect(asked.length).toBe(2);
});

test("an alert that is over is known by its details", async () => {
  desk.open(9);
  desk.look(1);
  expect(desk.row.value).toBeNull();
  await answer(detailOf(alertRow(9, { state: "resolved" })));
  expect(desk.row.value?.state).toBe("resolved");
});

test("while the feed is not live nothing is asked, and then it is", () => {
  feed.value = { kind: "connecting" };
  desk.open(1);
  desk.look(1);
  expect(asked).toEqual([]);
  feed.value = { kind: "live", rtt: null };
  desk.look(2);
  expect(asked.length).toBe(1);
});

test("an answer to an alert that was closed meanwhile is nobody's", async () => {
  desk.open(1);
  desk.look(1);
  desk.close();
  desk.open(2);
  await answer(detailOf(alertRow(1)));
  expect(desk.detail.value).toBeNull();
  expect(desk.row.value?.id).toBe(2);
});

test("an alert that can't be shown says why", async () => {
  desk.open(77);
  desk.look(1);
  await answer({ code: "invalid", message: "There is no alert 77." });
  expect(desk.problem.value).toBe("There is no alert 77.");
  desk.close();
  expect(desk.problem.value).toBeNull();
});

test("acknowledging is asked once, told, and looked at again", async () => {
  desk.open(1);
  desk.look(1);
  await answer(detailOf(alertRow(1)));
  const done = desk.acknowledge(alertRow(1));
  void desk.acknowledge(alertRow(1));
  expect(asked.slice(1)).toEqual([{ type: "acknowledge", key: "key-1" }]);
  expect(desk.acting.value).toBe(true);
  await answer({ type: "result", ref: "1", ok: true });
  expect(await done).toBe(true);
  expect(desk.said.value).toEqual({ ok: true, text: "You have acknowledged: 12 exceptions at Orders (1)" });
  desk.look(2);
  expect(asked.at(-1)).toEqual({ type: "show_alert", id: 1 });
});

test("what somebody has acknowledged is taken back", () => {
  void desk.acknowledge(alertRow(1, { acknowledged_by: "bob" }));
  expect(asked).toEqual([{ type: "unacknowledge", key: "key-1" }]);
});

test.each([
  ["acknowledge", () => desk.acknowledge(alertRow(1))],
  ["end a silence", () => desk.endSilence(silenceRow("5"))],
])("a refusal to %s says why, and one may try again", async (_, act) => {
  const done = act();
  await answer(REFUSED);
  expect(await done).toBe(false);
  expect(desk.said.value).toEqual({ ok: false, text: REFUSED.message });
  void act();
  expect(asked.length).toBe(2);
});

// --- a silence ------------------------------------------------------------------------------------------------------

test("what a silence would match is asked when nobody has typed for a while, and again when alerts have changed", async () => {
  desk.startSilence("tenant=acme");
  desk.look(10);
  expect(asked).toEqual([{ type: "preview_silence", matchers: "tenant=acme" }]);
  await answer({ type: "preview", ref: "1", at: 1, alerts: [alertRow(1)], total: 3 });
  expect(desk.previewed.value).toMatchObject({ total: 3, problem: null });
  desk.look(11);
  expect(asked.length).toBe(1);

  desk.write({ matchers: "tenant=glob" }, 12);
  desk.look(12.1);
  expect(asked.length).toBe(1);
  desk.write({ matchers: "tenant=globex " }, 12.2);
  desk.look(12.5);
  expect(asked.slice(1)).toEqual([{ type: "preview_silence", matchers: "tenant=globex" }]);
  await answer({ type: "preview", ref: "2", at: 1, alerts: [], total: 0 });
  alerts.value = list();
  desk.look(13);
  expect(asked.length).toBe(3);
});

test("an answer that comes after more was typed is no preview of that", async () => {
  desk.startSilence("a=b");
  desk.look(10);
  desk.write({ matchers: "a=c" }, 10);
  await answer({ type: "preview", ref: "1", at: 1, alerts: [], total: 9 });
  expect(desk.previewed.value).toBeNull();
  desk.look(11);
  expect(asked.at(-1)).toEqual({ type: "preview_silence", matchers: "a=c" });
});

test("matchers that can't be read, and none at all, are told", async () => {
  desk.startSilence("acme");
  desk.look(10);
  await answer({ code: "invalid", message: "'acme' is no matcher" });
  expect(desk.previewed.value).toMatchObject({ problem: "'acme' is no matcher", total: 0 });
  desk.write({ matchers: "  " }, 11);
  desk.look(12);
  expect(asked.length).toBe(1);
  expect(desk.previewed.value).toMatchObject({ matchers: "", problem: null });
});

test("a silence is made once, and its dialog is over when the hub has it", async () => {
  desk.startSilence("tenant=acme");
  desk.write({ why: "we know", seconds: 1800 }, 0);
  const made = desk.silence();
  void desk.silence();
  expect(asked).toEqual([{ type: "silence", matchers: "tenant=acme", seconds: 1800, why: "we know" }]);
  await answer({ type: "result", ref: "1", ok: true });
  await made;
  expect(desk.draft.value).toBeNull();
  expect(desk.said.value).toEqual({ ok: true, text: "Silenced: tenant=acme" });
  // The dialog's own closing takes nothing away.
  desk.dropSilence();
  expect(desk.said.value?.ok).toBe(true);
});

test("a refused silence stays as it was written", async () => {
  desk.startSilence("rule=x");
  const made = desk.silence();
  await answer(REFUSED);
  await made;
  expect(desk.draft.value?.matchers).toBe("rule=x");
  expect(desk.said.value).toEqual({ ok: false, text: REFUSED.message });
  desk.dropSilence();
  expect([desk.draft.value, desk.said.value]).toEqual([null, null]);
});

// --- history --------------------------------------------------------------------------------------------------------

test("the history goes on where it ended, and begins anew", async () => {
  let loading = desk.loadEarlier();
  expect(asked).toEqual([{ type: "list_alerts", state: "resolved", limit: 20, before: null }]);
  await answer({ type: "alerts", ref: "1", at: 1, alerts: [alertRow(9), alertRow(8)], next: 8 });
  await loading;
  loading = desk.loadEarlier(true);
  expect(asked.at(-1)).toMatchObject({ before: 8 });
  await answer({ type: "alerts", ref: "2", at: 1, alerts: [alertRow(7)], next: null });
  await loading;
  expect(desk.earlier.value?.rows.map((row) => row.id)).toEqual([9, 8, 7]);
  void desk.loadEarlier();
  expect(asked.at(-1)).toMatchObject({ before: null });
});

test("a history that can't be read says why", async () => {
  const loading = desk.loadEarlier();
  await answer({ code: "unavailable", message: "no database" });
  await loading;
  expect(desk.said.value).toEqual({ ok: false, text: "no database" });
});

// --- words ----------------------------------------------------------------------------------------------------------

test("matchers say what labels say, the rule first, and quote what must be quoted", () => {
  const labels = { severity: "high", zone: "", tenant: "acme", rule: "x", consumer: 'a, "b" \\c', team: "chat" };
  expect(matchersOf(labels)).toBe('rule=x, tenant=acme, consumer="a, \\"b\\" \\\\c", team=chat');
  expect(matchersOf({ tenant: " *" })).toBe('tenant=" *"');
  expect(matchersOf({})).toBe("");
});

test("an address names an alert, or none", () => {
  expect(alertInHash(hashOf(7))).toBe(7);
  for (const hash of [
    "",
    "#",
    "#alert=",
    "#alert=x",
    "#alert=-1",
    "#alert=1.5",
    "#alert=7&x",
    "#alert=99999999999999999",
  ])
    expect(alertInHash(hash)).toBeNull();
});

test("why nobody is told is said in words, as far as it is known", () => {
  const silences = [silenceRow("3f")];
  expect(whyMuted("silenced by 3f", silences, [])).toBe("silenced by ann: we know");
  expect(whyMuted("silenced by 9", silences, [])).toBe("silenced by 9");
  expect(whyMuted("silenced by 3f", null, [])).toBe("silenced by 3f");
  expect(whyMuted("inhibited by key-1", [], [alertRow(1)])).toBe("explained by 12 exceptions at Orders (1)");
  expect(whyMuted("inhibited", [], [])).toBe("explained by what was over a moment ago");
  expect(whyMuted("in maintenance by nightly", [], [])).toBe("in maintenance by nightly");
});
