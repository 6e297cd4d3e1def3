/** Numbers and times as people read them. Null is unknown and shows as a dash, never as zero. */

export const UNKNOWN = "–";

type Maybe = number | null | undefined;

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const cents = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });
const significant = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export function count(value: Maybe): string {
  if (value == null) return UNKNOWN;
  return Math.abs(value) < 100_000 ? whole.format(value) : compact.format(value);
}

/** Any size, whole or not: the value of a business metric. */
export function quantity(value: Maybe): string {
  if (value == null) return UNKNOWN;
  if (Math.abs(value) >= 100_000) return compact.format(value);
  return (Math.abs(value) < 1 ? significant : cents).format(value);
}

/** Something per second. */
export function rate(value: Maybe): string {
  if (value == null) return UNKNOWN;
  if (value === 0) return "0";
  if (value < 0.05) return "<0.1";
  return value < 9.95 ? oneDigit.format(value) : count(value);
}

/** A duration in seconds, to three digits. */
export function duration(seconds: Maybe): string {
  if (seconds == null) return UNKNOWN;
  if (seconds === 0) return "0 ms";
  if (seconds < 0.000_999_5) return `${significant.format(seconds * 1e6)} µs`;
  if (seconds < 0.999_5) return `${significant.format(seconds * 1000)} ms`;
  return seconds < 59.95 ? `${significant.format(seconds)} s` : span(seconds);
}

/** How long, in its two largest units: "3 h 12 min". */
export function span(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [
    Math.floor(total / 86400),
    Math.floor(total / 3600) % 24,
    Math.floor(total / 60) % 60,
  ];
  if (days > 0) return joined(days, "d", hours, "h");
  if (hours > 0) return joined(hours, "h", minutes, "min");
  return minutes > 0 ? joined(minutes, "min", total % 60, "s") : `${total} s`;
}

function joined(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** Age in one unit: short enough for a narrow column. */
export function age(seconds: number): string {
  if (seconds < 1) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}

/** How long ago something was. */
export const ago = (seconds: number) => (seconds < 1 ? "just now" : `${age(seconds)} ago`);

/** A rule's number: by its unit, as the hub itself writes it. */
export function figure(value: Maybe, unit: string): string {
  if (value == null) return UNKNOWN;
  if (unit === "ratio") return `${significant.format(100 * value)} %`;
  if (unit === "times") return `${significant.format(value)} times`;
  if (unit === "seconds") return duration(value);
  const [what = "", per = ""] = unit.split(/ (.*)/);
  return `${quantity(value)} ${value === 1 ? what.replace(/s$/, "") : what} ${per}`.trimEnd();
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

export function bytes(value: Maybe): string {
  if (value == null) return UNKNOWN;
  const step = value < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(value) / 3));
  return `${significant.format(value / 1000 ** step)} ${UNITS[step]}`;
}

const shortClock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const longClock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const utcClock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  timeZone: "UTC",
});
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** Local time of day, for seconds since the epoch. */
export const clock = (at: number) => longClock.format(at * 1000);
export const clockMinutes = (at: number) => shortClock.format(at * 1000);
export const clockUtc = (at: number) => `${utcClock.format(at * 1000)} UTC`;
export const moment = (at: number) => `${day.format(at * 1000)}, ${clock(at)}`;

export const timeZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "local time";

/** "shop.consumers.Chat" as its module and its last part. */
export function consumerLabel(consumer: string): { module: string; name: string } {
  const dot = consumer.lastIndexOf(".");
  return { module: consumer.slice(0, Math.max(0, dot)), name: consumer.slice(dot + 1) };
}

/** "connection.opened" as "Connection opened". */
export function kindLabel(kind: string): string {
  const words = kind.replaceAll(/[._]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A value of an event's details; by the contract, durations are seconds and sizes bytes. */
export function detail(name: string, value: string | number | boolean | null): string {
  if (typeof value === "number" && /(^|_)seconds$/.test(name)) return duration(value);
  if (typeof value === "number" && /(^|_)bytes$/.test(name)) return bytes(value);
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : plain.format(value);
  return value === null ? UNKNOWN : String(value);
}
