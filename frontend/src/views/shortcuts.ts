import { useEffect } from "preact/hooks";
import { matchersOf } from "../store/alerts";
import { alertAt, goToAlerts } from "./Alerts";
import { FILTER_ID } from "./ConsumersTable";
import { pinned } from "./EventStream";
import { MEMBER_SEARCH_ID } from "./Presence";
import type { Page } from "./page";
import { RANGES, range, singleKeys, THEMES, theme } from "./preferences";

/** What is done about an alert, where it is listed and where it is open. */
const ALERT_KEYS: readonly string[] = ["k", "s"];

/** Single keys, while nothing is being typed and unless switched off. */
export function useShortcuts(page: Page, onHelp: () => void): void {
  useEffect(() => {
    const press = (key: KeyboardEvent) => {
      if (singleKeys.value === "off" || key.ctrlKey || key.metaKey || key.altKey || isTyping(key.target)) return;
      if (within(key.target, "dialog") && !(ALERT_KEYS.includes(key.key) && within(key.target, "[data-alert]"))) return;
      const act = actionOf(key.key, page, onHelp);
      if (act === null) return;
      key.preventDefault();
      act();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input:not([type=radio]), select, textarea");
}

const within = (target: EventTarget | null, selector: string) =>
  target instanceof Element && target.closest(selector) !== null;

function actionOf(key: string, page: Page, onHelp: () => void): (() => void) | null {
  const asked = RANGES[["1", "2", "3"].indexOf(key)];
  if (asked !== undefined)
    return () => {
      range.value = asked;
    };
  switch (key) {
    case "a":
      return goToAlerts;
    case "k":
    case "s":
      return actOnAlert(key, page);
    case "/":
      return () => document.getElementById(FILTER_ID)?.focus();
    case "m":
      return () => document.getElementById(MEMBER_SEARCH_ID)?.focus();
    case "p":
      return () => {
        pinned.value = !pinned.value;
      };
    case "t":
      return () => {
        theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "system";
      };
    case "?":
      return onHelp;
    default:
      return null;
  }
}

/** What is done about the alert that is open or has the focus; null if none has, or nobody here may do anything. */
function actOnAlert(key: "k" | "s", { hub, desk }: Page): (() => void) | null {
  const row = desk.row.value ?? alertAt(document.activeElement, hub.alerts.value?.rows ?? []);
  if (row === null) return null;
  return key === "k" ? () => void desk.acknowledge(row) : () => desk.startSilence(matchersOf(row.labels));
}
