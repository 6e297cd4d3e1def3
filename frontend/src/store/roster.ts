/**
 * The page of the roster that is seen: what is asked for, when it is asked again, and what is shown meanwhile.
 *
 * It is asked again when the presence counts say that the roster has changed, at most once a second, and every
 * few seconds for the signs of life; never while nobody looks at it. What is shown stays until the answer is here.
 */
import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import type { FeedState, MemberQuery } from "../feed/feed";
import type { MemberRow, Members, PresenceRow, Error as RequestError } from "../wire/types";

export type MemberState = MemberRow["state"];
export const MEMBER_STATES: readonly MemberState[] = ["online", "idle", "stale"];

export const PAGE_SIZE = 50;
/** Seconds between two requests: after a change of the question, of the roster, of nothing. */
const QUICK = 0.25;
const LIVE = 1;
const CALM = 5;
/** Seconds without an answer until the question is asked anew. */
const UNANSWERED = 10;

export interface Filter {
  /** Empty: every state. */
  readonly states: ReadonlySet<MemberState>;
  /** Null: every tenant that the page shows. */
  readonly tenant: string | null;
  readonly group: string | null;
  readonly search: string;
}

export const NO_FILTER: Filter = { states: new Set(), tenant: null, group: null, search: "" };

/** A line of the roster. Gone: no longer in the answer, but somebody points at it, or has it open. */
export interface Line {
  readonly key: string;
  readonly row: MemberRow;
  readonly gone: boolean;
}

export interface Shown {
  readonly question: string;
  readonly tenant: string | null;
  readonly at: number;
  readonly total: number;
  readonly next: string | null;
  readonly lines: readonly Line[];
}

/** What the roster needs to know of the page's store. */
export interface Surroundings {
  readonly feed: ReadonlySignal<FeedState>;
  readonly tenant: ReadonlySignal<string | null>;
  readonly presence: ReadonlySignal<ReadonlyMap<string, PresenceRow> | null>;
}

export const memberKey = (row: { tenant: string; member: string }) => JSON.stringify([row.tenant, row.member]);

export class Roster {
  readonly filter = signal<Filter>(NO_FILTER);
  /** Where each page after the first begins, up to the one that is seen. */
  readonly places = signal<readonly string[]>([]);
  readonly shown = signal<Shown | null>(null);
  /** Why the last request was refused, for the operator to read. */
  readonly problem = signal<string | null>(null);
  /** The member whose details are seen. */
  readonly opened = signal<string | null>(null);
  /** The member that the keyboard is at. */
  readonly focused = signal<string | null>(null);
  /** While somebody points at a line, lines neither come nor go. */
  readonly held = signal(false);

  /** The tenant that is asked for: the page's, or the one chosen here. */
  readonly tenant = computed(() => this.page.tenant.value ?? this.filter.value.tenant);
  private readonly query = computed<MemberQuery>(() =>
    queryOf(this.filter.value, this.tenant.value, this.places.value),
  );
  private readonly question = computed(() => JSON.stringify(this.query.value));
  /** What is shown is not yet what was asked for. */
  readonly busy = computed(() => this.shown.value !== null && this.shown.value.question !== this.question.value);

  private watched = false;
  private pending: { ref: string; question: string; tenant: string | null } | null = null;
  private askedAt = Number.NEGATIVE_INFINITY;
  private askedVersion: unknown = null;

  constructor(
    private readonly page: Surroundings,
    private readonly ask: (query: MemberQuery) => string | null,
  ) {}

  /** Whether anybody can see the roster. */
  watch(watched: boolean): void {
    this.watched = watched;
  }

  /** Another filter begins at its first page. */
  narrow(changes: Partial<Filter>): void {
    batch(() => {
      this.filter.value = { ...this.filter.value, ...changes };
      this.places.value = [];
      this.problem.value = null;
    });
  }

  next(): void {
    const next = this.shown.value?.next;
    if (next != null && !this.busy.value) this.places.value = [...this.places.value, next];
  }

  previous(): void {
    this.places.value = this.places.value.slice(0, -1);
  }

  toggle(key: string): void {
    this.opened.value = this.opened.value === key ? null : key;
  }

  /** Asks if it is time to; to be called several times a second. */
  look(now: number): void {
    const { kind } = this.page.feed.value;
    if (now - this.askedAt > UNANSWERED) this.pending = null;
    if (!this.watched || kind !== "live" || this.pending !== null || now - this.askedAt < this.pause()) return;
    const [question, tenant, version] = [this.question.value, this.tenant.value, this.version()];
    const ref = this.ask(this.query.value);
    if (ref === null) return;
    this.pending = { ref, question, tenant };
    this.askedAt = now;
    this.askedVersion = version;
  }

  /** The connection has ended: what was asked is not answered any more. */
  lost(): void {
    this.pending = null;
  }

  receive(ref: string, answer: Members | RequestError): void {
    const { pending } = this;
    if (pending?.ref !== ref) return;
    this.pending = null;
    // Somebody has typed on meanwhile: this answers a question that nobody asks any more.
    if (pending.question !== this.question.value) return;
    batch(() => {
      if ("code" in answer) this.problem.value = answer.message;
      else this.show(answer, pending.question, pending.tenant);
    });
  }

  private show(answer: Members, question: string, tenant: string | null): void {
    this.problem.value = null;
    const before = this.shown.value?.question === question ? this.shown.value.lines : [];
    const kept = [this.opened.value, this.focused.value].filter((key) => key !== null);
    const lines = this.held.value
      ? heldLines(before, answer.members)
      : nextLines(before, answer.members, new Set<string>(kept));
    const { at, total, next = null } = answer;
    this.shown.value = { question, tenant, at, total, next, lines };
    // Everybody on this page has left: the one before has the rest.
    if (answer.members.length === 0 && this.places.value.length > 0) this.previous();
  }

  private pause(): number {
    if (this.question.value !== this.shown.value?.question) return this.problem.value === null ? QUICK : CALM;
    return Object.is(this.version(), this.askedVersion) ? CALM : LIVE;
  }

  /** Another value whenever the roster that is asked for has changed. */
  private version(): unknown {
    const presence = this.page.presence.value;
    const tenant = this.tenant.value;
    return tenant === null ? presence : presence?.get(tenant)?.version;
  }
}

function queryOf(filter: Filter, tenant: string | null, places: readonly string[]): MemberQuery {
  const search = filter.search.trim();
  return {
    limit: PAGE_SIZE,
    ...(tenant === null ? {} : { tenant }),
    ...(filter.states.size === 0 ? {} : { states: MEMBER_STATES.filter((state) => filter.states.has(state)) }),
    ...(filter.group === null ? {} : { group: filter.group }),
    ...(search === "" ? {} : { search }),
    ...(places.length === 0 ? {} : { after: places.at(-1) }),
  };
}

const lineOf = (row: MemberRow): Line => ({ key: memberKey(row), row, gone: false });

/** The new answer, and in their places those of the lines before that have to stay. */
export function nextLines(before: readonly Line[], rows: readonly MemberRow[], kept: ReadonlySet<string>): Line[] {
  const lines = rows.map(lineOf);
  const known = new Set(lines.map((line) => line.key));
  before.forEach((line, index) => {
    if (kept.has(line.key) && !known.has(line.key)) lines.splice(index, 0, { ...line, gone: true });
  });
  return lines;
}

/** The lines before, with what the new answer knows of them. */
export function heldLines(before: readonly Line[], rows: readonly MemberRow[]): Line[] {
  if (before.length === 0) return rows.map(lineOf);
  const known = new Map(rows.map((row) => [memberKey(row), row]));
  return before.map(({ key, row }) => ({ key, row: known.get(key) ?? row, gone: !known.has(key) }));
}

export interface Tally {
  readonly online: number;
  readonly idle: number;
  readonly stale: number;
  readonly connections: number;
}

/** The sum over tenants; null: nothing is known. */
export function tallyOf(rows: Iterable<PresenceRow> | null | undefined): Tally | null {
  if (rows == null) return null;
  const sum = { online: 0, idle: 0, stale: 0, connections: 0 };
  for (const row of rows) for (const name of Object.keys(sum) as (keyof Tally)[]) sum[name] += row[name];
  return sum;
}
