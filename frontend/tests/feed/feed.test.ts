import { beforeEach, expect, test } from "vitest";
import { Feed, type FeedState, type Subscription } from "../../src/feed/feed";
import type { Members, Error as RequestError, ServerMessage } from "../../src/wire/types";
import { event, hello, totals } from "../samples";
import { ScriptedEnvironment } from "./scripted";

let world: ScriptedEnvironment;
let feed: Feed;
let states: FeedState[];
let messages: ServerMessage[];
let confirmed: Subscription[];
let rejected: string[];
let answers: [string, Members | RequestError][];

const state = () => states.at(-1);
const delta = (): ServerMessage => ({ type: "delta", topic: "totals", at: world.time, totals: totals() });
const eventsSnapshot = (cursor: string): ServerMessage => ({
  type: "snapshot",
  topic: "events",
  at: 1,
  cursor,
  events: [],
});

beforeEach(() => {
  world = new ScriptedEnvironment();
  [states, messages, confirmed, rejected, answers] = [[], [], [], [], []];
  feed = new Feed("ws://hub/ws/ops/", world, {
    state: (each) => states.push(each),
    message: (each) => messages.push(each),
    subscribed: (each) => confirmed.push(each),
    rejected: (_, error) => rejected.push(error.message),
    members: (ref, answer) => answers.push([ref, answer]),
  });
  feed.start();
});

function goLive(): void {
  world.socket.receive(hello());
  world.socket.confirm();
}

/** Live, with news every second. */
function liveFor(seconds: number): void {
  for (let second = 0; second < seconds; second++) {
    world.pass(1);
    world.socket.receive(delta());
  }
}

test("it subscribes after hello and is live when that is confirmed", () => {
  expect(state()).toEqual({ kind: "connecting" });
  expect(world.socket.sent).toEqual([]);
  world.socket.receive(hello());
  expect(world.socket.types()).toEqual(["heartbeat", "subscribe"]);
  expect(state()).toEqual({ kind: "connecting" });
  world.socket.confirm();
  expect(state()).toEqual({ kind: "live", rtt: null });
  expect(confirmed).toEqual([{ tenant: null }]);
});

test("after a reconnect it sends resume before subscribe, with the newest cursor", () => {
  goLive();
  world.socket.receive(eventsSnapshot("boot-4"));
  world.socket.receive(event(5));
  world.socket.drop(1006);
  world.pass(1);
  world.socket.receive(hello());
  expect(world.socket.types()).toEqual(["heartbeat", "resume", "subscribe"]);
  expect(world.socket.sent[1]).toEqual({ type: "resume", cursor: "boot-5" });
});

test("a heartbeat moves the cursor only once the subscription is confirmed", () => {
  goLive();
  world.socket.receive({ type: "heartbeat", at: 1, cursor: "boot-7" });
  world.socket.drop(1006);
  world.pass(1);
  world.socket.receive(hello());
  world.socket.receive({ type: "heartbeat", at: 1, cursor: "boot-90" });
  world.socket.drop(1006);
  world.pass(1);
  world.socket.receive(hello());
  expect(world.socket.sent[1]).toEqual({ type: "resume", cursor: "boot-7" });
});

test("the round trip is measured at once and every ten seconds", () => {
  goLive();
  world.pass(0.04);
  world.socket.receive({ type: "heartbeat", at: 1, cursor: "boot-1", echo: 0 });
  expect(state()).toEqual({ kind: "live", rtt: 0.04 });
  liveFor(31);
  expect(world.socket.types().filter((type) => type === "heartbeat")).toHaveLength(4);
});

test("silence beyond two and a half cadences is stale, and any message ends it", () => {
  goLive();
  world.pass(2.4);
  expect(state()?.kind).toBe("live");
  world.pass(0.7);
  expect(state()).toEqual({ kind: "stale", since: 0 });
  world.socket.receive(delta());
  expect(state()?.kind).toBe("live");
});

test("a slower cadence is stale later", () => {
  world.socket.receive(hello({ cadence: 5 }));
  world.socket.confirm();
  world.pass(12);
  expect(state()?.kind).toBe("live");
  world.pass(1.5);
  expect(state()?.kind).toBe("stale");
});

test("a connection that says nothing at all is given up", () => {
  goLive();
  world.pass(25.6);
  expect(state()?.kind).toBe("offline");
  expect(world.socket.closedByPage).toBe(true);
});

test("a server that never says hello is given up", () => {
  world.pass(10.6);
  expect(state()?.kind).toBe("offline");
});

/** The connection fails; the delay until the next, which is waited for. */
function fail(code = 1006): number {
  world.socket.drop(code);
  const now = state();
  const delay = now?.kind === "offline" ? now.retryAt - world.time : Number.NaN;
  world.pass(delay);
  return delay;
}

test("the delay grows with every failure and starts anew after a settled connection", () => {
  expect([fail(), fail(), fail()]).toEqual([0.5, 1, 2]);
  goLive();
  liveFor(6);
  expect([fail(), fail()]).toEqual([0.5, 1]);
});

test("a server that takes a connection and drops it does not reset the delay", () => {
  const delays = [0, 1, 2].map(() => {
    goLive();
    return fail(1011);
  });
  expect(delays).toEqual([0.5, 1, 2]);
});

test("the network coming back, or a click, ends the wait", () => {
  world.socket.drop(1006);
  world.wake();
  expect(world.sockets).toHaveLength(2);
  world.socket.drop(1006);
  feed.retry();
  expect(world.sockets).toHaveLength(3);
  world.pass(20);
  expect(world.sockets.length).toBeLessThanOrEqual(4);
});

test("a page that is looked at again asks whether the connection still lives", () => {
  goLive();
  world.wake();
  expect(world.socket.types().at(-1)).toBe("heartbeat");
});

test.each([
  [4401, "not_logged_in"],
  [4403, "not_allowed"],
] as const)("close code %i is final until asked", (code, reason) => {
  world.socket.drop(code);
  expect(state()).toEqual({ kind: "refused", reason });
  world.pass(100);
  world.wake();
  expect(world.sockets).toHaveLength(1);
  feed.retry();
  expect(world.sockets).toHaveLength(2);
});

test("4408 resumes at once, but not in a circle", () => {
  goLive();
  world.socket.receive(event(1));
  liveFor(6);
  world.socket.drop(4408);
  expect(world.sockets).toHaveLength(2);
  goLive();
  world.socket.drop(4408);
  expect(state()?.kind).toBe("offline");
});

test("4429 waits longer than a lost connection", () => {
  goLive();
  liveFor(6);
  world.socket.drop(4429);
  expect(state()).toEqual({ kind: "offline", retryAt: world.time + 8 });
});

test("a new subscription hides what the old one still brings", () => {
  goLive();
  feed.subscribe({ tenant: "acme" });
  expect(world.socket.sent.at(-1)).toMatchObject({ type: "subscribe", tenants: ["acme"] });
  const before = messages.length;
  world.socket.receive(delta());
  expect(messages).toHaveLength(before);
  world.socket.confirm();
  world.socket.receive(delta());
  expect(messages).toHaveLength(before + 1);
  expect(confirmed.at(-1)).toEqual({ tenant: "acme" });
});

test("the subscription outlives the connection", () => {
  goLive();
  feed.subscribe({ tenant: "" });
  world.socket.drop(1006);
  world.pass(1);
  world.socket.receive(hello());
  expect(world.socket.sent.at(-1)).toMatchObject({ type: "subscribe", tenants: [""] });
});

test("a refused subscription is told with its reason", () => {
  world.socket.receive(hello());
  world.socket.confirm(false);
  expect(rejected).toEqual(["Not yours."]);
  expect(state()?.kind).toBe("connecting");
});

test("nothing of a connection that was left behind is heard", () => {
  const first = world.socket;
  first.drop(1006);
  world.wake();
  first.receive(hello());
  first.drop(4403);
  expect(state()).toEqual({ kind: "connecting" });
  expect(messages).toEqual([]);
});

test("stopped, it stays quiet", () => {
  feed.stop();
  world.wake();
  world.pass(100);
  expect(world.sockets).toHaveLength(1);
});

test("members are asked for with a ref of their own, and only while somebody answers", () => {
  expect(feed.listMembers({ limit: 50 })).toBeNull();
  goLive();
  const ref = feed.listMembers({ limit: 50, search: "ann" });
  expect(world.socket.sent.at(-1)).toEqual({ type: "list_members", ref, limit: 50, search: "ann" });
  const page: Members = { type: "members", ref: ref ?? "", at: 1, members: [], total: 0, next: null };
  world.socket.receive(page);
  expect(answers).toEqual([[ref, page]]);
  const other = feed.listMembers({ tenant: "globex" });
  expect(other).not.toBe(ref);
  const error = { code: "not_allowed" as const, message: "Not yours." };
  world.socket.receive({ type: "result", ref: other, ok: false, error });
  expect(answers.at(-1)).toEqual([other, error]);
  expect(rejected).toEqual([]);
  world.socket.drop(1006);
  expect(feed.listMembers({})).toBeNull();
});

test("what is asked about alerts is answered by its ref, whatever else comes", async () => {
  goLive();
  const first = feed.request({ type: "show_alert", id: 7 });
  const second = feed.request({ type: "acknowledge", key: "k" });
  const third = feed.request({ type: "list_alerts" });
  const refs = world.socket.sent.slice(-3).map((message) => message.ref ?? "");
  expect(new Set(refs).size).toBe(3);
  world.socket.receive({ type: "result", ref: refs[1] ?? "", ok: true });
  world.socket.receive({ type: "result", ref: "somebody else's", ok: true });
  world.socket.receive({ type: "alerts", ref: refs[2] ?? "", at: 1, alerts: [], next: null });
  const error = { code: "invalid" as const, message: "There is no alert 7." };
  world.socket.receive({ type: "result", ref: refs[0] ?? "", ok: false, error });
  expect(await first).toEqual(error);
  expect(await second).toMatchObject({ ok: true });
  expect(await third).toMatchObject({ type: "alerts", alerts: [] });
});

test("while nobody would answer, that is the answer", async () => {
  expect(await feed.request({ type: "acknowledge", key: "k" })).toMatchObject({ code: "unavailable" });
  world.socket.receive(hello());
  expect(await feed.request({ type: "acknowledge", key: "k" })).toMatchObject({ code: "unavailable" });
  expect(world.socket.types()).not.toContain("acknowledge");
});

test("a connection that breaks leaves no request without an answer", async () => {
  goLive();
  const asked = feed.request({ type: "acknowledge", key: "k" });
  world.socket.drop(1006);
  expect(await asked).toMatchObject({ code: "unavailable", message: expect.stringContaining("look whether") });
});
