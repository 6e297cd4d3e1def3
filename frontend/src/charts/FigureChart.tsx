/** A rule's number over time against its threshold: small enough for a dialog, and told in words as well. */
import { clock, figure } from "../format";
import type { Curve } from "../wire/types";

const WIDTH = 400;
const HEIGHT = 72;
const EDGE = 3;

interface Props {
  readonly curve: Curve;
  readonly threshold: number;
  readonly unit: string;
}

export function FigureChart({ curve, threshold, unit }: Props) {
  const [first, last] = [curve.at[0] ?? 0, curve.at.at(-1) ?? 0];
  const { line, limit, highest } = figurePaths(curve, threshold);
  const told =
    `From ${figure(curve.values[0], unit)} at ${clock(first)} to ${figure(curve.values.at(-1), unit)} at ` +
    `${clock(last)}, at most ${figure(highest, unit)}; the threshold is ${figure(threshold, unit)}`;
  return (
    <figure class="figure-chart" data-testid="alert-chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={told}>
        <path class="figure-limit" d={limit} />
        <path class="figure-line" d={line} />
      </svg>
      <figcaption class="muted">
        <span>{clock(first)}</span>
        <span>
          threshold {figure(threshold, unit)}, highest {figure(highest, unit)}
        </span>
        <span>{clock(last)}</span>
      </figcaption>
    </figure>
  );
}

/** The line and the threshold on one scale, from zero, or below it, up. */
export function figurePaths(curve: Curve, threshold: number): { line: string; limit: string; highest: number } {
  const highest = Math.max(...curve.values);
  const [low, high] = [Math.min(0, threshold, ...curve.values), Math.max(0, threshold, highest)];
  const [from, until] = [curve.at[0] ?? 0, curve.at.at(-1) ?? 0];
  const x = (at: number) => (((at - from) / (until - from || 1)) * WIDTH).toFixed(1);
  const y = (value: number) => (HEIGHT - EDGE - ((value - low) / (high - low || 1)) * (HEIGHT - 2 * EDGE)).toFixed(1);
  const points = curve.values.map((value, index) => `${x(curve.at[index] ?? from)} ${y(value)}`);
  return { line: `M${points.join("L")}`, limit: `M0 ${y(threshold)}H${WIDTH}`, highest };
}
