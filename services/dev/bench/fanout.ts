/**
 * Deliveries of one topic with 1,000 and 10,000 members on one node, beside a bare Bun process that
 * writes the same bytes to as many sockets. Method: both servers are pinned to core 0, each with a
 * process of receivers on core 1 that count bytes; they take turns in every round. A round is one
 * push after the other, each in a turn of its own, until 100,000 have been delivered, few enough to
 * fit into the kernel's buffers, so that nobody waits for the receivers; then all are awaited.
 * "sent" is deliveries a second while the server sends, "arrived" until the last has been read,
 * "us" CPU time of the server for each. Medians over the rounds; ratios are medians of the rounds'
 * ratios. BENCH_ROUNDS (default 7), BENCH_MEMBERS (default 1000,10000).
 */
import { join } from "node:path";
import { encodePush } from "@holdfast/protocol";
import { cpuUs, median, pin, row } from "./gauge.ts";

type TransportName = "tcp" | "ws";
type Kind = "bare" | "edge";

interface Actor {
  readonly pid: number;
  /** Asks for something, and waits for the answer, in milliseconds or as a list. */
  ask(request: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>>;
  stop(): void;
}

interface Case {
  readonly kind: Kind;
  readonly server: Actor;
  readonly receivers: Actor;
  readonly sent: number[];
  readonly arrived: number[];
  readonly us: number[];
}

const rounds = Number(process.env["BENCH_ROUNDS"] ?? 7);
const sizes = (process.env["BENCH_MEMBERS"] ?? "1000,10000").split(",").map(Number);
const deliveries = 100_000;
const bodyBytes = 64;
const packetBytes = encodePush(2, 50, new Uint8Array(bodyBytes)).length;
const answerMs = 60_000;

pin(process.pid, 1);
print([`${rounds} rounds, ${bodyBytes} bytes`, "sent k/s", "ratio", "arrived k/s", "ratio", "us"]);
for (const members of sizes) {
  for (const transport of ["tcp", "ws"] as const) await compare(transport, members);
}

async function compare(transport: TransportName, members: number): Promise<void> {
  const actors: Actor[] = [];
  try {
    const bare = await prepare("bare", transport, members, actors);
    const edge = await prepare("edge", transport, members, actors);
    for (let round = -1; round < rounds; round++) {
      for (const each of [bare, edge]) await measure(each, transport, members, round < 0);
    }
    for (const each of [bare, edge]) show(each, bare, `${transport} ${members} ${each.kind}`);
  } finally {
    for (const actor of actors) actor.stop();
  }
}

async function prepare(
  kind: Kind,
  transport: TransportName,
  members: number,
  actors: Actor[],
): Promise<Case> {
  const server = launch("fanout-server.ts", kind);
  const receivers = launch("fanout-receivers.ts");
  actors.push(server, receivers);
  pin(receivers.pid, 1);
  const { port, tokens } = await server.ask({ act: "open", transport, members });
  pin(server.pid, 0); // the accepting threads exist by now
  await receivers.ask({ act: "gather", transport, port, members, tokens });
  await server.ask({ act: "join", members });
  return { kind, server, receivers, sent: [], arrived: [], us: [] };
}

async function measure(
  { server, receivers, sent, arrived, us }: Case,
  transport: TransportName,
  members: number,
  isWarmUp: boolean,
): Promise<void> {
  const pushes = Math.round(deliveries / members);
  const bytes = pushes * members * (packetBytes + (transport === "ws" ? 2 : 0));
  const arrival = receivers.ask({ act: "expect", bytes });
  const startedUs = cpuUs(server.pid);
  const { startedMs, endedMs } = await server.ask({ act: "push", pushes, bodyBytes });
  const { atMs } = await arrival;
  if (isWarmUp) return;
  us.push((cpuUs(server.pid) - startedUs) / deliveries);
  sent.push(deliveries / (Number(endedMs) - Number(startedMs)));
  arrived.push(deliveries / (Number(atMs) - Number(startedMs)));
}

function show(each: Case, control: Case, name: string): void {
  const ratio = (rates: readonly number[], of: readonly number[]) =>
    median(rates.map((rate, round) => rate / (of[round] ?? rate))).toFixed(2);
  print([
    name,
    median(each.sent).toFixed(0),
    ratio(each.sent, control.sent),
    median(each.arrived).toFixed(0),
    ratio(each.arrived, control.arrived),
    median(each.us).toFixed(2),
  ]);
}

function launch(script: string, ...given: string[]): Actor {
  let answer: ((message: Record<string, unknown>) => void) | null = null;
  const path = join(import.meta.dir, script);
  const child = Bun.spawn(["setpriv", "--pdeathsig", "KILL", process.execPath, path, ...given], {
    stdio: ["ignore", "inherit", "inherit"],
    ipc: (message: Record<string, unknown>) => answer?.(message),
  });
  return {
    pid: child.pid,
    ask(request) {
      const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
      const late = () => reject(new Error(`Cannot go on: ${script} did not ${request["act"]}`));
      const timer = setTimeout(late, answerMs);
      answer = resolve;
      child.send(request);
      return promise.finally(() => clearTimeout(timer));
    },
    stop: () => child.kill(),
  };
}

function print(cells: readonly string[]): void {
  process.stdout.write(`${row(cells)}\n`);
}
