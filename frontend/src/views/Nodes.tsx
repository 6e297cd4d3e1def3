import { count, duration, span } from "../format";
import type { NodeRow } from "../wire/types";
import { usePage } from "./page";
import { Age } from "./parts";

export function Nodes() {
  const { hub } = usePage();
  const nodes = hub.nodes.value;
  if (nodes === null || nodes.size === 0) return null;
  const sorted = [...nodes.values()].sort((a, b) => (a.node < b.node ? -1 : 1));
  return (
    <section class="nodes" aria-label="Nodes">
      <h2>{sorted.length === 1 ? "Node" : `${sorted.length} nodes`}</h2>
      <ul>
        {sorted.map((node) => (
          <NodeChip key={node.node} node={node} />
        ))}
      </ul>
    </section>
  );
}

function NodeChip({ node }: { node: NodeRow }) {
  const { hub } = usePage();
  // Without news nobody knows whether it still lives: then its age stands still as well.
  const known = hub.frozen.value ? node.seen_at : hub.now.value;
  const up = span(Math.floor((known - node.started_at) / 10) * 10);
  return (
    <li
      class={`node is-${hub.frozen.value ? "frozen" : node.state}`}
      data-testid="node"
      data-state={node.state}
      title={`${node.host}, process ${node.pid}, version ${node.version}, sampler ${duration(node.sampler_seconds)}`}
    >
      <i class="dot" aria-hidden="true" />
      <b>{node.node}</b>
      {node.state === "live" ? (
        <>
          <span>{count(node.active)} connections</span>
          <span class="muted">up {up}</span>
          <span class="muted" title="How late the event loop runs">
            loop lag {duration(node.loop_lag)}
          </span>
        </>
      ) : (
        <span>
          not heard of since <Age at={node.seen_at} />
        </span>
      )}
    </li>
  );
}
