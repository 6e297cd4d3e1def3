import type { Ink } from "./palette";

const WIDTH = 100;
const HEIGHT = 28;

interface Props {
  readonly at: readonly number[];
  readonly values: readonly (number | null)[];
  readonly from: number;
  readonly until: number;
  readonly ink: Ink;
}

/** A line without axes, from zero up; broken where the values are unknown. */
export function Sparkline({ at, values, from, until, ink }: Props) {
  const line = sparkPath(at, values, from, until);
  return (
    <svg
      class={`sparkline ink-${ink}`}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path d={line} />
    </svg>
  );
}

export function sparkPath(
  at: readonly number[],
  values: readonly (number | null)[],
  from: number,
  until: number,
): string {
  const top = Math.max(0, ...values.map((value) => value ?? 0)) || 1;
  let pen = "M";
  let path = "";
  values.forEach((value, index) => {
    if (value === null) {
      pen = "M";
      return;
    }
    const x = (((at[index] ?? from) - from) / (until - from)) * WIDTH;
    path += `${pen}${x.toFixed(1)} ${(HEIGHT - 2 - (value / top) * (HEIGHT - 4)).toFixed(1)}`;
    pen = "L";
  });
  return path;
}
