import { expect, test } from "vitest";
import * as format from "../src/format";

test.each([format.count, format.rate, format.duration, format.bytes, format.quantity])("unknown is a dash", (each) => {
  expect(each(null)).toBe("–");
  expect(each(undefined)).toBe("–");
  expect(each(0)).toMatch(/^0/);
});

test("counts", () => {
  expect([7, 9990, 99_999, 123_456, 12_345_678].map(format.count)).toEqual([
    "7",
    "9,990",
    "99,999",
    "123.5K",
    "12.35M",
  ]);
});

test("a rule's figures are written as the hub writes them", () => {
  const written = [
    [0.305, "ratio"],
    [3.04, "times"],
    [2.5, "seconds"],
    [1, "messages"],
    [1200, "messages"],
    [12, ""],
  ];
  expect(written.map(([value, unit]) => format.figure(Number(value), String(unit)))).toEqual([
    "30.5 %",
    "3.04 times",
    "2.5 s",
    "1 message",
    "1,200 messages",
    "12",
  ]);
  expect(format.figure(4.2, "messages a second")).toBe("4.2 messages a second");
  expect(format.figure(null, "ratio")).toBe("–");
});

test("rates", () => {
  expect([0.01, 0.5, 9.9, 9.96, 1234.5].map(format.rate)).toEqual(["<0.1", "0.5", "9.9", "10", "1,235"]);
});

test("durations have three digits", () => {
  const values = [0.000_000_5, 0.000_42, 0.000_999_9, 0.012_34, 0.9999, 1.234, 59.9, 61, 3700];
  const texts = ["0.5 µs", "420 µs", "1 ms", "12.3 ms", "1 s", "1.23 s", "59.9 s", "1 min 1 s", "1 h 1 min"];
  expect(values.map(format.duration)).toEqual(texts);
});

test("spans and ages", () => {
  expect([5, 60, 3600, 90_061].map(format.span)).toEqual(["5 s", "1 min", "1 h", "1 d 1 h"]);
  expect([-2, 0.4, 4.9, 61, 7300, 200_000].map(format.age)).toEqual(["now", "now", "4 s", "1 min", "2 h", "2 d"]);
});

test("bytes", () => {
  expect([999, 1000, 4_520_000, 7e15].map(format.bytes)).toEqual(["999 B", "1 kB", "4.52 MB", "7,000 TB"]);
});

test("a consumer's name has a module and a last part", () => {
  expect(format.consumerLabel("shop.consumers.Chat")).toEqual({ module: "shop.consumers", name: "Chat" });
  expect(format.consumerLabel("Chat")).toEqual({ module: "", name: "Chat" });
});

test("kinds read as words", () => {
  expect(format.kindLabel("connection.opened")).toBe("Connection opened");
  expect(format.kindLabel("")).toBe("");
});

test("UTC stands beside the local time", () => {
  expect(format.clockUtc(0)).toBe("00:00:00 UTC");
});

test("details have the unit that their name says", () => {
  expect(format.detail("seconds", 139.4)).toBe("2 min 19 s");
  expect(format.detail("sent_bytes", 2048)).toBe("2.05 kB");
  expect(format.detail("code", 1006)).toBe("1006");
  expect(format.detail("clean", false)).toBe("false");
  expect(format.detail("reason", null)).toBe("–");
});

test("a metric of the host may have any size", () => {
  expect([818.0832, 0.012_345, -3.5, 1e6].map(format.quantity)).toEqual(["818.08", "0.0123", "-3.5", "1M"]);
});
