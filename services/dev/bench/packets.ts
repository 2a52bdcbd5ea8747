/**
 * Packets a second through one edge, beside a bare Bun server that echoes the same bytes. Method:
 * one edge process on real Redis and NATS (which are idle here) and the bare server, both pinned to
 * core 0; this process is the load, on core 1. The same connections send a packet each (x1) or
 * sixteen in one write (x16), and again whenever all are answered. Cases take turns in each round;
 * figures are medians over the rounds, ratios medians of the rounds' ratios; "us" is CPU time of
 * the server's process for each packet. BENCH_CONNECTIONS (500), BENCH_ROUNDS (5).
 */
import { Command, encodeHeartbeat } from "@holdfast/protocol";
import { type Crowd, disperse, type Exchange, exchangeOf, gather, pump, times } from "./crowd.ts";
import { cpuUs, median, row } from "./gauge.ts";
import { openStage } from "./stage.ts";

const connections = Number(process.env["BENCH_CONNECTIONS"] ?? 500);
const rounds = Number(process.env["BENCH_ROUNDS"] ?? 5);
const durations = { warmUpMs: 150, measuredMs: 650 };
const echoCommand = 16;

interface Case {
  readonly name: string;
  readonly crowd: Crowd;
  readonly pid: number;
  readonly batch: Exchange;
  readonly depth: number;
  /** The bare case it is compared with; null: it is one. */
  readonly control: Case | null;
  readonly rates: number[];
  readonly us: number[];
}

const stage = await openStage();
try {
  const cases = [...(await prepare("tcp")), ...(await prepare("ws"))];
  for (let round = 0; round < rounds; round++) for (const each of cases) await measure(each);
  print(cases);
  for (const each of cases) disperse(each.crowd);
} finally {
  await stage.stop();
}

async function prepare(transport: "tcp" | "ws"): Promise<readonly Case[]> {
  const count = connections;
  const { bare, edge } = stage;
  const port = transport === "tcp" ? ("tcpPort" as const) : ("wsPort" as const);
  const tokens = await stage.issue(count);
  const bareCrowd = await gather({ transport, port: bare[port], count, tokens: null });
  const edgeCrowd = await gather({ transport, port: edge[port], count, tokens });
  const heartbeat = encodeHeartbeat(Date.now());
  const beat = exchangeOf(transport, Command.heartbeat, heartbeat);
  const echo = exchangeOf(transport, echoCommand, heartbeat);
  const bareEcho = { bytes: beat.bytes, answerBytes: beat.bytes.length };
  if (transport === "ws") bareEcho.answerBytes -= 4; // what a server sends has no mask

  return [1, 16].flatMap((depth) => {
    const make = (who: string, one: Exchange, control: Case | null): Case => ({
      name: `${transport} x${depth} ${who}`,
      crowd: control === null ? bareCrowd : edgeCrowd,
      pid: control === null ? bare.pid : edge.pid,
      batch: times(depth, one),
      depth,
      control,
      rates: [],
      us: [],
    });
    const control = make("bare echo", bareEcho, null);
    return [control, make("heartbeat", beat, control), make("echo request", echo, control)];
  });
}

async function measure({ crowd, batch, depth, pid, rates, us }: Case): Promise<void> {
  let startedUs = 0;
  let usedUs = 0;
  const rate = await pump(crowd, batch, durations, {
    start: () => {
      startedUs = cpuUs(pid);
    },
    end: () => {
      usedUs = cpuUs(pid) - startedUs;
    },
  });
  rates.push(rate * depth);
  us.push(usedUs / ((rate * depth * durations.measuredMs) / 1000));
}

function print(cases: readonly Case[]): void {
  const lines = cases.map(({ name, rates, us, control }) => {
    const ratio = median(rates.map((rate, round) => rate / (control?.rates[round] ?? rate)));
    const spread = (Math.max(...rates) - Math.min(...rates)) / median(rates);
    const shown = [
      (median(rates) / 1000).toFixed(0),
      ratio.toFixed(2),
      median(us).toFixed(3),
      `${(spread * 100).toFixed(0)} %`,
    ];
    return row([name, ...shown]);
  });
  const head = row([
    `${connections} connections, ${rounds} rounds`,
    "k/s",
    "ratio",
    "us",
    "spread",
  ]);
  process.stdout.write(`${[head, ...lines].join("\n")}\n`);
}
