/**
 * What an idle connection costs one edge, beside a bare Bun server that holds as many sockets.
 * Method: bytes alive on the heap, and anonymous memory of the process (which the allocators keep
 * for more than is alive), after a garbage collection, before and after BENCH_CONNECTIONS (9,000)
 * connections have come, BENCH_AT_ONCE (100) at a time, per connection; then CPU time of the
 * process over BENCH_IDLE_SECONDS (35), in which nothing happens but pings at the default interval,
 * which nobody answers, and renewals of seats. A first crowd that comes and goes warms each server
 * up. Real Redis and NATS; the servers are on core 0.
 */
import { readFileSync } from "node:fs";
import { type Crowd, disperse, gather, type TransportName } from "./crowd.ts";
import { anonymousBytes, cpuUs, row } from "./gauge.ts";
import { openStage, type Place } from "./stage.ts";

const count = Number(process.env["BENCH_CONNECTIONS"] ?? 9000);
const idleMs = Number(process.env["BENCH_IDLE_SECONDS"] ?? 35) * 1000;
const atOnce = Number(process.env["BENCH_AT_ONCE"] ?? 100);
const pauseMs = 50;

const stage = await openStage();
try {
  print([`${count} idle connections`, "alive", "memory", "CPU"]);
  for (const transport of ["tcp", "ws"] as const) {
    await hold(`${transport} bare`, transport, stage.bare, false);
    await hold(`${transport} edge`, transport, stage.edge, true);
  }
} finally {
  await stage.stop();
}

async function hold(
  name: string,
  transport: TransportName,
  place: Place,
  logsIn: boolean,
): Promise<void> {
  await leave(await come(Math.ceil(count / 10)), place);
  const empty = await collected(place);
  const crowd = await come(count);
  const full = await collected(place);
  const startedUs = cpuUs(place.pid);
  await Bun.sleep(idleMs);
  const share = (cpuUs(place.pid) - startedUs) / (idleMs * 1000);
  const each = (bytes: number) => (bytes / count).toFixed(0);
  const alive = each(full.alive - empty.alive);
  print([name, alive, each(full.anonymous - empty.anonymous), `${(share * 100).toFixed(1)} %`]);
  await leave(crowd, place);

  async function come(size: number): Promise<Crowd> {
    const port = transport === "tcp" ? place.tcpPort : place.wsPort;
    const crowd: Crowd[number][] = [];
    while (crowd.length < size) {
      const part = Math.min(atOnce, size - crowd.length);
      const tokens = logsIn ? await stage.issue(part) : null;
      crowd.push(...(await gather({ transport, port, count: part, tokens })));
      await Bun.sleep(pauseMs);
    }
    return crowd;
  }
}

async function leave(crowd: Crowd, place: Place): Promise<void> {
  disperse(crowd);
  await collected(place);
}

/** Twice, since what the first one frees may free more; the pause is for the memory to go back. */
async function collected({ pid, heapFile }: Place) {
  for (let turn = 0; turn < 2; turn++) {
    await Bun.sleep(1500);
    process.kill(pid, "SIGUSR2");
  }
  await Bun.sleep(1500);
  return { anonymous: anonymousBytes(pid), alive: Number(readFileSync(heapFile, "utf8")) };
}

function print(cells: readonly string[]): void {
  process.stdout.write(`${row(cells)}\n`);
}
