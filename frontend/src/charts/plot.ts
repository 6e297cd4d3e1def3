/** How a time chart is set up in uPlot: axes, cursor, isolated points. */
import type uPlot from "uplot";
import { clock, clockMinutes } from "../format";
import { colour, type Ink } from "./palette";

export interface Line {
  readonly label: string;
  readonly ink: Ink;
  readonly filled?: boolean;
}

export interface PlotOptions {
  readonly width: number;
  readonly height: number;
  readonly lines: readonly Line[];
  readonly format: (value: number | null | undefined) => string;
  /** The axis reaches at least this far up: a quiet minute is no mountain range. */
  readonly least: number;
  /** Values have no fractions, and neither has the axis. */
  readonly whole: boolean;
  /** The seconds between which the chart shows; asked again for each redraw. */
  readonly range: () => readonly [number, number];
  /** The cursor came to rest on this point; null: it left. */
  readonly onCursor: (index: number | null, left: number) => void;
}

const SYNC = "hub";
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif';

export function plotOptions(options: PlotOptions): uPlot.Options {
  return {
    width: options.width,
    height: options.height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false, setScale: false },
      sync: { key: SYNC, setSeries: false },
      points: { size: 7, width: 2 },
    },
    scales: {
      x: { time: true, range: () => [...options.range()] as [number, number] },
      y: { range: (_plot, _low, high) => [0, ceiling(high, options.least)] },
    },
    axes: [timeAxis(), valueAxis(options)],
    series: [{}, ...options.lines.map(lineSeries)],
    hooks: { setCursor: [(plot) => options.onCursor(plot.cursor.idx ?? null, plot.cursor.left ?? -1)] },
  };
}

/** From zero, with air above: a flat line at 0 gets a scale as well. */
function ceiling(high: number | null, least: number): number {
  return Math.max(least, (high ?? 0) * 1.15);
}

function lineSeries(line: Line): uPlot.Series {
  return {
    label: line.label,
    stroke: () => colour(line.ink),
    width: 1.75,
    spanGaps: false,
    ...(line.filled ? { fill: () => translucent(colour(line.ink)) } : {}),
    points: { size: 4, filter: isolatedPoints },
  };
}

function translucent(rgb: string): string {
  return rgb.replace(/^rgb\((.*)\)$/, "rgba($1, 0.12)");
}

/** A value between two unknown ones has no line to lie on: show it as a point. */
function isolatedPoints(plot: uPlot, series: number, show: boolean): number[] | null {
  const values = plot.data[series];
  if (show || values === undefined) return null;
  const [first, last] = plot.series[0]?.idxs ?? [0, values.length - 1];
  const alone: number[] = [];
  for (let index = first; index <= last; index++)
    if (values[index] != null && values[index - 1] == null && values[index + 1] == null) alone.push(index);
  return alone;
}

function timeAxis(): uPlot.Axis {
  return {
    stroke: () => colour("axis"),
    font: FONT,
    size: 26,
    gap: 6,
    space: 76,
    grid: { show: false },
    ticks: { stroke: () => colour("grid"), width: 1, size: 4 },
    values: (_plot, splits, _axis, _space, step) => splits.map((at) => (step < 60 ? clock(at) : clockMinutes(at))),
  };
}

const WHOLE_STEPS = Array.from({ length: 9 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

function valueAxis({ format, whole }: PlotOptions): uPlot.Axis {
  return {
    ...(whole ? { incrs: WHOLE_STEPS } : {}),
    stroke: () => colour("axis"),
    font: FONT,
    size: (_plot, values) => 14 + 6.6 * Math.max(3, ...(values ?? []).map((value) => value.length)),
    gap: 6,
    space: 30,
    grid: { stroke: () => colour("grid"), width: 1 },
    ticks: { show: false },
    values: (_plot, splits) => splits.map((value) => (value === 0 ? "0" : format(value))),
  };
}
