/** The roster, a page of it at a time: a line for each member, which opens to all that is known of it. */
import { useComputed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { ago, clock, clockUtc, count, duration, moment, span } from "../format";
import { type Line, type MemberState, NO_FILTER, PAGE_SIZE } from "../store/roster";
import type { MemberRow } from "../wire/types";
import { usePage } from "./page";
import { Empty, Icon, Skeleton, TenantName } from "./parts";

export const MEANING: Record<MemberState, string> = {
  online: "Connected, and heard of as often as agreed",
  idle: "Connected, but silent for long; its client sends no heartbeats, so nobody can tell",
  stale: "Silent for more than two heartbeats: its client may have gone",
};

const HEARD_BY: Record<MemberRow["heard_by"], string> = {
  accept: "connected",
  frame: "message",
  heartbeat: "heartbeat",
  confirm: "confirm",
  connection: "still connected",
  close: "closed",
};

export function RosterCard() {
  const { hub, roster } = usePage();
  const shown = roster.shown.value;
  // Another tenant's members are nothing to look at meanwhile.
  const lines = shown?.tenant === roster.tenant.value ? shown.lines : null;
  return (
    <div class="card roster" aria-busy={roster.busy.value} data-busy={roster.busy.value || hub.frozen.value}>
      <Filters />
      {roster.problem.value !== null && (
        <p class="roster-problem" role="alert">
          {roster.problem.value}
        </p>
      )}
      {lines === null ? <Skeleton lines={6} /> : lines.length === 0 ? <NoMatch /> : <Lines lines={lines} />}
      <Pager />
    </div>
  );
}

/** What narrows the roster and is not seen elsewhere, to be taken off again. */
function Filters() {
  const { roster } = usePage();
  const { tenant, group } = roster.filter.value;
  if (tenant === null && group === null) return null;
  return (
    <p class="roster-filters">
      {tenant !== null && (
        <button type="button" class="label-chip" onClick={() => roster.narrow({ tenant: null })}>
          tenant <b>{tenant || "none"}</b> <Icon name="close" />
          <span class="unseen">: show all tenants</span>
        </button>
      )}
      {group !== null && (
        <button
          type="button"
          class="label-chip"
          data-testid="group-filter"
          onClick={() => roster.narrow({ group: null })}
        >
          group <b>{group}</b> <Icon name="close" />
          <span class="unseen">: show all groups</span>
        </button>
      )}
    </p>
  );
}

const COLUMNS = ["Conn.", "Consumers", "Groups", "Last heard", "Tab", "Round trip", "Here for"];

function Lines({ lines }: { lines: readonly Line[] }) {
  const { roster } = usePage();
  const withTenant = roster.tenant.value === null;
  const hold = (on: boolean) => {
    roster.held.value = on;
  };
  useEffect(() => () => hold(false), []);
  return (
    <section
      class="table-scroll"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      aria-label="Members by tenant and id"
    >
      <table class="members" data-testid="members-table">
        <thead>
          <tr>
            <th scope="col">Member</th>
            {withTenant && <th scope="col">Tenant</th>}
            <th scope="col">State</th>
            {COLUMNS.map((column) => (
              <th key={column} scope="col" class={NUMERIC.has(column) ? "numeric" : ""}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody
          onPointerEnter={(pointer) => pointer.pointerType === "mouse" && hold(true)}
          onPointerLeave={() => hold(false)}
          onKeyDown={walk}
        >
          {lines.map((line) => (
            <MemberLine key={line.key} line={line} withTenant={withTenant} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

const NUMERIC = new Set(["Conn.", "Round trip", "Here for"]);

/** Up and down go from member to member. */
function walk(key: KeyboardEvent): void {
  const step = key.key === "ArrowDown" ? 1 : key.key === "ArrowUp" ? -1 : 0;
  if (step === 0 || !(key.currentTarget instanceof Element)) return;
  const members = [...key.currentTarget.querySelectorAll<HTMLElement>(".member")];
  const here = members.indexOf(key.target as HTMLElement);
  if (here < 0) return;
  key.preventDefault();
  members[here + step]?.focus();
}

function MemberLine({ line: { key, row, gone }, withTenant }: { line: Line; withTenant: boolean }) {
  const { hub, roster } = usePage();
  const open = roster.opened.value === key;
  const stay = useComputed(() => {
    const until = hub.frozen.value ? (roster.shown.value?.at ?? row.joined_at) : hub.now.value;
    const seconds = until - row.joined_at;
    return span(seconds < 60 ? seconds : Math.floor(seconds / 10) * 10);
  });
  return (
    <>
      <tr
        data-testid="member-row"
        data-member={row.member}
        data-tenant={row.tenant}
        data-state={gone ? "gone" : row.state}
      >
        <th scope="row">
          <button
            type="button"
            class="member link"
            aria-expanded={open}
            onClick={() => roster.toggle(key)}
            onKeyDown={(pressed) => pressed.key === "Escape" && open && roster.toggle(key)}
            onFocus={() => {
              roster.focused.value = key;
            }}
            onBlur={() => {
              roster.focused.value = null;
            }}
          >
            <Icon name="chevron" />
            <MemberName row={row} />
          </button>
        </th>
        {withTenant && (
          <td>
            <TenantName tenant={row.tenant} />
          </td>
        )}
        <td>
          <StateBadge row={row} gone={gone} />
        </td>
        <td class="numeric">{count(row.connections)}</td>
        <td>
          <Several names={row.consumers ?? []} short={lastPart} />
        </td>
        <td>
          <Several names={row.groups ?? []} />
        </td>
        <td>
          <Heard row={row} />
        </td>
        <td class="muted">{tabText(row)}</td>
        <td class="numeric">{duration(row.rtt)}</td>
        <td class="numeric" title={`since ${moment(row.joined_at)} · ${clockUtc(row.joined_at)}`}>
          {stay}
        </td>
      </tr>
      {open && (
        <tr class="member-facts">
          <td colSpan={COLUMNS.length + (withTenant ? 3 : 2)}>
            <Facts row={row} gone={gone} />
          </td>
        </tr>
      )}
    </>
  );
}

/** Who brings no name and no account is known by an id of the hub's own making: that is no name. */
function MemberName({ row: { name, member } }: { row: MemberRow }) {
  const shown = name || (/^(anonymous|session):/.test(member) ? "Anonymous" : member);
  return (
    <span class="consumer-name" title={member}>
      <b>{shown}</b>
      {shown !== member && <small>{member}</small>}
    </span>
  );
}

const lastPart = (consumer: string) => consumer.slice(consumer.lastIndexOf(".") + 1);
const tabText = (row: MemberRow) => (row.hidden == null ? "–" : row.hidden ? "hidden" : "in sight");

function StateBadge({ row, gone }: { row: MemberRow; gone: boolean }) {
  const { hub } = usePage();
  const shown = roughState(gone, hub.frozen.value, row);
  const title =
    shown === "unknown"
      ? `Was ${row.state} when the feed was last heard of`
      : shown === "gone"
        ? GONE
        : MEANING[row.state];
  return (
    <span class={`member-state is-${shown}`} data-testid="member-state" title={title}>
      <i class="dot" aria-hidden="true" /> {shown}
    </span>
  );
}

const GONE = "No longer in this list: has left, or is on another page or in another state by now";

function roughState(gone: boolean, frozen: boolean, row: MemberRow): MemberState | "gone" | "unknown" {
  if (gone) return "gone";
  return frozen ? "unknown" : row.state;
}

/** "3 s ago, heartbeat"; without news from the hub, the time itself. */
function Heard({ row }: { row: MemberRow }) {
  const { hub } = usePage();
  const text = useComputed(() => (hub.frozen.value ? clock(row.heard_at) : ago(hub.now.value - row.heard_at)));
  return (
    <span title={`${moment(row.heard_at)} · ${clockUtc(row.heard_at)}`}>
      {text}, <span class="muted">{HEARD_BY[row.heard_by]}</span>
    </span>
  );
}

/** The first of some names, and how many more there are. */
function Several({ names, short = (name) => name }: { names: readonly string[]; short?: (name: string) => string }) {
  const [first] = names;
  if (first === undefined) return <span class="muted">–</span>;
  return (
    <span class="several" title={names.join("\n")}>
      <span>{short(first)}</span>
      {names.length > 1 && <small class="muted"> +{names.length - 1}</small>}
    </span>
  );
}

function Facts({ row, gone }: { row: MemberRow; gone: boolean }) {
  const { roster } = usePage();
  return (
    <dl class="facts" data-testid="member-details">
      <Fact name="Id">{row.member}</Fact>
      <Fact name="Tenant">
        <TenantName tenant={row.tenant} />
      </Fact>
      <Fact name="State">{gone ? GONE : `${row.state}: ${MEANING[row.state]}`}</Fact>
      <Fact name="Last heard">
        {moment(row.heard_at)} ({clockUtc(row.heard_at)}), {HEARD_BY[row.heard_by]}
      </Fact>
      <Fact name="Here since">
        {moment(row.joined_at)} ({clockUtc(row.joined_at)})
      </Fact>
      <Fact name="Connections">
        {count(row.connections)}, of these {count(row.negotiated)} with our client library
      </Fact>
      <Fact name="Tab">{tabText(row)}</Fact>
      <Fact name="Round trip">{duration(row.rtt)}</Fact>
      <Fact name="Page’s queue">{row.lag == null ? "–" : `${duration(row.lag)} behind`}</Fact>
      <Fact name="Consumers">{(row.consumers ?? []).join(", ") || "–"}</Fact>
      <Fact name="Groups">
        {(row.groups ?? []).map((group) => (
          <button
            key={group}
            type="button"
            class="label-chip"
            title="Show only this group"
            onClick={() => roster.narrow({ group })}
          >
            {group}
          </button>
        ))}
        {(row.groups ?? []).length === 0 && "–"}
      </Fact>
      <Fact name="Nodes">{(row.nodes ?? []).join(", ") || "–"}</Fact>
    </dl>
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

function Pager() {
  const { hub, roster } = usePage();
  const shown = roster.shown.value;
  const before = roster.places.value.length * PAGE_SIZE;
  if (shown === null) return null;
  const here = shown.lines.filter((line) => !line.gone).length;
  const waits = roster.busy.value || hub.frozen.value;
  return (
    <div class="pager">
      <span class="muted" role="status" data-testid="members-shown" data-total={shown.total}>
        {here === 0 ? "No members" : `${count(before + 1)}–${count(before + here)} of ${count(shown.total)}`}
      </span>
      {(before > 0 || shown.next !== null) && (
        <>
          <button
            type="button"
            data-testid="members-previous"
            disabled={before === 0 || waits}
            onClick={() => roster.previous()}
          >
            Previous
          </button>
          <button
            type="button"
            data-testid="members-next"
            disabled={shown.next === null || waits}
            onClick={() => roster.next()}
          >
            Next
          </button>
        </>
      )}
    </div>
  );
}

function NoMatch() {
  const { roster } = usePage();
  return (
    <Empty title="Nobody matches">
      <button type="button" onClick={() => roster.narrow(NO_FILTER)}>
        Show everybody
      </button>
    </Empty>
  );
}
