/** The colours of the style sheet, as a canvas needs them: resolved for the theme that is on. */
export type Ink = "series-1" | "series-2" | "low" | "mid" | "high" | "axis" | "grid";

let probe: HTMLElement | null = null;
let resolved = new Map<Ink, string>();

/** The theme changed: look the colours up anew. */
export function forgetColours(): void {
  resolved = new Map();
}

export function colour(ink: Ink): string {
  const known = resolved.get(ink);
  if (known !== undefined) return known;
  const value = resolve(ink);
  resolved.set(ink, value);
  return value;
}

function resolve(ink: Ink): string {
  if (probe === null) {
    probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = `var(--${ink})`;
  return getComputedStyle(probe).color;
}
