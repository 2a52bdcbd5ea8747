/**
 * Requests through one edge to an upstream over NATS and back, beside bare request/reply with the
 * same NATS client. Method: one edge process on real Redis and NATS, and the bare client beside it,
 * both pinned to core 0; nats-server, the upstream (raw bytes) and this process, the load, share
 * core 1. 256 requests are kept under way, of 20 bytes each; cases take turns; figures are medians
 * over the rounds. "us" is CPU time of the pinned process for each request: a core carries
 * 1,000,000 / us of them, and "of bare" compares that, round by round. Then both send an eighth, a
 * quarter and a half of what the edge carried, evenly, and latencies are compared; how busy core 1
 * was says whether it is the load that is slow. BENCH_ROUNDS (default 7).
 */
import { join } from "node:path";
import { type Crowd, disperse, exchangeOf, gather, pump, request, times } from "./crowd.ts";
import { busySeconds, cpuUs, median, pin, row } from "./gauge.ts";
import { type Paced, pace } from "./pace.ts";
import { openStage } from "./stage.ts";

const rounds = Number(process.env["BENCH_ROUNDS"] ?? 7);
const command = 200; // beyond the echo of a development cluster
const bodyBytes = 20;
const connections = 512; // for latencies, one request each at most
const busy = 64; // of them, for rates
const depth = 4;
const durations = { warmUpMs: 200, measuredMs: 1000 };
const pacedMs = 1500;

const stage = await openStage();
const children: { kill(): void; exited: Promise<number> }[] = [];
try {
  const upstream = await openUpstream();
  const bare = await openBare();
  pin(upstream, 1);
  pin(bare.pid, 0);
  const crowds = [await openCrowd("tcp"), await openCrowd("ws")];
  const cases: Case[] = [bare, ...crowds];
  for (let round = 0; round < rounds; round++) for (const each of cases) await drive(each);
  print(cases, bare);
  const most = Math.min(...crowds.map(({ rates }) => median(rates)));
  for (const share of [0.125, 0.25, 0.5]) {
    const rate = Math.round(most * share);
    for (const each of cases) each.paced.length = 0;
    for (let round = 0; round < rounds; round++) {
      for (const each of cases) each.paced.push(await busily(() => each.pace(rate)));
    }
    printPaced(cases, bare, rate);
  }
  for (const { crowd } of crowds) disperse(crowd);
} finally {
  for (const child of children) {
    child.kill();
    await child.exited;
  }
  await stage.stop();
}

interface Case {
  readonly name: string;
  readonly pid: number;
  readonly rates: number[];
  readonly us: number[];
  readonly paced: (Paced & { readonly busy: number })[];
  run(measured: { start(): void; end(): void }): Promise<number>;
  pace(rate: number): Promise<Paced>;
}

/** With the share of the time that the core of the load was busy. */
async function busily(act: () => Promise<Paced>): Promise<Paced & { readonly busy: number }> {
  const [startedMs, started] = [performance.now(), busySeconds(1)];
  const paced = await act();
  return { ...paced, busy: ((busySeconds(1) - started) * 1000) / (performance.now() - startedMs) };
}

async function drive(each: Case): Promise<void> {
  let [startedUs, usedUs, startedMs, seconds] = [0, 0, 0, 0];
  const rate = await each.run({
    start() {
      [startedUs, startedMs] = [cpuUs(each.pid), performance.now()];
    },
    end() {
      usedUs = cpuUs(each.pid) - startedUs;
      seconds = (performance.now() - startedMs) / 1000;
    },
  });
  each.rates.push(rate);
  each.us.push(usedUs / (rate * seconds));
}

async function openCrowd(transport: "tcp" | "ws"): Promise<Case & { readonly crowd: Crowd }> {
  const tokens = await stage.issue(connections);
  const port = transport === "tcp" ? stage.edge.tcpPort : stage.edge.wsPort;
  const crowd = await gather({ transport, port, count: connections, tokens });
  const one = exchangeOf(transport, command, new Uint8Array(bodyBytes));
  const idle = [...crowd];
  const send = () => {
    const socket = idle.pop();
    return socket === undefined ? null : request(socket, one).then(() => void idle.push(socket));
  };
  return {
    ...{ name: `${transport} client -> edge -> NATS`, crowd, pid: stage.edge.pid },
    ...{ rates: [], us: [], paced: [] },
    run: async (measured) =>
      depth * (await pump(crowd.slice(0, busy), times(depth, one), durations, measured)),
    pace: (rate) => pace({ rate, ms: pacedMs, send }),
  };
}

async function openUpstream(): Promise<number> {
  const { hostname, port } = new URL(stage.natsUrl);
  const child = start("responder.ts", [hostname, port, `hf.cmd.${command}`]);
  await child.line();
  return child.pid;
}

async function openBare(): Promise<Case> {
  const child = start("bare-nats.ts", [stage.natsUrl, `hf.cmd.${command}`, String(bodyBytes)]);
  await child.line();
  const order = async (what: object) => {
    child.say(JSON.stringify(what));
    return JSON.parse(await child.line());
  };
  const atOnce = busy * depth;
  return {
    ...{ name: "bare NATS request/reply", pid: child.pid, rates: [], us: [], paced: [] },
    async run(measured) {
      await order({ atOnce, ms: durations.warmUpMs });
      measured.start();
      const { rate } = await order({ atOnce, ms: durations.measuredMs });
      measured.end();
      return rate;
    },
    pace: (rate) => order({ rate, ms: pacedMs }),
  };
}

function start(script: string, args: readonly string[]) {
  const path = join(import.meta.dir, script);
  const command = ["setpriv", "--pdeathsig", "KILL", process.execPath, path, ...args];
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  children.push(child);
  const lines = linesOf(child.stdout);
  return {
    pid: child.pid,
    async line(): Promise<string> {
      const { value, done } = await lines.next();
      if (done) throw new Error(`Cannot measure: ${script} has ended`);
      return value;
    },
    say(line: string): void {
      child.stdin.write(`${line}\n`);
      child.stdin.flush();
    },
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    const parts = (text + decoder.decode(chunk, { stream: true })).split("\n");
    text = parts.pop() ?? "";
    yield* parts;
  }
}

function print(cases: readonly Case[], bare: Case): void {
  const head = row([`at once, ${rounds} rounds`, "k/s", "us", "k/s a core", "of bare"]);
  const lines = cases.map(({ name, rates, us }) => {
    const share = median(us.map((one, round) => (bare.us[round] ?? one) / one));
    const shown = [(median(rates) / 1000).toFixed(1), median(us).toFixed(1)];
    return row([name, ...shown, (1000 / median(us)).toFixed(1), share.toFixed(2)]);
  });
  process.stdout.write(`${[head, ...lines].join("\n")}\n`);
}

function printPaced(cases: readonly Case[], bare: Case, rate: number): void {
  const head = row([`${rate} a second, ms`, "p50", "p99", "added p50", "added p99", "core 1 busy"]);
  const lines = cases.map(({ name, paced }) => {
    const own = (at: "p50" | "p99" | "busy") => median(paced.map((one) => one[at])).toFixed(2);
    const added = (at: "p50" | "p99") =>
      median(paced.map((one, round) => one[at] - (bare.paced[round]?.[at] ?? 0))).toFixed(2);
    return row([name, own("p50"), own("p99"), added("p50"), added("p99"), own("busy")]);
  });
  process.stdout.write(`\n${[head, ...lines].join("\n")}\n`);
}
