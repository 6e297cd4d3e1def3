import type { ClientMessage, ServerMessage } from "./types";

export const SUBPROTOCOL = "hub.ops.v1.json";

/** Why the server closes the feed (hub/feed/wire.py; a test compares the two). */
export const CLOSE = { notLoggedIn: 4401, notAllowed: 4403, tooSlow: 4408, flood: 4429 } as const;

const KNOWN: ReadonlySet<unknown> = new Set<ServerMessage["type"]>([
  "hello",
  "snapshot",
  "delta",
  "event",
  "gap",
  "result",
  "members",
  "alerts",
  "alert",
  "preview",
  "heartbeat",
]);

/** The message in one text frame; null for what this version of the page does not know. */
export function decode(frame: unknown): ServerMessage | null {
  if (typeof frame !== "string") return null;
  try {
    const message = JSON.parse(frame) as ServerMessage | null;
    return KNOWN.has(message?.type) ? message : null;
  } catch {
    return null;
  }
}

export function encode(message: ClientMessage): string {
  return JSON.stringify(message);
}
