import { count, duration } from "../format";
import { goToAlerts } from "./Alerts";
import { usePage } from "./page";
import { Icon, Segmented } from "./parts";
import { theme } from "./preferences";

export function Header({ onHelp }: { onHelp: () => void }) {
  const { user, logout, version } = usePage();
  return (
    <header class="top">
      <a class="brand" href="./" title={version ? `Channels Hub ${version}` : undefined}>
        <Mark />
        <span>Channels Hub</span>
      </a>
      <FeedBadge />
      <AlertsBadge />
      <TenantSelect />
      <div class="top-end">
        <button
          type="button"
          class="quiet square only-wide"
          onClick={onHelp}
          title="Keyboard (?)"
          aria-label="Keyboard"
        >
          <Icon name="keyboard" />
        </button>
        <Segmented
          name="theme"
          legend="Theme"
          value={theme.value}
          onChange={(value) => {
            theme.value = value;
          }}
          options={[
            { value: "light", title: "Light", label: <Labelled icon="sun" text="Light" /> },
            { value: "system", title: "As the system", label: <Labelled icon="system" text="System" /> },
            { value: "dark", title: "Dark", label: <Labelled icon="moon" text="Dark" /> },
          ]}
        />
        <form class="user" method="post" action={logout.action}>
          <input type="hidden" name="csrfmiddlewaretoken" value={logout.csrf} />
          <span title={user}>{user}</span>
          <button type="submit" class="quiet">
            Log out
          </button>
        </form>
      </div>
    </header>
  );
}

function Labelled({ icon, text }: { icon: "sun" | "system" | "moon"; text: string }) {
  return (
    <>
      <Icon name={icon} />
      <span class="unseen">{text}</span>
    </>
  );
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
      <circle cx="12" cy="12" r="3.2" />
      <path d="M6.3 17.7a8 8 0 0 1 0-11.4M17.7 6.3a8 8 0 0 1 0 11.4" />
      <path class="outer" d="M3.2 20.8a12.4 12.4 0 0 1 0-17.6M20.8 3.2a12.4 12.4 0 0 1 0 17.6" />
    </svg>
  );
}

/** Wherever on the page somebody is: that something fires, and the way to it. */
function AlertsBadge() {
  const { hub } = usePage();
  const active = hub.alerts.value;
  if (!active || active.firing === 0) return null;
  const worst = active.rows[0]?.severity === "critical" ? "critical" : "high";
  return (
    <button type="button" class={`alerts-badge is-${worst}`} data-testid="alerts-badge" onClick={goToAlerts}>
      <Icon name={worst === "critical" ? "error" : "warning"} />
      {count(active.firing)} {active.firing === 1 ? "fires" : "fire"}
    </button>
  );
}

const ANNOUNCED = {
  connecting: "Connecting to the hub.",
  live: "The feed is live.",
  stale: "No news from the hub; the numbers may be old.",
  offline: "The connection to the hub is lost. It will be tried again.",
  refused: "The hub refused the connection.",
} as const;

export function FeedBadge() {
  const { hub, retry } = usePage();
  const feed = hub.feed.value;
  return (
    <div class="feed-badge">
      <span class={`feed-state is-${feed.kind}`} data-testid="feed-state" data-state={feed.kind}>
        <i class="dot" aria-hidden="true" />
        <FeedText />
      </span>
      {feed.kind === "offline" && (
        <button type="button" class="quiet" onClick={retry}>
          Try now
        </button>
      )}
      <span class="unseen" role="status" aria-live="polite">
        {ANNOUNCED[feed.kind]}
      </span>
    </div>
  );
}

function FeedText() {
  const { hub } = usePage();
  const feed = hub.feed.value;
  switch (feed.kind) {
    case "connecting":
      return <>Connecting…</>;
    case "live":
      return (
        <>
          Live
          {feed.rtt !== null && (
            <small class="rtt" title="Round trip to the hub">
              {duration(feed.rtt)}
            </small>
          )}
        </>
      );
    case "stale":
      return <>No news for {Math.max(0, Math.floor(hub.localClock() - feed.since))} s</>;
    case "offline":
      return <>Reconnecting in {Math.max(0, Math.ceil(feed.retryAt - hub.localClock()))} s</>;
    case "refused":
      return <>{feed.reason === "not_allowed" ? "Not allowed" : "Logged out"}</>;
  }
}

const ALL = "all";
const optionOf = (tenant: string | null) => (tenant === null ? ALL : `tenant:${tenant}`);

function TenantSelect() {
  const { hub, selectTenant } = usePage();
  const { tenants } = hub;
  const only = hub.hello.value?.permissions.tenants ?? null;
  return (
    <label class="tenant-select">
      <span>Tenant</span>
      <select
        data-testid="tenant-select"
        value={optionOf(hub.wanted.value)}
        onChange={({ currentTarget: { value } }) => selectTenant(value === ALL ? null : value.slice("tenant:".length))}
      >
        {only === null && <option value={ALL}>All tenants</option>}
        {tenants.value.map((tenant) => (
          <option key={tenant} value={optionOf(tenant)}>
            {tenant === "" ? "(no tenant)" : tenant}
          </option>
        ))}
      </select>
    </label>
  );
}
