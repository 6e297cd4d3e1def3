import { useState } from "preact/hooks";
import { clock } from "../format";
import type { GapItem } from "../store/stream";
import type { Gap } from "../wire/types";
import { usePage } from "./page";
import { Icon } from "./parts";

const GAP_REASONS: Record<Gap["reason"], string> = {
  epoch: "the hub was restarted and no longer has them",
  expired: "they are older than what the hub keeps",
  future: "the hub has lost part of its stream",
};

/** "Events between X and Y can't be shown: reason." */
export function gapText({ gap, from, to }: GapItem): string {
  const when =
    from === null
      ? `Events before ${to === null ? "now" : clock(to)}`
      : `Events between ${clock(from)} and ${to === null ? "now" : clock(to)}`;
  const missed = gap.missed == null ? "" : ` (${gap.missed.toLocaleString("en")} of them)`;
  return `${when}${missed} can’t be shown: ${GAP_REASONS[gap.reason]}.`;
}

export function Notices() {
  return (
    <div class="notices">
      <FrozenNotice />
      <RefusedNotice />
      <GapNotice />
      <RefusalNotice />
    </div>
  );
}

function FrozenNotice() {
  const { hub, retry } = usePage();
  const { kind } = hub.feed.value;
  const at = hub.at.value;
  if (!hub.frozen.value || at === null || kind === "refused") return null;
  return (
    <div class="notice is-warning" data-testid="frozen-notice">
      <Icon name="warning" />
      <p>
        <b>These numbers are from {clock(at)}.</b>{" "}
        {kind === "stale"
          ? "The hub is connected but silent."
          : "The hub can’t be reached; the page goes on by itself."}
      </p>
      {kind === "offline" && (
        <button type="button" onClick={retry}>
          Try now
        </button>
      )}
    </div>
  );
}

function RefusedNotice() {
  const { hub, retry, logIn } = usePage();
  const feed = hub.feed.value;
  if (feed.kind !== "refused") return null;
  const loggedOut = feed.reason === "not_logged_in";
  return (
    <div class="notice is-error" role="alert" data-testid="refused-notice">
      <Icon name="error" />
      <p>
        <b>{loggedOut ? "You are no longer logged in." : "You may not see this feed."}</b>{" "}
        {loggedOut ? "Log in to go on." : "Ask an administrator for the permission hub.view_ops."}
      </p>
      <button type="button" onClick={loggedOut ? logIn : retry}>
        {loggedOut ? "Log in" : "Try again"}
      </button>
    </div>
  );
}

function GapNotice() {
  const { hub } = usePage();
  const [dismissed, setDismissed] = useState(0);
  const newest = hub.stream.value?.items.find((item) => item.type === "gap");
  if (newest === undefined || newest.type !== "gap" || newest.seq <= dismissed) return null;
  return (
    <div class="notice is-info" role="status" data-testid="gap-notice" data-reason={newest.gap.reason}>
      <Icon name="gap" />
      <p>{gapText(newest)}</p>
      <button type="button" class="quiet" onClick={() => setDismissed(newest.seq)}>
        Dismiss
      </button>
    </div>
  );
}

function RefusalNotice() {
  const { hub } = usePage();
  if (hub.refusal.value === null) return null;
  return (
    <div class="notice is-error" role="alert">
      <Icon name="error" />
      <p>{hub.refusal.value}</p>
      <button
        type="button"
        class="quiet"
        onClick={() => {
          hub.refusal.value = null;
        }}
      >
        Dismiss
      </button>
    </div>
  );
}
