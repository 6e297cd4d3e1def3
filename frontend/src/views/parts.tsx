/** Small parts that several views share. */
import { useComputed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { age, clockUtc, consumerLabel, moment } from "../format";
import { usePage } from "./page";

interface SegmentedProps<T extends string> {
  readonly name: string;
  readonly legend: string;
  readonly options: readonly { value: T; label: ComponentChildren; title?: string }[];
  readonly value: T;
  readonly onChange: (value: T) => void;
}

/** One of a few: radio buttons in a row, so arrow keys work as everywhere. */
export function Segmented<T extends string>({ name, legend, options, value, onChange }: SegmentedProps<T>) {
  return (
    <fieldset class="segmented">
      <legend class="unseen">{legend}</legend>
      {options.map((option) => (
        <label key={option.value} title={option.title}>
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
          />
          <span>{option.label}</span>
        </label>
      ))}
    </fieldset>
  );
}

export function ConsumerName({ consumer }: { consumer: string }) {
  const { module, name } = consumerLabel(consumer);
  return (
    <span class="consumer-name" title={consumer}>
      <b>{name}</b>
      {module !== "" && <small>{module}</small>}
    </span>
  );
}

export function TenantName({ tenant }: { tenant: string }) {
  return tenant === "" ? <span class="muted">no tenant</span> : <span>{tenant}</span>;
}

/** How long ago, counting on; only its text changes, not the view around it. */
export function Age({ at }: { at: number }) {
  const { hub } = usePage();
  const text = useComputed(() => age(hub.now.value - at));
  return (
    <time dateTime={new Date(at * 1000).toISOString()} title={`${moment(at)} · ${clockUtc(at)}`}>
      {text}
    </time>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h3>{title}</h3>
      {children}
    </div>
  );
}

export function Skeleton({ lines }: { lines: number }) {
  return (
    <div class="skeleton" aria-hidden="true">
      {Array.from({ length: lines }, (_, index) => (
        <i key={index} />
      ))}
    </div>
  );
}

const PATHS = {
  sun: "M8 4.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM8 .8v1.7M8 13.5v1.7M.8 8h1.7M13.5 8h1.7M2.9 2.9l1.2 1.2M11.9 11.9l1.2 1.2M2.9 13.1l1.2-1.2M11.9 4.1l1.2-1.2",
  moon: "M13.6 9.8A6 6 0 0 1 6.2 2.4a6 6 0 1 0 7.4 7.4Z",
  system: "M2 3h12v8H2zM5.5 14h5M8 11v3",
  info: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM8 7.2v4M8 4.9v.1",
  warning: "M8 1.8 15 14H1L8 1.8ZM8 6.4v3.8M8 12v.1",
  error: "M5.3 1.5h5.4l3.8 3.8v5.4l-3.8 3.8H5.3l-3.8-3.8V5.3l3.8-3.8ZM8 4.8v4M8 11v.1",
  gap: "M1 8h4M11 8h4M6.5 4.5v7M9.5 4.5v7",
  pause: "M5.5 3v10M10.5 3v10",
  play: "M4.5 2.8v10.4L13 8 4.5 2.8Z",
  search: "M7 2a5 5 0 1 0 0 10A5 5 0 0 0 7 2ZM10.7 10.7 14.5 14.5",
  chevron: "M6 3.5 10.5 8 6 12.5",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  keyboard: "M1.2 4h13.6v8H1.2zM4 6.7v.1M6.7 6.7v.1M9.4 6.7v.1M12 6.7v.1M4.8 9.5h6.4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
