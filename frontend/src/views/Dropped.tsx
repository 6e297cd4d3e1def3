/** What is lost: whose, where, why and since when in one look, with how full the channel layers are beside it. */
import { clock, count, rate } from "../format";
import { type Loss, lossesOf, lossKey, type Phase } from "../store/losses";
import type { Drop, DroppedRow } from "../wire/types";
import { Layers } from "./Layers";
import { usePage } from "./page";
import { Age, ConsumerName, Icon, TenantName } from "./parts";

const WHY: Record<DroppedRow["reason"], string> = {
  channel_full: "the channel was full: who sent it was told",
  over_capacity: "the layer was full: nobody was told",
  buffer_overflow: "its buffer was full: the oldest message went",
  expired: "nobody took it in time",
  group_lost: "it fell out of its group, still connected",
  after_close: "sent after the connection was closed",
  unconfirmed: "sent, never confirmed, and the connection is gone",
  teardown: "its connection ended first",
  unknown: "lost in a number that nobody can know",
};

const SIGNS = { dropping: "error", dropped: "warning", earlier: "info" } as const satisfies Record<Phase, string>;
/** Places that a line names; the feed knows more. */
const PLACES = 3;

export function Dropped() {
  const { hub } = usePage();
  const dropped = hub.dropped.value;
  if (dropped === null) return null;
  // Without news nobody knows whether it goes on: then its age stands still as well.
  const losses = lossesOf(dropped, (hub.frozen.value ? hub.at.value : null) ?? hub.now.value);
  const { recent, earlier, gaps } = losses;
  return (
    <section class="dropped" aria-labelledby="dropped-title" data-testid="dropped" data-messages={losses.total}>
      <div class="section-head">
        <h2 id="dropped-title">Dropped</h2>
        <HeadText recent={recent.length + gaps.length} total={losses.total} />
      </div>
      <div class="card">
        {dropped.gaps !== 0 && <Gaps gaps={dropped.gaps ?? null} places={gaps} />}
        {recent.length === 0 && gaps.length === 0 && <Well earlier={earlier.length > 0} />}
        {recent.length > 0 && <List losses={recent} />}
        {earlier.length > 0 && <Earlier losses={earlier} />}
        <Layers />
      </div>
    </section>
  );
}

function HeadText({ recent, total }: { recent: number; total: number }) {
  const { hub } = usePage();
  const at = hub.at.value;
  if (hub.frozen.value && at !== null) return <span class="hint">unknown now; as of {clock(at)}</span>;
  return (
    <span class="hint">
      <span role="status">{recent === 0 ? "nothing in the last five minutes" : "losses in the last five minutes"}</span>
      {total > 0 && ` · ${count(total)} lost since the nodes started`}
    </span>
  );
}

function Well({ earlier }: { earlier: boolean }) {
  return (
    <p class="slow-well muted" data-testid="dropped-well">
      <Icon name="info" />
      <span>
        {earlier ? "Nothing is being lost. " : "No message and no frame was lost. "}
        What channel layers, full buffers and ended connections lose is listed here, by reason.
      </span>
    </p>
  );
}

/** `gaps` null: there were some, and whose messages they took nobody can know. */
function Gaps({ gaps, places }: { gaps: number | null; places: readonly Drop[] }) {
  const times = gaps === 1 ? "Once" : `${count(gaps)} times`;
  return (
    <div class="dropped-gaps" data-testid="dropped-gaps">
      <Icon name="gap" />
      <p>
        {gaps === null
          ? "A channel layer lost messages, how many and whose is unknown: there may be more than the numbers here say."
          : `${times} a channel layer lost messages in a number that nobody can know, besides the numbers here.`}
        {places.map((place) => (
          <small key={`${place.node}/${place.layer}`}>
            {place.layer || "a layer"} on {place.node}, last at {clock(place.at)}
          </small>
        ))}
      </p>
    </div>
  );
}

function Earlier({ losses }: { losses: readonly Loss[] }) {
  const total = losses.reduce((sum, { row }) => sum + row.messages, 0);
  return (
    <details class="dropped-earlier" data-testid="dropped-earlier">
      <summary>Earlier: {count(total)} lost</summary>
      <List losses={losses} />
    </details>
  );
}

function List({ losses }: { losses: readonly Loss[] }) {
  return (
    <ul class="slow-list">
      {losses.map((loss) => (
        <Line key={lossKey(loss.row)} loss={loss} />
      ))}
    </ul>
  );
}

function Line({ loss: { row, phase, places } }: { loss: Loss }) {
  return (
    <li class={`is-${phase}`} data-testid="dropped-row" data-reason={row.reason} data-phase={phase}>
      <span class="slow-severity">
        <Icon name={SIGNS[phase]} />
        {row.reason.replaceAll("_", " ")}
      </span>
      <div>
        <ConsumerName consumer={row.consumer} />
        <p class="muted">
          <TenantName tenant={row.tenant} />
        </p>
      </div>
      <div class="slow-what">
        <p>{WHY[row.reason]}</p>
        {places.slice(0, PLACES).map((place) => (
          <Place key={`${place.node}/${place.group}`} place={place} />
        ))}
      </div>
      <p class="slow-time">
        {count(row.messages)}
        <small>{row.rate === null ? "rate unknown" : `${rate(row.rate)}/s`}</small>
      </p>
      <When row={row} since={phase === "dropping" ? sinceOf(places) : undefined} />
    </li>
  );
}

function When({ row, since }: { row: DroppedRow; since: number | undefined }) {
  const at = since ?? row.last_at;
  return (
    <p class="slow-time">
      {at === null ? "unknown" : <Age at={at} />}
      <small>{at === null ? "when" : `${since === undefined ? "last at" : "since"} ${clock(at)}`}</small>
    </p>
  );
}

/** When the first of the losses began whose places are known. */
const sinceOf = (places: readonly Drop[]) => (places.length > 0 ? Math.min(...places.map((p) => p.since)) : undefined);

function Place({ place }: { place: Drop }) {
  const where = [
    place.group ? `group ${place.group}` : "",
    place.connection ? `connection ${place.connection}` : several(place.connections, "connections"),
    place.channel ? `channel ${place.channel}` : several(place.channels, "channels"),
  ].filter(Boolean);
  return (
    <p class="slow-where">
      {where.join(" · ") || "no place known"}{" "}
      <span class="muted">
        {count(place.messages)} on {place.node}
      </span>
    </p>
  );
}

const several = (number: number | undefined, noun: string) => (number ? `${count(number)} ${noun}` : "");
