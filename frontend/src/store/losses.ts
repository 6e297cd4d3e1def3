/** What an operator has to know of losses: which go on, which are over, and where they happened. */
import type { Drop, Dropped, DroppedRow } from "../wire/types";

/** Seconds after a loss in which more of them are to be expected. */
const GOING_ON = 10;
/** Seconds in which it is worth a line of its own. */
const RECENT = 300;

export type Phase = "dropping" | "dropped" | "earlier";

/** A line of the list; `places` says where, as far as that is known, the newest first. */
export interface Loss {
  readonly row: DroppedRow;
  readonly phase: Phase;
  readonly places: readonly Drop[];
}

export interface Losses {
  /** Since a while, or going on: newest first. */
  readonly recent: readonly Loss[];
  readonly earlier: readonly Loss[];
  /** Lost in a number that nobody can know. */
  readonly gaps: readonly Drop[];
  /** Messages, by all reasons. */
  readonly total: number;
}

export function phaseOf(lastAt: number | null, now: number): Phase {
  if (lastAt === null || now - lastAt > RECENT) return "earlier";
  return now - lastAt > GOING_ON ? "dropped" : "dropping";
}

export function lossesOf(dropped: Dropped, now: number): Losses {
  const places = dropped.recent ?? [];
  const lines = (dropped.rows ?? []).map((row) => ({
    row,
    phase: phaseOf(row.last_at, now),
    places: places.filter((place) => lossKey(place) === lossKey(row)),
  }));
  return {
    recent: lines.filter((line) => line.phase !== "earlier"),
    earlier: lines.filter((line) => line.phase === "earlier"),
    gaps: places.filter((place) => place.messages === null),
    total: (dropped.reasons ?? []).reduce((sum, row) => sum + row.messages, 0),
  };
}

export const lossKey = (row: { reason: string; consumer: string; tenant: string }) =>
  JSON.stringify([row.reason, row.consumer, row.tenant]);
