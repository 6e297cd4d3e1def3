// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { beforeEach, expect, test } from "vitest";
import type { MemberQuery } from "../../src/feed/feed";
import { AlertDesk } from "../../src/store/alerts";
import { Hub } from "../../src/store/hub";
import { Roster } from "../../src/store/roster";
import { Presence } from "../../src/views/Presence";
import { PageProvider } from "../../src/views/page";
import type { MemberRow, PresenceRow, ServerMessage } from "../../src/wire/types";
import { hello, memberRow, presenceRow, totals, unanswered } from "../samples";

let hub: Hub;
let roster: Roster;
let asked: MemberQuery[];
let now: number;

const find = <E extends Element = HTMLElement>(selector: string) => [...document.body.querySelectorAll<E>(selector)];
const byId = (id: string) => find(`[data-testid=${id}]`);
const text = (id: string) => byId(id).map((element) => element.textContent);
const receive = (message: ServerMessage) => act(() => hub.receive(message));
const click = (element: Element | undefined) => act(() => void (element as HTMLElement).click());
const press = (element: Element | undefined, key: string) =>
  act(() => void element?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })));
const presence = (...rows: PresenceRow[]) =>
  receive({ type: "snapshot", topic: "presence", at: 1000, cursor: "c", presence: rows });
const members = () => byId("member-row").map((row) => [row.dataset.member, row.dataset.state]);

/** Time passes until the roster is asked for, and the answer is these. */
async function answer(rows: MemberRow[], total = rows.length, next: string | null = null): Promise<void> {
  await act(() => {
    const before = asked.length;
    while (asked.length === before) {
      now += 1;
      roster.look(now);
    }
    const ref = String(asked.length);
    roster.receive(ref, { type: "members", ref, at: 1000, members: rows, total, next });
  });
}

beforeEach(async () => {
  render(null, document.body);
  [asked, now] = [[], 0];
  hub = new Hub(
    (call) => call(),
    () => 1000,
  );
  roster = new Roster(hub, (query) => String(asked.push(query)));
  const rest = { user: "ops", version: "0.1", logout: { action: "", csrf: "" } };
  const acts = { selectTenant: () => {}, retry: () => {}, logIn: () => {} };
  await act(() => {
    render(
      <PageProvider value={{ hub, roster, desk: new AlertDesk(hub, unanswered), ...rest, ...acts }}>
        <Presence />
      </PageProvider>,
      document.body,
    );
    hub.feed.value = { kind: "live", rtt: null };
  });
  await receive(hello());
  await receive({ type: "delta", topic: "totals", at: 1000, totals: totals() });
});

test("before the first numbers nothing is claimed", () => {
  expect(text("members-online")[0]).toContain("–");
  expect(byId("members-online")[0]?.dataset.value).toBe("");
  expect(byId("nobody")).toEqual([]);
});

test("nobody is here: the page says what to do", async () => {
  await presence();
  expect(text("nobody")[0]).toContain("hub_presence_groups");
  await act(() => {
    hub.confirm({ tenant: "acme" });
  });
  await presence();
  expect(text("nobody")[0]).toBe("Nobody of this tenant is here");
});

test("counts by state and by tenant", async () => {
  await presence(presenceRow("acme", 1, { online: 3, stale: 1, connections: 7 }), presenceRow("", 1, { idle: 2 }));
  expect(["online", "idle", "stale"].map((state) => byId(`members-${state}`)[0]?.dataset.value)).toEqual([
    "4",
    "2",
    "1",
  ]);
  expect(text("member-connections")).toEqual(["8 connections"]);
  expect(text("presence-tenant")).toEqual(["no tenant120", "acme301"]);
});

test("a member's state, evidence and round trip in words", async () => {
  await presence(presenceRow("acme", 1));
  await answer([
    memberRow("1", { state: "stale", hidden: true, connections: 3, consumers: ["shop.Chat", "shop.Ticker"] }),
  ]);
  expect(members()).toEqual([["1", "stale"]]);
  expect(text("member-row")[0]).toBe("Name of 11acme stale3Chat +1–3 s ago, heartbeathidden20 ms10 min");
  expect(byId("member-state")[0]?.title).toContain("Silent");
});

test("what is not known is a dash, and hostile names stay text", async () => {
  await presence(presenceRow("acme", 1));
  await answer([memberRow("1", { name: "<img src=x>", hidden: null, rtt: null, consumers: [] })]);
  expect(find("img")).toEqual([]);
  expect(text("member-row")[0]).toContain("––3 s ago, heartbeat––10 min");
});

test("a member opens to all that is known of it, and stays open when it has gone", async () => {
  await presence(presenceRow("acme", 1));
  await answer([memberRow("1", { groups: ["lobby", "staff"], nodes: ["web-1", "web-2"] }), memberRow("2")]);
  const [first] = find("button.member");
  await click(first);
  expect(first?.ariaExpanded ?? first?.getAttribute("aria-expanded")).toBe("true");
  expect(text("member-details")[0]).toContain("1, of these 1 with our client library");
  expect(text("member-details")[0]).toContain("Nodesweb-1, web-2");
  await answer([memberRow("2")]);
  expect(members()).toEqual([
    ["1", "gone"],
    ["2", "online"],
  ]);
  expect(find("button.member")[0]).toBe(first);
  await press(first, "Escape");
  await answer([memberRow("2")]);
  expect(members()).toEqual([["2", "online"]]);
});

test("a state, a tenant and a group narrow the roster, and can be taken off again", async () => {
  await presence(presenceRow("acme", 1), presenceRow("globex", 1));
  await answer([memberRow("1", { groups: ["lobby"] })]);
  await click(byId("members-stale")[0]);
  expect(byId("members-stale")[0]?.getAttribute("aria-pressed")).toBe("true");
  await click(byId("presence-tenant")[1]?.querySelector("button") ?? undefined);
  await answer([]);
  expect(asked.at(-1)).toEqual({ limit: 50, tenant: "globex", states: ["stale"] });
  expect(text("presence")[0]).toContain("Nobody matches");
  await click(find("button").find((button) => button.textContent === "Show everybody"));
  await answer([memberRow("1", { groups: ["lobby"] })]);
  expect(asked.at(-1)).toEqual({ limit: 50 });
  await click(find("button.member")[0]);
  await click(find("button.label-chip")[0]);
  await answer([memberRow("1", { groups: ["lobby"] })]);
  expect(asked.at(-1)?.group).toBe("lobby");
  await click(byId("group-filter")[0]);
  await answer([]);
  expect(asked.at(-1)).toEqual({ limit: 50 });
});

test("the search asks, and Escape clears it", async () => {
  await presence(presenceRow("acme", 1));
  const [field] = byId("members-search") as HTMLInputElement[];
  if (field === undefined) throw new Error("no search");
  await act(() => {
    field.value = "ann";
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await answer([]);
  expect(asked.at(-1)?.search).toBe("ann");
  await press(field, "Escape");
  await answer([]);
  expect(asked.at(-1)?.search).toBeUndefined();
});

test("pages and arrow keys", async () => {
  await presence(presenceRow("acme", 1));
  await answer([memberRow("1"), memberRow("2")], 120, "place");
  expect(text("members-shown")).toEqual(["1–2 of 120"]);
  const [first, second] = find("button.member");
  first?.focus();
  await press(first, "ArrowDown");
  expect(document.activeElement).toBe(second);
  await press(second, "ArrowUp");
  expect(document.activeElement).toBe(first);
  await click(byId("members-next")[0]);
  await answer([memberRow("3")], 120);
  expect(asked.at(-1)?.after).toBe("place");
  expect(text("members-shown")).toEqual(["51–51 of 120"]);
  await click(byId("members-previous")[0]);
  await answer([memberRow("1")], 120, "place");
  expect(text("members-shown")).toEqual(["1–1 of 120"]);
});

test("while the feed is away nobody's state is claimed", async () => {
  await presence(presenceRow("acme", 1));
  await answer([memberRow("1")]);
  await act(() => {
    hub.feed.value = { kind: "offline", retryAt: 1004 };
  });
  expect(text("member-state")).toEqual([" unknown"]);
  expect(text("presence-unknown")[0]).toMatch(/^unknown now; as of \d\d:\d\d:\d\d$/);
  expect(byId("members-online")[0]?.dataset.value).toBe("1");
  expect(text("member-row")[0]).not.toContain("ago");
});

test("a refusal is told", async () => {
  await presence(presenceRow("acme", 1));
  await act(() => {
    now += 1;
    roster.look(now);
    roster.receive(String(asked.length), { code: "not_allowed", message: "Not yours." });
  });
  expect(find("[role=alert]")[0]?.textContent).toBe("Not yours.");
});

test("who has neither name nor account is anonymous", async () => {
  await presence(presenceRow("acme", 1));
  await answer([memberRow("anonymous:5f3a", { name: "" }), memberRow("17", { name: "" })]);
  expect(find("button.member").map((button) => button.textContent)).toEqual(["Anonymousanonymous:5f3a", "17"]);
});
