import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CLOSE, decode, encode, SUBPROTOCOL } from "../../src/wire/codec";

const contract = readFileSync(new URL("../../../hub/feed/wire.py", import.meta.url), "utf8");

test.each([
  ["CLOSE_NOT_LOGGED_IN", CLOSE.notLoggedIn],
  ["CLOSE_NOT_ALLOWED", CLOSE.notAllowed],
  ["CLOSE_TOO_SLOW", CLOSE.tooSlow],
  ["CLOSE_FLOOD", CLOSE.flood],
  ["JSON_SUBPROTOCOL", `"${SUBPROTOCOL}"`],
])("%s is what the server says", (name, value) => {
  expect(contract).toMatch(new RegExp(`^${name} = ${value}$`, "m"));
});

test("a known message is read, anything else is nothing", () => {
  expect(decode('{"type":"heartbeat","at":1,"cursor":"a-1"}')).toEqual({ type: "heartbeat", at: 1, cursor: "a-1" });
  for (const frame of ["", "{", "null", "7", "[]", '{"type":"novelty"}', new ArrayBuffer(2), undefined])
    expect(decode(frame)).toBeNull();
});

test("what is sent is JSON", () => {
  expect(JSON.parse(encode({ type: "resume", cursor: "a-1" }))).toEqual({ type: "resume", cursor: "a-1" });
});
