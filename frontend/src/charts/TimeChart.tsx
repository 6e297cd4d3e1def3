import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { clock, clockUtc } from "../format";
import type { Column, Series } from "../store/series";
import { forgetColours } from "./palette";
import { type Line, plotOptions } from "./plot";

export interface ChartLine extends Line {
  readonly column: Column;
}

interface Props {
  readonly title: string;
  readonly hint: string;
  readonly testid: string;
  readonly lines: readonly ChartLine[];
  readonly series: Series;
  /** Seconds shown, up to `until`. */
  readonly seconds: number;
  readonly until: number;
  /** Changes with the theme. */
  readonly theme: string;
  readonly height: number;
  readonly format: (value: number | null | undefined) => string;
  readonly least: number;
  readonly whole?: boolean;
  /** What to say while there is no line. */
  readonly blank: string;
}

interface Cursor {
  readonly index: number;
  readonly left: number;
}

/** One uPlot, for as long as the component lives; new numbers go in through `setData`. */
export function TimeChart(props: Props) {
  const { series, lines, until, seconds } = props;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const range = useRef<readonly [number, number]>([until - seconds, until]);
  const [cursor, setCursor] = useState<Cursor | null>(null);
  const [pointed, setPointed] = useState(false);
  range.current = [until - seconds, until];

  useLayoutEffect(() => {
    const element = host.current;
    if (element === null) return;
    const options = plotOptions({
      width: element.clientWidth,
      height: props.height,
      lines,
      format: props.format,
      least: props.least,
      whole: props.whole ?? false,
      range: () => range.current,
      onCursor: (index, left) => setCursor(index === null || left < 0 ? null : { index, left }),
    });
    const made = new uPlot(options, dataOf(series, lines), element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: props.height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, []);

  useEffect(() => plot.current?.setData(dataOf(series, lines)), [series, seconds, until]);
  useEffect(() => {
    forgetColours();
    plot.current?.redraw(false, true);
  }, [props.theme]);

  const index = cursor?.index ?? lastIndex(series);
  const values = lines.map((line) => ({ line, text: props.format(series.columns[line.column][index]) }));
  const at = cursor === null ? undefined : series.at[cursor.index];
  return (
    <figure class="card chart" data-testid={`chart-${props.testid}`}>
      <figcaption>
        <h3 title={props.hint}>{props.title}</h3>
        <dl class="legend">
          {values.map(({ line, text }) => (
            <div key={line.label}>
              <dt>
                <i class={`swatch ink-${line.ink}`} aria-hidden="true" />
                {line.label}
              </dt>
              <dd>{text}</dd>
            </div>
          ))}
        </dl>
      </figcaption>
      <div
        class="plot"
        ref={host}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys walk along the chart
        tabIndex={0}
        role="img"
        aria-label={`${props.title}, ${values.map(({ line, text }) => `${line.label} ${text}`).join(", ")}`}
        onPointerEnter={() => setPointed(true)}
        onPointerLeave={() => setPointed(false)}
        onKeyDown={(key) => moveCursor(key, plot.current, cursor?.index ?? null)}
        onFocus={() => setPointed(true)}
        onBlur={() => {
          setPointed(false);
          plot.current?.setCursor({ left: -10, top: -10 }, true);
        }}
      >
        {isBlank(series, lines, until - seconds) && <p class="plot-empty">{props.blank}</p>}
        {pointed && cursor !== null && at !== undefined && (
          <div class="plot-time" style={{ left: tooltipLeft(plot.current, cursor.left) }}>
            <b>{clock(at)}</b> <span>{clockUtc(at)}</span>
          </div>
        )}
      </div>
    </figure>
  );
}

function dataOf(series: Series, lines: readonly ChartLine[]): uPlot.AlignedData {
  return [series.at as number[], ...lines.map((line) => series.columns[line.column] as (number | null)[])];
}

function isBlank(series: Series, lines: readonly ChartLine[], from: number): boolean {
  const begin = series.at.findIndex((at) => at >= from);
  if (begin < 0) return true;
  return lines.every((line) => !series.columns[line.column].some((value, index) => index >= begin && value !== null));
}

function lastIndex(series: Series): number {
  return series.at.length - 1;
}

function tooltipLeft(plot: uPlot | null, left: number): string {
  if (plot === null) return "0";
  const inset = plot.over.offsetLeft;
  return `${Math.min(Math.max(inset + left, inset + 70), inset + plot.over.clientWidth - 70)}px`;
}

/** Left and Right walk along the points (with Shift in tens), Home and End jump, Escape lets go. */
function moveCursor(key: KeyboardEvent, plot: uPlot | null, from: number | null): void {
  if (plot === null) return;
  const [first, last] = plot.series[0]?.idxs ?? [0, 0];
  const step = key.shiftKey ? 10 : 1;
  const to = { ArrowLeft: (from ?? last + 1) - step, ArrowRight: (from ?? first - 1) + step, Home: first, End: last }[
    key.key
  ];
  if (to === undefined && key.key !== "Escape") return;
  key.preventDefault();
  const at = to === undefined ? undefined : plot.data[0][Math.min(Math.max(to, first), last)];
  const left = at === undefined ? -10 : plot.valToPos(at, "x");
  plot.setCursor({ left, top: at === undefined ? -10 : 1 }, true);
}
