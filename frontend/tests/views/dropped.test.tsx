// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { beforeEach, expect, test } from "vitest";
import { clock } from "../../src/format";
import { AlertDesk } from "../../src/store/alerts";
import { Hub } from "../../src/store/hub";
import { Roster } from "../../src/store/roster";
import { Dropped } from "../../src/views/Dropped";
import { stateOf } from "../../src/views/Layers";
import { PageProvider } from "../../src/views/page";
import type { Dropped as Body, LayerRow, ServerMessage } from "../../src/wire/types";
import { drop, droppedRow, hello, layerRow, totals, unanswered } from "../samples";

let hub: Hub;

const find = (id: string) => [...document.body.querySelectorAll<HTMLElement>(`[data-testid=${id}]`)];
const textOf = (id: string) => find(id)[0]?.textContent ?? "";
const receive = (message: ServerMessage) => act(() => hub.receive(message));
const snapshot = (dropped: Body) => receive({ type: "snapshot", topic: "dropped", at: 1000, cursor: "c", dropped });
const layers = (...rows: LayerRow[]) =>
  receive({ type: "snapshot", topic: "layers", at: 1000, cursor: "c", layers: rows });

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
        <Dropped />
      </PageProvider>,
      document.body,
    );
    hub.feed.value = { kind: "live", rtt: null };
  });
  await receive(hello());
});

test("before the first snapshot nothing is claimed", () => {
  expect(find("dropped")).toEqual([]);
});

test("when nothing was lost, it says so and what would be seen", async () => {
  await snapshot({});
  expect(find("dropped")[0]?.dataset.messages).toBe("0");
  expect(textOf("dropped-well")).toContain("No message and no frame was lost");
  expect(textOf("dropped")).toContain("nothing in the last five minutes");
  expect(find("dropped-earlier")).toEqual([]);
});

test("one look tells who, where, why, since when and how many", async () => {
  const reasons = [{ reason: "over_capacity", messages: 120, rate: 12.5, last_at: 998 } as const];
  await snapshot({ reasons, rows: [droppedRow()], recent: [drop()] });
  const text = textOf("dropped-row");
  const place = ["group order.7", "12 connections", "12 channels", "on web-1:12"];
  for (const part of [
    "over capacity",
    "Orders",
    "acme",
    "nobody was told",
    "120",
    "13/s",
    `since ${clock(940)}`,
    ...place,
  ])
    expect(text).toContain(part);
  expect(find("dropped-row")[0]?.dataset.phase).toBe("dropping");
  expect(textOf("dropped")).toContain("120 lost since the nodes started");
});

test("one connection and its channel are named", async () => {
  await snapshot({
    rows: [droppedRow({ reason: "channel_full" })],
    recent: [drop({ reason: "channel_full", group: "", connection: "7", connections: 1, channel: "c!1", channels: 1 })],
  });
  expect(textOf("dropped-row")).toContain("connection 7 · channel c!1");
});

test("what is over says when it was last, and what is long over is folded away, by keyboard as well", async () => {
  await snapshot({ rows: [droppedRow({ last_at: 900, rate: 0 }), droppedRow({ reason: "expired", last_at: null })] });
  const [over, earlier] = find("dropped-row");
  expect(over?.dataset.phase).toBe("dropped");
  expect(over?.textContent).toContain(`last at ${clock(900)}`);
  expect(earlier?.dataset.phase).toBe("earlier");
  const details = find("dropped-earlier")[0] as HTMLDetailsElement;
  expect(details.open).toBe(false);
  expect(details.querySelector("summary")?.textContent).toBe("Earlier: 120 lost");
  expect(details.contains(earlier ?? null)).toBe(true);
});

test("a rate that is not known is not shown as zero", async () => {
  await snapshot({ rows: [droppedRow({ rate: null })] });
  expect(textOf("dropped-row")).toContain("rate unknown");
});

test("a gap is told without a number, and where nobody knows whose it was, that", async () => {
  const gap = drop({ reason: "unknown", consumer: "unknown", tenant: "", messages: null, layer: "default", group: "" });
  await snapshot({ recent: [gap], gaps: 1 });
  expect(textOf("dropped-gaps")).toContain("a number that nobody can know");
  expect(textOf("dropped-gaps")).toContain("default on web-1:12");
  expect(find("dropped-well")).toEqual([]);
  await snapshot({ gaps: null });
  expect(textOf("dropped-gaps")).toContain("how many and whose is unknown");
});

test("a delta takes the place of everything", async () => {
  await snapshot({ rows: [droppedRow(), droppedRow({ tenant: "globex" })] });
  expect(find("dropped-row").length).toBe(2);
  await receive({ type: "delta", topic: "dropped", at: 1001, dropped: { rows: [], gaps: 0 } });
  expect(find("dropped-row")).toEqual([]);
  expect(find("dropped-well").length).toBe(1);
});

test("layers: how full, whose queue, how old; a state in words", async () => {
  await snapshot({});
  await layers(layerRow(), layerRow({ layer: "quiet", depth: 0, oldest: 0, fullest: 0 }));
  const [filling, calm] = find("layer");
  for (const part of [
    "default",
    "web-1:12",
    "85 waiting",
    "the oldest for 4.2 s",
    "fullest queue 85 % of 100",
    "Orders",
  ])
    expect(filling?.textContent).toContain(part);
  expect(filling?.dataset.state).toBe("filling");
  expect(calm?.dataset.state).toBe("calm");
  expect(calm?.textContent).toContain("0 waiting");
  expect(calm?.textContent).not.toContain("oldest");
});

test("a layer that does not answer is unknown, and one without a bound has no share", async () => {
  await snapshot({});
  const nothing = { depth: null, oldest: null, capacity: null, fullest: null };
  await layers(layerRow(nothing), layerRow({ layer: "pubsub", capacity: null, fullest: null }));
  expect(find("layer").map((layer) => layer.dataset.state)).toEqual(["unknown", "calm"]);
  expect(find("layer")[0]?.textContent).toContain("unknown");
  expect(find("layer")[0]?.textContent).not.toContain("0 waiting");
  expect(find("layer")[1]?.textContent).toContain("no bound");
  expect(stateOf(layerRow({ fullest: 0.8 }))).toBe("filling");
});

test("who may not see all tenants sees no layers", async () => {
  await snapshot({});
  await layers();
  expect(find("layers")).toEqual([]);
});

test("what the feed no longer vouches for is as of then, and its age stands still", async () => {
  await receive({ type: "delta", topic: "totals", at: 1000, totals: totals() });
  await snapshot({ rows: [droppedRow({ last_at: 995 })] });
  await act(() => {
    hub.feed.value = { kind: "offline", retryAt: 1010 } as typeof hub.feed.value;
    hub.now.value = 5000;
  });
  expect(textOf("dropped")).toContain("unknown now");
  expect(find("dropped-row")[0]?.dataset.phase).toBe("dropping");
});
