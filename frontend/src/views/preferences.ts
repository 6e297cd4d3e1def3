/** What the operator chose, kept in this browser. */
import { effect, type Signal, signal } from "@preact/signals";

function stored<T extends string>(name: string, allowed: readonly T[], initial: T): Signal<T> {
  const key = `hub.${name}`;
  const found = read(key);
  const choice = signal<T>(allowed.find((value) => value === found) ?? initial);
  effect(() => write(key, choice.value));
  return choice;
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** A browser may refuse storage: then the choice lasts as long as the page. */
function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    return;
  }
}

export const THEMES = ["light", "system", "dark"] as const;
export const RANGES = ["300", "900", "3600"] as const;

export const theme = stored("theme", THEMES, "system");
export const range = stored("range", RANGES, "300");
export const singleKeys = stored("single-keys", ["on", "off"], "on");

/** Puts the theme on the page and keeps it there; style.css does the rest. */
export function applyTheme(root: HTMLElement): void {
  effect(() => {
    if (theme.value === "system") delete root.dataset.theme;
    else root.dataset.theme = theme.value;
  });
}

const darkQuery = window.matchMedia?.("(prefers-color-scheme: dark)");
const systemDark = signal(darkQuery?.matches ?? false);
darkQuery?.addEventListener("change", (change) => {
  systemDark.value = change.matches;
});

/** The theme that is seen: what a canvas must be drawn in. */
export const seenTheme = () => (theme.value === "system" ? (systemDark.value ? "dark" : "light") : theme.value);
