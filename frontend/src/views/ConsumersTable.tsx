import { signal, useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { count, duration, rate } from "../format";
import { DEFAULT_SORT, filterRows, holdOrder, type Sort, type SortKey, sortRows, toggleSort } from "../store/consumers";
import { rowKey } from "../store/state";
import type { ConsumerRow } from "../wire/types";
import { usePage } from "./page";
import { ConsumerName, Empty, Icon, Skeleton, TenantName } from "./parts";

interface ColumnSpec {
  readonly key: SortKey;
  readonly label: string;
  readonly hint: string;
  readonly cell: (row: ConsumerRow) => string;
}

const COLUMNS: readonly ColumnSpec[] = [
  { key: "active", label: "Conn.", hint: "Connections now", cell: (row) => count(row.active) },
  { key: "connect_rate", label: "Opened/s", hint: "Connections accepted", cell: (row) => rate(row.connect_rate) },
  { key: "received_rate", label: "In/s", hint: "Messages handled", cell: (row) => rate(row.received_rate) },
  { key: "sent_rate", label: "Out/s", hint: "Messages sent", cell: (row) => rate(row.sent_rate) },
  {
    key: "latency_p50",
    label: "Latency p50",
    hint: "Latency: time in the handler",
    cell: (row) => duration(row.latency.p50),
  },
  { key: "latency_p95", label: "p95", hint: "Latency: time in the handler", cell: (row) => duration(row.latency.p95) },
  { key: "latency_p99", label: "p99", hint: "Latency: time in the handler", cell: (row) => duration(row.latency.p99) },
  { key: "wait_p95", label: "Wait p95", hint: "From arrival to dispatch", cell: (row) => duration(row.wait.p95) },
  { key: "backlog", label: "Waiting", hint: "Messages that wait now", cell: (row) => count(row.backlog) },
  { key: "errors", label: "Errors", hint: "Handler errors since start", cell: (row) => count(row.errors) },
  { key: "lost", label: "Lost", hint: "Lost frames since start", cell: (row) => count(row.lost) },
];

/** Pixels; style.css has the same. With rows of one height, only those in sight need to exist. */
const ROW = 46;
const SPARE = 6;

/** What is typed into the filter; the shortcut `/` finds the field by its id. */
export const FILTER_ID = "consumers-filter";
const filter = signal("");

export function ConsumersTable() {
  const { hub } = usePage();
  const sort = useSignal<Sort>(DEFAULT_SORT);
  const held = useSignal<readonly string[] | null>(null);
  const rows = useComputed(() => {
    const matching = filterRows([...(hub.consumers.value?.values() ?? [])], filter.value);
    return held.value === null ? sortRows(matching, sort.value) : holdOrder(matching, held.value);
  });
  const hold = (on: boolean) => {
    if (on !== (held.value !== null)) held.value = on ? rows.value.map(rowKey) : null;
  };
  const choose = (key: SortKey) => {
    held.value = null;
    sort.value = toggleSort(sort.value, key);
  };
  const known = hub.consumers.value;
  return (
    <section aria-labelledby="consumers-title">
      <div class="section-head">
        <h2 id="consumers-title">Consumers</h2>
        {known !== null && known.size > 0 && <span class="muted">{countText(rows.value.length, known.size)}</span>}
        {held.value !== null && <span class="hint">order held while you point at a row</span>}
        {known?.size !== 0 && <FilterField />}
      </div>
      {known === null ? (
        <div class="card">
          <Skeleton lines={5} />
        </div>
      ) : known.size === 0 ? (
        <NoConsumers />
      ) : rows.value.length === 0 ? (
        <NoMatch />
      ) : (
        <Rows rows={rows.value} sort={sort.value} onSort={choose} onHold={hold} />
      )}
    </section>
  );
}

function countText(shown: number, all: number): string {
  return shown === all ? count(all) : `${count(shown)} of ${count(all)}`;
}

function FilterField() {
  return (
    <div class="search">
      <Icon name="search" />
      <input
        id={FILTER_ID}
        type="search"
        placeholder="Filter"
        aria-label="Filter consumers by name or tenant"
        aria-keyshortcuts="/"
        data-testid="consumers-filter"
        value={filter.value}
        onInput={({ currentTarget }) => {
          filter.value = currentTarget.value;
        }}
        onKeyDown={(key) => {
          if (key.key !== "Escape") return;
          if (filter.value === "") key.currentTarget.blur();
          filter.value = "";
        }}
      />
      {filter.value === "" && <kbd>/</kbd>}
    </div>
  );
}

interface RowsProps {
  readonly rows: readonly ConsumerRow[];
  readonly sort: Sort;
  readonly onSort: (key: SortKey) => void;
  readonly onHold: (on: boolean) => void;
}

function Rows({ rows, sort, onSort, onHold }: RowsProps) {
  const scroller = useRef<HTMLElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const look = () => {
    const element = scroller.current;
    if (element !== null) setView({ top: element.scrollTop, height: element.clientHeight });
  };
  useLayoutEffect(look, []);
  const first = Math.max(0, Math.min(Math.floor(view.top / ROW), rows.length) - SPARE);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / ROW) + SPARE);
  const worst = Math.max(0, ...rows.map((row) => row.latency.p95 ?? 0));
  return (
    <section
      class="card table-scroll"
      ref={scroller}
      onScroll={look}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      aria-label="Consumers by tenant"
    >
      <table class="consumers" data-testid="consumers-table" aria-rowcount={rows.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            <SortHead id="consumer" sort={sort} onSort={onSort} hint="Consumer class">
              Consumer
            </SortHead>
            <SortHead id="tenant" sort={sort} onSort={onSort} hint="Tenant">
              Tenant
            </SortHead>
            {COLUMNS.map((column) => (
              <SortHead key={column.key} id={column.key} sort={sort} onSort={onSort} hint={column.hint} numeric>
                {column.label}
              </SortHead>
            ))}
          </tr>
        </thead>
        <tbody
          onPointerEnter={(pointer) => pointer.pointerType === "mouse" && onHold(true)}
          onPointerLeave={() => onHold(false)}
        >
          <Spacer rows={first} />
          {rows.slice(first, last).map((row, index) => (
            <Row key={rowKey(row)} row={row} place={first + index + 2} worst={worst} />
          ))}
          <Spacer rows={rows.length - last} />
        </tbody>
      </table>
    </section>
  );
}

function Spacer({ rows }: { rows: number }) {
  if (rows <= 0) return null;
  return (
    <tr class="spacer">
      <td colSpan={COLUMNS.length + 2} style={{ height: `${rows * ROW}px` }} />
    </tr>
  );
}

interface SortHeadProps {
  readonly id: SortKey;
  readonly sort: Sort;
  readonly onSort: (key: SortKey) => void;
  readonly hint: string;
  readonly numeric?: boolean;
  readonly children: ComponentChildren;
}

function SortHead({ id, sort, onSort, hint, numeric, children }: SortHeadProps) {
  const order = sort.key !== id ? "none" : sort.descending ? "descending" : "ascending";
  return (
    <th scope="col" class={numeric ? "numeric" : ""} aria-sort={order}>
      <button type="button" title={hint} data-testid={`sort-${id}`} onClick={() => onSort(id)}>
        <span>{children}</span>
        <i class="arrow" aria-hidden="true">
          {order === "ascending" ? "↑" : "↓"}
        </i>
      </button>
    </th>
  );
}

function Row({ row, place, worst }: { row: ConsumerRow; place: number; worst: number }) {
  const { hub, selectTenant } = usePage();
  return (
    <tr data-testid="consumer-row" data-consumer={row.consumer} data-tenant={row.tenant} aria-rowindex={place}>
      <th scope="row">
        <ConsumerName consumer={row.consumer} />
      </th>
      <td>
        {hub.wanted.value === row.tenant ? (
          <TenantName tenant={row.tenant} />
        ) : (
          <button type="button" class="link" title="Show only this tenant" onClick={() => selectTenant(row.tenant)}>
            <TenantName tenant={row.tenant} />
          </button>
        )}
      </td>
      {COLUMNS.map((column) => (
        <td key={column.key} class={`numeric ${toneOf(row, column.key)}`}>
          {column.cell(row)}
          {column.key === "latency_p95" && worst > 0 && (
            <i class="bar" aria-hidden="true" style={{ width: `${((row.latency.p95 ?? 0) / worst) * 100}%` }} />
          )}
        </td>
      ))}
    </tr>
  );
}

function toneOf(row: ConsumerRow, key: SortKey): string {
  if (key === "errors" && row.errors > 0) return "is-error";
  if (key === "lost" && row.lost > 0) return "is-warning";
  const value = key === "errors" || key === "lost" || key === "backlog" ? row[key] : null;
  return value === 0 ? "muted" : "";
}

function NoConsumers() {
  const { hub } = usePage();
  if (hub.tenant.value !== null)
    return (
      <div class="card">
        <Empty title="This tenant has no connections yet." />
      </div>
    );
  return (
    <div class="card" data-testid="no-consumers">
      <Empty title="No consumer has connected yet">
        <p>Add the mixin to a consumer, first in its bases, and open a page that connects to it:</p>
        <pre>
          <code>
            {"from hub import MonitoredConsumerMixin\n\n"}
            {"class Chat(MonitoredConsumerMixin, AsyncJsonWebsocketConsumer):\n    ..."}
          </code>
        </pre>
        <p class="muted">
          It shows up here within a second. <code>manage.py hub_coverage</code> lists what is monitored.
        </p>
      </Empty>
    </div>
  );
}

function NoMatch() {
  return (
    <div class="card">
      <Empty title={`No consumer matches “${filter.value}”`}>
        <button
          type="button"
          onClick={() => {
            filter.value = "";
          }}
        >
          Clear the filter
        </button>
      </Empty>
    </div>
  );
}
