/** The event stream: events and gaps, newest first, at most `KEPT` of them. */
import type { Event, Gap } from "../wire/types";

export const KEPT = 500;

interface Numbered {
  /** Grows with every item that ever came in: tells how many are new since a given one. */
  readonly seq: number;
}

export interface EventItem extends Numbered {
  readonly type: "event";
  readonly event: Event;
}

export interface GapItem extends Numbered {
  readonly type: "gap";
  readonly gap: Gap;
  /** When this page last heard of the hub before the gap; null if never. */
  readonly from: number | null;
  /** When it could see events again; null until then. */
  readonly to: number | null;
}

export type StreamItem = EventItem | GapItem;

export interface Stream {
  readonly items: readonly StreamItem[];
  readonly seq: number;
}

export const EMPTY: Stream = { items: [], seq: 0 };

function prepend(stream: Stream, added: readonly StreamItem[]): Stream {
  const seq = added.at(-1)?.seq ?? stream.seq;
  return { items: [...added.toReversed(), ...stream.items].slice(0, KEPT), seq };
}

export function addEvents(stream: Stream, events: readonly Event[]): Stream {
  const known = new Set(stream.items.map((item) => (item.type === "event" ? item.event.cursor : "")));
  const fresh = events.filter((event) => !known.has(event.cursor));
  return prepend(
    stream,
    fresh.map((event, index) => ({ type: "event", seq: stream.seq + 1 + index, event })),
  );
}

export function addGap(stream: Stream, gap: Gap, from: number | null): Stream {
  return prepend(stream, [{ type: "gap", seq: stream.seq + 1, gap, from, to: null }]);
}

/**
 * A snapshot of the most recent events, oldest first. It replaces what is known, but after a gap: then it goes
 * on above the gap, so that what was seen before stays in sight.
 */
export function replaceEvents(stream: Stream, events: readonly Event[], at: number): Stream {
  const newest = stream.items.findIndex((item) => item.type === "gap" && item.to === null);
  if (newest < 0) return addEvents({ items: [], seq: stream.seq }, events);
  const items = stream.items.map((item) => (item.type === "gap" && item.to === null ? { ...item, to: at } : item));
  return addEvents({ items, seq: stream.seq }, events);
}

export interface StreamFilter {
  readonly severities: ReadonlySet<Event["severity"]>;
  /** Empty: every kind; `member.` with its dot: every kind that begins so. */
  readonly kind: string;
  readonly text: string;
}

export function filterStream(items: readonly StreamItem[], filter: StreamFilter): StreamItem[] {
  const needle = filter.text.trim().toLowerCase();
  return items.filter((item) => {
    // What can't be shown is never filtered away.
    if (item.type === "gap") return true;
    const { event } = item;
    if (!filter.severities.has(event.severity)) return false;
    if (!isOfKind(event.kind, filter.kind)) return false;
    return needle === "" || searchable(event).includes(needle);
  });
}

function isOfKind(kind: string, wanted: string): boolean {
  return wanted.endsWith(".") ? kind.startsWith(wanted) : wanted === "" || kind === wanted;
}

function searchable(event: Event): string {
  const details = Object.entries(event.details ?? {}).map(([key, value]) => `${key} ${value}`);
  return [event.kind, event.kind.replaceAll(/[._]/g, " "), event.consumer, event.tenant, event.node, event.connection]
    .concat(details)
    .join("\n")
    .toLowerCase();
}

/** The kinds that occur, in order; before the kinds of a family, if there are several, the family: `member.` */
export function kindsOf(items: readonly StreamItem[]): string[] {
  const kinds = [...new Set(items.flatMap((item) => (item.type === "event" ? [item.event.kind] : [])))];
  const families = kinds.map((kind) => kind.slice(0, kind.indexOf(".") + 1));
  const several = families.filter((family, index) => family !== "" && families.indexOf(family) !== index);
  return [...new Set([...kinds, ...several])].sort();
}
