/**
 * What a request over NATS leaves behind on the heap of an edge. Method: the edge of `bench
 * requests` without a collector of garbage, so that nothing goes; its objects are counted by kind
 * before and after as many requests of 20 bytes, from 64 connections that ask one after the other.
 * A count does not depend on what else the machine does, save that a turn of the event loop costs
 * some objects, too, and carries more requests when it is slow. BENCH_REQUESTS (default 32,000).
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Crowd, disperse, exchangeOf, gather, request, type TransportName } from "./crowd.ts";
import { row } from "./gauge.ts";
import { openStage } from "./stage.ts";

const count = Number(process.env["BENCH_REQUESTS"] ?? 32_000);
const connections = 64;
const warmUp = 16_000; // until its hot functions have been compiled
const command = 200; // beyond the echo of a development cluster
const leastShown = 0.05;

type Census = Readonly<Record<string, number>>;

const stage = await openStage({
  BUN_JSC_useGC: "0",
  BUN_OPTIONS: `--preload ${join(import.meta.dir, "census.ts")}`,
});
const { hostname, port } = new URL(stage.natsUrl);
const responder = Bun.spawn(
  [process.execPath, join(import.meta.dir, "responder.ts"), hostname, port, `hf.cmd.${command}`],
  { stdio: ["ignore", "pipe", "inherit"] },
);
try {
  await responder.stdout.getReader().read(); // it is ready
  for (const transport of ["tcp", "ws"] as const) await measure(transport);
} finally {
  responder.kill();
  await responder.exited;
  await stage.stop();
}

async function measure(transport: TransportName): Promise<void> {
  const tokens = await stage.issue(connections);
  const address = transport === "tcp" ? stage.edge.tcpPort : stage.edge.wsPort;
  const crowd = await gather({ transport, port: address, count: connections, tokens });
  await ask(crowd, transport, warmUp);
  const before = await census();
  await ask(crowd, transport, count);
  print(transport, before, await census());
  disperse(crowd);
}

async function ask(crowd: Crowd, transport: TransportName, requests: number): Promise<void> {
  const one = exchangeOf(transport, command, new Uint8Array(20));
  let left = requests;
  const loops = crowd.map(async (socket) => {
    while (left-- > 0) await request(socket, one);
  });
  await Promise.all(loops);
}

async function census(): Promise<Census> {
  const { heapFile, pid } = stage.edge;
  rmSync(heapFile, { force: true });
  process.kill(pid, "SIGUSR2");
  for (let tries = 0; tries < 1000; tries++) {
    await Bun.sleep(20);
    if (await Bun.file(heapFile).exists()) return JSON.parse(readFileSync(heapFile, "utf8"));
  }
  throw new Error("Cannot count: the edge does not answer");
}

function print(transport: TransportName, before: Census, after: Census): void {
  const each = (kind: string) => ((after[kind] ?? 0) - (before[kind] ?? 0)) / count;
  const kinds = Object.keys(after).toSorted((left, right) => each(right) - each(left));
  const all = kinds.reduce((sum, kind) => sum + each(kind), 0);
  const lines = kinds
    .filter((kind) => each(kind) >= leastShown)
    .map((kind) => row([`  ${kind}`, each(kind).toFixed(2)]));
  const head = row([`${transport}, objects each`, all.toFixed(1)]);
  process.stdout.write(`${[head, ...lines].join("\n")}\n`);
}
