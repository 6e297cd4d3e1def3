/**
 * Timers that a hidden page's browser does not slow down: they run in a tiny worker, one for all sockets of the page.
 *
 * Where there is no worker (the page's content security policy forbids it) they are the page's own, which a browser
 * lets a hidden page have once a second or once a minute.
 */

export type Cancel = () => void;
/** `lag`: seconds that the call has waited in the page's queue; undefined: unknown. */
export type Call = (lag?: number) => void;

const SOURCE = "onmessage=({data:[i,t]})=>setTimeout(()=>postMessage([i,Date.now()]),t)";

interface Timer {
  due: number;
  call: Call;
}

const timers = new Map<number, Timer>();
let ids = 0;
/** Undefined: not tried. Null: there is none. */
let worker: Worker | null | undefined;
let users = 0;

/** Calls once after so many seconds, and not before this function has returned. */
export function after(seconds: number, call: Call): Cancel {
  if (worker === undefined) start();
  const id = ++ids;
  timers.set(id, { due: performance.now() + seconds * 1000, call });
  arm(id, seconds * 1000);
  return () => timers.delete(id);
}

/** A socket begins to live; the worker ends with the last of them. */
export function enter(): void {
  users++;
}

export function leave(): void {
  if (--users || !worker) return;
  worker.terminate();
  worker = undefined;
}

/** Seconds that a call made now has to wait in the page's queue. */
export function measureLag(call: Call): void {
  const { port1, port2 } = new MessageChannel();
  const since = performance.now();
  port1.onmessage = () => {
    port1.close();
    call((performance.now() - since) / 1000);
  };
  port2.postMessage(0);
}

function arm(id: number, milliseconds: number): void {
  if (worker) worker.postMessage([id, milliseconds]);
  else setTimeout(fire, milliseconds, id);
}

function fire(id: number, lag?: number): void {
  const timer = timers.get(id);
  timers.delete(id);
  timer?.call(lag);
}

function start(): void {
  try {
    const url = URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" }));
    worker = new Worker(url);
    // The wall clock, since it alone is the same in both threads; a step of it spoils one measurement.
    worker.onmessage = ({ data: [id, at] }) => {
      URL.revokeObjectURL(url);
      fire(id, Math.max(0, Date.now() - at) / 1000);
    };
    worker.onerror = withoutWorker;
  } catch {
    withoutWorker();
  }
}

/** The policy forbids it; some browsers say so at once, others later. */
function withoutWorker(): void {
  worker = null;
  for (const [id, { due }] of timers) arm(id, due - performance.now());
}
