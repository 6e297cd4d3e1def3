import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { count } from "../format";
import { AlertDialog } from "./AlertDialog";
import { Alerts } from "./Alerts";
import { Charts } from "./Charts";
import { ConsumersTable } from "./ConsumersTable";
import { Dropped } from "./Dropped";
import { EventStream } from "./EventStream";
import { Header } from "./Header";
import { Help } from "./Help";
import { Metrics } from "./Metrics";
import { Nodes } from "./Nodes";
import { Notices } from "./Notices";
import { Presence } from "./Presence";
import { type Page, PageProvider } from "./page";
import { SilenceDialog } from "./SilenceDialog";
import { Slow } from "./Slow";
import { useShortcuts } from "./shortcuts";
import { Tiles } from "./Tiles";

export function App({ page }: { page: Page }) {
  const help = useRef<HTMLDialogElement>(null);
  const openHelp = () => help.current?.showModal();
  useShortcuts(page, openHelp);
  useEffect(() => effect(() => showInTitle(page)), []);
  // Nothing connected yet: how to begin is the most important thing on the page.
  const unused = page.hub.consumers.value?.size === 0 && page.hub.tenant.value === null;
  return (
    <PageProvider value={page}>
      <Header onHelp={openHelp} />
      <main data-frozen={page.hub.frozen.value}>
        <h1 class="unseen">Operations</h1>
        <Notices />
        <Tiles />
        <Alerts />
        {unused && <ConsumersTable />}
        {!unused && <Slow />}
        {!unused && <Dropped />}
        <div class="columns">
          <div class="main-column">
            <Nodes />
            <Charts />
          </div>
          <EventStream />
        </div>
        {!unused && <ConsumersTable />}
        {!unused && <Presence />}
        <Metrics />
      </main>
      <AlertDialog />
      <SilenceDialog />
      <Help dialog={help} />
    </PageProvider>
  );
}

/** The tab tells as well: that something fires, how many are connected, or that nobody knows. */
function showInTitle({ hub }: Page): void {
  const { kind } = hub.feed.value;
  const firing = hub.alerts.value?.firing ?? 0;
  const totals = hub.totals.value;
  const known = kind === "live" && totals !== null;
  const state = known ? `${count(totals.active)} connected` : kind === "connecting" ? "Connecting" : "Not live";
  const alarm = kind === "live" && firing > 0 ? `(${count(firing)}) ` : "";
  document.title = `${alarm}${state} · Channels Hub`;
}
