// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { beforeEach, expect, test, vi } from "vitest";
import { AlertDesk } from "../../src/store/alerts";
import { Hub } from "../../src/store/hub";
import { Roster } from "../../src/store/roster";
import { ConsumersTable } from "../../src/views/ConsumersTable";
import { EventStream, pinned } from "../../src/views/EventStream";
import { Header } from "../../src/views/Header";
import { Notices } from "../../src/views/Notices";
import { PageProvider } from "../../src/views/page";
import { Tiles } from "../../src/views/Tiles";
import type { ServerMessage } from "../../src/wire/types";
import { consumerRow, event, hello, totals, unanswered } from "../samples";

let hub: Hub;
const selectTenant = vi.fn();
const find = <E extends Element = HTMLElement>(selector: string) => [...document.body.querySelectorAll<E>(selector)];
const byId = (id: string) => find(`[data-testid=${id}]`);
const text = (id: string) => byId(id).map((element) => element.textContent);
const receive = (...messages: ServerMessage[]) => act(() => messages.forEach((message) => void hub.receive(message)));
const click = (element: Element | undefined) => act(() => void (element as HTMLElement).click());

beforeEach(async () => {
  render(null, document.body);
  pinned.value = false;
  hub = new Hub(
    (call) => call(),
    () => 1000,
  );
  const logout = { action: "/logout/", csrf: "token" };
  await act(() => {
    render(
      <PageProvider
        value={{
          hub,
          roster: new Roster(hub, () => null),
          desk: new AlertDesk(hub, unanswered),
          user: "ops",
          version: "0.1",
          logout,
          selectTenant,
          retry: () => {},
          logIn: () => {},
        }}
      >
        <Header onHelp={() => {}} />
        <Notices />
        <Tiles />
        <ConsumersTable />
        <EventStream />
      </PageProvider>,
      document.body,
    );
  });
});

const consumers = (...rows: ReturnType<typeof consumerRow>[]): ServerMessage => ({
  type: "snapshot",
  topic: "consumers",
  at: 1000,
  cursor: "boot-1",
  consumers: rows,
});

test("logout is a form with the token", () => {
  const [form] = find<HTMLFormElement>("form.user");
  expect(form?.method).toBe("post");
  expect(form?.getAttribute("action")).toBe("/logout/");
  expect(form?.querySelector("input")?.value).toBe("token");
});

test("a tile shows its number, and a dash where there is none", async () => {
  await receive({ type: "delta", topic: "totals", at: 1000, totals: totals({ active: 1234, error_rate: null }) });
  expect(byId("tile-connections")[0]?.dataset.value).toBe("1234");
  expect(text("tile-connections")[0]).toContain("1,234");
  expect(text("tile-errors")[0]).toContain("–");
});

test("the feed's state is told in words and as data", async () => {
  await act(() => {
    hub.feed.value = { kind: "live", rtt: 0.012 };
  });
  expect(byId("feed-state")[0]?.dataset.state).toBe("live");
  expect(text("feed-state")[0]).toBe("Live12 ms");
  await act(() => {
    hub.feed.value = { kind: "offline", retryAt: 1004 };
  });
  expect(text("feed-state")[0]).toBe("Reconnecting in 4 s");
  expect(find("[role=status]")[0]?.textContent).toContain("lost");
});

test("the table sorts by a click on its head", async () => {
  const slow = { latency: { p50: 1, p95: 1, p99: 1 }, errors: 0 };
  await receive(consumers(consumerRow("a.Fast", "acme", { errors: 5 }), consumerRow("b.Slow", "", slow)));
  const order = () => byId("consumer-row").map((row) => row.dataset.consumer);
  expect(order()).toEqual(["b.Slow", "a.Fast"]);
  await click(byId("sort-errors")[0]);
  expect(order()).toEqual(["a.Fast", "b.Slow"]);
  expect(byId("sort-errors")[0]?.closest("th")?.ariaSort).toBe("descending");
  expect(text("consumer-row")[1]).toContain("no tenant");
});

test("the filter narrows, says so, and Escape clears it", async () => {
  await receive(consumers(consumerRow("a.Chat", "acme"), consumerRow("a.Ticker", "globex")));
  const [field] = byId("consumers-filter") as HTMLInputElement[];
  if (field === undefined) throw new Error("no filter");
  await act(() => {
    field.value = "glob";
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  expect(byId("consumer-row").map((row) => row.dataset.consumer)).toEqual(["a.Ticker"]);
  await act(() => void field.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true })));
  expect(byId("consumer-row")).toHaveLength(2);
});

test("of 5,000 rows only those in sight exist", async () => {
  const rows = Array.from({ length: 5000 }, (_, index) => consumerRow(`a.Chat${index}`, `tenant-${index % 50}`));
  await receive(consumers(...rows));
  expect(byId("consumer-row").length).toBeLessThan(60);
  expect(byId("consumers-table")[0]?.getAttribute("aria-rowcount")).toBe("5001");
});

test("a tenant in the table can be chosen", async () => {
  await receive(consumers(consumerRow("a.Chat", "acme")));
  await click(byId("consumer-row")[0]?.querySelector("button.link") ?? undefined);
  expect(selectTenant).toHaveBeenCalledWith("acme");
});

test("nothing connected: the page says how to begin", async () => {
  await receive(consumers());
  expect(text("no-consumers")[0]).toContain("MonitoredConsumerMixin");
});

test("hostile text stays text", async () => {
  await receive(event(1, { kind: "x", details: { error: "<img src=x onerror=alert(1)>" } }));
  expect(find("img")).toEqual([]);
  expect(text("event-row")[0]).toContain("<img");
});

test("a paused stream stands still and counts what it holds back", async () => {
  await receive(event(1));
  await click(byId("events-pause")[0]);
  await receive(event(2), event(3, { kind: "connection.closed", count: 9990 }));
  expect(byId("event-row")).toHaveLength(1);
  expect(text("events-new")).toEqual(["2 new"]);
  await click(byId("events-new")[0]);
  expect(byId("event-row")).toHaveLength(3);
  expect(text("event-row")[0]).toContain("9,990 more connection closed");
});

test("an event opens to its details", async () => {
  await receive(event(1, { connection: "abc", details: { code: 1006, clean: false } }));
  await click(byId("event-row")[0]?.querySelector("button") ?? undefined);
  expect(text("event-details")[0]).toContain("Code1006Cleanfalse");
});

test("a severity can be hidden", async () => {
  await receive(event(1), event(2, { severity: "error", kind: "handler.error" }));
  await click(byId("severity-info")[0]);
  expect(byId("event-row").map((row) => row.dataset.severity)).toEqual(["error"]);
});

test("a gap is told above and in its place", async () => {
  await receive(hello(), event(1), hello(), {
    type: "gap",
    reason: "expired",
    since: "boot-1",
    cursor: "boot-9",
    missed: 8,
  });
  await receive({ type: "snapshot", topic: "events", at: 1010, cursor: "boot-9", events: [event(9)] });
  expect(text("gap-notice")[0]).toMatch(/^Events between .* and .* \(8 of them\) can’t be shown: they are older/);
  expect(find("ol.events > li").map((row) => row.dataset.testid)).toEqual(["event-row", "gap-row", "event-row"]);
  await click(byId("gap-notice")[0]?.querySelector("button") ?? undefined);
  expect(byId("gap-notice")).toEqual([]);
});

test("an event of a member tells who; kinds of one family can be chosen together", async () => {
  await receive(
    event(1, { kind: "member.joined", tenant: "acme", details: { member: "7", name: "Ann" } }),
    event(2, { kind: "member.left", tenant: "acme", details: { member: "anonymous:1", name: "" } }),
    event(3),
  );
  expect(text("event-row")[1]).toContain("Member leftacme · member anonymous:1");
  expect(text("event-row")[2]).toContain("Member joinedacme · Ann");
  const [kinds] = find<HTMLSelectElement>("select[aria-label='Kind of event']");
  if (kinds === undefined) throw new Error("no choice of kinds");
  expect([...kinds.options].map((option) => option.text)).toContain("Member: all");
  await act(() => {
    kinds.value = "member.";
    kinds.dispatchEvent(new Event("change", { bubbles: true }));
  });
  expect(byId("event-row").map((row) => row.dataset.kind)).toEqual(["member.left", "member.joined"]);
});
