/**
 * A node with few file descriptors, and far more sockets that want one. Goal: strangers take their
 * share and no more, whether they are upgraded or not, and the node goes on serving. How: one edge
 * that may open 300 descriptors, and 600 sockets that never ask for their upgrade. [I6]
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { Command } from "@holdfast/protocol";
import { until } from "../../prove/ground.ts";
import { edgeEnvironment } from "../../src/cluster.ts";
import { type EdgeProcess, startEdgeProcess } from "../../src/edge-process.ts";
import { dial, each } from "../attack.ts";
import { read } from "../neighbour.ts";
import { present, startTestCluster, type TestCluster } from "../support.ts";

const descriptorsMax = 300;
const strangersMax = 60;
const refusalsMax = 15;
const settings = {
  EDGE_ALLOW_SHORT_TIMERS: "true",
  EDGE_LOG_LEVEL: "error",
  EDGE_ACCEPTORS: "4",
  EDGE_CONNECTIONS_MAX: "200",
  EDGE_UNAUTHENTICATED_MAX: String(strangersMax),
  EDGE_WS_REFUSALS_MAX: String(refusalsMax),
  EDGE_HANDSHAKE_TIMEOUT_MS: "3000",
};
let cluster: TestCluster;
let edge: EdgeProcess;
beforeAll(async () => {
  cluster = await startTestCluster();
  const { redis, nats } = cluster;
  edge = await startEdgeProcess({
    name: "few",
    log: "ignore",
    settings: {
      ...edgeEnvironment("few", { edges: 1, settings }),
      EDGE_REDIS_URL: redis.url,
      EDGE_NATS_URL: nats.url,
    },
    onEnd: () => {},
  });
  const limit = `--nofile=${descriptorsMax}:${descriptorsMax}`;
  expect(Bun.spawnSync(["prlimit", limit, "--pid", String(edge.child.pid)]).exitCode).toBe(0);
}, 60_000);
afterAll(async () => {
  await edge.child.stop(true);
  await cluster.stop();
});

async function logIn(url: string, account: string) {
  const attempt = await present(url, await cluster.issue(account), 3000).catch(() => null);
  if (attempt?.login) return attempt.wire;
  attempt?.wire.reset();
  return null;
}

test("600 sockets that never ask for an upgrade leave it idle, and open to logins", async () => {
  const { admin, tcp, ws } = edge.description;
  const before = [await logIn(tcp, "few-tcp"), await logIn(ws, "few-ws")];
  const silent: Socket[] = [];

  await each(Array.from({ length: 600 }), 100, async () => {
    const socket = dial(ws);
    await new Promise<void>((resolve) => socket.once("connect", resolve).once("error", resolve));
    silent.push(socket);
  });
  const usedBefore = await read(admin, "process_cpu_seconds_total");
  await Bun.sleep(1000);
  const used = (await read(admin, "process_cpu_seconds_total")) - usedBefore;

  expect(used).toBeLessThan(0.6); // at the end of its descriptors it would spin all the time
  const most = before.length + strangersMax;
  expect(await read(admin, "holdfast_connections")).toBeLessThanOrEqual(most);
  expect(await read(admin, "process_open_fds")).toBeLessThan(descriptorsMax - 50);
  for (const wire of before) {
    expect(await wire?.request(Command.heartbeat, new Uint8Array(8))).toMatchObject({ status: 0 });
  }
  for (const [index, url] of [tcp, ws].entries()) {
    const enter = async () => {
      const wire = await logIn(url, `few-late-${index}`);
      before.push(wire);
      return wire !== null;
    };
    await until(`a login at ${url}`, enter, 15_000);
  }
  for (const wire of before) wire?.reset();
  for (const socket of silent) socket.destroy();
}, 60_000);
