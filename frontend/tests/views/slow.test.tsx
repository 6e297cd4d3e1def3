// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { beforeEach, expect, test } from "vitest";
import { AlertDesk } from "../../src/store/alerts";
import { Hub } from "../../src/store/hub";
import { Roster } from "../../src/store/roster";
import { PageProvider } from "../../src/views/page";
import { Slow, severityOf } from "../../src/views/Slow";
import type { ServerMessage, SlowRow } from "../../src/wire/types";
import { hello, totals, unanswered } from "../samples";

let hub: Hub;

const find = (id: string) => [...document.body.querySelectorAll<HTMLElement>(`[data-testid=${id}]`)];
const receive = (message: ServerMessage) => act(() => hub.receive(message));
const snapshot = (...slow: SlowRow[]) =>
  receive({ type: "snapshot", topic: "slow", at: 1000, cursor: "c", slow } as ServerMessage);

function slowRow(changes: Partial<SlowRow> = {}): SlowRow {
  return {
    cause: "handler",
    consumer: "shop.consumers.Orders",
    tenant: "acme",
    connection: "7",
    node: "web-1:12",
    since: 990,
    seconds: 2.5,
    threshold: 0.5,
    lasted: null,
    closed_at: null,
    details: { file: "shop/stock.py", line: 17, function: "look_up", waits: "shop/consumers.py:41 receive > …" },
    ...changes,
  };
}

beforeEach(async () => {
  render(null, document.body);
  hub = new Hub(
    (call) => call(),
    () => 1000,
  );
  const roster = new Roster(hub, () => "1");
  const rest = { user: "ops", version: "0.1", logout: { action: "", csrf: "" } };
  const acts = { selectTenant: () => {}, retry: () => {}, logIn: () => {} };
  await act(() => {
    render(
      <PageProvider value={{ hub, roster, desk: new AlertDesk(hub, unanswered), ...rest, ...acts }}>
        <Slow />
      </PageProvider>,
      document.body,
    );
    hub.feed.value = { kind: "live", rtt: null };
  });
  await receive(hello());
});

test("before the first list nothing is claimed", () => {
  expect(find("slow")).toEqual([]);
});

test("when nothing is slow, it says so and what is watched", async () => {
  await snapshot();
  expect(find("slow")[0]?.dataset.open).toBe("0");
  expect(find("slow-well")[0]?.textContent).toContain("within their thresholds");
});

test("one look tells who, where, why, since when and how bad", async () => {
  await snapshot(slowRow());
  const text = find("slow-row")[0]?.textContent ?? "";
  for (const part of ["slow", "Orders", "acme", "handler takes long", "shop/stock.py:17", "look_up", "2.5 s", "10 s"])
    expect(text).toContain(part);
  expect(find("slow")[0]?.textContent).toContain("1 at the moment");
});

test("severity stands in words: what concerns everybody, or takes ten times too long, is severe", () => {
  expect(severityOf(slowRow())).toBe("slow");
  expect(severityOf(slowRow({ seconds: 5 }))).toBe("severe");
  expect(severityOf(slowRow({ cause: "loop", seconds: 0.6 }))).toBe("severe");
  expect(severityOf(slowRow({ cause: "sync_thread", seconds: 0.6 }))).toBe("severe");
  expect(severityOf(slowRow({ cause: "loop", closed_at: 995 }))).toBe("recovered");
});

test("an episode that has ended says how long it was", async () => {
  await snapshot(slowRow({ closed_at: 999, lasted: 9 }));
  expect(find("slow")[0]?.dataset.open).toBe("0");
  expect(find("slow-row")[0]?.textContent).toContain("9 s");
  expect(find("slow-row")[0]?.dataset.severity).toBe("recovered");
});

test("a delta replaces the list, also with an empty one", async () => {
  await snapshot(slowRow(), slowRow({ connection: "8" }));
  expect(find("slow-row").length).toBe(2);
  await receive({ type: "delta", topic: "slow", at: 1001, slow: [] } as ServerMessage);
  expect(find("slow-row")).toEqual([]);
  expect(find("slow-well").length).toBe(1);
});

test("of what nobody could look at, that much is said", async () => {
  await snapshot(slowRow({ cause: "loop", details: { waits: "unknown: nothing could be sampled" } }));
  expect(find("slow-row")[0]?.textContent).toContain("unknown: nothing could be sampled");
});

test("of a client that does not keep up, it says how far it is behind, and what is unknown", async () => {
  const details = { frames_behind: 12, unsent_bytes: null, kernel_bytes: 4096, unknown: "confirmations: plain client" };
  await snapshot(slowRow({ cause: "client", details }));
  const row = find("slow-row")[0];
  expect(row?.textContent).toContain("does not keep up");
  expect(row?.textContent).toContain("12 frames behind, 4.1 kB wait for it");
  expect(row?.querySelector('[title*="plain client"]')).not.toBeNull();
});

test("of a client of which nothing is known but that send waits for it, the line is told", async () => {
  await snapshot(slowRow({ cause: "client" }));
  expect(find("slow-row")[0]?.textContent).toContain("shop/stock.py:17");
  expect(find("slow-row")[0]?.textContent).not.toContain("behind");
});

test("of messages that wait in a channel layer, it says how many, in which one, and for which groups", async () => {
  const details = { layer: "default", waiting: 12, groups: "acme", unknown: "time on the way through Redis" };
  await snapshot(slowRow({ cause: "layer", details }));
  const row = find("slow-row")[0];
  expect(row?.textContent).toContain("its messages wait in the channel layer");
  expect(row?.textContent).toContain("12 wait · layer default · groups acme");
  expect(row?.querySelector('[title*="through Redis"]')).not.toBeNull();
  expect(row?.dataset.severity).toBe("slow");
});

test("what waits in the layer for a whole process concerns all of its consumers", async () => {
  const details = { layer: "default", waiting: 12, asking: true };
  await snapshot(slowRow({ cause: "layer", consumer: "unknown", tenant: "", connection: "", details }));
  const row = find("slow-row")[0];
  expect(row?.textContent).toContain("messages for this node wait in the channel layer");
  expect(row?.textContent).toContain("12 wait · layer default · on web-1:12");
  expect(row?.dataset.severity).toBe("severe");
});

test("who is connected is told where the feed tells it", async () => {
  await snapshot(
    slowRow({ member: "7", name: "Ann" }),
    slowRow({ since: 1, member: "8", name: "" }),
    slowRow({ since: 2 }),
  );
  expect(find("slow-member").map((member) => member.textContent)).toEqual(["Ann (7)", "8"]);
});

test("what the feed no longer vouches for is as of then", async () => {
  await receive({ type: "delta", topic: "totals", at: 1000, totals: totals() });
  await snapshot(slowRow());
  await act(() => {
    hub.feed.value = { kind: "offline", retryAt: 1010 } as typeof hub.feed.value;
  });
  expect(find("slow")[0]?.textContent).toContain("unknown now");
});
