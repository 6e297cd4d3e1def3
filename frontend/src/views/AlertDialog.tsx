/** One alert: what it says, its figures, what became of it, who was told, and what to do about it. */
import type { ComponentChildren } from "preact";
import { FigureChart } from "../charts/FigureChart";
import { clock, clockUtc, figure, moment, span } from "../format";
import { hashOf, matchersOf, whyMuted } from "../store/alerts";
import type { AlertChange, AlertDetail, AlertRow, Delivery } from "../wire/types";
import { SaidNotice, SeverityText, toneOf } from "./Alerts";
import { useModal } from "./dialog";
import { usePage } from "./page";
import { Age, Icon, Skeleton, TenantName } from "./parts";
import { singleKeys } from "./preferences";
import { mayOperate } from "./Silences";

export function AlertDialog() {
  const { desk } = usePage();
  const open = desk.opened.value !== null;
  const dialog = useModal(open);
  return (
    <dialog
      ref={dialog}
      class="card alert-dialog"
      aria-labelledby="alert-title"
      data-testid="alert-dialog"
      onClose={() => desk.close()}
    >
      {open && <Contents />}
    </dialog>
  );
}

function Contents() {
  const { desk } = usePage();
  const [row, detail, problem] = [desk.row.value, desk.detail.value, desk.problem.value];
  return (
    <div data-alert={row?.id}>
      <div class="alert-head">
        <h2 id="alert-title">{row === null ? "Alert" : row.summary || row.rule}</h2>
        <button type="button" class="quiet square" aria-label="Close" onClick={() => desk.close()}>
          <Icon name="close" />
        </button>
      </div>
      <SaidNotice place="alert" />
      {problem !== null && (
        <p class="alerts-refused" role="alert" data-testid="alert-problem">
          {problem}
        </p>
      )}
      {row !== null && <Summary row={row} />}
      {row !== null && <Actions row={row} />}
      {detail !== null ? <Story detail={detail} /> : problem === null && <Skeleton lines={4} />}
    </div>
  );
}

function Summary({ row }: { row: AlertRow }) {
  const { hub } = usePage();
  return (
    <div class={`alert-summary is-${toneOf(row)}`} data-testid="alert-summary" data-state={row.state}>
      <p class="alert-state">
        <SeverityText row={row} />
        <Standing row={row} />
      </p>
      {(row.action !== "" || row.runbook !== "") && (
        <div class="alert-action">
          <h3>What to do</h3>
          <p>{row.action}</p>
          <Runbook address={row.runbook} />
        </div>
      )}
      <dl class="facts">
        <Fact name="Tenant">
          <TenantName tenant={row.tenant} />
        </Fact>
        <Fact name="Now">
          {figure(row.value, row.unit)}, threshold {figure(row.threshold, row.unit)}, at its worst{" "}
          {figure(row.worst, row.unit)}
        </Fact>
        <Fact name="Since">
          {moment(row.since)} ({clockUtc(row.since)})<Lasted row={row} />
        </Fact>
        {row.acknowledged_by !== "" && (
          <Fact name="In care of">
            {row.acknowledged_by}
            {row.acknowledged_at !== null && `, since ${clock(row.acknowledged_at)}`}
          </Fact>
        )}
        {row.muted !== "" && (
          <Fact name="Not told">{whyMuted(row.muted, hub.silences.value, hub.alerts.value?.rows ?? [])}</Fact>
        )}
        <Fact name="Labels">
          {Object.entries(row.labels).map(([label, value]) => (
            <span key={label} class="label-chip">
              {label} <b>{value}</b>
            </span>
          ))}
        </Fact>
      </dl>
    </div>
  );
}

function Lasted({ row }: { row: AlertRow }) {
  if (row.resolved_at === null) return <>{row.state === "pending" && ", pending"}</>;
  return (
    <>
      , resolved {clock(row.resolved_at)} after {span(row.resolved_at - row.since)}
    </>
  );
}

/** How long it has been so; of what is over the facts say it. */
function Standing({ row }: { row: AlertRow }) {
  if (row.state === "resolved") return null;
  return (
    <span>
      {row.state === "firing" ? "fires" : "wrong"} for <Age at={row.fired_at ?? row.since} />
    </span>
  );
}

/** Written by whoever writes rules: only an address that can be read is a link; a path is one of this site. */
function Runbook({ address }: { address: string }) {
  if (address === "") return null;
  if (!/^(https?:\/\/|\/(?!\/)|incidents\/#)/i.test(address)) return <p class="muted">Runbook: {address}</p>;
  return (
    <p>
      <a href={address} target="_blank" rel="noreferrer">
        Runbook
      </a>
    </p>
  );
}

function Actions({ row }: { row: AlertRow }) {
  const { hub, desk } = usePage();
  const operate = mayOperate(hub);
  return (
    <div class="alert-actions">
      {operate && row.state === "firing" && (
        <button
          type="button"
          class={row.acknowledged_by === "" ? "primary" : ""}
          data-testid="alert-acknowledge"
          aria-keyshortcuts="k"
          disabled={desk.acting.value}
          onClick={() => void desk.acknowledge(row)}
        >
          {row.acknowledged_by === "" ? "Acknowledge" : "Take the acknowledgement back"}
          <Key name="k" />
        </button>
      )}
      {operate && (
        <button
          type="button"
          data-testid="alert-silence"
          aria-keyshortcuts="s"
          aria-haspopup="dialog"
          onClick={() => desk.startSilence(matchersOf(row.labels))}
        >
          Silence…
          <Key name="s" />
        </button>
      )}
      <a href={hashOf(row.id)} data-testid="alert-link">
        Link to this alert
      </a>
      {!operate && <span class="muted">You may watch, and not act (hub.operate).</span>}
    </div>
  );
}

function Key({ name }: { name: string }) {
  return singleKeys.value === "on" ? <span class="key-hint" aria-hidden="true" data-key={name} /> : null;
}

function Story({ detail }: { detail: AlertDetail }) {
  const { alert, curve, changes, deliveries } = detail;
  return (
    <>
      {curve.at.length > 1 && <FigureChart curve={curve} threshold={alert.threshold} unit={alert.unit} />}
      <h3>What became of it</h3>
      {changes.length === 0 ? (
        <p class="muted">Nothing was written down yet.</p>
      ) : (
        <ol class="alert-story" data-testid="alert-changes">
          {changes.map((change, index) => (
            <Change key={`${change.at}/${change.kind}/${index}`} change={change} unit={alert.unit} />
          ))}
        </ol>
      )}
      <h3>Who was told</h3>
      {deliveries.length === 0 ? (
        <p class="muted">Nobody yet.</p>
      ) : (
        <ul class="alert-story" data-testid="alert-deliveries">
          {deliveries.map((delivery, index) => (
            <Told key={`${delivery.receiver}/${delivery.created_at}/${index}`} delivery={delivery} />
          ))}
        </ul>
      )}
    </>
  );
}

function Change({ change, unit }: { change: AlertChange; unit: string }) {
  return (
    <li>
      <time dateTime={new Date(change.at * 1000).toISOString()} title={`${moment(change.at)} · ${clockUtc(change.at)}`}>
        {clock(change.at)}
      </time>
      <span>
        <b>{change.kind}</b>
        {change.by !== "" && ` by ${change.by}`}
        {change.detail !== "" && `${change.kind === "told" ? "" : ":"} ${change.detail}`}
        {change.value !== null && <span class="muted"> at {figure(change.value, unit)}</span>}
      </span>
    </li>
  );
}

const DELIVERED: Record<Delivery["state"], string> = {
  waiting: "waits",
  delivered: "delivered",
  dead: "given up",
};

function Told({ delivery }: { delivery: Delivery }) {
  const { attempts, state } = delivery;
  return (
    <li class={`is-${state}`}>
      <time dateTime={new Date(delivery.created_at * 1000).toISOString()} title={moment(delivery.created_at)}>
        {clock(delivery.created_at)}
      </time>
      <span>
        <b>{delivery.receiver}</b> {delivery.kind}: {DELIVERED[state]}
        {delivery.delivered_at !== null && ` at ${clock(delivery.delivered_at)}`}
        {attempts > 1 && <span class="muted"> after {attempts} attempts</span>}
        {delivery.error !== "" && state !== "delivered" && <span class="alert-error"> {delivery.error}</span>}
      </span>
    </li>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
