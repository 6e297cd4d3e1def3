/** A silence, while it is written: what it would match now is seen before it is made. */
import { clock, count, span } from "../format";
import { type Draft, LENGTHS } from "../store/alerts";
import { SaidNotice } from "./Alerts";
import { useModal } from "./dialog";
import { usePage } from "./page";
import { TenantName } from "./parts";

/** Alerts that the preview names; it counts them all. */
const NAMED = 8;

export function SilenceDialog() {
  const { desk } = usePage();
  const draft = desk.draft.value;
  const dialog = useModal(draft !== null);
  return (
    <dialog
      ref={dialog}
      class="card alert-dialog"
      aria-labelledby="silence-title"
      data-testid="silence-dialog"
      onClose={() => desk.dropSilence()}
    >
      {draft !== null && <Form draft={draft} />}
    </dialog>
  );
}

function Form({ draft }: { draft: Draft }) {
  const { hub, desk } = usePage();
  const write = (changes: Partial<Draft>) => desk.write(changes, hub.localClock());
  const until = hub.now.value + draft.seconds;
  return (
    <form
      class="silence-form"
      onSubmit={(submitted) => {
        submitted.preventDefault();
        void desk.silence();
      }}
    >
      <h2 id="silence-title">Silence</h2>
      <p class="muted">What matches goes on firing, and nobody is told of it.</p>
      <label>
        <span>Alerts with</span>
        <input
          type="text"
          required
          maxLength={8000}
          value={draft.matchers}
          data-testid="silence-matchers"
          aria-describedby="silence-preview silence-signs"
          aria-invalid={desk.previewed.value?.problem != null}
          autocomplete="off"
          spellcheck={false}
          onInput={({ currentTarget }) => write({ matchers: currentTarget.value })}
        />
      </label>
      <p id="silence-signs" class="muted">
        <code>label=value</code>, <code>label!=value</code>, <code>label~one*|other*</code>; commas between them.
      </p>
      <Preview />
      <label>
        <span>For</span>
        <select
          data-testid="silence-seconds"
          value={draft.seconds}
          onChange={({ currentTarget }) => write({ seconds: Number(currentTarget.value) })}
        >
          {LENGTHS.map((seconds) => (
            <option key={seconds} value={seconds}>
              {span(seconds)}
            </option>
          ))}
        </select>
        <span class="muted">until {clock(until)}</span>
      </label>
      <label>
        <span>Why</span>
        <input
          type="text"
          required
          maxLength={500}
          value={draft.why}
          data-testid="silence-why"
          autocomplete="off"
          onInput={({ currentTarget }) => write({ why: currentTarget.value })}
        />
      </label>
      <SaidNotice place="silence" />
      <div class="alert-actions">
        <button type="submit" data-testid="silence-make" disabled={desk.acting.value}>
          Silence
        </button>
        <button type="button" class="quiet" onClick={() => desk.dropSilence()}>
          Cancel
        </button>
      </div>
    </form>
  );
}

function Preview() {
  const { desk } = usePage();
  const previewed = desk.previewed.value;
  const current = previewed !== null && previewed.matchers === desk.draft.value?.matchers.trim();
  return (
    <div id="silence-preview" class="silence-preview" data-testid="silence-preview" data-current={current}>
      <p role="status" class={previewed?.problem != null ? "alerts-refused" : ""}>
        <PreviewText />
      </p>
      {previewed !== null && previewed.rows.length > 0 && (
        <ul>
          {previewed.rows.slice(0, NAMED).map((row) => (
            <li key={row.id}>
              {row.summary || row.rule}{" "}
              <span class="muted">
                <TenantName tenant={row.tenant} /> · {row.severity}, {row.state}
              </span>
            </li>
          ))}
          {previewed.total > NAMED && <li class="muted">and {count(previewed.total - NAMED)} more</li>}
        </ul>
      )}
    </div>
  );
}

function PreviewText() {
  const { desk } = usePage();
  const previewed = desk.previewed.value;
  if (previewed === null) return <>Looking what it would match…</>;
  if (previewed.problem !== null) return <>{previewed.problem}</>;
  if (previewed.matchers === "") return <>Say which alerts.</>;
  const { total } = previewed;
  return <>{total === 0 ? "Matches nothing that is active now." : `Matches ${count(total)} of the active alerts:`}</>;
}
