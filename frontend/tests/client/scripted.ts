/** A server that does what the test says, and a browser around it in which time passes when the test says so. */
import { vi } from "vitest";

export const MARK = "\0";
export type Control = { type: string; [field: string]: unknown };

/** Whether our library, and not a test, made this control frame. */
export const isControl = (frame: unknown): frame is string =>
  typeof frame === "string" && frame.startsWith(`${MARK}{"type"`);

/** Stands for the platform's WebSocket; the other end is in the hands of the test. */
export class ScriptedSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  static made: ScriptedSocket[] = [];

  onopen: (() => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onerror: (() => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  readyState = 0;
  bufferedAmount = 0;
  binaryType: BinaryType = "blob";
  protocol = "";
  extensions = "";
  readonly url: string;
  readonly protocols: string[];
  /** What reached the server. */
  readonly sent: unknown[] = [];
  closedWith: [code?: number, reason?: string] | null = null;

  constructor(url: string, protocols: string | string[] = []) {
    const parsed = new URL(url);
    if (!/^wss?:$/.test(parsed.protocol) || url.includes("#")) throw new DOMException("a bad URL", "SyntaxError");
    this.protocols = [protocols].flat();
    if (new Set(this.protocols).size < this.protocols.length) throw new DOMException("twice", "SyntaxError");
    this.url = url;
    ScriptedSocket.made.push(this);
  }

  send(data: unknown): void {
    if (this.readyState === 0) throw new DOMException("still connecting", "InvalidStateError");
    if (this.readyState === 1) this.sent.push(data);
    else this.bufferedAmount += new Blob([data as string]).size;
  }

  close(code?: number, reason?: string): void {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999))
      throw new DOMException("a bad code", "InvalidAccessError");
    if (this.readyState < 2) {
      this.readyState = 2;
      this.closedWith = [code, reason];
    }
  }

  // --- the other end ---

  open(protocol = ""): this {
    this.readyState = 1;
    this.protocol = protocol;
    this.onopen?.();
    return this;
  }

  say(data: unknown): this {
    this.onmessage?.(new MessageEvent("message", { data, origin: "ws://server" }));
    return this;
  }

  control(type: string, fields: object = {}): this {
    return this.say(MARK + JSON.stringify({ type, ...fields }));
  }

  hello(interval = 30, at = 1000): this {
    return this.control("hello", { version: 1, interval, at });
  }

  drop(code = 1006, reason = "", wasClean = code !== 1006): this {
    this.readyState = 3;
    if (!wasClean) this.onerror?.();
    this.onclose?.(new CloseEvent("close", { code, reason, wasClean }));
    return this;
  }

  /** The consumer's own frames, as the hub would hand them to it. */
  get ordinary(): unknown[] {
    return this.sent.filter((frame) => !isControl(frame));
  }

  get controls(): Control[] {
    return this.sent.filter(isControl).map((frame) => JSON.parse(frame.slice(1)) as Control);
  }

  heartbeats(): Control[] {
    return this.controls.filter((control) => control.type === "heartbeat");
  }

  confirms(): unknown[] {
    return this.controls.filter((control) => control.type === "confirm").map((control) => control.count);
  }
}

/** Stands for the platform's Worker: its timers are those of the test, and never slowed down. */
export class ScriptedWorker {
  static made: ScriptedWorker[] = [];
  /** What the policy does: nothing, throw, or complain later. */
  static policy: "allow" | "throw" | "error" = "allow";
  /** Seconds that what it posts waits in the page's queue. */
  static lag = 0;

  onmessage: ((event: { data: [number, number] }) => void) | null = null;
  onerror: (() => void) | null = null;
  terminated = false;

  constructor() {
    if (ScriptedWorker.policy === "throw") throw new DOMException("the policy forbids it", "SecurityError");
    ScriptedWorker.made.push(this);
    if (ScriptedWorker.policy === "error") setTimeout(() => this.onerror?.(), 1);
  }

  postMessage([id, milliseconds]: [number, number]): void {
    if (ScriptedWorker.policy === "error") return;
    setTimeout(() => {
      const at = Date.now();
      wait(() => this.terminated || this.onmessage?.({ data: [id, at] }));
    }, milliseconds);
  }

  terminate(): void {
    this.terminated = true;
  }
}

/** In the page's queue; what waits no time needs no turn of its own. */
function wait(call: () => void): void {
  if (ScriptedWorker.lag) setTimeout(call, ScriptedWorker.lag * 1000);
  else call();
}

/** A message channel whose messages wait for what is in the page's queue. */
export class ScriptedChannel {
  port1 = { onmessage: null as (() => void) | null, close: () => {} };
  port2 = { postMessage: () => wait(() => this.port1.onmessage?.()) };
}

export const newest = (): ScriptedSocket => {
  const socket = ScriptedSocket.made.at(-1);
  if (!socket) throw new Error("Nothing has connected yet.");
  return socket;
};

export function setUp(): void {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
  ScriptedSocket.made = [];
  ScriptedWorker.made = [];
  ScriptedWorker.policy = "allow";
  ScriptedWorker.lag = 0;
  reported = [];
  vi.stubGlobal("reportError", (error: unknown) => reported.push(error));
  vi.stubGlobal("WebSocket", ScriptedSocket);
  vi.stubGlobal("Worker", ScriptedWorker);
  vi.stubGlobal("MessageChannel", ScriptedChannel);
  URL.createObjectURL = () => "blob:timer";
  URL.revokeObjectURL = () => {};
  show();
  setOnline(true);
}

/** What was reported as an exception that nobody caught. */
export let reported: unknown[] = [];

export function tearDown(): void {
  for (const socket of ScriptedSocket.made) if (socket.readyState < 3) socket.drop(1000);
  vi.runOnlyPendingTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.useRealTimers();
}

export const pass = (seconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(seconds * 1000);

function setVisibility(state: DocumentVisibilityState): void {
  Object.defineProperty(document, "visibilityState", { configurable: true, value: state });
  Object.defineProperty(document, "hidden", { configurable: true, value: state === "hidden" });
  document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
}

export const hide = (): void => setVisibility("hidden");
export const show = (): void => setVisibility("visible");

export function setOnline(online: boolean): void {
  Object.defineProperty(navigator, "onLine", { configurable: true, value: online });
  window.dispatchEvent(new Event(online ? "online" : "offline"));
}
