/**
 * A healthy client of a node under attack, and what the node's own metrics say meanwhile: whatever
 * strangers do, it must not notice.
 */
import { Command, encodeResponse } from "@holdfast/protocol";
import { until } from "../prove/ground.ts";
import { present, type TestCluster } from "./support.ts";

export interface Neighbours {
  /** Ends them; what they noticed, and what the node counted. */
  stop(): Promise<Report>;
}

export interface Report {
  readonly asked: number;
  readonly answered: number;
  readonly slowestMs: number;
  readonly exceptions: number;
  readonly isAlive: boolean;
  readonly grownBytes: number;
}

const pauseMs = 25;
const asksLeast = 20;
const echo = 16;
const body = new Uint8Array(200).fill(9);

/** One on TCP and one on WebSocket, with requests and heartbeats all the time. */
export async function startNeighbours(cluster: TestCluster, edgeIndex = 0): Promise<Neighbours> {
  const edge = cluster.edges[edgeIndex]!; // the caller knows how many there are
  const { description, child } = edge;
  const startBytes = await read(description.admin, "process_resident_memory_bytes");
  let isRunning = true;
  const counts = { asked: 0, answered: 0, slowestMs: 0 };
  const urls = [description.tcp, description.ws];
  const running = urls.map(async (url, index) => {
    const { wire } = await present(url, await cluster.issue(`neighbour-${index}`, 100));
    void answerHeartbeats();
    for (let turn = 0; isRunning; turn++) {
      const startedMs = performance.now();
      counts.asked++;
      const command = turn % 2 === 0 ? Command.heartbeat : echo;
      const answer = await wire.request(command, body).catch(() => null);
      if (answer?.status === 0 && answer.body.length === body.length) counts.answered++;
      counts.slowestMs = Math.max(counts.slowestMs, Math.round(performance.now() - startedMs));
      await Bun.sleep(pauseMs);
    }
    wire.end();

    async function answerHeartbeats(): Promise<void> {
      for (;;) {
        const packet = await wire.next(600_000).catch(() => null);
        if (packet === null) return;
        if (packet.type !== "request") continue;
        wire.sendBytes(encodeResponse(1, packet.command, packet.requestId, 0, packet.body));
      }
    }
  });
  return {
    async stop() {
      await until("the neighbours to have asked often", () => counts.asked >= asksLeast);
      isRunning = false;
      await Promise.all(running);
      const isAlive = !child.hasExited();
      const exceptions = await read(description.admin, "holdfast_exceptions_total");
      const bytes = await read(description.admin, "process_resident_memory_bytes");
      const report = { ...counts, exceptions, isAlive, grownBytes: bytes - startBytes };
      process.stderr.write(`${JSON.stringify(report)}\n`);
      await until("all attackers to be gone", async () => {
        return (await read(description.admin, "holdfast_connections")) === 0;
      });
      return report;
    },
  };
}

/** The sum of a metric's series at one node. */
export async function read(admin: string, name: string, label = ""): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return text
    .split("\n")
    .filter((line) => new RegExp(`^${name}(\\{| )`).test(line) && line.includes(label))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}
