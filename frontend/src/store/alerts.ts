/**
 * What an operator does about alerts: the one that is open, the silence that is being written, the history.
 *
 * Whatever is asked is asked again when the list of alerts has changed, so that what is seen is of now. States: an alert
 * is open or none is; a silence is being written or none is; both at once, when it was begun from the open alert.
 */
import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import type { AlertRequest, Answered, FeedState } from "../feed/feed";
import type { ActiveAlerts, AlertDetail, AlertRow, Error as RequestError, SilenceRow } from "../wire/types";

/** Seconds without typing until a preview is asked for. */
const QUICK = 0.25;
/** Seconds after which an open alert is asked for again: that somebody was told does not change the list. */
const LOOK_AGAIN = 5;
const PAGE_SIZE = 20;

export const HOUR = 3600;
/** How long a silence may last, in seconds; whoever needs another length has the command line. */
export const LENGTHS: readonly number[] = [HOUR / 2, HOUR, 4 * HOUR, 24 * HOUR, 7 * 24 * HOUR];

export interface Draft {
  readonly matchers: string;
  readonly seconds: number;
  readonly why: string;
}

/** What a silence would match now; `problem`: why that can't be said. */
export interface Previewed {
  readonly matchers: string;
  readonly rows: readonly AlertRow[];
  readonly total: number;
  readonly problem: string | null;
}

/** What came of the last action. */
export interface Said {
  readonly ok: boolean;
  readonly text: string;
}

export interface Earlier {
  readonly rows: readonly AlertRow[];
  readonly next: number | null;
}

/** What the desk needs to know of the page's store. */
export interface Surroundings {
  readonly feed: ReadonlySignal<FeedState>;
  /** Undefined: not told yet; null: the hub does not know. */
  readonly alerts: ReadonlySignal<ActiveAlerts | null | undefined>;
  readonly silences: ReadonlySignal<readonly SilenceRow[] | null | undefined>;
}

export type Ask = <R extends AlertRequest>(request: R) => Promise<Answered<R["type"]> | RequestError>;

export class AlertDesk {
  /** The alert whose details are seen, by id. */
  readonly opened = signal<number | null>(null);
  readonly detail = signal<AlertDetail | null>(null);
  /** Why the open alert can't be shown. */
  readonly problem = signal<string | null>(null);
  readonly draft = signal<Draft | null>(null);
  readonly previewed = signal<Previewed | null>(null);
  readonly earlier = signal<Earlier | null>(null);
  readonly said = signal<Said | null>(null);
  /** Something is being done; a second click does not do it twice. */
  readonly acting = signal(false);

  /** The open alert as it is now: its details may be a moment older than the list. */
  readonly row = computed<AlertRow | null>(() => {
    const id = this.opened.value;
    const listed = this.page.alerts.value?.rows.find((row) => row.id === id);
    return listed ?? (this.detail.value?.alert.id === id ? this.detail.value.alert : null);
  });

  private lookingAt: unknown = null;
  private lookedAt: unknown = null;
  private lookAgainAt = 0;
  private previewing = false;
  private typedAt = 0;
  private previewOf: unknown = null;

  constructor(
    private readonly page: Surroundings,
    private readonly ask: Ask,
  ) {}

  // --- the open alert ---

  open(id: number): void {
    batch(() => {
      this.opened.value = id;
      this.said.value = null;
      this.forget();
    });
  }

  close(): void {
    if (this.opened.value === null) return;
    batch(() => {
      this.opened.value = null;
      this.forget();
    });
  }

  private forget(): void {
    this.detail.value = null;
    this.problem.value = null;
    this.lookedAt = null;
  }

  /** Asks for what is seen if it is time to; to be called several times a second. */
  look(now: number): void {
    if (this.page.feed.value.kind !== "live") return;
    const alerts = this.page.alerts.value;
    const id = this.opened.value;
    const seen = alerts ?? "unknown";
    if (id !== null && this.lookingAt === null && (this.lookedAt !== seen || now >= this.lookAgainAt)) {
      this.lookedAt = seen;
      this.lookAgainAt = now + LOOK_AGAIN;
      void this.lookAt(id);
    }
    this.lookAtPreview(now, alerts);
  }

  private async lookAt(id: number): Promise<void> {
    this.lookingAt = id;
    const answer = await this.ask({ type: "show_alert", id });
    this.lookingAt = null;
    if (this.opened.value !== id) return;
    batch(() => {
      if ("code" in answer) this.problem.value = answer.message;
      else [this.detail.value, this.problem.value] = [answer, null];
    });
  }

  // --- actions ---

  /** Takes care of an alert, or not any more. */
  acknowledge(row: AlertRow): Promise<boolean> {
    const type = row.acknowledged_by === "" ? "acknowledge" : "unacknowledge";
    const done = type === "acknowledge" ? "You have acknowledged" : "Nobody has acknowledged any more";
    return this.act({ type, key: row.key }, `${done}: ${row.summary || row.rule}`);
  }

  endSilence(silence: SilenceRow): Promise<boolean> {
    return this.act({ type: "end_silence", id: silence.id }, `Silence ended: ${silence.matchers}`);
  }

  private async act(request: AlertRequest, done: string): Promise<boolean> {
    if (this.acting.value) return false;
    this.acting.value = true;
    const answer = await this.ask(request);
    const ok = !("code" in answer);
    batch(() => {
      this.acting.value = false;
      this.said.value = { ok, text: ok ? done : (answer as RequestError).message };
    });
    // What became of it belongs to its story.
    this.lookedAt = null;
    return ok;
  }

  // --- a silence ---

  /** Begins a silence, of what is like this alert or of nothing in particular. */
  startSilence(matchers: string): void {
    batch(() => {
      this.said.value = null;
      this.previewed.value = null;
      this.previewOf = null;
      this.draft.value = { matchers, seconds: HOUR, why: "" };
    });
  }

  write(changes: Partial<Draft>, now: number): void {
    if (this.draft.value === null) return;
    if (changes.matchers !== undefined) this.typedAt = now;
    this.draft.value = { ...this.draft.value, ...changes };
  }

  dropSilence(): void {
    if (this.draft.value === null) return;
    batch(() => {
      this.draft.value = null;
      this.previewed.value = null;
      this.said.value = null;
    });
  }

  async silence(): Promise<void> {
    const draft = this.draft.value;
    if (draft === null) return;
    const done = await this.act({ type: "silence", ...draft }, `Silenced: ${draft.matchers}`);
    if (done && this.draft.value !== null) {
      batch(() => {
        this.draft.value = null;
        this.previewed.value = null;
      });
    }
  }

  private lookAtPreview(now: number, alerts: unknown): void {
    const matchers = this.draft.value?.matchers.trim() ?? null;
    if (matchers === null || this.previewing || now - this.typedAt < QUICK) return;
    const known = this.previewed.value?.matchers === matchers && this.previewOf === (alerts ?? null);
    if (known) return;
    this.previewOf = alerts ?? null;
    if (matchers === "") this.previewed.value = { matchers, rows: [], total: 0, problem: null };
    else void this.preview(matchers);
  }

  private async preview(matchers: string): Promise<void> {
    this.previewing = true;
    const answer = await this.ask({ type: "preview_silence", matchers });
    this.previewing = false;
    // Somebody has typed on meanwhile: this answers a question that nobody asks any more.
    if (this.draft.value?.matchers.trim() !== matchers) return;
    this.previewed.value =
      "code" in answer
        ? { matchers, rows: [], total: 0, problem: answer.message }
        : { matchers, rows: answer.alerts, total: answer.total, problem: null };
  }

  // --- history ---

  /** The newest alerts that are over; again: the ones before them. */
  async loadEarlier(more = false): Promise<void> {
    if (this.acting.value) return;
    this.acting.value = true;
    const before = more ? (this.earlier.value?.next ?? null) : null;
    const answer = await this.ask({ type: "list_alerts", state: "resolved", limit: PAGE_SIZE, before });
    batch(() => {
      this.acting.value = false;
      if ("code" in answer) this.said.value = { ok: false, text: answer.message };
      else {
        const known = more ? (this.earlier.value?.rows ?? []) : [];
        this.earlier.value = { rows: [...known, ...answer.alerts], next: answer.next ?? null };
      }
    });
  }
}

/** Matchers of alerts with these labels, however bad they are. */
export function matchersOf(of: Readonly<Record<string, string>>): string {
  const labels = Object.entries(of).filter(([label, value]) => label !== "severity" && value !== "");
  const ranked = labels.sort(([one], [other]) => rank(one) - rank(other) || (one < other ? -1 : 1));
  return ranked.map(([label, value]) => `${label}=${quoted(value)}`).join(", ");
}

const FIRST = ["rule", "tenant", "consumer", "node"];
const rank = (label: string) => (FIRST.includes(label) ? FIRST.indexOf(label) : FIRST.length);
const quoted = (value: string) =>
  /^[^\s,"=!~|*\\]+$/.test(value) ? value : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

/** The id in an address such as `#alert=7`; null if there is none. */
export function alertInHash(hash: string): number | null {
  const found = /^#alert=(\d{1,15})$/.exec(hash);
  return found === null ? null : Number(found[1]);
}

export const hashOf = (id: number) => `#alert=${id}`;

/** "silenced by 3f…" in words: whose silence it is and why, or which alert explains it. */
export function whyMuted(
  muted: string,
  silences: readonly SilenceRow[] | null | undefined,
  rows: readonly AlertRow[],
): string {
  const [, how, by] = /^(silenced|inhibited) by (\S+)$/.exec(muted) ?? [];
  const silence = how === "silenced" ? silences?.find((each) => each.id === by) : undefined;
  if (silence !== undefined) return `silenced by ${silence.by}: ${silence.why}`;
  const cause = how === "inhibited" ? rows.find((row) => row.key === by) : undefined;
  if (muted === "inhibited") return "explained by what was over a moment ago";
  return cause === undefined ? muted : `explained by ${cause.summary || cause.rule}`;
}
