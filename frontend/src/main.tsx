import "./style.css";
import { render } from "preact";
import icon from "./favicon.svg";
import { browserEnvironment } from "./feed/environment";
import { Feed } from "./feed/feed";
import { Hub, onFrame } from "./store/hub";
import { App } from "./views/App";
import { applyTheme } from "./views/preferences";

const LAST_RELOAD = "hub.reloaded-at";

/** Django sends whoever is not logged in to the login page. Once a minute at most: never a loop of reloads. */
function askToLogIn(): void {
  const last = Number(sessionStorage.getItem(LAST_RELOAD) ?? 0);
  if (Date.now() - last < 60_000) return;
  sessionStorage.setItem(LAST_RELOAD, String(Date.now()));
  location.reload();
}

function start(root: HTMLElement): void {
  const { feed: path = "/ws/ops/", user = "", logout = "", csrf = "", version = "" } = root.dataset;
  const environment = browserEnvironment();
  const hub = new Hub(onFrame, environment.now);
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const feed = new Feed(`${scheme}://${location.host}${path}`, environment, {
    state: (state) => {
      hub.feed.value = state;
      if (state.kind === "refused" && state.reason === "not_logged_in") askToLogIn();
    },
    subscribed: (subscription) => hub.confirm(subscription),
    rejected: (subscription, error) => {
      hub.refuse(error);
      if (subscription.tenant !== hub.tenant.value) selectTenant(hub.tenant.value);
    },
    message: (message) => {
      hub.receive(message);
      // The numbers of several tenants are no sum: who may see but a few of them looks at one at a time.
      const first = message.type === "hello" ? message.permissions.tenants?.[0] : undefined;
      if (first !== undefined && hub.wanted.value === null) selectTenant(first);
    },
  });
  const selectTenant = (tenant: string | null) => {
    hub.wanted.value = tenant;
    feed.subscribe({ tenant });
  };
  applyTheme(document.documentElement);
  setInterval(() => hub.tick(), 1000);
  render(
    <App page={{ hub, user, version, logout: { action: logout, csrf }, selectTenant, retry: () => feed.retry() }} />,
    root,
  );
  feed.start();
}

function showIcon(): void {
  const link = document.createElement("link");
  link.rel = "icon";
  link.href = icon;
  document.head.append(link);
}

const root = document.getElementById("hub");
if (root !== null) {
  showIcon();
  start(root);
}
