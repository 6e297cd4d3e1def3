/**
 * One subscription to /ws/ops/ that survives its connections.
 *
 * States: connecting -> live <-> stale -> offline -> connecting ...; refused is final until `retry`.
 * `live` begins when the server has confirmed the subscription.
 */
import { CLOSE, decode, encode, SUBPROTOCOL } from "../wire/codec";
import type {
  Acknowledge,
  AlertDetail,
  AlertPage,
  EndSilence,
  ListAlerts,
  ListMembers,
  Members,
  Preview,
  PreviewSilence,
  Error as RequestError,
  Result,
  ServerMessage,
  ShowAlert,
  Silence,
  Unacknowledge,
} from "../wire/types";
import { backoff } from "./backoff";
import type { Cancel, Environment, Socket } from "./environment";

export type FeedState =
  | { kind: "connecting" }
  | { kind: "live"; rtt: number | null }
  | { kind: "stale"; since: number }
  | { kind: "offline"; retryAt: number }
  | { kind: "refused"; reason: "not_logged_in" | "not_allowed" };

export interface Subscription {
  /** Null: all tenants that the operator may see. */
  tenant: string | null;
}

/** Which members are asked for; see `ListMembers` for what each field means. */
export type MemberQuery = Omit<ListMembers, "type" | "ref">;

type WithoutRef<Message> = Message extends unknown ? Omit<Message, "ref"> : never;

/** What is asked or done about alerts; see the messages for what each field means. */
export type AlertRequest = WithoutRef<
  Acknowledge | Unacknowledge | Silence | PreviewSilence | EndSilence | ListAlerts | ShowAlert
>;

interface Answers {
  readonly list_alerts: AlertPage;
  readonly show_alert: AlertDetail;
  readonly preview_silence: Preview;
}

/** What a request of a type is answered with, unless it is refused. */
export type Answered<Type extends AlertRequest["type"]> = Type extends keyof Answers ? Answers[Type] : Result;
type Answer = Answers[keyof Answers] | Result;

export interface FeedListener {
  state(state: FeedState): void;
  /** The server has confirmed: what follows belongs to this subscription. */
  subscribed(subscription: Subscription): void;
  rejected(subscription: Subscription, error: RequestError): void;
  message(message: ServerMessage): void;
  /** What `listMembers` has asked for, or why it was refused. */
  members(ref: string, answer: Members | RequestError): void;
}

const AWAY: RequestError = {
  code: "unavailable",
  message: "The hub can’t be reached at the moment; nothing was done.",
};
const BROKEN: RequestError = {
  code: "unavailable",
  message: "The connection broke before the hub answered; look whether it was done.",
};

const TICK = 0.5;
const HEARTBEAT = 10;
const HELLO_TIMEOUT = 10;
/** Cadences without a message until the numbers count as stale. */
const STALE_CADENCES = 2.5;
/** Seconds without a message, heartbeats unanswered, until the connection counts as dead. */
const SILENCE = 25;
/** A connection must have been live this long before the next failure starts from the shortest delay again. */
const SETTLED = 5;

export class Feed {
  private state: FeedState = { kind: "connecting" };
  private socket: Socket | null = null;
  /** Counts connections: callbacks of an earlier one are ignored. */
  private generation = 0;
  private attempt = 0;
  private cursor: string | null = null;
  private cadence = 1;
  private rtt: number | null = null;
  private wanted: Subscription = { tenant: null };
  private confirmed = false;
  private greeted = false;
  private refs = 0;
  private memberRefs = 0;
  private alertRefs = 0;
  /** What waits for its answer, by ref. */
  private readonly asked = new Map<string, (answer: Answer | RequestError) => void>();
  private openedAt = 0;
  private liveSince = 0;
  private heardAt = 0;
  private beatAt = 0;
  private cancelTimer: Cancel = () => {};
  private cancelWake: Cancel = () => {};

  constructor(
    private readonly url: string,
    private readonly environment: Environment,
    private readonly listener: FeedListener,
  ) {}

  start(): void {
    this.cancelWake = this.environment.onWake(() => this.wake());
    this.connect();
  }

  stop(): void {
    this.cancelWake();
    this.abandon();
  }

  /** Replaces the subscription, now if connected and after every reconnect. */
  subscribe(subscription: Subscription): void {
    this.wanted = subscription;
    this.confirmed = false;
    if (this.greeted) this.sendSubscribe();
  }

  /** Asks for a page of the roster; returns the ref of the answer, or null while nobody would answer. */
  listMembers(query: MemberQuery): string | null {
    if (!this.confirmed) return null;
    const ref = `members-${++this.memberRefs}`;
    this.send({ type: "list_members", ref, ...query });
    return ref;
  }

  /** Asks or does something about alerts; the answer comes in any case, be it that nobody knows what became of it. */
  request<R extends AlertRequest>(request: R): Promise<Answered<R["type"]> | RequestError> {
    if (!this.confirmed) return Promise.resolve(AWAY);
    const ref = `alerts-${++this.alertRefs}`;
    return new Promise((resolve) => {
      this.asked.set(ref, resolve as (answer: Answer | RequestError) => void);
      this.send({ ...request, ref });
    });
  }

  /** Tries at once, whatever the countdown says. */
  retry(): void {
    if (this.state.kind === "offline" || this.state.kind === "refused") this.connect();
  }

  private wake(): void {
    if (this.state.kind === "offline") this.connect();
    else if (this.greeted) this.sendHeartbeat();
  }

  private connect(): void {
    this.abandon();
    const generation = ++this.generation;
    const current = (call: () => void) => generation === this.generation && call();
    this.openedAt = this.environment.now();
    this.enter({ kind: "connecting" });
    this.socket = this.environment.connect(this.url, SUBPROTOCOL, {
      opened: () => {},
      received: (frame) => current(() => this.receive(frame)),
      closed: (code) => current(() => this.closed(code)),
    });
    this.scheduleTick();
  }

  private abandon(): void {
    this.generation++;
    this.cancelTimer();
    this.socket?.close();
    this.socket = null;
    this.confirmed = false;
    this.greeted = false;
    this.rtt = null;
    for (const ref of [...this.asked.keys()]) this.settle(ref, BROKEN);
  }

  private settle(ref: string, answer: Answer | RequestError): void {
    const resolve = this.asked.get(ref);
    this.asked.delete(ref);
    resolve?.(answer);
  }

  private receive(frame: unknown): void {
    const message = decode(frame);
    if (message === null) return;
    this.heardAt = this.environment.now();
    if (this.state.kind === "stale") this.enterLive();
    switch (message.type) {
      case "hello":
        this.greet(message.cadence);
        break;
      case "result":
        this.receiveResult(message);
        return;
      case "members":
        this.listener.members(message.ref, message);
        break;
      case "alerts":
      case "alert":
      case "preview":
        this.settle(message.ref, message);
        break;
      case "heartbeat":
        this.measure(message.echo);
        if (this.confirmed) this.cursor = message.cursor;
        break;
      case "event":
        this.cursor = message.cursor;
        break;
      case "snapshot":
      case "delta":
        // Between a new subscription and its result the server still sends what the old one asked for.
        if (!this.confirmed) return;
        if (message.type === "snapshot" && message.topic === "events") this.cursor = message.cursor;
    }
    this.listener.message(message);
  }

  private greet(cadence: number): void {
    this.greeted = true;
    this.cadence = cadence;
    this.sendHeartbeat();
    if (this.cursor !== null) this.send({ type: "resume", cursor: this.cursor });
    this.sendSubscribe();
  }

  private receiveResult(result: Result): void {
    const error = result.ok ? null : (result.error ?? { code: "invalid", message: "The hub refused the request." });
    if (error !== null && result.ref?.startsWith("members-")) this.listener.members(result.ref, error);
    if (result.ref != null) this.settle(result.ref, error ?? result);
    if (result.ref !== this.subscribeRef()) return;
    if (error !== null) {
      this.listener.rejected(this.wanted, error);
      return;
    }
    this.confirmed = true;
    this.liveSince = this.environment.now();
    this.listener.subscribed(this.wanted);
    this.enterLive();
  }

  private measure(echo: number | null | undefined): void {
    if (echo == null) return;
    this.rtt = Math.max(0, this.environment.now() - echo);
    if (this.state.kind === "live") this.enterLive();
  }

  private closed(code: number): void {
    const settled = this.confirmed && this.environment.now() - this.liveSince >= SETTLED;
    this.abandon();
    if (code === CLOSE.notLoggedIn) this.enter({ kind: "refused", reason: "not_logged_in" });
    else if (code === CLOSE.notAllowed) this.enter({ kind: "refused", reason: "not_allowed" });
    else if (code === CLOSE.tooSlow && settled) this.connect();
    else this.retryLater(settled, code === CLOSE.flood);
  }

  private retryLater(settled: boolean, flooded: boolean): void {
    if (settled) this.attempt = 0;
    // After a flood the shortest delays would only bring the next one.
    if (flooded) this.attempt = Math.max(this.attempt, 4);
    const delay = backoff(this.attempt++, this.environment.random);
    this.enter({ kind: "offline", retryAt: this.environment.now() + delay });
    this.cancelTimer = this.environment.after(delay, () => this.connect());
  }

  private scheduleTick(): void {
    this.cancelTimer = this.environment.after(TICK, () => {
      this.scheduleTick();
      this.tick();
    });
  }

  private tick(): void {
    const now = this.environment.now();
    if (!this.greeted) {
      if (now - this.openedAt > HELLO_TIMEOUT) this.closed(1006);
      return;
    }
    const silence = now - this.heardAt;
    if (silence > SILENCE) this.closed(1006);
    else if (this.state.kind === "live" && silence > STALE_CADENCES * this.cadence)
      this.enter({ kind: "stale", since: this.heardAt });
    if (this.greeted && now - this.beatAt >= HEARTBEAT) this.sendHeartbeat();
  }

  private sendSubscribe(): void {
    this.refs++;
    const { tenant } = this.wanted;
    this.send({ type: "subscribe", ref: this.subscribeRef(), ...(tenant === null ? {} : { tenants: [tenant] }) });
  }

  private subscribeRef(): string {
    return `subscribe-${this.refs}`;
  }

  private sendHeartbeat(): void {
    this.beatAt = this.environment.now();
    this.send({ type: "heartbeat", sent_at: this.beatAt });
  }

  private send(message: Parameters<typeof encode>[0]): void {
    this.socket?.send(encode(message));
  }

  private enterLive(): void {
    if (this.confirmed) this.enter({ kind: "live", rtt: this.rtt });
  }

  private enter(state: FeedState): void {
    this.state = state;
    this.listener.state(state);
  }
}
