/** What is wrong: who, where, how bad and since when in one look, worst first; what nobody is told of, and what is over. */
import { useRef, useState } from "preact/hooks";
import { clock, count, figure, moment, quantity } from "../format";
import { whyMuted } from "../store/alerts";
import type { AlertRow } from "../wire/types";
import { usePage } from "./page";
import { Age, Icon, Skeleton, TenantName } from "./parts";
import { Silences } from "./Silences";

/** The shortcut `a` finds the panel by its id. */
export const ALERTS_ID = "alerts";

/** Alerts that are listed until somebody asks for all of them. */
const LISTED = 10;

/** Goes to the worst alert, or to the panel if there is none. */
export function goToAlerts(): void {
  const panel = document.getElementById(ALERTS_ID);
  panel?.scrollIntoView?.();
  (panel?.querySelector<HTMLElement>(".alert-open") ?? panel)?.focus();
}

const SIGNS = { critical: "error", high: "warning", medium: "warning", low: "info" } as const;
const ACT: Record<AlertRow["severity"], string> = {
  critical: "act at once",
  high: "act within an hour",
  medium: "act within four hours",
  low: "act within a day",
};

export function Alerts() {
  const { hub } = usePage();
  const active = hub.alerts.value;
  if (active === undefined) return null;
  return (
    <section
      id={ALERTS_ID}
      class="alerts"
      aria-labelledby="alerts-title"
      tabIndex={-1}
      data-testid="alerts"
      data-firing={active?.firing}
    >
      <div class="section-head">
        <h2 id="alerts-title">Alerts</h2>
        <HeadText />
      </div>
      <SaidNotice place="panel" />
      <div class="card">
        {active === null ? <Unknown /> : active.rows.length === 0 ? <Well /> : <List rows={active.rows} />}
        {active !== null && active.rows.length < active.firing + active.pending && (
          <p class="alerts-more muted">
            The worst {count(active.rows.length)} of {count(active.firing + active.pending)}.
          </p>
        )}
        {active?.evaluated === false && <Unevaluated />}
        <Silences />
        <Earlier />
      </div>
    </section>
  );
}

function HeadText() {
  const { hub } = usePage();
  const [active, at] = [hub.alerts.value, hub.at.value];
  if (hub.frozen.value && at !== null) return <span class="hint">unknown now; as of {clock(at)}</span>;
  if (active == null) return <span class="hint">unknown</span>;
  const parts = [
    active.firing > 0 ? `${count(active.firing)} ${active.firing === 1 ? "fires" : "fire"}` : "nothing fires",
    active.pending > 0 ? `${count(active.pending)} pending` : "",
  ].filter(Boolean);
  return (
    <span class="hint" role="status" data-testid="alerts-count">
      {parts.join(", ")}
    </span>
  );
}

/** What came of the last action, where it was made: behind an open dialog nobody would see or hear it. */
export function SaidNotice({ place }: { place: "panel" | "alert" | "silence" }) {
  const { desk } = usePage();
  const said = desk.said.value;
  const here = desk.draft.value !== null ? "silence" : desk.opened.value !== null ? "alert" : "panel";
  if (here !== place) return null;
  // Both are there before there is anything to say: a live region that comes with its text is not read out.
  return (
    <div class="alerts-said">
      <p role="status" class="muted" data-testid="alerts-done">
        {said?.ok === true && said.text}
      </p>
      <p role="alert" class="alerts-refused" data-testid="alerts-refused">
        {said?.ok === false && said.text}
      </p>
    </div>
  );
}

function Unknown() {
  return (
    <p class="slow-well" data-testid="alerts-unknown">
      <Icon name="gap" />
      <span>
        Whether anything fires is unknown: the hub can’t read its database at the moment. It goes on trying. Once it has
        been set up anew, <code>manage.py migrate</code> may be missing.
      </span>
    </p>
  );
}

function Unevaluated() {
  return (
    <p class="slow-well alerts-unevaluated" data-testid="alerts-unevaluated">
      <Icon name="warning" />
      <span>No process evaluates the rules at the moment: nothing new fires, and nothing resolves.</span>
    </p>
  );
}

function Well() {
  return (
    <p class="slow-well muted" data-testid="alerts-well">
      <Icon name="info" />
      <span>No rule is broken. What is will be listed here, the worst first, with who was told.</span>
    </p>
  );
}

function List({ rows }: { rows: readonly AlertRow[] }) {
  const [all, showAll] = useState(false);
  const listed = all ? rows : rows.slice(0, LISTED);
  return (
    <>
      <ul class="alert-list" data-testid="alert-list" onKeyDown={walk}>
        {listed.map((row) => (
          <Line key={row.id} row={row} />
        ))}
      </ul>
      {rows.length > LISTED && (
        <p class="alerts-more">
          <button
            type="button"
            class="quiet"
            data-testid="alerts-all"
            aria-expanded={all}
            onClick={() => showAll(!all)}
          >
            {all ? `Show the worst ${LISTED}` : `Show all ${count(rows.length)}`}
          </button>
        </p>
      )}
    </>
  );
}

/** Up and down go from alert to alert. */
function walk(key: KeyboardEvent): void {
  const step = key.key === "ArrowDown" ? 1 : key.key === "ArrowUp" ? -1 : 0;
  if (step === 0 || !(key.currentTarget instanceof Element)) return;
  const all = [...key.currentTarget.querySelectorAll<HTMLElement>(".alert-open")];
  const here = all.indexOf(key.target as HTMLElement);
  if (here < 0) return;
  key.preventDefault();
  all[here + step]?.focus();
}

/** How bad it is, or that it is no longer, or not yet. */
export const toneOf = (row: AlertRow) => (row.state === "firing" ? row.severity : row.state);

function Line({ row }: { row: AlertRow }) {
  return (
    <li class={`is-${toneOf(row)}`} data-testid="alert-row" data-rule={row.rule} data-alert={row.id}>
      <SeverityText row={row} />
      <div class="alert-what">
        <OpenButton row={row} />
        <Place row={row} />
      </div>
      <div class="alert-do">
        {row.action !== "" && <p>{row.action}</p>}
        <Care row={row} />
      </div>
      <p class="alert-figure">
        <b>{figure(row.value, row.unit)}</b>
        <small>threshold {limit(row)}</small>
      </p>
      <p class="alert-since">
        <Age at={row.fired_at ?? row.since} />
        <small>since {clock(row.fired_at ?? row.since)}</small>
      </p>
    </li>
  );
}

/** Where it is: whose, on which process, by which rule. */
function Place({ row }: { row: AlertRow }) {
  const { node } = row.labels;
  return (
    <p class="muted">
      <TenantName tenant={row.tenant} />
      {node !== undefined && ` · ${node}`} · {row.rule}
    </p>
  );
}

/** The threshold beside its number: what is counted need not be said twice. */
const limit = ({ threshold, unit }: AlertRow) =>
  ["ratio", "times", "seconds"].includes(unit) ? figure(threshold, unit) : quantity(threshold);

export function SeverityText({ row }: { row: AlertRow }) {
  return (
    <span class="slow-severity" title={ACT[row.severity]}>
      <Icon name={row.state === "resolved" ? "info" : SIGNS[row.severity]} />
      <span>
        {row.severity}
        {row.state !== "firing" && <small> {row.state}</small>}
      </span>
    </span>
  );
}

/** The way to the details; `k` and `s` act on the alert whose button has the focus. */
function OpenButton({ row }: { row: AlertRow }) {
  const { desk } = usePage();
  return (
    <button
      type="button"
      class="alert-open link"
      aria-haspopup="dialog"
      aria-keyshortcuts="k s"
      onClick={() => desk.open(row.id)}
    >
      {row.summary || row.rule}
    </button>
  );
}

/** Who takes care of it, and why nobody is told. */
function Care({ row }: { row: AlertRow }) {
  const { hub } = usePage();
  const muted = row.muted === "" ? "" : whyMuted(row.muted, hub.silences.value, hub.alerts.value?.rows ?? []);
  return (
    <>
      {row.acknowledged_by !== "" && (
        <p class="alert-care" data-testid="alert-acknowledged">
          acknowledged by {row.acknowledged_by}
        </p>
      )}
      {muted !== "" && (
        <p class="muted" data-testid="alert-muted">
          not told: {muted}
        </p>
      )}
    </>
  );
}

function Earlier() {
  const { desk } = usePage();
  const details = useRef<HTMLDetailsElement>(null);
  const earlier = desk.earlier.value;
  return (
    <details
      ref={details}
      class="alerts-fold"
      data-testid="alerts-earlier"
      onToggle={() => details.current?.open && void desk.loadEarlier()}
    >
      <summary>Resolved</summary>
      {earlier === null ? (
        <Skeleton lines={3} />
      ) : earlier.rows.length === 0 ? (
        <p class="slow-well muted">Nothing has fired yet that is over.</p>
      ) : (
        <>
          <ul class="alert-list" onKeyDown={walk}>
            {earlier.rows.map((row) => (
              <Past key={row.id} row={row} />
            ))}
          </ul>
          {earlier.next !== null && (
            <p class="older">
              <button type="button" disabled={desk.acting.value} onClick={() => void desk.loadEarlier(true)}>
                Show earlier ones
              </button>
            </p>
          )}
        </>
      )}
    </details>
  );
}

function Past({ row }: { row: AlertRow }) {
  return (
    <li class="is-resolved" data-testid="alert-past" data-rule={row.rule}>
      <SeverityText row={row} />
      <div class="alert-what">
        <OpenButton row={row} />
        <Place row={row} />
      </div>
      <div class="alert-do">
        <Care row={row} />
      </div>
      <p class="alert-figure">
        {figure(row.worst, row.unit)}
        <small>at its worst</small>
      </p>
      <p class="alert-since">
        {clock(row.since)}
        <small>{row.resolved_at == null ? row.state : `until ${moment(row.resolved_at)}`}</small>
      </p>
    </li>
  );
}

/** The alert whose line has the focus, among those that are listed. */
export function alertAt(element: Element | null, rows: readonly AlertRow[]): AlertRow | null {
  const id = element?.closest<HTMLElement>("[data-alert]")?.dataset.alert;
  return rows.find((row) => String(row.id) === id) ?? null;
}
