/**
 * Bytes through an edge and back, beside bytes through a bare socket and back, over the same wire:
 * as many connections, as much under way in each, one after the other in short turns.
 */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import type { Lab } from "../lab.ts";
import type { Visit } from "../visit.ts";

const blockBytes = 4096;
const echo = 16;
const settleMs = 20_000;

interface Turn {
  readonly turnMs: number;
  /** Blocks, in each connection. */
  readonly underWay: number;
}

export interface ThroughputOptions extends Turn {
  readonly turns: number;
}

export interface Throughput {
  readonly gatewayBytes: number;
  readonly plainBytes: number;
}

export async function compareThroughput(
  visits: readonly Visit[],
  plain: { readonly host: string; readonly port: number },
  { turns, turnMs, underWay }: ThroughputOptions,
): Promise<Throughput> {
  const total = { gatewayBytes: 0, plainBytes: 0 };
  for (let turn = 0; turn < turns; turn++) {
    total.plainBytes += await throughSockets(plain, visits.length, { turnMs, underWay });
    total.gatewayBytes += await throughGateway(visits, { turnMs, underWay });
  }
  return total;
}

/** Waits for what is under way when the time is over, so that the next has the wire to itself. */
async function throughGateway(
  visits: readonly Visit[],
  { turnMs, underWay }: Turn,
): Promise<number> {
  const body = new Uint8Array(randomBytes(blockBytes)); // not to be compressed
  const untilMs = performance.now() + turnMs;
  let bytes = 0;
  const run = async ({ view, wire }: Visit) => {
    while (performance.now() < untilMs) {
      view.asked++;
      const answer = await wire.request(echo, body, { timeoutMs: 60_000, deadlineMs: 60_000 });
      view.answered++;
      if (performance.now() < untilMs) bytes += answer.body.length;
    }
  };
  const lanes = visits.flatMap((visit) => Array.from({ length: underWay }, () => run(visit)));
  await Promise.all(lanes);
  return bytes;
}

async function throughSockets(
  to: { readonly host: string; readonly port: number },
  connections: number,
  { turnMs, underWay }: Turn,
): Promise<number> {
  const block = randomBytes(blockBytes);
  const sockets = await Promise.all(Array.from({ length: connections }, () => dial(to)));
  const untilMs = performance.now() + turnMs;
  let bytes = 0;
  const run = async (socket: Awaited<ReturnType<typeof dial>>) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let [sent, came] = [0, 0];
    const fill = () => {
      while (sent - came <= (underWay - 1) * blockBytes && performance.now() < untilMs) {
        socket.write(block);
        sent += blockBytes;
      }
      if (sent === came) resolve();
    };
    socket.on("data", (chunk: Uint8Array) => {
      came += chunk.length;
      if (performance.now() < untilMs) bytes += chunk.length;
      fill();
    });
    socket.once("close", () => resolve());
    fill();
    await Promise.race([promise, Bun.sleep(turnMs + settleMs)]);
    socket.destroy();
  };
  await Promise.all(sockets.map(run));
  return bytes;
}

async function dial(to: { readonly host: string; readonly port: number }) {
  const socket = connect({ ...to, noDelay: true });
  socket.on("error", () => {}); // its end is seen by "close"
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("close", () => reject(new Error("Cannot connect over the wire")));
  });
  return socket;
}

/** Bulk has connections of its own: what the others say is small. */
export async function enterBulk(
  lab: Lab,
  urls: readonly string[],
  count: number,
): Promise<readonly Visit[]> {
  const coming = Array.from({ length: count }, (_, index) => {
    const url = urls[index % urls.length]!; // the remainder is in bounds
    return lab.enter({ url, account: `bulk-${index}`, timeoutMs: 60_000 });
  });
  const visits = await Promise.all(coming);
  const refused = visits.find(({ login }) => login === null);
  if (refused) throw new Error(`${refused.view.account} was refused: ${refused.status}`);
  return visits;
}
