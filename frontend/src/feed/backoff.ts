const FIRST = 0.5;
const LONGEST = 15;

/** Full jitter: seconds to wait before retry number `attempt` (from 0), spread evenly below a doubling ceiling. */
export function backoff(attempt: number, random: () => number): number {
  return random() * Math.min(LONGEST, FIRST * 2 ** Math.min(attempt, 10));
}
