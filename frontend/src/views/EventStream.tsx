import { batch, signal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { clock, clockUtc, consumerLabel, count, detail, kindLabel, moment } from "../format";
import { filterStream, type GapItem, kindsOf, type Stream, type StreamItem } from "../store/stream";
import type { Event } from "../wire/types";
import { gapText } from "./Notices";
import { usePage } from "./page";
import { Age, Empty, Icon, Skeleton } from "./parts";

type Severity = Event["severity"];
const SEVERITIES: readonly Severity[] = ["info", "warning", "error"];

/** Rows shown at first, and more with each click. */
const PAGE = 100;

/** Stays until resumed; pointing at the stream pauses it just as long as one points. */
export const pinned = signal(false);

export function EventStream() {
  const { hub } = usePage();
  const severities = useSignal<ReadonlySet<Severity>>(new Set(SEVERITIES));
  const kind = useSignal("");
  const text = useSignal("");
  const pointed = useSignal(false);
  const opened = useSignal<ReadonlySet<number>>(new Set());
  const frozen = useSignal<Stream | null>(null);
  const limit = useSignal(PAGE);

  const pause = () => {
    pinned.value = true;
  };
  const resume = () =>
    batch(() => {
      pinned.value = false;
      pointed.value = false;
    });
  useSignalEffect(() => {
    const stop = pinned.value || pointed.value;
    frozen.value = stop ? (frozen.peek() ?? hub.stream.peek()) : null;
  });
  // Another tenant has another stream: nothing of the old one is worth holding.
  useSignalEffect(() => {
    if (hub.tenant.value !== undefined) resume();
  });

  const newest = hub.stream.value;
  const paused = pinned.value || pointed.value;
  const stream = frozen.value ?? newest;
  const shown = useComputed(() => {
    const source = frozen.value ?? hub.stream.value;
    return filterStream(source?.items ?? [], { severities: severities.value, kind: kind.value, text: text.value });
  }).value;
  const waiting = (newest?.seq ?? 0) - (stream?.seq ?? 0);

  return (
    <section class="card stream" aria-labelledby="stream-title" data-testid="event-stream" data-paused={paused}>
      <div class="stream-head">
        <div class="section-head">
          <h2 id="stream-title">Events</h2>
          {waiting > 0 && (
            <button type="button" class="pill" onClick={resume} data-testid="events-new">
              {count(waiting)} new
            </button>
          )}
          <button
            type="button"
            class="quiet end"
            aria-pressed={pinned.value}
            aria-keyshortcuts="p"
            data-testid="events-pause"
            onClick={() => (pinned.value ? resume() : pause())}
          >
            <Icon name={pinned.value ? "play" : "pause"} />
            {pinned.value ? "Resume" : "Pause"}
          </button>
        </div>
        <div class="stream-filters">
          {SEVERITIES.map((severity) => (
            <SeverityToggle
              key={severity}
              severity={severity}
              on={severities.value.has(severity)}
              onToggle={() => {
                severities.value = toggled(severities.value, severity);
              }}
            />
          ))}
          <select
            aria-label="Kind of event"
            value={kind.value}
            onChange={({ currentTarget }) => {
              kind.value = currentTarget.value;
            }}
          >
            <option value="">All kinds</option>
            {kindsOf(newest?.items ?? []).map((each) => (
              <option key={each} value={each}>
                {each.endsWith(".") ? `${kindLabel(each)}: all` : kindLabel(each)}
              </option>
            ))}
          </select>
          <div class="search">
            <Icon name="search" />
            <input
              type="search"
              placeholder="Filter"
              aria-label="Filter events by text"
              value={text.value}
              onInput={({ currentTarget }) => {
                text.value = currentTarget.value;
              }}
              onKeyDown={(key) => {
                if (key.key === "Escape") text.value = "";
              }}
            />
          </div>
        </div>
      </div>
      <ol
        class="events"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        tabIndex={0}
        aria-label="Events, newest first"
        onPointerEnter={(pointer) => {
          if (pointer.pointerType === "mouse") pointed.value = true;
        }}
        onPointerLeave={() => {
          pointed.value = false;
        }}
        // Whoever walks through the rows by keyboard needs them to stay where they are.
        onFocusIn={({ target }) => {
          if (target instanceof Element && target.matches(".event-line:focus-visible")) pointed.value = true;
        }}
        onFocusOut={() => {
          pointed.value = false;
        }}
      >
        {newest === null ? (
          <li>
            <Skeleton lines={8} />
          </li>
        ) : shown.length === 0 ? (
          <li>
            <NoEvents filtered={newest.items.length > 0} />
          </li>
        ) : (
          shown.slice(0, limit.value).map((item) => (
            <Item
              key={item.seq}
              item={item}
              open={opened.value.has(item.seq)}
              onToggle={() => {
                opened.value = toggled(opened.value, item.seq);
              }}
            />
          ))
        )}
        {shown.length > limit.value && (
          <li class="older">
            <button
              type="button"
              onClick={() => {
                limit.value += PAGE;
              }}
            >
              Show older
            </button>
          </li>
        )}
      </ol>
    </section>
  );
}

function toggled<T>(set: ReadonlySet<T>, value: T): ReadonlySet<T> {
  const changed = new Set(set);
  if (!changed.delete(value)) changed.add(value);
  return changed;
}

function SeverityToggle({ severity, on, onToggle }: { severity: Severity; on: boolean; onToggle: () => void }) {
  return (
    <button
      type="button"
      class={`chip is-${severity}`}
      aria-pressed={on}
      title={on ? `Hide ${severity}` : `Show ${severity}`}
      aria-label={kindLabel(severity)}
      data-testid={`severity-${severity}`}
      onClick={onToggle}
    >
      <Icon name={severity} />
    </button>
  );
}

interface ItemProps {
  readonly item: StreamItem;
  readonly open: boolean;
  readonly onToggle: () => void;
}

function Item({ item, open, onToggle }: ItemProps) {
  if (item.type === "gap") return <GapRow item={item} />;
  const { event } = item;
  return (
    <li
      class={`event is-${event.severity}`}
      data-testid="event-row"
      data-kind={event.kind}
      data-severity={event.severity}
    >
      <button type="button" class="event-line" aria-expanded={open} onClick={onToggle}>
        <span class="event-icon">
          <Icon name={event.severity} />
          <span class="unseen">{event.severity}</span>
        </span>
        <span class="event-text">
          <b>{titleOf(event)}</b>
          <small>{contextOf(event)}</small>
        </span>
        <Age at={event.at} />
      </button>
      {open && <Details event={event} />}
    </li>
  );
}

/** A summary says how many more there were: "9,990 more connection closed". */
function titleOf(event: Event): string {
  const label = kindLabel(event.kind);
  const number = event.count ?? 1;
  return number > 1 ? `${count(number)} more ${label.charAt(0).toLowerCase()}${label.slice(1)}` : label;
}

/** What says most about an event, in the order of preference. */
const TELLING = ["error", "reason", "code", "version", "name", "member"];

function contextOf(event: Event): string {
  const details = event.details ?? {};
  const telling = TELLING.find((name) => details[name] != null && details[name] !== "");
  const parts = [consumerLabel(event.consumer ?? "").name, event.tenant ?? ""];
  if (telling !== undefined) parts.push(phrase(telling, detail(telling, details[telling] ?? null)));
  return parts.filter(Boolean).join(" · ") || event.node;
}

/** An error, a reason and a name speak for themselves, a code is but a number. */
function phrase(name: string, value: string): string {
  return ["error", "reason", "name"].includes(name) ? value : `${name} ${value}`;
}

function Details({ event }: { event: Event }) {
  const facts: [string, string][] = [
    ["Time", `${moment(event.at)} (${clockUtc(event.at)})`],
    ["Consumer", event.consumer ?? ""],
    ["Tenant", event.tenant ?? ""],
    ["Connection", event.connection ?? ""],
    ["Node", event.node],
    ...Object.entries(event.details ?? {}).map(([key, value]): [string, string] => [
      kindLabel(key),
      detail(key, value),
    ]),
    ["Kind", event.kind],
  ];
  return (
    <dl class="facts" data-testid="event-details">
      {facts
        .filter(([, value]) => value !== "")
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

function GapRow({ item }: { item: GapItem }) {
  return (
    <li
      class="gap-row"
      data-testid="gap-row"
      data-reason={item.gap.reason}
      title={item.to === null ? undefined : clock(item.to)}
    >
      <Icon name="gap" />
      <p>{gapText(item)}</p>
    </li>
  );
}

function NoEvents({ filtered }: { filtered: boolean }) {
  if (filtered) return <Empty title="No event matches the filter" />;
  return (
    <Empty title="All quiet">
      <p class="muted">Connections, members, errors and nodes that start will be listed here as they happen.</p>
    </Empty>
  );
}
