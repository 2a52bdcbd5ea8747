/**
 * The sending side of the fan-out: an edge with everything else in memory, whose pushes come from a
 * loop inside the process, or (`bare`) sockets that are written the same bytes, and nothing else.
 */
import { createMemoryHub } from "@holdfast/cluster";
import { createEchoUpstream, createEdgeService, type Pushes, readEdgeConfig } from "@holdfast/edge";
import { encodePush } from "@holdfast/protocol";
import { createSilentLog, systemClock } from "@holdfast/runtime";
import { createMemoryLedger, createMemoryRegistry, createMemoryTurn } from "@holdfast/session";

type TransportName = "tcp" | "ws";

interface Order {
  readonly act: "open" | "join" | "push";
  readonly transport: TransportName;
  readonly members: number;
  readonly pushes: number;
  readonly bodyBytes: number;
}

interface Sender {
  open(transport: TransportName, members: number): Promise<{ port: number; tokens: unknown }>;
  /** Everybody is in. */
  join(members: number): void;
  push(body: Uint8Array): void;
}

const command = 50;
const topic = "bench";
const sender = process.argv[2] === "edge" ? createEdgeSender() : createBareSender();

process.on(
  "message",
  (order: Order) => void follow(order).then((answer) => process.send?.(answer)),
);

async function follow({ act, transport, members, pushes, bodyBytes }: Order): Promise<unknown> {
  switch (act) {
    case "open":
      return sender.open(transport, members);
    case "join":
      sender.join(members);
      return {};
    case "push":
      return pushAll(pushes, bodyBytes);
    default:
      return act satisfies never;
  }
}

/** Each in a turn of its own, whose end writes it. */
async function pushAll(pushes: number, bodyBytes: number): Promise<unknown> {
  const body = new Uint8Array(bodyBytes);
  const startedMs = performance.timeOrigin + performance.now();
  for (let count = 0; count < pushes; count++) {
    sender.push(body);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return { startedMs, endedMs: performance.timeOrigin + performance.now() };
}

function createEdgeSender(): Sender {
  const { config } = readEdgeConfig({
    EDGE_HOST: "127.0.0.1",
    EDGE_TCP_PORT: "0",
    EDGE_WS_PORT: "0",
    EDGE_ADMIN_PORT: "0",
    EDGE_ADMIN_HOST: "127.0.0.1",
    EDGE_UNAUTHENTICATED_MAX: "16000",
    EDGE_TCP_CLOSE_NOTIFY: "none",
  });
  const registry = createMemoryRegistry({ settings: config.registry, clock: systemClock });
  let pushes: Pushes | null = null;

  return { open, join, push };

  async function open(transport: TransportName, members: number) {
    const { edge, parts } = createEdgeService({
      config,
      registry,
      ledger: createMemoryLedger(systemClock),
      bus: createMemoryHub().bus(),
      upstream: createEchoUpstream([]),
      log: createSilentLog(),
      turn: createMemoryTurn(),
      stop: () => {},
    });
    for (const part of parts) await part.start();
    ({ pushes } = edge);
    const tokens: string[] = [];
    while (tokens.length < members) {
      const account = `bench-${tokens.length}`;
      const identity = { account, seatsMax: 1, policy: "displace", metadata: {} } as const;
      tokens.push((await registry.issue(identity, 600_000)).token);
    }
    return { port: transport === "tcp" ? edge.tcpPort : edge.wsPort, tokens };
  }

  /** Connections are counted from 1, in base 36. */
  function join(members: number): void {
    for (let count = 1; count <= members; count++) {
      const outcome = pushes?.join(count.toString(36), topic);
      if (outcome !== "joined") throw new Error(`Cannot join the topic: ${outcome}`);
    }
  }

  function push(body: Uint8Array): void {
    pushes?.toTopic(topic, { command, body, metadata: {}, key: null });
  }
}

function createBareSender(): Sender {
  const sockets: { write(bytes: Uint8Array): unknown }[] = [];
  const data = { id: 0 };

  return { open, join: () => {}, push };

  async function open(transport: TransportName) {
    return { port: transport === "tcp" ? openTcp() : openWs(), tokens: null };
  }

  function openTcp(): number {
    const socket = {
      data: (from: Bun.Socket<{ id: number }>, chunk: Uint8Array) => void from.write(chunk),
      open(opened: Bun.Socket<{ id: number }>) {
        opened.setNoDelay(true);
        opened.data = data;
        sockets.push(opened);
      },
    };
    return Bun.listen({ hostname: "127.0.0.1", port: 0, socket }).port;
  }

  function openWs(): number {
    const server = Bun.serve<{ id: number }>({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request, serving) {
        if (serving.upgrade(request, { data })) return undefined;
        return new Response("websocket upgrade expected", { status: 426 });
      },
      websocket: {
        perMessageDeflate: false,
        message: () => {},
        open: (opened) => void sockets.push({ write: (bytes) => opened.send(bytes, false) }),
      },
    });
    return server.port ?? 0; // it listens on TCP, so there is one
  }

  function push(body: Uint8Array): void {
    const packet = encodePush(2, command, body);
    for (const socket of sockets) socket.write(packet);
  }
}
