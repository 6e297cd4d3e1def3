/** Of what nobody is told, until when, and who said so. */
import { clock, count, moment } from "../format";
import { matchersOf } from "../store/alerts";
import type { Hub } from "../store/hub";
import type { SilenceRow } from "../wire/types";
import { usePage } from "./page";

export function Silences() {
  const { hub, desk } = usePage();
  const silences = hub.silences.value;
  if (silences == null) return null;
  return (
    <details class="alerts-fold" data-testid="silences" data-count={silences.length} open={silences.length > 0}>
      <summary data-testid="silences-summary">
        {silences.length === 0 ? "Silences" : `Silences: ${count(silences.length)}`}
      </summary>
      {silences.length === 0 && <p class="slow-well muted">Everything that fires is told.</p>}
      <ul class="silence-list">
        {silences.map((silence) => (
          <Line key={silence.id} silence={silence} />
        ))}
      </ul>
      {mayOperate(hub) && (
        <p class="alerts-fold-end">
          <button
            type="button"
            data-testid="silence-new"
            aria-haspopup="dialog"
            onClick={() => desk.startSilence(onlyTenant(hub))}
          >
            New silence…
          </button>
        </p>
      )}
    </details>
  );
}

export const mayOperate = ({ hello }: Hub) => hello.value?.permissions.operate === true;

/** Who is bound to one tenant can only mean that. */
function onlyTenant({ hello }: Hub): string {
  const tenants = hello.value?.permissions.tenants ?? [];
  return tenants.length === 1 ? matchersOf({ tenant: tenants[0] ?? "" }) : "";
}

function Line({ silence }: { silence: SilenceRow }) {
  const { hub, desk } = usePage();
  return (
    <li data-testid="silence-row" data-state={silence.state}>
      <div>
        <code>{silence.matchers}</code>
        <p class="muted">
          {silence.by}: {silence.why}
        </p>
      </div>
      <p class="slow-time">
        {silence.state === "coming" ? `from ${clock(silence.starts_at)}` : `until ${clock(silence.ends_at)}`}
        <small>{silence.state === "coming" ? `until ${moment(silence.ends_at)}` : moment(silence.ends_at)}</small>
      </p>
      {mayOperate(hub) && (
        <button
          type="button"
          data-testid="silence-end"
          disabled={desk.acting.value}
          onClick={() => void desk.endSilence(silence)}
        >
          End<span class="unseen"> the silence of {silence.matchers}</span>
        </button>
      )}
    </li>
  );
}
