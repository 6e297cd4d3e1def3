export type Cancel = () => void;

export interface SocketListener {
  opened(): void;
  received(frame: unknown): void;
  closed(code: number): void;
}

export interface Socket {
  send(text: string): void;
  close(): void;
}

/** All that the feed needs of the outside world; tests bring their own. Times are seconds. */
export interface Environment {
  now(): number;
  random(): number;
  after(seconds: number, call: () => void): Cancel;
  connect(url: string, subprotocol: string, listener: SocketListener): Socket;
  /** Calls when it is worth trying again: the network is back, or somebody looks at the page. */
  onWake(call: () => void): Cancel;
}

/** The browser's. `now` is steady: it does not jump when the clock of the machine is set. */
export function browserEnvironment(): Environment {
  return {
    now: () => (performance.timeOrigin + performance.now()) / 1000,
    random: Math.random,
    after: (seconds, call) => {
      const timer = setTimeout(call, seconds * 1000);
      return () => clearTimeout(timer);
    },
    connect: connectWebSocket,
    onWake: (call) => {
      const visible = () => document.visibilityState === "visible" && call();
      window.addEventListener("online", call);
      document.addEventListener("visibilitychange", visible);
      return () => {
        window.removeEventListener("online", call);
        document.removeEventListener("visibilitychange", visible);
      };
    },
  };
}

function connectWebSocket(url: string, subprotocol: string, listener: SocketListener): Socket {
  const socket = new WebSocket(url, subprotocol);
  socket.onopen = () => listener.opened();
  socket.onmessage = (message) => listener.received(message.data);
  socket.onclose = (close) => listener.closed(close.code);
  return {
    send: (text) => socket.readyState === WebSocket.OPEN && socket.send(text),
    close: () => socket.close(),
  };
}
