/** The wire of control frames; hub/core/control.py is the contract. */

/** What is added to the query of the URL. */
const PARAMETER = "_hub=1";
const VERSION = 1;
const MARK = "\0";
/** Longer than any control frame is. */
const MAX_CHARACTERS = 1024;
/** A lag, or an echo that was held, beyond this is nonsense to the hub. */
export const MAX_SECONDS = 3600;

/** What the hub says beside the consumer's own frames. */
export interface Control {
  type?: unknown;
  version?: unknown;
  interval?: unknown;
  /** Opaque: the next heartbeat brings it back. */
  at?: unknown;
}

/** A URL, without a fragment, that asks for control frames; the hub can restore its query byte for byte. */
export const withParameter = (url: string): string =>
  url + (/\?$/.test(url) ? "" : url.includes("?") ? "&" : "?") + PARAMETER;

/** Whether a text frame of a negotiated connection is a control frame. */
export const isControl = (frame: unknown): frame is string => typeof frame === "string" && frame.startsWith(`${MARK}{`);

/** The fields of a control frame; null: it is none that could be read. */
export function decode(frame: string): Control | null {
  try {
    return frame.length > MAX_CHARACTERS ? null : JSON.parse(frame.slice(1));
  } catch {
    return null;
  }
}

/** The hello that makes a connection negotiated, if this frame is one. */
export function hello(frame: unknown): Control | null {
  const control = isControl(frame) ? decode(frame) : null;
  return control?.type === "hello" && control.version === VERSION ? control : null;
}

export const encode = (type: string, fields: Record<string, unknown>): string =>
  MARK + JSON.stringify({ type, ...fields });

/** An ordinary frame as it travels on a negotiated connection. */
export const escaped = <Frame>(frame: Frame): Frame | string =>
  typeof frame === "string" && frame.startsWith(MARK) ? MARK + frame : frame;

/** An ordinary frame of a negotiated connection as its sender meant it. */
export const unescaped = (frame: unknown): unknown =>
  typeof frame === "string" && frame.startsWith(MARK + MARK) ? frame.slice(1) : frame;
