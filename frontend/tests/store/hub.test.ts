import { effect } from "@preact/signals";
import { expect, test } from "vitest";
import { Hub } from "../../src/store/hub";
import { event, hello, totals } from "../samples";

function scripted() {
  const frames: (() => void)[] = [];
  const hub = new Hub(
    (call) => frames.push(call),
    () => 500,
  );
  return { hub, frames, frame: () => frames.splice(0).forEach((call) => void call()) };
}

test("however much comes in, the page changes once a frame", () => {
  const { hub, frames, frame } = scripted();
  const seen: (number | undefined)[] = [];
  effect(() => {
    seen.push(hub.totals.value?.active);
  });
  for (const active of [1, 2, 3])
    hub.receive({ type: "delta", topic: "totals", at: active, totals: totals({ active }) });
  expect(frames).toHaveLength(1);
  frame();
  expect(seen).toEqual([undefined, 3]);
});

test("an event does not disturb who shows totals", () => {
  const { hub, frame } = scripted();
  hub.receive({ type: "delta", topic: "totals", at: 1, totals: totals() });
  frame();
  let runs = 0;
  effect(() => {
    runs += hub.totals.value ? 1 : 0;
  });
  hub.receive(event(1));
  frame();
  expect(runs).toBe(1);
  expect(hub.stream.value?.items).toHaveLength(1);
});

test("time is the server's, told by its least delayed message", () => {
  const { hub, frame } = scripted();
  hub.receive(hello({ at: 1000 }));
  frame();
  expect(hub.now.value).toBe(1000);
  hub.receive({ type: "heartbeat", at: 1002, cursor: "c" });
  hub.receive({ type: "heartbeat", at: 1001, cursor: "c" });
  frame();
  expect(hub.now.value).toBe(1002);
});

test("numbers are frozen when there are some and the feed is not live", () => {
  const { hub, frame } = scripted();
  expect(hub.frozen.value).toBe(false);
  hub.receive({ type: "delta", topic: "totals", at: 1, totals: totals() });
  frame();
  expect(hub.frozen.value).toBe(true);
  hub.feed.value = { kind: "live", rtt: null };
  expect(hub.frozen.value).toBe(false);
});
