/** Who is there: counts, which narrow the roster, and the roster. */
import { useComputed } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { clock, count } from "../format";
import { MEMBER_STATES, type MemberState, NO_FILTER, tallyOf } from "../store/roster";
import { membersOf } from "../store/state";
import type { PresenceRow } from "../wire/types";
import { MEANING, RosterCard } from "./Members";
import { usePage } from "./page";
import { Empty, Icon, TenantName } from "./parts";

/** The shortcut `m` finds the field by its id. */
export const MEMBER_SEARCH_ID = "members-search";

/** Tenants that the small table lists: those with the most members. */
const TENANTS_SHOWN = 50;

export function Presence() {
  const { hub, roster } = usePage();
  const section = useRef<HTMLElement>(null);
  useEffect(() => whileSeen(section.current, (seen) => roster.watch(seen)), []);
  const presence = hub.presence.value;
  return (
    <section
      ref={section}
      class="presence"
      aria-labelledby="presence-title"
      data-testid="presence"
      data-unknown={hub.frozen.value}
    >
      <div class="section-head">
        <h2 id="presence-title">Presence</h2>
        <HeadText />
        <SearchField />
      </div>
      {presence?.size === 0 ? (
        <Nobody />
      ) : (
        <div class="presence-grid">
          <Counts />
          <RosterCard />
        </div>
      )}
    </section>
  );
}

/** Tells whether an element is in sight of somebody, until the returned function is called. */
function whileSeen(element: Element | null, tell: (seen: boolean) => void): () => void {
  let inSight = typeof IntersectionObserver === "undefined";
  const look = () => tell(inSight && !document.hidden);
  const observer = inSight
    ? null
    : new IntersectionObserver((entries) => {
        inSight = entries.at(-1)?.isIntersecting ?? false;
        look();
      });
  if (element !== null) observer?.observe(element);
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    observer?.disconnect();
    document.removeEventListener("visibilitychange", look);
    tell(false);
  };
}

function HeadText() {
  const { hub, roster } = usePage();
  const at = hub.at.value;
  if (hub.frozen.value && at !== null)
    return (
      <span class="hint" data-testid="presence-unknown">
        unknown now; as of {clock(at)}
      </span>
    );
  return roster.held.value ? <span class="hint">held while you point at a member</span> : null;
}

function SearchField() {
  const { hub, roster } = usePage();
  const { search } = roster.filter.value;
  if (hub.presence.value?.size === 0 && search === "") return null;
  return (
    <div class="search">
      <Icon name="search" />
      <input
        id={MEMBER_SEARCH_ID}
        type="search"
        placeholder="Search members"
        aria-label="Search members by name or id"
        aria-keyshortcuts="m"
        data-testid="members-search"
        maxLength={100}
        value={search}
        onInput={({ currentTarget }) => roster.narrow({ search: currentTarget.value })}
        onKeyDown={(key) => {
          if (key.key !== "Escape") return;
          if (search === "") key.currentTarget.blur();
          roster.narrow({ search: "" });
        }}
      />
      {search === "" && <kbd>m</kbd>}
    </div>
  );
}

function Counts() {
  const { hub, roster } = usePage();
  const rows = useComputed(() => [...(hub.presence.value?.values() ?? [])]);
  const known = hub.presence.value !== null;
  const { tenant } = roster;
  const tally = tallyOf(
    known ? rows.value.filter((row) => tenant.value === null || row.tenant === tenant.value) : null,
  );
  const { states } = roster.filter.value;
  const toggle = (state: MemberState) => {
    const changed = new Set(states);
    if (!changed.delete(state)) changed.add(state);
    roster.narrow({ states: changed.size === MEMBER_STATES.length ? NO_FILTER.states : changed });
  };
  return (
    <div class="card presence-counts">
      <fieldset class="states">
        <legend class="unseen">Members by state; press to show only these</legend>
        {MEMBER_STATES.map((state) => (
          <button
            key={state}
            type="button"
            class={`state-tile is-${state}`}
            aria-pressed={states.has(state)}
            title={MEANING[state]}
            data-testid={`members-${state}`}
            data-value={tally?.[state] ?? ""}
            onClick={() => toggle(state)}
          >
            <span>
              <i class="dot" aria-hidden="true" /> {state}
            </span>
            <b>{count(tally?.[state])}</b>
          </button>
        ))}
      </fieldset>
      <p class="muted foot" data-testid="member-connections" data-value={tally?.connections ?? ""}>
        {count(tally?.connections)} connections
      </p>
      {hub.tenant.value === null && rows.value.length > 1 && <Tenants rows={rows.value} />}
    </div>
  );
}

function Tenants({ rows }: { rows: readonly PresenceRow[] }) {
  const { roster } = usePage();
  const largest = rows.toSorted((a, b) => membersOf(b) - membersOf(a)).slice(0, TENANTS_SHOWN);
  const more = rows.length - largest.length;
  const chosen = roster.filter.value.tenant;
  return (
    <section
      class="tenants"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      aria-label="Members by tenant"
    >
      <table data-testid="presence-tenants">
        <thead>
          <tr>
            <th scope="col">Tenant</th>
            {MEMBER_STATES.map((state) => (
              <th key={state} scope="col" class="numeric">
                {state}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {largest
            .toSorted((a, b) => (a.tenant < b.tenant ? -1 : 1))
            .map((row) => (
              <tr key={row.tenant} data-testid="presence-tenant" data-tenant={row.tenant}>
                <th scope="row">
                  <button
                    type="button"
                    class="link"
                    aria-pressed={chosen === row.tenant}
                    title={chosen === row.tenant ? "Show all tenants" : "Show only this tenant’s members"}
                    onClick={() => roster.narrow({ tenant: chosen === row.tenant ? null : row.tenant })}
                  >
                    <TenantName tenant={row.tenant} />
                  </button>
                </th>
                {MEMBER_STATES.map((state) => (
                  <td key={state} class={`numeric ${row[state] === 0 ? "muted" : ""}`}>
                    {count(row[state])}
                  </td>
                ))}
              </tr>
            ))}
        </tbody>
      </table>
      {more > 0 && <p class="muted foot">and {count(more)} more tenants</p>}
    </section>
  );
}

function Nobody() {
  const { hub } = usePage();
  if (hub.tenant.value !== null)
    return (
      <div class="card" data-testid="nobody">
        <Empty title="Nobody of this tenant is here" />
      </div>
    );
  return (
    <div class="card" data-testid="nobody">
      <Empty title="Nobody is here yet">
        <p>
          Whoever connects to a consumer with the mixin is a member of its tenant, known by the user’s id. Say who
          somebody is, and where, in the consumer:
        </p>
        <pre>
          <code>
            {"class Chat(MonitoredConsumerMixin, AsyncJsonWebsocketConsumer):\n"}
            {'    hub_presence_groups = ("lobby",)\n\n'}
            {"    def get_hub_member_name(self):\n"}
            {'        return self.scope["user"].get_full_name()'}
          </code>
        </pre>
        <p class="muted">
          Pages that use <code>HubSocket</code> also send heartbeats: then a client that has gone is seen to be gone.
        </p>
      </Empty>
    </div>
  );
}
