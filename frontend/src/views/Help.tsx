import type { RefObject } from "preact";
import { singleKeys } from "./preferences";

const KEYS: readonly [string, string][] = [
  ["a", "Go to the alerts"],
  ["↑ ↓", "Walk from alert to alert, from member to member"],
  ["k", "Acknowledge the alert you are at, or take that back"],
  ["s", "Silence what is like the alert you are at"],
  ["/", "Filter the consumers"],
  ["m", "Search the members"],
  ["Esc", "Clear the filter"],
  ["p", "Pause or resume the events"],
  ["1 2 3", "Show 5 minutes, 15 minutes, an hour"],
  ["t", "Next theme"],
  ["← →", "Walk along a focused chart"],
  ["?", "This list"],
];

export function Help({ dialog }: { dialog: RefObject<HTMLDialogElement | null> }) {
  return (
    <dialog class="card help" ref={dialog} aria-labelledby="help-title">
      <form method="dialog">
        <h2 id="help-title">Keyboard</h2>
        <dl>
          {KEYS.map(([key, meaning]) => (
            <div key={key}>
              <dt>
                {key.split(" ").map((each) => (
                  <kbd key={each}>{each}</kbd>
                ))}
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
        <label class="check">
          <input
            type="checkbox"
            checked={singleKeys.value === "on"}
            onChange={({ currentTarget }) => {
              singleKeys.value = currentTarget.checked ? "on" : "off";
            }}
          />
          Single-key shortcuts
        </label>
        <button type="submit">Close</button>
      </form>
    </dialog>
  );
}
