/** How full the channel layers are, by node; empty for who may not see all tenants. */
import { count, duration } from "../format";
import type { LayerRow } from "../wire/types";
import { usePage } from "./page";
import { Icon } from "./parts";

/** As the hub's event `layer.filling`. */
const FILLING = 0.8;

export function Layers() {
  const { hub } = usePage();
  const rows = hub.layers.value;
  if (rows === null || rows.length === 0) return null;
  return (
    <section class="layers" aria-labelledby="layers-title" data-testid="layers" data-frozen={hub.frozen.value}>
      <h3 id="layers-title">Channel layers</h3>
      <ul>
        {rows.map((row) => (
          <Layer key={`${row.node}/${row.layer}`} row={row} />
        ))}
      </ul>
    </section>
  );
}

export function stateOf(row: LayerRow): "unknown" | "filling" | "calm" {
  if (row.depth === null) return "unknown";
  return (row.fullest ?? 0) >= FILLING ? "filling" : "calm";
}

function Layer({ row }: { row: LayerRow }) {
  const state = stateOf(row);
  return (
    <li class={`is-${state}`} data-testid="layer" data-layer={row.layer} data-state={state}>
      <span class="layer-name" title={row.backend}>
        {state === "filling" && <Icon name="warning" />}
        <b>{row.layer}</b>
        <span class="muted">on {row.node}</span>
      </span>
      {state === "unknown" ? (
        <span class="layer-rest">unknown: it does not answer</span>
      ) : (
        <>
          <span>
            {count(row.depth)} waiting{(row.depth ?? 0) > 0 && `, the oldest for ${duration(row.oldest)}`}
          </span>
          <Fullest row={row} />
        </>
      )}
    </li>
  );
}

function Fullest({ row }: { row: LayerRow }) {
  if (row.capacity === null || row.fullest === null) return <span class="muted layer-rest">no bound</span>;
  const whose = row.consumer ? `${row.consumer}, ${row.tenant || "no tenant"}` : row.channel;
  const percent = Math.round(row.fullest * 100);
  return (
    <span class="layer-rest" title={row.channel || undefined}>
      <meter min={0} max={1} high={FILLING} value={row.fullest} aria-label={`Fullest queue of ${row.layer}`}>
        {percent} %
      </meter>
      fullest queue {percent} % of {count(row.capacity)}
      {row.fullest > 0 && whose && <span class="muted"> {whose}</span>}
    </span>
  );
}
