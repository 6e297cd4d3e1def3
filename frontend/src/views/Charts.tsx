import { type ChartLine, TimeChart } from "../charts/TimeChart";
import { count, duration, rate, timeZone } from "../format";
import { usePage } from "./page";
import { Segmented } from "./parts";
import { range, seenTheme } from "./preferences";

const perSecond = (value: number | null | undefined) => (value == null ? rate(value) : `${rate(value)}/s`);

interface ChartSpec {
  readonly id: string;
  readonly title: string;
  readonly hint: string;
  readonly format: (value: number | null | undefined) => string;
  readonly lines: readonly ChartLine[];
  readonly least: number;
  readonly whole?: boolean;
}

const quantiles = (of: "latency" | "wait"): readonly ChartLine[] => [
  { column: `${of}_p50`, label: "p50", ink: "low" },
  { column: `${of}_p95`, label: "p95", ink: "mid" },
  { column: `${of}_p99`, label: "p99", ink: "high" },
];

const CHARTS: readonly ChartSpec[] = [
  {
    id: "connections",
    title: "Connections",
    hint: "Accepted and not yet ended",
    format: count,
    least: 5,
    whole: true,
    lines: [{ column: "active", label: "now", ink: "series-1", filled: true }],
  },
  {
    id: "rate",
    title: "Opened and closed",
    hint: "Connections accepted and ended per second",
    format: perSecond,
    least: 1,
    lines: [
      { column: "connect_rate", label: "opened", ink: "series-1" },
      { column: "disconnect_rate", label: "closed", ink: "series-2" },
    ],
  },
  {
    id: "messages",
    title: "Messages",
    hint: "Messages handled and sent per second",
    format: perSecond,
    least: 1,
    lines: [
      { column: "received_rate", label: "in", ink: "series-1" },
      { column: "sent_rate", label: "out", ink: "series-2" },
    ],
  },
  {
    id: "latency",
    title: "Latency",
    hint: "Time in the consumer's handler, over the last ten seconds",
    format: duration,
    least: 0.001,
    lines: quantiles("latency"),
  },
  {
    id: "wait",
    title: "Queue wait",
    hint: "From a message's arrival to its dispatch, over the last ten seconds",
    format: duration,
    least: 0.001,
    lines: quantiles("wait"),
  },
];

export function Charts() {
  const { hub } = usePage();
  const until = Math.floor(hub.now.value);
  return (
    <section class="charts" aria-labelledby="charts-title">
      <div class="section-head">
        <h2 id="charts-title">Trends</h2>
        <span class="muted">{timeZone()}</span>
        <Segmented
          name="range"
          legend="Time shown"
          value={range.value}
          onChange={(value) => {
            range.value = value;
          }}
          options={[
            { value: "300", label: "5 min" },
            { value: "900", label: "15 min" },
            { value: "3600", label: "1 h" },
          ]}
        />
      </div>
      <div class="chart-grid">
        {CHARTS.map((chart) => (
          <TimeChart
            key={chart.id}
            testid={chart.id}
            title={chart.title}
            hint={chart.hint}
            lines={chart.lines}
            format={chart.format}
            least={chart.least}
            whole={chart.whole ?? false}
            series={hub.series.value}
            seconds={Number(range.value)}
            until={until}
            theme={seenTheme()}
            blank={hub.totals.value === null ? "Waiting for the hub…" : "Nothing measured in this time"}
            height={chart.id === "connections" ? 190 : 160}
          />
        ))}
      </div>
    </section>
  );
}
