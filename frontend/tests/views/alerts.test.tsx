// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { beforeEach, expect, test } from "vitest";
import type { AlertRequest } from "../../src/feed/feed";
import { AlertDesk } from "../../src/store/alerts";
import { Hub } from "../../src/store/hub";
import { Roster } from "../../src/store/roster";
import { AlertDialog } from "../../src/views/AlertDialog";
import { Alerts } from "../../src/views/Alerts";
import { type Page, PageProvider } from "../../src/views/page";
import { singleKeys } from "../../src/views/preferences";
import { SilenceDialog } from "../../src/views/SilenceDialog";
import { useShortcuts } from "../../src/views/shortcuts";
import type { ActiveAlerts, AlertDetail, AlertRow, ServerMessage, SilenceRow } from "../../src/wire/types";
import { alertRow, hello, silenceRow, totals } from "../samples";

let hub: Hub;
let desk: AlertDesk;
let asked: AlertRequest[];
let answers: ((answer: unknown) => void)[];
let now: number;

// jsdom draws no dialogs; what matters here is what is in them, and what has the focus.
HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
  this.open = true;
  this.querySelector<HTMLElement>("input, select, button")?.focus();
};
HTMLDialogElement.prototype.close ??= function (this: HTMLDialogElement) {
  this.open = false;
  this.dispatchEvent(new Event("close"));
};

const find = <E extends HTMLElement = HTMLElement>(id: string) => [
  ...document.body.querySelectorAll<E>(`[data-testid=${id}]`),
];
const text = (id: string) => find(id).map((element) => element.textContent);
const receive = (message: ServerMessage) => act(() => hub.receive(message));
const click = (element: Element | undefined) => act(() => void (element as HTMLElement).click());
const press = (key: string) =>
  act(() => void document.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })));
const openers = () => [...document.body.querySelectorAll<HTMLElement>(".alert-open")];
const head = { type: "snapshot", at: 1000, cursor: "c" } as const;

const active = (rows: AlertRow[], changes: Partial<ActiveAlerts> = {}) =>
  receive({
    ...head,
    topic: "alerts",
    alerts: {
      rows,
      firing: rows.filter((row) => row.state === "firing").length,
      pending: rows.filter((row) => row.state === "pending").length,
      evaluated: true,
      ...changes,
    },
  });
const silences = (...rows: SilenceRow[]) => receive({ ...head, topic: "silences", silences: rows });
const operate = (operate: boolean, tenants: string[] | null = null) =>
  receive(hello({ permissions: { operator: "ann", view: true, operate, tenants } }));

/** Time passes until what is seen is asked for. */
const look = () => act(() => desk.look(++now));
const answer = (given: unknown) =>
  act(async () => {
    answers.shift()?.(given);
    await Promise.resolve();
  });

function detail(alert: AlertRow, changes: Partial<AlertDetail> = {}): AlertDetail {
  const none = { curve: { at: [], values: [] }, changes: [], deliveries: [] };
  return { type: "alert", ref: "1", at: 1000, alert, ...none, ...changes };
}

function Everything({ page }: { page: Page }) {
  useShortcuts(page, () => {});
  return (
    <PageProvider value={page}>
      <Alerts />
      <AlertDialog />
      <SilenceDialog />
    </PageProvider>
  );
}

beforeEach(async () => {
  await act(() => render(null, document.body));
  [asked, answers, now] = [[], [], 0];
  hub = new Hub(
    (call) => call(),
    () => 1000,
  );
  desk = new AlertDesk(hub, ((request: AlertRequest) => {
    asked.push(request);
    return new Promise((resolve) => answers.push(resolve));
  }) as never);
  const rest = { user: "ops", version: "0.1", logout: { action: "", csrf: "" } };
  const acts = { selectTenant: () => {}, retry: () => {}, logIn: () => {} };
  const page = { hub, desk, roster: new Roster(hub, () => null), ...rest, ...acts };
  await act(() => {
    render(<Everything page={page} />, document.body);
    hub.feed.value = { kind: "live", rtt: null };
  });
  await operate(true);
});

// --- the list -------------------------------------------------------------------------------------------------------

test("before the first list nothing is claimed", () => {
  expect(find("alerts")).toEqual([]);
});

test("when nothing fires it says so", async () => {
  await active([]);
  expect(text("alerts-count")).toEqual(["nothing fires"]);
  expect(find("alerts-well").length).toBe(1);
});

test("what the hub does not know is not zero", async () => {
  await receive({ ...head, topic: "alerts", alerts: null });
  expect(find("alerts-unknown").length).toBe(1);
  expect(find("alerts-well")).toEqual([]);
  expect(find("alerts")[0]?.textContent).toContain("unknown");
});

test("that nobody evaluates is said beside the list", async () => {
  await active([alertRow(1)], { evaluated: false });
  expect(text("alerts-unevaluated")[0]).toContain("No process evaluates");
  expect(find("alert-row").length).toBe(1);
});

test("one look tells who, where, how bad, since when, and who takes care", async () => {
  await silences(silenceRow("3f"));
  await active([
    alertRow(1, { severity: "critical", acknowledged_by: "bob", muted: "silenced by 3f" }),
    alertRow(2, { state: "pending", fired_at: null, severity: "low" }),
  ]);
  const [first, second] = text("alert-row");
  for (const part of ["critical", "12 exceptions at Orders", "acme", "handler_errors", "12", "threshold 10", "30 s"])
    expect(first).toContain(part);
  expect(first).toContain("acknowledged by bob");
  expect(first).toContain("not told: silenced by ann: we know");
  expect(second).toContain("low pending");
  expect(text("alerts-count")).toEqual(["1 fires, 1 pending"]);
});

test("more alerts than are listed are counted", async () => {
  await active([alertRow(1), alertRow(2)], { firing: 640 });
  expect(find("alerts")[0]?.textContent).toContain("The worst 2 of 640.");
});

test("without news it is unknown now", async () => {
  await receive({ ...head, topic: "totals", totals: totals() });
  await active([alertRow(1)]);
  await act(() => {
    hub.feed.value = { kind: "offline", retryAt: 1010 };
  });
  expect(find("alert-row").length).toBe(1);
  expect(find("alerts")[0]?.textContent).toContain("unknown now; as of");
});

// --- by keyboard ----------------------------------------------------------------------------------------------------

test("a goes to the alerts, arrows walk, k acknowledges, s silences", async () => {
  await active([alertRow(1), alertRow(2)]);
  await press("a");
  expect(document.activeElement).toBe(openers()[0]);
  await press("ArrowDown");
  expect(document.activeElement).toBe(openers()[1]);
  await press("ArrowDown");
  expect(document.activeElement).toBe(openers()[1]);
  await press("k");
  expect(asked).toEqual([{ type: "acknowledge", key: "key-2" }]);
  await answer({ type: "result", ref: "1", ok: true });
  expect(text("alerts-done")[0]).toContain("You have acknowledged");
  await press("s");
  expect(find("silence-dialog")[0]?.hasAttribute("open")).toBe(true);
  expect(document.activeElement).toBe(find("silence-matchers")[0]);
});

test("without an alert a goes to the panel, and k and s do nothing", async () => {
  await active([]);
  await press("a");
  expect(document.activeElement).toBe(find("alerts")[0]);
  await press("k");
  await press("s");
  expect(asked).toEqual([]);
  expect(find("silence-dialog")[0]?.hasAttribute("open")).toBe(false);
});

test("single keys can be switched off", async () => {
  await active([alertRow(1)]);
  openers()[0]?.focus();
  singleKeys.value = "off";
  await press("k");
  expect(asked).toEqual([]);
  singleKeys.value = "on";
});

test("who was refused reads why", async () => {
  await active([alertRow(1)]);
  openers()[0]?.focus();
  await press("k");
  await answer({ code: "not_allowed", message: "you may watch, and not act" });
  expect(text("alerts-refused")).toEqual(["you may watch, and not act"]);
  expect(text("alerts-done")).toEqual([""]);
});

// --- one alert ------------------------------------------------------------------------------------------------------

test("an alert opens to all that is known of it, and gives the focus back", async () => {
  await active([alertRow(1)]);
  openers()[0]?.focus();
  await click(openers()[0]);
  expect(find("alert-dialog")[0]?.hasAttribute("open")).toBe(true);
  await look();
  expect(asked).toEqual([{ type: "show_alert", id: 1 }]);
  const told = { receiver: "ops", kind: "fired", state: "dead", attempts: 5, created_at: 971, delivered_at: null };
  await answer(
    detail(alertRow(1), {
      curve: { at: [940, 970], values: [3, 12] },
      changes: [
        { at: 980, kind: "acknowledged", by: "bob", value: null, detail: "" },
        { at: 970, kind: "firing", by: "", value: 12, detail: "" },
      ],
      deliveries: [{ ...told, state: "dead", error: "503 from the receiver" }],
    }),
  );
  const shown = text("alert-dialog")[0] ?? "";
  for (const part of ["See the newest errors", "threshold 10 exceptions", "acknowledged by bob", "firing", "given up"])
    expect(shown).toContain(part);
  expect(shown).toContain("503 from the receiver");
  expect(find("alert-chart")[0]?.querySelector("svg")?.getAttribute("aria-label")).toContain("at most 12 exceptions");
  expect(find("alert-link")[0]?.getAttribute("href")).toBe("#alert=1");

  await act(() => desk.close());
  expect(find("alert-dialog")[0]?.hasAttribute("open")).toBe(false);
  expect(document.activeElement).toBe(openers()[0]);
});

test("what happened while it was open is seen at once", async () => {
  await active([alertRow(1)]);
  await act(() => desk.open(1));
  await click(find("alert-acknowledge")[0]);
  expect(asked.at(-1)).toEqual({ type: "acknowledge", key: "key-1" });
  await answer({ type: "result", ref: "1", ok: true });
  expect(text("alerts-done")[0]).toContain("You have acknowledged");
  await active([alertRow(1, { acknowledged_by: "ann" })]);
  expect(text("alert-acknowledge")).toEqual(["Take the acknowledgement back"]);
});

test("an alert that has resolved meanwhile gives the focus to the panel", async () => {
  await active([alertRow(1)]);
  openers()[0]?.focus();
  await click(openers()[0]);
  await active([]);
  await act(() => desk.close());
  expect(document.activeElement).toBe(find("alerts")[0]);
});

test("an alert that is not there says so", async () => {
  await active([]);
  await act(() => desk.open(77));
  await look();
  await answer({ code: "invalid", message: "there is no alert 77" });
  expect(text("alert-problem")).toEqual(["there is no alert 77"]);
});

test("who may not act sees no button for it, and why", async () => {
  await operate(false);
  await active([alertRow(1)]);
  await silences(silenceRow("5"));
  await act(() => desk.open(1));
  for (const id of ["alert-acknowledge", "alert-silence", "silence-end", "silence-new"]) expect(find(id)).toEqual([]);
  expect(text("alert-dialog")[0]).toContain("hub.operate");
});

test("nothing that stands in an alert becomes markup, and only the web is a link", async () => {
  const evil = '<img src=x onerror="alert(1)">';
  const label = { rule: evil, tenant: evil };
  await active([
    alertRow(1, { summary: evil, action: evil, tenant: evil, labels: label, runbook: "javascript:alert(1)" }),
  ]);
  await act(() => desk.open(1));
  expect(document.body.querySelectorAll("img")).toHaveLength(0);
  expect(text("alert-dialog")[0]).toContain(evil);
  expect([...document.body.querySelectorAll("a")].map((link) => link.getAttribute("href"))).toEqual(["#alert=1"]);
  await active([alertRow(1, { runbook: "https://wiki.example/errors" })]);
  expect(document.body.querySelector('a[href^="https:"]')?.getAttribute("rel")).toBe("noreferrer");
  for (const own of ["incidents/#handler_errors", "/wiki/errors"]) {
    await active([alertRow(1, { runbook: own })]);
    expect(document.body.querySelector(`a[href="${own}"]`)?.textContent).toContain("Runbook");
  }
  await active([alertRow(1, { runbook: "//elsewhere.example" })]);
  expect(document.body.querySelector('a[href^="//"]')).toBeNull();
});

// --- silences -------------------------------------------------------------------------------------------------------

async function write(id: string, value: string): Promise<void> {
  const [field] = find<HTMLInputElement>(id);
  if (field === undefined) throw new Error(`no field ${id}`);
  await act(() => {
    field.value = value;
    field.dispatchEvent(new Event(field instanceof HTMLSelectElement ? "change" : "input", { bubbles: true }));
  });
}

test("a silence shows what it would match, is refused with a reason, then made", async () => {
  await active([alertRow(1)]);
  await act(() => desk.open(1));
  await click(find("alert-silence")[0]);
  expect(find<HTMLInputElement>("silence-matchers")[0]?.value).toBe(
    "rule=handler_errors, tenant=acme, consumer=shop.consumers.Orders",
  );
  await write("silence-matchers", "tenant=acme");
  now += 1000;
  await look();
  expect(asked.at(-1)).toEqual({ type: "preview_silence", matchers: "tenant=acme" });
  // The open alert is asked for as well; it does not matter here which answer comes first.
  answers.splice(0, answers.length - 1);
  await answer({ type: "preview", ref: "1", at: 1, alerts: [alertRow(1), alertRow(2)], total: 12 });
  expect(text("silence-preview")[0]).toContain("Matches 12 of the active alerts:");
  expect(text("silence-preview")[0]).toContain("and 4 more");

  await write("silence-seconds", "14400");
  await write("silence-why", "we know");
  await click(find("silence-make")[0]);
  expect(asked.at(-1)).toEqual({ type: "silence", matchers: "tenant=acme", seconds: 14400, why: "we know" });
  await answer({ code: "invalid", message: "say why" });
  expect(text("alerts-refused")).toEqual(["say why"]);
  await click(find("silence-make")[0]);
  await answer({ type: "result", ref: "2", ok: true });
  expect(find("silence-dialog")[0]?.hasAttribute("open")).toBe(false);
  expect(text("alerts-done")[0]).toBe("Silenced: tenant=acme");
});

test("matchers that can't be read say so beside the field", async () => {
  await active([]);
  await silences();
  await click(find("silence-new")[0]);
  await write("silence-matchers", "acme");
  now += 1000;
  await look();
  await answer({ code: "invalid", message: "'acme' is no matcher; write label=value" });
  expect(text("silence-preview")[0]).toContain("is no matcher");
  expect(find("silence-matchers")[0]?.getAttribute("aria-invalid")).toBe("true");
});

test("who is bound to one tenant begins with that", async () => {
  await operate(true, ["acme"]);
  await active([]);
  await silences();
  await click(find("silence-new")[0]);
  expect(find<HTMLInputElement>("silence-matchers")[0]?.value).toBe("tenant=acme");
});

test("silences are listed and ended", async () => {
  await active([]);
  await silences(silenceRow("5"), silenceRow("6", { state: "coming", starts_at: 2000 }));
  expect(find("silences")[0]?.dataset.count).toBe("2");
  expect(text("silence-row")[0]).toContain("ann: we know");
  expect(text("silence-row")[1]).toContain("from");
  await click(find("silence-end")[0]);
  expect(asked).toEqual([{ type: "end_silence", id: "5" }]);
  await answer({ type: "result", ref: "1", ok: true });
  expect(text("alerts-done")[0]).toContain("Silence ended");
});

// --- history --------------------------------------------------------------------------------------------------------

test("what is over is asked for when somebody wants to see it, and opens like any other", async () => {
  await active([]);
  const [fold] = find<HTMLDetailsElement>("alerts-earlier");
  expect(asked).toEqual([]);
  await act(() => {
    if (fold !== undefined) fold.open = true;
    fold?.dispatchEvent(new Event("toggle"));
  });
  const past = alertRow(3, { state: "resolved", resolved_at: 990 });
  await answer({ type: "alerts", ref: "1", at: 1, alerts: [past], next: null });
  expect(text("alert-past")[0]).toContain("14");
  await click(openers()[0]);
  expect(desk.opened.value).toBe(3);
});
