import { count, quantity } from "../format";
import { metricKey } from "../store/state";
import type { MetricRow } from "../wire/types";
import { usePage } from "./page";

export function Metrics() {
  const { hub } = usePage();
  const metrics = hub.metrics.value;
  if (metrics === null || metrics.size === 0) return null;
  const rows = [...metrics.values()].sort((a, b) => (metricKey(a) < metricKey(b) ? -1 : 1));
  return (
    <section aria-labelledby="metrics-title">
      <div class="section-head">
        <h2 id="metrics-title">Business metrics</h2>
        <span class="muted">{rows.length}</span>
      </div>
      <section
        class="card table-scroll"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        tabIndex={0}
        aria-label="Business metrics and their values"
      >
        <table data-testid="metrics-table">
          <thead>
            <tr>
              <th scope="col">Metric</th>
              <th scope="col">Labels</th>
              <th scope="col">Kind</th>
              <th scope="col" class="numeric">
                Value
              </th>
              <th scope="col" class="numeric">
                Observations
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <MetricLine key={metricKey(row)} row={row} />
            ))}
          </tbody>
        </table>
      </section>
    </section>
  );
}

function MetricLine({ row }: { row: MetricRow }) {
  return (
    <tr data-testid="metric-row">
      <th scope="row">
        <span class="consumer-name">
          <b>{row.name}</b>
          <small>{row.help}</small>
        </span>
      </th>
      <td>
        {Object.entries(row.labels).map(([name, value]) => (
          <span class="label-chip" key={name}>
            {name} <b>{value}</b>
          </span>
        ))}
      </td>
      <td class="muted">{row.kind}</td>
      <td class="numeric">
        {row.kind === "histogram" ? `mean ${quantity(row.count ? row.value / row.count : null)}` : quantity(row.value)}
      </td>
      <td class="numeric">{row.kind === "histogram" ? count(row.count) : ""}</td>
    </tr>
  );
}
