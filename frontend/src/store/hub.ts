/** The page's one store: signals that change at most once a frame, whatever the feed brings in between. */
import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import type { FeedState, Subscription } from "../feed/feed";
import type { Error as RequestError, ServerMessage } from "../wire/types";
import { INITIAL, reduce, type State, subscribed } from "./state";

export type Schedule = (call: () => void) => void;

/** Once a frame while the page is seen; a hidden page gets no frames, but must stay right. */
export const onFrame: Schedule = (call) => {
  if (document.hidden) setTimeout(call, 1000);
  else requestAnimationFrame(call);
};

export class Hub {
  /** The newest state; what is shown follows with the next frame. */
  private newest: State = INITIAL;
  private readonly shown = signal(INITIAL);
  private scheduled = false;
  private serverAhead = Number.NEGATIVE_INFINITY;

  readonly feed = signal<FeedState>({ kind: "connecting" });
  /** The tenant that was asked for; `tenant` follows when the server has confirmed. */
  readonly wanted = signal<string | null>(null);
  /** Why the last request was refused, for the operator to read. */
  readonly refusal = signal<string | null>(null);
  /** Seconds since the epoch by the server's clock; moves once a second. */
  readonly now = signal(0);

  readonly hello = this.slice((state) => state.hello);
  readonly tenant = this.slice((state) => state.tenant);
  readonly tenants = this.slice((state) => state.tenants);
  readonly at = this.slice((state) => state.at);
  readonly totals = this.slice((state) => state.totals);
  readonly series = this.slice((state) => state.series);
  readonly consumers = this.slice((state) => state.consumers);
  readonly presence = this.slice((state) => state.presence);
  readonly slow = this.slice((state) => state.slow);
  readonly dropped = this.slice((state) => state.dropped);
  readonly layers = this.slice((state) => state.layers);
  readonly alerts = this.slice((state) => state.alerts);
  readonly silences = this.slice((state) => state.silences);
  readonly nodes = this.slice((state) => state.nodes);
  readonly metrics = this.slice((state) => state.metrics);
  readonly stream = this.slice((state) => state.stream);
  /** The numbers are no longer, or not yet, those of now. */
  readonly frozen = computed(() => this.totals.value !== null && this.feed.value.kind !== "live");

  constructor(
    private readonly schedule: Schedule,
    private readonly localNow: () => number,
  ) {
    this.now.value = localNow();
  }

  /** Seconds by this machine's clock, as the feed counts them; read anew whenever `now` moves. */
  localClock(): number {
    return this.now.value === 0 ? 0 : this.localNow();
  }

  receive(message: ServerMessage): void {
    if (message.type === "hello") this.serverAhead = Number.NEGATIVE_INFINITY;
    // The least delayed message tells best how far the two clocks are apart.
    if ("at" in message && message.type !== "event")
      this.serverAhead = Math.max(this.serverAhead, message.at - this.localNow());
    this.change(reduce(this.newest, message));
  }

  confirm(subscription: Subscription): void {
    this.change(subscribed(this.newest, subscription.tenant));
  }

  refuse(error: RequestError): void {
    this.refusal.value = error.message;
  }

  tick(): void {
    this.now.value = this.localNow() + (Number.isFinite(this.serverAhead) ? this.serverAhead : 0);
  }

  private slice<T>(pick: (state: State) => T): ReadonlySignal<T> {
    return computed(() => pick(this.shown.value));
  }

  private change(state: State): void {
    this.newest = state;
    if (this.scheduled) return;
    this.scheduled = true;
    this.schedule(() => {
      this.scheduled = false;
      batch(() => {
        this.shown.value = this.newest;
        this.tick();
      });
    });
  }
}
