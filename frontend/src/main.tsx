import "./alerts.css";
import "./dropped.css";
import "./slow.css";
import "./style.css";
import { effect } from "@preact/signals";
import { render } from "preact";
import { browserEnvironment } from "./feed/environment";
import { Feed } from "./feed/feed";
import { AlertDesk, alertInHash, hashOf } from "./store/alerts";
import { Hub, onFrame } from "./store/hub";
import { Roster } from "./store/roster";
import { App } from "./views/App";
import { applyTheme } from "./views/preferences";

const LAST_LOGIN = "hub.sent-to-login-at";

/** Once a minute at most: a page and a feed that disagree about who is logged in must not send anybody in circles. */
function sendToLogin(logIn: () => void): void {
  const last = Number(sessionStorage.getItem(LAST_LOGIN) ?? 0);
  if (Date.now() - last < 60_000) return;
  sessionStorage.setItem(LAST_LOGIN, String(Date.now()));
  logIn();
}

/** The open alert stands in the address, so that it can be passed on; and the other way round. */
function followHash(desk: AlertDesk): void {
  const follow = () => {
    const id = alertInHash(location.hash);
    if (id !== null && id !== desk.opened.value) desk.open(id);
  };
  follow();
  window.addEventListener("hashchange", follow);
  effect(() => {
    const id = desk.opened.value;
    if (id !== null) history.replaceState(null, "", hashOf(id));
    else if (alertInHash(location.hash) !== null) history.replaceState(null, "", location.pathname + location.search);
  });
}

function start(root: HTMLElement): void {
  const { feed: path = "/ws/ops/", user = "", login = "", logout = "", csrf = "", version = "" } = root.dataset;
  // What is behind the # goes along: who follows a link to an alert may have to log in first.
  const logIn = () => location.assign(`${login}?next=${encodeURIComponent(location.pathname)}${location.hash}`);
  const environment = browserEnvironment();
  const hub = new Hub(onFrame, environment.now);
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const feed = new Feed(`${scheme}://${location.host}${path}`, environment, {
    state: (state) => {
      hub.feed.value = state;
      if (state.kind !== "live" && state.kind !== "stale") roster.lost();
      if (state.kind === "refused" && state.reason === "not_logged_in") sendToLogin(logIn);
    },
    subscribed: (subscription) => hub.confirm(subscription),
    rejected: (subscription, error) => {
      hub.refuse(error);
      if (subscription.tenant !== hub.tenant.value) selectTenant(hub.tenant.value);
    },
    members: (ref, answer) => roster.receive(ref, answer),
    message: (message) => {
      hub.receive(message);
      // The numbers of several tenants are no sum: who may see but a few of them looks at one at a time.
      const first = message.type === "hello" ? message.permissions.tenants?.[0] : undefined;
      if (first !== undefined && hub.wanted.value === null) selectTenant(first);
    },
  });
  const roster = new Roster(hub, (query) => feed.listMembers(query));
  const desk = new AlertDesk(hub, (request) => feed.request(request));
  const selectTenant = (tenant: string | null) => {
    hub.wanted.value = tenant;
    feed.subscribe({ tenant });
  };
  applyTheme(document.documentElement);
  setInterval(() => hub.tick(), 1000);
  setInterval(() => {
    roster.look(environment.now());
    desk.look(environment.now());
  }, 250);
  followHash(desk);
  render(
    <App
      page={{
        hub,
        roster,
        desk,
        user,
        version,
        logout: { action: logout, csrf },
        logIn,
        selectTenant,
        retry: () => feed.retry(),
      }}
    />,
    root,
  );
  feed.start();
}

const root = document.getElementById("hub");
if (root !== null) start(root);
