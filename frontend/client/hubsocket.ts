/**
 * HubSocket: a WebSocket that comes back, and that tells the hub how its page is doing.
 *
 * States: connecting -> open -> connecting ... -> closed. The last one is final: the application has closed it, or the
 * server has with a code that says so, or there are no attempts left.
 *
 * A connection is *unknown* until its first frame: a hello of the hub makes it *negotiated*, anything else *plain*.
 * A negotiated one is *suspect* while there is reason to doubt that anybody is at the other end; what is sent then
 * waits, and goes out as soon as the server is heard.
 */
import { decode, encode, escaped, hello, isControl, MAX_SECONDS, unescaped, withParameter } from "./control";
import { after, type Cancel, enter, leave, measureLag } from "./timer";

export type HubSocketData = string | ArrayBufferLike | Blob | ArrayBufferView;

/** Of the attempt that is about to be made. */
export interface ResumeContext {
  /** Where to connect; what is assigned here is kept for the attempts after this one. */
  url: string;
  /** From 1, since the last connection that was open for a while. */
  readonly attempt: number;
  /** How the last connection ended. */
  readonly code: number;
  readonly reason: string;
  /** To be sent first when this attempt succeeds, before everything that waits. */
  send(data: HubSocketData): void;
}

export interface HubSocketOptions {
  /** Ask the hub for control frames, by one more parameter in the query of the URL. Default: true. */
  negotiate?: boolean;
  /** Whether to come back after this end of a connection. Default: `comesBack`. False: exactly as a WebSocket. */
  reconnect?: boolean | ((close: CloseEvent) => boolean);
  /** Called before each attempt to come back; the attempt waits for it. */
  resume?: ((context: ResumeContext) => void | PromiseLike<void>) | undefined;
  /** Seconds: the first attempt to come back is made after up to this many, the next one after up to twice ... Default: 1. */
  minDelay?: number;
  /** ... but never more than this many. Default: 30. */
  maxDelay?: number;
  /** Attempts in a row without an open connection of five seconds. Default: no limit. */
  maxAttempts?: number;
  /** Seconds that an attempt may take. Default: 20. */
  connectTimeout?: number;
  /** What may wait while there is no connection; `send` throws a QuotaExceededError beyond. Default: 1,000. */
  maxQueuedMessages?: number;
  /** The same in bytes. Default: 1,048,576. */
  maxQueuedBytes?: number;
}

/** `reconnecting`: an attempt will be made, after `delay` seconds. `reconnect`: it has succeeded. */
export interface ReconnectEvent extends Event {
  readonly attempt: number;
  readonly delay: number;
}

export interface HubSocketEventMap extends WebSocketEventMap {
  reconnecting: ReconnectEvent;
  reconnect: ReconnectEvent;
}

type Handler<Type extends keyof HubSocketEventMap> =
  | ((this: WebSocket, event: HubSocketEventMap[Type]) => unknown)
  | null;
type Frame = string | ArrayBuffer | Blob;

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
const EVENTS = ["open", "message", "error", "close", "reconnecting", "reconnect"] as const;
const WAKERS = ["online", "offline", "pagehide", "pageshow", "resume", "visibilitychange"];
/** Seconds within which frames that were handled are confirmed; the hub allows 0.1. */
const CONFIRM = 0.08;
/** Silence, in heartbeat intervals, that makes a connection suspect: one answer is missing. */
const SUSPICIOUS = 1.5;
/** In heartbeat intervals: when one is so late, its timer is not to be relied upon. */
const LATE = 1.1;
/** Seconds that a suspect has to be heard. */
const PATIENCE = 10;
/** Seconds after which a connection counts as a success. */
const STABLE = 5;
/** After "too many requests" and "try again later" the shortest delays would only bring the next one. */
const BUSY = 4;

/**
 * Whether to come back, by default, after a connection has ended so.
 *
 * Not after 1000 (the server is done) and 1008 (against its policy), nor after 4400 to 4499, which say what HTTP's 400
 * to 499 do, but for 4408, 4425 and 4429: time-out, too early, too many.
 */
export function comesBack({ code }: CloseEvent): boolean {
  return !(code === 1000 || code === 1008 || (code >= 4400 && code <= 4499)) || /^44(08|25|29)$/.test(`${code}`);
}

export interface HubSocket {
  addEventListener<Type extends keyof HubSocketEventMap>(
    type: Type,
    listener: (this: HubSocket, event: HubSocketEventMap[Type]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Type extends keyof HubSocketEventMap>(
    type: Type,
    listener: (this: HubSocket, event: HubSocketEventMap[Type]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the types of methods that EventTarget has already
export class HubSocket extends EventTarget {
  static readonly CONNECTING = CONNECTING;
  static readonly OPEN = OPEN;
  static readonly CLOSING = CLOSING;
  static readonly CLOSED = CLOSED;
  declare readonly CONNECTING: 0;
  declare readonly OPEN: 1;
  declare readonly CLOSING: 2;
  declare readonly CLOSED: 3;
  declare onopen: Handler<"open">;
  declare onmessage: Handler<"message">;
  declare onerror: Handler<"error">;
  declare onclose: Handler<"close">;
  declare onreconnecting: Handler<"reconnecting">;
  declare onreconnect: Handler<"reconnect">;

  readonly #options: HubSocketOptions;
  readonly #protocols: string[];
  readonly #handlers: Partial<Record<string, unknown>> = {};
  readonly #life = new AbortController();
  #url: string;
  #binaryType: BinaryType = "blob";
  /** The newest connection, also when it has ended. */
  #socket!: WebSocket;
  /** It has not ended. */
  #live = false;
  /** The application has closed, or nothing more is to come: the end of this connection is final. */
  #closing = false;
  #ended = false;

  /** What waits: sent by `resume` for this attempt, sent by the application. */
  #first: Frame[] = [];
  readonly #queue: Frame[] = [];
  #queuedBytes = 0;

  #attempt = 0;
  #delay = 0;
  /** Undefined: it was never open. */
  #openedAt: number | undefined;
  #lastClose = { code: 1006, reason: "" };
  /** Counts attempts: a `resume` that ends too late is ignored. */
  #generation = 0;
  #cancelRetry: Cancel | null = null;
  #connectTimer: ReturnType<typeof setTimeout> | undefined;

  /** Undefined: unknown. */
  #negotiated: boolean | undefined;
  #suspect = false;
  /** The page is being left: what is still to be done may never be. */
  #leaving = false;
  #interval = 30;
  #heardAt = 0;
  #beatAt = 0;
  #at: { at: number; mono: number; wall: number } | null = null;
  #lag: number | undefined;
  #count = 0;
  #confirmed = 0;
  #unconfirmedAt = 0;
  #cancelConfirm: Cancel | null = null;
  #cancelTick: Cancel | null = null;

  static {
    Object.assign(HubSocket.prototype, { CONNECTING, OPEN, CLOSING, CLOSED });
    for (const type of EVENTS)
      Object.defineProperty(HubSocket.prototype, `on${type}`, {
        configurable: true,
        enumerable: true,
        get(this: HubSocket) {
          return this.#handlers[type] ?? null;
        },
        set(this: HubSocket, handler: unknown) {
          // As the platform does: its place among the listeners is that of the first handler.
          if (!(type in this.#handlers))
            this.addEventListener(type, (event) => {
              const call = this.#handlers[type];
              if (typeof call === "function") call.call(this, event);
            });
          this.#handlers[type] = typeof handler === "function" ? handler : null;
        },
      });
  }

  constructor(url: string | URL, protocols: string | string[] = [], options: HubSocketOptions = {}) {
    super();
    this.#options = options;
    this.#protocols = [protocols].flat();
    this.#url = absolute(url);
    this.#connect();
    enter();
    for (const type of WAKERS)
      globalThis.addEventListener?.(type, this.#wake, { capture: true, signal: this.#life.signal });
  }

  /** Of the newest attempt, without the hub's parameter. */
  get url(): string {
    return this.#url;
  }

  get readyState(): 0 | 1 | 2 | 3 {
    if (!this.#reconnects) return this.#socket.readyState as 0;
    if (this.#ended) return CLOSED;
    if (this.#closing) return CLOSING;
    return this.#isOpen ? OPEN : CONNECTING;
  }

  /** Bytes that were not handed to the network, among them those that wait for a connection. */
  get bufferedAmount(): number {
    return this.#queuedBytes + (this.#live || this.#ended ? this.#socket.bufferedAmount : 0);
  }

  /** Messages that wait for a connection; after the last `close` those that were never sent. */
  get queued(): number {
    return this.#queue.length;
  }

  /** Whether the hub answers on this connection; null: not known yet. */
  get negotiated(): boolean | null {
    return this.#negotiated ?? null;
  }

  /** The subprotocol of the newest connection: after a reconnect the server may have chosen another one. */
  get protocol(): string {
    return this.#live || this.#ended ? this.#socket.protocol : "";
  }

  get extensions(): string {
    return this.#live || this.#ended ? this.#socket.extensions : "";
  }

  get binaryType(): BinaryType {
    return this.#binaryType;
  }

  set binaryType(type: BinaryType) {
    if (type !== "blob" && type !== "arraybuffer") return;
    this.#binaryType = this.#socket.binaryType = type;
  }

  /**
   * Sends, or queues while there is no connection.
   *
   * Throws a QuotaExceededError, and takes nothing, where the queue is full. After `close` what is sent is discarded,
   * as a WebSocket does.
   */
  send(data: HubSocketData): void {
    const idle = !this.#queue.length && !this.#first.length;
    if (this.#closing || this.#ended || (!this.#reconnects && !this.#isOpen)) this.#socket.send(data as string);
    else if (idle && this.#flows) this.#transmit(data);
    else this.#enqueue(snapshot(data));
  }

  /** As a WebSocket's: final, also while there is no connection. */
  close(code?: number, reason?: string): void {
    // What waits for a sign of life only is sent now, as a WebSocket sends what it has buffered.
    if (this.#isOpen) this.#flush(true);
    this.#confirm();
    this.#socket.close(code, reason);
    if (this.#closing || this.#ended) return;
    this.#closing = true;
    this.#forget();
    if (!this.#live) setTimeout(() => this.#finish({ code: 1006, reason: "", wasClean: false }, true));
  }

  // --- connections ---

  get #reconnects(): boolean {
    return this.#options.reconnect !== false;
  }

  get #isOpen(): boolean {
    return this.#live && this.#socket.readyState === OPEN;
  }

  #connect(): void {
    const url = this.#options.negotiate === false ? this.#url : withParameter(this.#url);
    const socket = new WebSocket(url, this.#protocols);
    const current = (call: (event: never) => void) => (event: unknown) => {
      if (socket === this.#socket && this.#live) call(event as never);
    };
    socket.binaryType = this.#binaryType;
    socket.onopen = current(() => this.#opened());
    socket.onmessage = current((event: MessageEvent) => this.#received(event));
    socket.onerror = current(() => this.dispatchEvent(new Event("error")));
    socket.onclose = current((event: CloseEvent) => this.#closed(event));
    this.#socket = socket;
    this.#live = true;
    this.#negotiated = this.#options.negotiate === false ? false : undefined;
    this.#suspect = false;
    this.#at = null;
    this.#openedAt = undefined;
    this.#count = this.#confirmed = 0;
    if (this.#reconnects)
      this.#connectTimer = setTimeout(() => this.#abandon(), (this.#options.connectTimeout ?? 20) * 1000);
  }

  #opened(): void {
    clearTimeout(this.#connectTimer);
    this.#openedAt = now();
    const attempt = this.#attempt;
    this.#flush();
    this.dispatchEvent(new Event("open"));
    if (this.#generation) this.#announce("reconnect", attempt);
  }

  /** Nobody is at the other end: end the connection as the browser would if it knew. */
  #abandon(): void {
    this.#confirm();
    this.#live = false;
    this.#socket.close();
    this.#failed();
  }

  #failed(): void {
    this.dispatchEvent(new Event("error"));
    this.#closed({ code: 1006, reason: "", wasClean: false });
  }

  #closed({ code, reason, wasClean }: CloseEventInit): void {
    const close = { code: code ?? 1006, reason: reason ?? "", wasClean: wasClean ?? false };
    this.#live = false;
    this.#forget();
    // An attempt that failed was no connection.
    if (this.#openedAt !== undefined) {
      this.#lastClose = close;
      if (now() - this.#openedAt >= STABLE) this.#attempt = 0;
    }
    if (close.code === 4429 || close.code === 1013) this.#attempt = Math.max(this.#attempt, BUSY);
    if (this.#closing || !this.#isWanted(new CloseEvent("close", close))) this.#finish(close);
    else {
      this.dispatchEvent(new CloseEvent("close", close));
      this.#retryLater();
    }
  }

  #isWanted(event: CloseEvent): boolean {
    const { reconnect, maxAttempts = Number.POSITIVE_INFINITY } = this.#options;
    try {
      const wanted = typeof reconnect === "function" ? reconnect(event) : this.#reconnects && comesBack(event);
      return wanted && this.#attempt < maxAttempts;
    } catch (error) {
      report(error);
      return comesBack(event);
    }
  }

  #finish(close: CloseEventInit, failed = false): void {
    this.#closing = this.#ended = true;
    this.#life.abort();
    leave();
    if (failed) this.dispatchEvent(new Event("error"));
    this.dispatchEvent(new CloseEvent("close", close));
  }

  /** Full jitter: evenly spread below a doubling ceiling. */
  #retryLater(): void {
    if (this.#closing) return;
    const { minDelay = 1, maxDelay = 30 } = this.#options;
    this.#delay = Math.random() * Math.min(maxDelay, minDelay * 2 ** Math.min(this.#attempt, 30));
    this.#attempt++;
    this.#cancelRetry = after(this.#delay, () => {
      // Being offline is not always true: it is tried all the same, but late.
      if (globalThis.navigator?.onLine === false) this.#cancelRetry = after(maxDelay, () => this.#retry());
      else this.#retry();
    });
    this.#announce("reconnecting", this.#attempt);
  }

  async #retry(): Promise<void> {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    const generation = ++this.#generation;
    const first: Frame[] = [];
    const context: ResumeContext = {
      ...this.#lastClose,
      url: this.#url,
      attempt: this.#attempt,
      send: (data) => first.push(snapshot(data)),
    };
    try {
      if (this.#options.resume) await this.#options.resume(context);
      if (generation !== this.#generation || this.#closing) return;
      this.#url = absolute(context.url);
      this.#first = first;
      this.#connect();
    } catch (error) {
      report(error);
      this.#failed();
    }
  }

  #announce(type: string, attempt: number): void {
    this.dispatchEvent(Object.assign(new Event(type), { attempt, delay: this.#delay }));
  }

  /** Nothing that was to happen for this connection will. */
  #forget(): void {
    clearTimeout(this.#connectTimer);
    for (const cancel of [this.#cancelRetry, this.#cancelConfirm, this.#cancelTick]) cancel?.();
    this.#cancelRetry = this.#cancelConfirm = this.#cancelTick = null;
  }

  /** The page is looked at, the network is back, or the like. */
  #wake = ({ type }: Event): void => {
    const hidden = globalThis.document?.hidden;
    if (type.startsWith("page")) this.#leaving = type === "pagehide";
    // Its browser closes the connection, or keeps it unread, and nobody tells.
    if (this.#leaving) this.#confirm();
    else if (this.#cancelRetry) {
      if (type === "online" || (type !== "offline" && !hidden)) this.#retry();
    } else if (this.#negotiated && this.#isOpen) {
      // The network changed, or the page was frozen: the connection may be gone, and nobody told.
      this.#ask(type !== "visibilitychange");
    }
  };

  // --- frames ---

  get #flows(): boolean {
    return this.#isOpen && !this.#suspect;
  }

  /** Until the client has answered the hello, nothing is escaped; the hub knows. */
  #transmit(data: HubSocketData): void {
    this.#socket.send((this.#negotiated ? escaped(data) : data) as string);
  }

  #enqueue(frame: Frame): void {
    const { maxQueuedMessages = 1000, maxQueuedBytes = 2 ** 20 } = this.#options;
    const bytes = this.#queuedBytes + sizeOf(frame);
    if (this.#queue.length >= maxQueuedMessages || bytes > maxQueuedBytes)
      throw new DOMException(
        `There is no connection, and no more than ${maxQueuedMessages} messages or ${maxQueuedBytes} bytes may wait for one.`,
        "QuotaExceededError",
      );
    this.#queue.push(frame);
    this.#queuedBytes = bytes;
    this.#flush();
  }

  #flush(force = false): void {
    for (const waiting of [this.#first, this.#queue])
      for (let frame = waiting[0]; frame !== undefined && (force || this.#flows); frame = waiting[0]) {
        this.#transmit(frame);
        waiting.shift();
        if (waiting === this.#queue) this.#queuedBytes -= sizeOf(frame);
      }
  }

  #received(event: MessageEvent): void {
    this.#heardAt = now();
    this.#suspect = false;
    if (this.#negotiated === undefined) {
      const greeting = hello(event.data);
      this.#negotiated = greeting !== null;
      if (greeting) this.#greet(greeting.interval);
    }
    if (this.#negotiated && isControl(event.data)) this.#receiveControl(event.data);
    else this.#deliver(event);
    this.#flush();
  }

  #deliver({ data, origin, lastEventId }: MessageEvent): void {
    const socket = this.#socket;
    // Before: who closes in its handler has processed it.
    if (this.#negotiated) this.#count++;
    this.dispatchEvent(
      new MessageEvent("message", { data: this.#negotiated ? unescaped(data) : data, origin, lastEventId }),
    );
    if (!this.#negotiated || socket !== this.#socket || !this.#isOpen) return;
    // Frames arrive also where timers are slowed down: a heartbeat that is due goes out with them.
    if (now() - this.#beatAt > this.#interval * LATE) this.#beat();
    else if (this.#leaving) this.#confirm();
    else this.#confirmSoon();
  }

  // --- control frames ---

  #greet(interval: unknown): void {
    if (typeof interval === "number" && interval > 0) this.#interval = Math.min(Math.max(interval, 0.1), MAX_SECONDS);
    this.#watch(this.#interval);
  }

  #receiveControl(frame: string): void {
    const control = decode(frame);
    if (typeof control?.at === "number") this.#at = { at: control.at, mono: now(), wall: Date.now() / 1000 };
    if (control?.type === "hello" || control?.type === "probe") this.#beat();
  }

  /** Says that we are alive, and how the page is. */
  #beat(lag = this.#lag): void {
    if (!this.#isOpen) return;
    this.#lag = lag;
    this.#beatAt = now();
    const visibility = globalThis.document?.visibilityState;
    this.#control("heartbeat", {
      sent_at: Date.now() / 1000,
      hidden: visibility && visibility === "hidden",
      lag: lag && Math.min(lag, MAX_SECONDS),
      ...this.#echo(),
    });
  }

  /** The newest `at`, once; not if the machine has slept since, which one of the clocks may not know. */
  #echo(): { echo?: number; held?: number } {
    const at = this.#at;
    this.#at = null;
    const held = at ? now() - at.mono : 0;
    if (!at || held > MAX_SECONDS || Math.abs(Date.now() / 1000 - at.wall - held) > 0.1) return {};
    return { echo: at.at, held };
  }

  #control(type: string, fields: object): void {
    this.#confirmed = this.#count;
    this.#cancelConfirm?.();
    this.#cancelConfirm = null;
    this.#socket.send(encode(type, { ...fields, count: this.#count }));
  }

  #confirmSoon(): void {
    if (!this.#cancelConfirm) {
      this.#unconfirmedAt = now();
      this.#cancelConfirm = after(CONFIRM, () => this.#confirm());
    } else if (now() - this.#unconfirmedAt >= CONFIRM) this.#confirm();
  }

  #confirm(): void {
    if (this.#isOpen && this.#confirmed !== this.#count) this.#control("confirm", {});
  }

  #watch(seconds: number): void {
    this.#cancelTick?.();
    this.#cancelTick = after(seconds, (lag) =>
      lag === undefined ? measureLag((seen) => this.#tick(seen)) : this.#tick(lag),
    );
  }

  #tick(lag?: number): void {
    if (!this.#negotiated || !this.#isOpen) return;
    if (this.#suspect) this.#abandon();
    else this.#ask(false, lag);
  }

  /** Let the server be heard: it answers heartbeats. */
  #ask(doubtful: boolean, lag?: number): void {
    if (this.#reconnects && (doubtful || now() - this.#heardAt >= SUSPICIOUS * this.#interval)) this.#suspect = true;
    this.#beat(lag);
    this.#watch(this.#suspect ? Math.min(this.#interval, PATIENCE) : this.#interval);
  }
}

export default HubSocket;

/** Steady seconds. */
const now = () => performance.now() / 1000;

/** As browsers resolve it, old ones too; what they refuse is left for them to refuse. */
function absolute(url: string | URL): string {
  try {
    const parsed = new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href);
    parsed.protocol = parsed.protocol.replace("http", "ws");
    return parsed.href;
  } catch {
    return `${url}`;
  }
}

const sizeOf = (frame: Frame) => new Blob([frame]).size;

/** What was passed, as it is now: the application may use its buffer again. */
function snapshot(data: HubSocketData): Frame {
  if (data instanceof Blob) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice().buffer;
  return typeof data === "object" && "byteLength" in data ? new Uint8Array(data).slice().buffer : `${data}`;
}

/** As an exception that nobody caught. */
function report(error: unknown): void {
  (globalThis.reportError ?? console.error)(error);
}
