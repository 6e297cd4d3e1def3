/** A world in which time passes when the test says so, and sockets do what the test says. */
import type { Environment, SocketListener } from "../../src/feed/environment";
import type { ClientMessage, ServerMessage } from "../../src/wire/types";

export class ScriptedSocket {
  readonly sent: ClientMessage[] = [];
  closedByPage = false;

  constructor(private readonly listener: SocketListener) {}

  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientMessage);
  }

  close(): void {
    this.closedByPage = true;
  }

  receive(message: ServerMessage): void {
    this.listener.received(JSON.stringify(message));
  }

  drop(code: number): void {
    this.listener.closed(code);
  }

  types(): string[] {
    return this.sent.map((message) => message.type);
  }

  /** Answers the newest subscribe. */
  confirm(ok = true): void {
    const ref = this.sent.findLast((message) => message.type === "subscribe")?.ref ?? null;
    const error = ok ? null : { code: "not_allowed" as const, message: "Not yours." };
    this.receive({ type: "result", ref, ok, error });
  }
}

export class ScriptedEnvironment implements Environment {
  time = 0;
  chance = 1;
  readonly sockets: ScriptedSocket[] = [];
  private timers: { due: number; call: () => void }[] = [];
  private wakers: (() => void)[] = [];

  now = () => this.time;
  random = () => this.chance;

  after(seconds: number, call: () => void) {
    const timer = { due: this.time + seconds, call };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  connect(_url: string, _subprotocol: string, listener: SocketListener): ScriptedSocket {
    const socket = new ScriptedSocket(listener);
    this.sockets.push(socket);
    return socket;
  }

  onWake(call: () => void) {
    this.wakers.push(call);
    return () => {
      this.wakers = this.wakers.filter((other) => other !== call);
    };
  }

  wake(): void {
    for (const call of this.wakers) call();
  }

  get socket(): ScriptedSocket {
    const newest = this.sockets.at(-1);
    if (newest === undefined) throw new Error("Nothing has connected yet.");
    return newest;
  }

  pass(seconds: number): void {
    const until = this.time + seconds;
    for (;;) {
      const next = this.timers.filter((timer) => timer.due <= until).sort((a, b) => a.due - b.due)[0];
      if (next === undefined) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = next.due;
      next.call();
    }
    this.time = until;
  }
}
