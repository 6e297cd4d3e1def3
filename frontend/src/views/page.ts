import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { AlertDesk } from "../store/alerts";
import type { Hub } from "../store/hub";
import type { Roster } from "../store/roster";

/** What every view may use: the store, and what an operator can ask for. */
export interface Page {
  readonly hub: Hub;
  readonly roster: Roster;
  readonly desk: AlertDesk;
  readonly user: string;
  readonly version: string;
  readonly logout: { readonly action: string; readonly csrf: string };
  selectTenant(tenant: string | null): void;
  retry(): void;
  logIn(): void;
}

const PageContext = createContext<Page | null>(null);
export const PageProvider = PageContext.Provider;

export function usePage(): Page {
  const page = useContext(PageContext);
  if (page === null) throw new Error("A view was rendered outside of <PageProvider>.");
  return page;
}
