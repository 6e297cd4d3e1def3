import { useEffect } from "preact/hooks";
import { FILTER_ID } from "./ConsumersTable";
import { pinned } from "./EventStream";
import { MEMBER_SEARCH_ID } from "./Presence";
import { RANGES, range, singleKeys, THEMES, theme } from "./preferences";

/** Single keys, while nothing is being typed and unless switched off. */
export function useShortcuts(onHelp: () => void): void {
  useEffect(() => {
    const press = (key: KeyboardEvent) => {
      if (singleKeys.value === "off" || key.ctrlKey || key.metaKey || key.altKey || isTyping(key.target)) return;
      const act = actionOf(key.key, onHelp);
      if (act === null) return;
      key.preventDefault();
      act();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input:not([type=radio]), select, textarea, dialog *");
}

function actionOf(key: string, onHelp: () => void): (() => void) | null {
  const asked = RANGES[["1", "2", "3"].indexOf(key)];
  if (asked !== undefined)
    return () => {
      range.value = asked;
    };
  switch (key) {
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
