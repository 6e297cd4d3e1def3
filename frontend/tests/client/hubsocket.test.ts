// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { comesBack, HubSocket, type HubSocketOptions, type ReconnectEvent } from "../../client/hubsocket";
import {
  hide,
  isControl,
  MARK,
  newest,
  pass,
  reported,
  ScriptedSocket,
  ScriptedWorker,
  setOnline,
  setUp,
  show,
  tearDown,
} from "./scripted";

const URL_ = "ws://server/chat/";
let made: HubSocket[] = [];
let log: string[] = [];

/** A socket whose events are logged. */
function connect(options: HubSocketOptions = {}, url = URL_, protocols: string | string[] = []): HubSocket {
  const socket = new HubSocket(url, protocols, options);
  made.push(socket);
  socket.addEventListener("open", () => log.push("open"));
  socket.addEventListener("message", ({ data }) => log.push(`message ${data}`));
  socket.addEventListener("error", () => log.push("error"));
  socket.addEventListener("close", ({ code, reason, wasClean }) =>
    log.push(`close ${code}${reason && ` ${reason}`}${wasClean ? " clean" : ""} in ${socket.readyState}`),
  );
  socket.addEventListener("reconnecting", ({ attempt, delay }) => log.push(`reconnecting ${attempt} after ${delay}`));
  socket.addEventListener("reconnect", ({ attempt }) => log.push(`reconnect ${attempt}`));
  return socket;
}

function negotiated(options: HubSocketOptions = {}): HubSocket {
  const socket = connect(options);
  newest().open().hello();
  return socket;
}

beforeEach(() => {
  setUp();
  log = [];
});

afterEach(() => {
  for (const socket of made) socket.close();
  made = [];
  tearDown();
});

describe("negotiation", () => {
  test.each([
    ["ws://server/chat/", "ws://server/chat/?_hub=1"],
    ["ws://server/chat/?", "ws://server/chat/?_hub=1"],
    ["ws://server/chat/?a=1&b=%2F+x", "ws://server/chat/?a=1&b=%2F+x&_hub=1"],
    ["ws://server/chat/?a=1&", "ws://server/chat/?a=1&&_hub=1"],
    ["wss://server", "wss://server/?_hub=1"],
    ["https://server/x", "wss://server/x?_hub=1"],
    ["/ws/", "ws://localhost:3000/ws/?_hub=1"],
    ["../ws/?a", "ws://localhost:3000/ws/?a&_hub=1"],
  ])("%s asks by one parameter more", (url, expected) => {
    const socket = connect({}, url);
    expect(newest().url).toBe(expected);
    expect(socket.url).not.toContain("_hub");
    expect(newest().protocols).toEqual([]);
  });

  test("a URL object, and subprotocols as a string or a list, go on as they are", () => {
    const socket = new HubSocket(new URL(URL_), "chat.v1");
    expect(newest().protocols).toEqual(["chat.v1"]);
    newest().open("chat.v1");
    expect(socket.protocol).toBe("chat.v1");
    made.push(socket, new HubSocket(URL_, ["a", "b"]));
    expect(newest().protocols).toEqual(["a", "b"]);
  });

  test("what the platform refuses is refused, and leaves nothing behind", () => {
    const refused: [string, string | string[]][] = [
      ["ftp://server/", []],
      ["ws://server/#fragment", []],
      ["ws://[", []],
      [URL_, ["a", "a"]],
    ];
    for (const [url, protocols] of refused) expect(() => new HubSocket(url, protocols)).toThrow();
    expect(ScriptedSocket.made).toEqual([]);
  });

  test("a hello is answered with a heartbeat, and the application sees neither", () => {
    const socket = connect();
    newest().open();
    expect(socket.negotiated).toBeNull();
    newest().hello(30, 77.5);
    expect(socket.negotiated).toBe(true);
    expect(newest().heartbeats()).toEqual([
      { type: "heartbeat", sent_at: Date.now() / 1000, hidden: false, echo: 77.5, held: 0, count: 0 },
    ]);
    expect(log).toEqual(["open"]);
  });

  test.each([
    ["ordinary text", "hello"],
    ["a hello of another version", `${MARK}{"type":"hello","version":2,"interval":30,"at":1}`],
    ["another control frame", `${MARK}{"type":"heartbeat","at":1}`],
    ["no JSON", `${MARK}{"type":"hello"`],
    ["no object", `${MARK}[1]`],
    ["a host's own frame", `${MARK}${MARK}x`],
    ["an oversized hello", `${MARK}{"type":"hello","version":1,"x":"${"x".repeat(1024)}"}`],
  ])("a first frame that is %s means plain, for good", async (_, frame) => {
    const socket = connect();
    newest().open().say(frame).hello().control("probe");
    expect(socket.negotiated).toBe(false);
    expect(log.slice(1).map((line) => line.slice(8))).toEqual([
      frame,
      `${MARK}{"type":"hello","version":1,"interval":30,"at":1000}`,
      `${MARK}{"type":"probe"}`,
    ]);
    for (const text of ["a", `${MARK}b`, `${MARK}${MARK}c`, `${MARK}{d`]) socket.send(text);
    await pass(1000);
    expect(newest().sent).toEqual(["a", `${MARK}b`, `${MARK}${MARK}c`, `${MARK}{d`]);
    expect(ScriptedWorker.made).toEqual([]);
  });

  test("`negotiate: false` neither asks nor listens", () => {
    const socket = connect({ negotiate: false });
    expect(newest().url).toBe(URL_);
    newest().open().hello();
    expect(socket.negotiated).toBe(false);
    expect(newest().sent).toEqual([]);
    expect(log.length).toBe(2);
  });

  test("frames that begin with U+0000 are escaped on negotiated connections only, both ways", () => {
    const socket = negotiated();
    for (const text of [MARK, `${MARK}x`, `${MARK}{x`, `${MARK}${MARK}`, "x"]) socket.send(text);
    const bytes = new Uint8Array([0, 123]);
    socket.send(bytes);
    expect(newest().ordinary).toEqual([
      `${MARK}${MARK}`,
      `${MARK}${MARK}x`,
      `${MARK}${MARK}{x`,
      `${MARK}${MARK}${MARK}`,
      "x",
      bytes,
    ]);
    log = [];
    newest().say(`${MARK}${MARK}{x`).say(`${MARK}${MARK}`).say(`${MARK}${MARK}${MARK}`);
    expect(log).toEqual([`message ${MARK}{x`, `message ${MARK}`, `message ${MARK}${MARK}`]);
  });

  test("nothing is escaped before the hello is answered, which the hub knows", () => {
    const socket = connect();
    newest().open();
    const frames = ["a", `${MARK}b`, `${MARK}{c`, `${MARK}${MARK}d`];
    for (const text of frames) socket.send(text);
    newest().hello();
    for (const text of frames) socket.send(text);
    expect(newest().ordinary).toEqual([
      ...frames,
      "a",
      `${MARK}${MARK}b`,
      `${MARK}${MARK}{c`,
      `${MARK}${MARK}${MARK}d`,
    ]);
    expect(newest().sent.findIndex(isControl)).toBe(4);
  });

  test("garbled, unknown and oversized control frames of a server are swallowed", () => {
    const socket = negotiated();
    log = [];
    const before = newest().sent.length;
    newest()
      .say(`${MARK}{`)
      .say(`${MARK}{"type":`)
      .say(`${MARK}{"type":"future"}`)
      .say(`${MARK}{"type":"heartbeat","at":"x"}`)
      .say(`${MARK}{"type":"heartbeat","at":null}`)
      .say(`${MARK}{"type":"heartbeat"}${"]".repeat(500)}`)
      .say(`${MARK}{"type":"probe","x":"${"x".repeat(2000)}"}`)
      .say(`${MARK}{${'"a":{'.repeat(200)}`);
    expect(log).toEqual([]);
    expect(newest().sent.length).toBe(before);
    expect(socket.readyState).toBe(1);
  });

  test.each([[0], [-1], ["x"], [null], [1e300]])("an interval of %s does no harm", async (interval) => {
    connect();
    newest().open().control("hello", { version: 1, interval, at: 1 });
    await pass(40);
    expect(newest().heartbeats().length).toBeLessThanOrEqual(2);
  });
});

describe("heartbeats", () => {
  const answerAll = (socket: ScriptedSocket, seconds: number) => {
    const send = socket.send.bind(socket);
    socket.send = (data) => {
      send(data);
      if (isControl(data) && data.includes("heartbeat"))
        setTimeout(() => socket.control("heartbeat", { at: 2000 + Date.now() / 1000 }), seconds * 1000);
    };
  };

  test("one each interval, with the newest `at` and how long it was held", async () => {
    connect();
    answerAll(newest(), 0.25);
    newest().open().hello(10, 5);
    await pass(20.1);
    const beats = newest().heartbeats();
    expect(beats.map((beat) => beat.held)).toEqual([0, 9.75, 9.75]);
    expect(beats.map((beat) => beat.lag)).toEqual([undefined, 0, 0]);
    expect(new Set(beats.map((beat) => beat.echo)).size).toBe(3);
    expect(ScriptedSocket.made.length).toBe(1);
  });

  test("a probe is answered at once", () => {
    negotiated();
    newest().control("probe", { at: 9 });
    expect(newest().heartbeats().at(-1)).toMatchObject({ echo: 9, held: 0 });
  });

  test("hidden or not is said at once, and with each", async () => {
    negotiated();
    hide();
    show();
    hide();
    newest().control("probe", { at: 9 });
    expect(
      newest()
        .heartbeats()
        .map((beat) => beat.hidden),
    ).toEqual([false, true, false, true, true]);
  });

  test("lag is what the worker's message has waited in the page's queue", async () => {
    ScriptedWorker.lag = 1.5;
    negotiated();
    await pass(32);
    expect(newest().heartbeats().at(-1)?.lag).toBe(1.5);
    newest().control("probe", { at: 9 });
    expect(newest().heartbeats().at(-1)?.lag).toBe(1.5);
  });

  test("a lag or an echo of hours would be nonsense to the hub", async () => {
    negotiated();
    newest().control("heartbeat", { at: 5 });
    ScriptedWorker.lag = 5000;
    await pass(5031);
    expect(newest().heartbeats().at(-1)?.lag).toBe(3600);
    expect(newest().heartbeats().at(-1)?.held).toBeUndefined();
  });

  test("nothing is echoed when the machine has slept, of which one clock knows", () => {
    negotiated();
    newest().control("heartbeat", { at: 5 });
    vi.setSystemTime(Date.now() + 60_000);
    hide();
    expect(newest().heartbeats().at(-1)).not.toHaveProperty("echo");
  });

  test.each(["throw", "error"] as const)("without a worker (%s) the page's own timers do", async (policy) => {
    ScriptedWorker.policy = policy;
    // Once refused, it is not tried again while the page lives: this module is another page's.
    vi.resetModules();
    const { HubSocket } = await import("../../client/hubsocket");
    made.push(new HubSocket(URL_));
    answerAll(newest(), 0.1);
    newest().open().hello(10, 5);
    ScriptedWorker.lag = 0.5;
    await pass(31.7);
    const beats = newest().heartbeats();
    expect(beats.length).toBe(4);
    expect(beats.at(-1)?.lag).toBe(0.5);
    newest().say("x");
    await pass(0.1);
    expect(newest().confirms()).toEqual([1]);
  });

  test("one that is overdue goes out with a frame, whatever the timers do", () => {
    vi.stubGlobal(
      "Worker",
      class {
        postMessage() {}
        terminate() {}
      },
    );
    negotiated();
    vi.setSystemTime(Date.now() + 40_000);
    const later = performance.now() + 40_000;
    vi.spyOn(performance, "now").mockReturnValue(later);
    newest().say("x");
    expect(newest().heartbeats().at(-1)).toMatchObject({ count: 1 });
    expect(newest().heartbeats().length).toBe(2);
  });

  test("the worker ends with the last socket", async () => {
    const [one, other] = [negotiated(), negotiated()];
    expect(ScriptedWorker.made.length).toBe(1);
    one.close();
    ScriptedSocket.made[0]?.drop(1000);
    expect(ScriptedWorker.made[0]?.terminated).toBe(false);
    other.close();
    newest().drop(1000);
    expect(ScriptedWorker.made[0]?.terminated).toBe(true);
    negotiated();
    expect(ScriptedWorker.made.length).toBe(2);
  });
});

describe("confirms", () => {
  test("within 100 ms while frames flow, none when idle", async () => {
    const socket = negotiated({ reconnect: false });
    const seen: number[] = [];
    for (let frame = 0; frame < 100; frame++) {
      newest().say(frame % 2 ? `${frame}` : new ArrayBuffer(1));
      await pass(0.01);
      seen.push(Number(newest().confirms().at(-1) ?? 0));
    }
    await pass(0.1);
    // What was received 100 ms ago has been confirmed.
    for (let frame = 10; frame < 100; frame++) expect(seen[frame]).toBeGreaterThanOrEqual(frame - 9);
    expect(newest().confirms().at(-1)).toBe(100);
    const quiet = newest().sent.length;
    await pass(20);
    expect(newest().sent.length).toBe(quiet);
    expect(socket.readyState).toBe(1);
  });

  test("they do not depend on timers", () => {
    vi.stubGlobal(
      "Worker",
      class {
        postMessage() {}
        terminate() {}
      },
    );
    negotiated();
    let now = performance.now();
    vi.spyOn(performance, "now").mockImplementation(() => now);
    for (let frame = 0; frame < 100; frame++) {
      now += 10;
      newest().say("x");
    }
    expect(newest().confirms().length).toBeGreaterThanOrEqual(10);
    expect(newest().confirms().at(-1)).toBeGreaterThanOrEqual(90);
  });

  test("a frame is counted after its listeners, also where they throw", async () => {
    const socket = negotiated();
    socket.onmessage = () => {
      expect(newest().confirms()).toEqual([]);
      throw new Error("the application's");
    };
    newest().say("x");
    await pass(0.1);
    expect(newest().confirms()).toEqual([1]);
  });

  test("what was handled is confirmed before a close, what comes after it is not", () => {
    const socket = negotiated();
    newest().say("a").say("b");
    expect(newest().confirms()).toEqual([]);
    socket.close(4001);
    newest().say("late");
    expect(newest().confirms()).toEqual([2]);
    expect(newest().closedWith).toEqual([4001, undefined]);
  });

  test("a handler that closes has handled its frame", () => {
    const socket = negotiated();
    socket.onmessage = () => socket.close();
    newest().say("bye");
    expect(newest().confirms()).toEqual([1]);
  });

  test("a close that is refused, or has nothing to confirm, says nothing wrong", async () => {
    const socket = negotiated();
    socket.onmessage = () => socket.close(1);
    newest().say("x");
    await pass(0.1);
    expect(newest().confirms()).toEqual([1]);
    socket.close();
    expect(newest().confirms()).toEqual([1]);
    const plain = connect();
    newest().open().say("x");
    plain.close();
    expect(newest().controls).toEqual([]);
  });

  test("a page that is left confirms what it has handled", () => {
    negotiated();
    newest().say("x");
    globalThis.dispatchEvent(new Event("pagehide"));
    expect(newest().confirms()).toEqual([1]);
    newest().say("y");
    expect(newest().confirms()).toEqual([1, 2]);
    globalThis.dispatchEvent(new Event("pageshow"));
    newest().say("z");
    expect(newest().confirms()).toEqual([1, 2]);
  });

  test("a heartbeat confirms too", async () => {
    negotiated();
    newest().say("x").control("probe", { at: 1 });
    await pass(1);
    expect(newest().confirms()).toEqual([]);
    expect(newest().heartbeats().at(-1)?.count).toBe(1);
  });

  test("counts begin anew with each connection, and never confirm what was not sent", async () => {
    negotiated();
    newest().say("a").say("b");
    await pass(6);
    newest().drop();
    await pass(1);
    newest().open().hello().say("c");
    await pass(0.1);
    expect(newest().confirms()).toEqual([1]);
  });
});

describe("a dead server", () => {
  test("is noticed after two intervals without any frame and a last question", async () => {
    const socket = negotiated();
    await pass(60);
    expect(newest().heartbeats().length).toBe(3);
    expect(ScriptedSocket.made.length).toBe(1);
    // From here on nothing more is trusted to it.
    socket.send("late");
    expect([newest().ordinary, socket.queued]).toEqual([[], 1]);
    await pass(10);
    expect(log).toEqual(["open", "error", "close 1006 in 0", "reconnecting 1 after 1"]);
    expect(newest().readyState).toBe(2);
    await pass(1);
    newest().open();
    expect(newest().ordinary).toEqual(["late"]);
  });

  test("any frame is a sign of life, and lets go what waited", async () => {
    const socket = negotiated();
    await pass(61);
    socket.send("late");
    newest().say("x");
    expect(newest().ordinary).toEqual(["late"]);
    await pass(9);
    for (let minute = 0; minute < 5; minute++) {
      newest().say("x");
      await pass(59);
    }
    expect(ScriptedSocket.made.length).toBe(1);
  });

  test("what it sends after it was given up is nobody's", async () => {
    negotiated();
    const dead = newest();
    await pass(70);
    log = [];
    dead.say("ghost").drop(1000);
    expect(log).toEqual([]);
  });

  test("a page that slept asks before it believes that the server is dead", async () => {
    const socket = negotiated();
    const since = performance.now();
    let slept = 0;
    const real = performance.now.bind(performance);
    vi.spyOn(performance, "now").mockImplementation(() => real() + slept);
    slept = 600_000;
    document.dispatchEvent(new Event("resume"));
    expect(performance.now() - since).toBeGreaterThanOrEqual(600_000);
    socket.send("after the sleep");
    expect(newest().ordinary).toEqual([]);
    expect(newest().heartbeats().length).toBe(2);
    newest().control("heartbeat", { at: 2 });
    expect(newest().ordinary).toEqual(["after the sleep"]);
    await pass(15);
    expect(ScriptedSocket.made.length).toBe(1);
  });

  test("when the network goes and comes, the server is asked; nothing is trusted to it before it answers", async () => {
    const socket = negotiated();
    setOnline(false);
    socket.send("a");
    expect(newest().ordinary).toEqual([]);
    await pass(5);
    setOnline(true);
    newest().control("heartbeat", { at: 2 });
    expect(newest().ordinary).toEqual(["a"]);
    setOnline(false);
    await pass(10);
    expect(log.slice(1)).toEqual(["error", "close 1006 in 0", "reconnecting 1 after 1"]);
  });
});

describe("reconnecting", () => {
  test("each end is a close, each beginning an open, and readyState says whether more comes", async () => {
    const socket = connect();
    expect(socket.readyState).toBe(0);
    newest().open();
    await pass(10);
    newest().drop(1012, "restart");
    expect(socket.readyState).toBe(0);
    await pass(1);
    newest().drop();
    await pass(2);
    newest().open();
    expect(socket.readyState).toBe(1);
    socket.close(4000, "enough");
    expect(socket.readyState).toBe(2);
    newest().drop(4000, "enough");
    expect(log).toEqual([
      "open",
      "close 1012 restart clean in 0",
      "reconnecting 1 after 1",
      "error",
      "close 1006 in 0",
      "reconnecting 2 after 2",
      "open",
      "reconnect 2",
      "close 4000 enough clean in 3",
    ]);
    await pass(1000);
    expect(ScriptedSocket.made.length).toBe(3);
  });

  test("full jitter below a doubling ceiling, from the start again after a stable connection", async () => {
    const delays: number[] = [];
    connect({ minDelay: 0.5, maxDelay: 4 }).addEventListener("reconnecting", ({ delay }) => delays.push(delay));
    for (let attempt = 0; attempt < 5; attempt++) {
      newest().drop();
      await pass(4);
    }
    vi.mocked(Math.random).mockReturnValue(0.5);
    newest().open().drop();
    await pass(4);
    newest().open();
    await pass(5);
    newest().drop();
    expect(delays).toEqual([0.5, 1, 2, 4, 4, 2, 0.25]);
  });

  test("after many attempts the delay is still a number", async () => {
    const socket = connect({ maxDelay: 0.001 });
    for (let attempt = 0; attempt < 1100; attempt++) {
      newest().drop();
      await pass(0.002);
    }
    expect(socket.readyState).toBe(0);
    expect(ScriptedSocket.made.length).toBe(1101);
  });

  test.each([
    [1000, false],
    [1001, true],
    [1005, true],
    [1006, true],
    [1008, false],
    [1011, true],
    [1012, true],
    [1013, true],
    [3000, true],
    [4000, true],
    [4400, false],
    [4401, false],
    [4403, false],
    [4404, false],
    [4408, true],
    [4425, true],
    [4429, true],
    [4499, false],
    [4500, true],
  ])("after %i it comes back by default: %s", async (code, expected) => {
    expect(comesBack(new CloseEvent("close", { code }))).toBe(expected);
    const socket = connect({ connectTimeout: 100 });
    newest().open().drop(code);
    expect(log.at(-1)?.startsWith("reconnecting")).toBe(expected);
    expect(socket.readyState).toBe(expected ? 0 : 3);
    await pass(60);
    expect(ScriptedSocket.made.length).toBe(expected ? 2 : 1);
  });

  test("an option decides otherwise; where it throws, the default does", async () => {
    connect({ reconnect: ({ code }) => code === 4401 });
    newest().open().drop(4401);
    await pass(1);
    newest().open().drop(1012);
    expect(log.at(-1)).toBe("close 1012 clean in 3");
    const broken = connect({
      reconnect: () => {
        throw new Error("the application's");
      },
    });
    newest().open().drop(1012);
    expect(broken.readyState).toBe(0);
    expect(reported).toEqual([new Error("the application's")]);
  });

  test("after too many requests it takes its time", () => {
    connect();
    newest().open().drop(4429);
    expect(log.at(-1)).toBe("reconnecting 5 after 16");
  });

  test("it gives up after so many attempts in a row", async () => {
    const socket = connect({ maxAttempts: 2 });
    for (let attempt = 0; attempt < 3; attempt++) {
      newest().drop();
      await pass(60);
    }
    expect(ScriptedSocket.made.length).toBe(3);
    expect(log.at(-1)).toBe("close 1006 in 3");
    expect(socket.readyState).toBe(3);
  });

  test("an attempt that takes too long is given up", async () => {
    connect({ connectTimeout: 5 });
    await pass(5);
    expect(log).toEqual(["error", "close 1006 in 0", "reconnecting 1 after 1"]);
    await pass(1);
    expect(ScriptedSocket.made.length).toBe(2);
    newest().open();
    await pass(60);
    expect(ScriptedSocket.made.length).toBe(2);
  });

  test("it waits for the network, and tries late all the same", async () => {
    connect();
    newest().open();
    setOnline(false);
    newest().drop();
    await pass(20);
    expect(ScriptedSocket.made.length).toBe(1);
    setOnline(true);
    expect(ScriptedSocket.made.length).toBe(2);
    setOnline(false);
    newest().drop();
    await pass(2 + 30);
    expect(ScriptedSocket.made.length).toBe(3);
  });

  test.each(["visibilitychange", "pageshow", "resume"])(
    "it tries at once on %s, but not while hidden",
    async (type) => {
      connect({ minDelay: 20, maxDelay: 20 });
      hide();
      newest().drop();
      window.dispatchEvent(new Event(type));
      expect(ScriptedSocket.made.length).toBe(1);
      Object.defineProperty(document, "hidden", { configurable: true, value: false });
      window.dispatchEvent(new Event(type));
      expect(ScriptedSocket.made.length).toBe(2);
      await pass(20);
      expect(ScriptedSocket.made.length).toBe(2);
    },
  );

  test("the subprotocol and the binary type belong to the newest connection", async () => {
    const socket = connect({}, URL_, ["a", "b"]);
    socket.binaryType = "arraybuffer";
    socket.binaryType = "nonsense" as BinaryType;
    newest().open("a");
    expect([socket.protocol, newest().binaryType]).toEqual(["a", "arraybuffer"]);
    newest().drop();
    expect(socket.protocol).toBe("");
    await pass(1);
    newest().open("b");
    expect([socket.protocol, newest().binaryType, socket.binaryType]).toEqual(["b", "arraybuffer", "arraybuffer"]);
    expect(newest().protocols).toEqual(["a", "b"]);
  });
});

describe("resume", () => {
  test("it may change the URL and send first, before what waits", async () => {
    const seen: unknown[] = [];
    const socket = connect({
      resume(context) {
        seen.push([context.attempt, context.code, context.reason, context.url]);
        context.url = `${URL_}?cursor=${context.attempt}`;
        context.send(`resume ${context.attempt}`);
      },
    });
    socket.onopen = () => socket.send("said by open");
    newest().open().drop(1012, "restart");
    socket.send("queued");
    await pass(1);
    newest().drop();
    await pass(2);
    expect(newest().url).toBe(`${URL_}?cursor=2&_hub=1`);
    expect(socket.url).toBe(`${URL_}?cursor=2`);
    newest().open();
    expect(newest().sent).toEqual(["resume 2", "queued", "said by open"]);
    expect(seen).toEqual([
      [1, 1012, "restart", URL_],
      [2, 1012, "restart", `${URL_}?cursor=1`],
    ]);
  });

  test("the attempt waits for it", async () => {
    let done = () => {};
    const socket = connect({ resume: () => new Promise<void>((resolve) => (done = resolve)) });
    newest().drop();
    await pass(30);
    expect([ScriptedSocket.made.length, socket.readyState]).toEqual([1, 0]);
    done();
    await pass(0);
    expect(ScriptedSocket.made.length).toBe(2);
  });

  test("closed meanwhile, nothing connects", async () => {
    let done = () => {};
    const socket = connect({ resume: () => new Promise<void>((resolve) => (done = resolve)) });
    newest().drop();
    await pass(2);
    socket.close();
    done();
    await pass(10);
    expect(ScriptedSocket.made.length).toBe(1);
    expect(log.slice(-2)).toEqual(["error", "close 1006 in 3"]);
  });

  test("a failure, or a URL that can't be, is a failed attempt", async () => {
    const outcomes = [() => Promise.reject(new Error("no token")), () => {}];
    connect({
      resume(context) {
        if (context.attempt === 2) context.url = "ws://[";
        return outcomes[context.attempt - 1]?.();
      },
    });
    newest().drop();
    await pass(1);
    expect(reported).toEqual([new Error("no token")]);
    expect(log.slice(-3)).toEqual(["error", "close 1006 in 0", "reconnecting 2 after 2"]);
    await pass(2);
    expect(reported.length).toBe(2);
    expect(log.at(-1)).toBe("reconnecting 3 after 4");
  });
});

describe("the queue", () => {
  test("what is sent without a connection waits, in order, and counts as buffered", async () => {
    const socket = connect();
    const bytes = new Uint8Array([1, 2, 3, 4]);
    socket.send("ä");
    socket.send(bytes.subarray(1, 3));
    socket.send(bytes.buffer);
    socket.send(new Blob(["blob"]));
    socket.send(7 as never);
    bytes.fill(0);
    expect([socket.queued, socket.bufferedAmount]).toEqual([5, 2 + 2 + 4 + 4 + 1]);
    newest().open();
    const [text, view, buffer, blob, seven] = newest().sent;
    expect([text, seven, (blob as Blob).size]).toEqual(["ä", "7", 4]);
    expect([...new Uint8Array(view as ArrayBuffer)]).toEqual([2, 3]);
    expect([...new Uint8Array(buffer as ArrayBuffer)]).toEqual([1, 2, 3, 4]);
    newest().bufferedAmount = 12;
    expect([socket.queued, socket.bufferedAmount]).toEqual([0, 12]);
  });

  test("full, it says so and takes nothing", () => {
    const socket = connect({ maxQueuedMessages: 2, maxQueuedBytes: 10 });
    socket.send("123456");
    expect(() => socket.send("789ab")).toThrow(expect.objectContaining({ name: "QuotaExceededError" }));
    socket.send("7");
    expect(() => socket.send("8")).toThrow("no more than 2 messages or 10 bytes");
    newest().open();
    socket.send("more than ten bytes");
    expect(newest().sent).toEqual(["123456", "7", "more than ten bytes"]);
  });

  test("a connection that is ending takes nothing more: it waits for the next one", async () => {
    const socket = connect();
    newest().open();
    newest().readyState = 2;
    socket.send("x");
    expect([socket.readyState, socket.queued]).toEqual([0, 1]);
    newest().drop();
    await pass(1);
    expect(newest().open().sent).toEqual(["x"]);
  });

  test("what was never sent can be counted after the end", async () => {
    const socket = connect();
    socket.send("x");
    newest().drop(4401);
    expect([socket.readyState, socket.queued, socket.bufferedAmount]).toEqual([3, 1, 1]);
    socket.send("yz");
    expect([socket.queued, socket.bufferedAmount]).toEqual([1, 3]);
  });

  test.each(Array.from({ length: 100 }, (_, seed) => seed))(
    "in order, none lost, none twice: world %i",
    async (seed) => {
      // A small generator of its own, so that a failing world can be seen again.
      let state = seed + 1;
      const random = () => {
        state = (state * 48_271) % 2_147_483_647;
        return state / 2_147_483_647;
      };
      vi.mocked(Math.random).mockImplementation(random);
      const socket = connect({ maxQueuedMessages: 10_000, resume: ({ send }) => send("resume") });
      const echoed: string[] = [];
      socket.onmessage = ({ data }) => {
        echoed.push(data);
        if (random() < 0.1) socket.send(`${sent++}`);
      };
      let sent = 0;
      let said = 0;
      const frames = ["", MARK, `${MARK}{`, `${MARK}${MARK}`];
      for (let step = 0; step < 150; step++) {
        const server = newest();
        const chance = random();
        if (chance < 0.5) socket.send(`${frames[Math.floor(random() * 4)]}${sent++}`);
        else if (chance < 0.6 && server.readyState === 0) server.open();
        else if (chance < 0.65 && server.readyState === 1) server.hello(2);
        else if (chance < 0.75 && server.readyState === 1) server.say(`said ${said++}`);
        else if (chance < 0.8 && server.readyState < 3) server.drop(random() < 0.5 ? 1012 : 1006);
        else if (chance < 0.83) hide();
        else if (chance < 0.86) show();
        else if (chance < 0.88) setOnline(random() < 0.5);
        else await pass(random() * 5);
      }
      setOnline(true);
      for (let turn = 0; turn < 200 && socket.queued; turn++) {
        if (newest().readyState === 0) newest().open();
        newest().say("alive");
        await pass(1);
      }
      const received: string[] = [];
      for (const server of ScriptedSocket.made) {
        const own = server.sent.filter((frame) => !isControl(frame)) as string[];
        if (server !== ScriptedSocket.made[0] && own.length) expect(own[0]).toBe("resume");
        received.push(...own.filter((frame) => frame !== "resume"));
        const confirmed = server.controls.filter((each) => "count" in each).map((each) => Number(each.count));
        expect(confirmed).toEqual([...confirmed].sort((a, b) => a - b));
      }
      const numbers = received.map((frame) => Number(frame.replaceAll(MARK, "").replace("{", "")));
      expect(numbers).toEqual(Array.from({ length: sent }, (_, index) => index));
      const saidSeen = echoed.filter((each) => each.startsWith("said"));
      expect(saidSeen).toEqual(Array.from({ length: said }, (_, index) => `said ${index}`));
    },
  );
});

describe("close", () => {
  test("while connecting, as a WebSocket", async () => {
    const socket = connect();
    socket.close();
    expect(socket.readyState).toBe(2);
    newest().drop();
    expect(log).toEqual(["error", "close 1006 in 3"]);
    await pass(100);
    expect(ScriptedSocket.made.length).toBe(1);
  });

  test("while waiting for the next attempt, as while connecting", async () => {
    const socket = connect();
    newest().drop();
    log = [];
    expect(() => socket.close(7)).toThrow(expect.objectContaining({ name: "InvalidAccessError" }));
    expect(socket.readyState).toBe(0);
    socket.close(4000);
    expect([socket.readyState, log]).toEqual([2, []]);
    await pass(100);
    expect(log).toEqual(["error", "close 1006 in 3"]);
    socket.close();
    await pass(100);
    expect([ScriptedSocket.made.length, log.length]).toEqual([1, 2]);
  });

  test.each(["close", "reconnecting", "error"])("in a listener of %s it is final as well", async (type) => {
    const socket = connect();
    newest().open();
    socket.addEventListener(type, () => socket.close(), { once: true });
    newest().drop();
    await pass(100);
    expect(ScriptedSocket.made.length).toBe(1);
    expect(socket.readyState).toBe(3);
    expect(log.at(-1)).toBe("close 1006 in 3");
  });

  test("in a listener of open, before what the server says", async () => {
    const socket = connect();
    socket.onopen = () => socket.close();
    newest().open().hello();
    newest().drop(1000);
    await pass(100);
    expect(ScriptedSocket.made.length).toBe(1);
    expect(log).toEqual(["open", "close 1000 clean in 3"]);
  });

  test("constructed twice and closed once, as React does in its strict mode, one connection stays", async () => {
    const first = connect();
    first.close();
    const second = connect();
    ScriptedSocket.made[0]?.drop();
    newest().open();
    expect([first.readyState, second.readyState]).toEqual([3, 1]);
    setOnline(true);
    await pass(100);
    expect(ScriptedSocket.made.length).toBe(2);
  });

  test("afterwards it hears nothing of the page any more", async () => {
    const socket = negotiated();
    socket.close();
    newest().drop(1000);
    const sent = newest().sent.length;
    hide();
    show();
    setOnline(false);
    setOnline(true);
    await pass(1000);
    expect([newest().sent.length, ScriptedSocket.made.length]).toEqual([sent, 1]);
  });
});

describe("`reconnect: false`", () => {
  test("it is a WebSocket", async () => {
    const socket = connect({ reconnect: false });
    expect(() => socket.send("x")).toThrow(expect.objectContaining({ name: "InvalidStateError" }));
    newest().open().hello();
    setOnline(false);
    socket.send("x");
    expect(newest().ordinary).toEqual(["x"]);
    await pass(300);
    expect(newest().heartbeats().length).toBeGreaterThan(10);
    expect(socket.readyState).toBe(1);
    newest().drop();
    expect(log).toEqual(["open", "error", "close 1006 in 3"]);
    socket.send("xy");
    expect(socket.bufferedAmount).toBe(2);
    await pass(100);
    expect(ScriptedSocket.made.length).toBe(1);
  });

  test("it waits for a connection as long as the browser does", async () => {
    connect({ reconnect: false });
    await pass(1000);
    expect(log).toEqual([]);
  });
});

describe("the interface", () => {
  test("constants are static and on instances", () => {
    const socket = connect();
    for (const each of [HubSocket, socket])
      expect([each.CONNECTING, each.OPEN, each.CLOSING, each.CLOSED]).toEqual([0, 1, 2, 3]);
  });

  test("handlers are called in the place of the first, once, with the socket as this", () => {
    const socket = connect();
    const calls: unknown[] = [];
    expect(socket.onmessage).toBeNull();
    socket.onmessage = () => calls.push("old");
    socket.addEventListener("message", () => calls.push("listener"));
    socket.onmessage = function (event) {
      calls.push(this === (socket as unknown), event.target === socket, event.data, event.origin);
    };
    newest().open().say("x");
    expect(calls).toEqual([true, true, "x", "ws://server", "listener"]);
    socket.onmessage = null;
    newest().say("y");
    expect([calls.length, socket.onmessage]).toEqual([6, null]);
    socket.onmessage = "nonsense" as never;
    expect(socket.onmessage).toBeNull();
  });

  test("its own events have handlers too", async () => {
    const socket = connect();
    const seen: ReconnectEvent[] = [];
    socket.onreconnecting = socket.onreconnect = (event) => seen.push(event);
    newest().drop();
    await pass(1);
    newest().open();
    expect(seen.map(({ type, attempt, delay }) => [type, attempt, delay])).toEqual([
      ["reconnecting", 1, 1],
      ["reconnect", 1, 1],
    ]);
  });

  test("binary frames go on untouched, as objects of the platform", () => {
    const socket = negotiated();
    const seen: unknown[] = [];
    socket.onmessage = ({ data }) => seen.push(data);
    const [buffer, blob] = [new ArrayBuffer(3), new Blob([`${MARK}{`])];
    newest().say(buffer).say(blob);
    expect(seen[0]).toBe(buffer);
    expect(seen[1]).toBe(blob);
  });
});
