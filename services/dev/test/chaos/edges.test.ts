/**
 * Nodes that die or stand still under load. Goal: their clients go on elsewhere with the session
 * they have, their seats lapse with the lease, and whoever comes back late harms nobody. [I3] [I7]
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Command, encodeResponse } from "@holdfast/protocol";
import { aftermathOf, leaveAll } from "../../prove/aftermath.ts";
import { metric, onlineOf, until } from "../../prove/ground.ts";
import { startLoad } from "../../prove/load.ts";
import { createRecorder } from "../../prove/recorder.ts";
import {
  type Attempt,
  present,
  renewed,
  resume,
  seedOf,
  startTestCluster,
  type TestCluster,
} from "../support.ts";

const leaseMs = 1500;
const renewIntervalMs = 300;
const heartbeatTimeoutMs = 1800;
const stopMs = 2600; // above the lease, and above the heartbeat timeout
let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({
    EDGE_FLAP_DISPLACEMENTS_MAX: "0",
    EDGE_LEASE_MS: String(leaseMs),
    EDGE_FIRST_LEASE_MS: "900",
    EDGE_RENEW_INTERVAL_MS: String(renewIntervalMs),
    EDGE_HEARTBEAT_INTERVAL_MS: "400",
    EDGE_HEARTBEAT_TIMEOUT_MS: String(heartbeatTimeoutMs),
  });
}, 60_000);
afterAll(() => cluster.stop());

const nothing = new Uint8Array(0);
const [victim, others] = [0, [2, 3, 4, 5]]; // the urls of an edge stand side by side

interface Client extends Attempt {
  readonly account: string;
  readonly token: string;
}

/** One client an account, all on one edge, by TCP and WebSocket; each answers heartbeats. */
async function crowd(prefix: string, count: number): Promise<Client[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const account = `${prefix}-${index}`;
      const token = await cluster.issue(account);
      const attempt = await present(cluster.urls[victim + (index % 2)]!, token); // there are six
      void answerHeartbeats(attempt);
      return { ...attempt, account, token };
    }),
  );
}

async function answerHeartbeats({ wire }: Attempt): Promise<void> {
  for (;;) {
    const packet = await wire.next(60_000).catch(() => null);
    if (packet === null) return;
    if (packet.type !== "request" || packet.command !== Command.heartbeat) continue;
    wire.sendBytes(encodeResponse(1, Command.heartbeat, packet.requestId, 0, packet.body));
  }
}

function elsewhere(index: number): string {
  return cluster.urls[others[index % others.length]!]!; // in bounds
}

function online(clients: readonly Client[]): Promise<number> {
  return onlineOf(
    cluster,
    clients.map(({ account }) => ({ account, limit: 1 })),
  );
}

describe("edge that dies", () => {
  test("clients go on elsewhere with their session, and the seats of the rest lapse", async () => {
    const seed = seedOf("an edge dies");
    const recorder = createRecorder();
    const load = startLoad({ cluster, recorder, seed, players: 40, accounts: 16, prefix: "kill" });
    const clients = await crowd("mortal", 30);
    const [returning, lost] = [clients.slice(0, 20), clients.slice(20)];
    await Promise.all(clients.map(({ wire }) => wire.request(Command.heartbeat, nothing)));
    await Bun.sleep(1000);

    cluster.edges[0]?.child.signal("SIGKILL");
    const diedMs = performance.now();
    const back = await Promise.all(
      returning.map(({ login }, index) => resume(elsewhere(index), login?.sessionId ?? "")),
    );
    for (const attempt of back) void answerHeartbeats(attempt);
    await until("the lost seats to lapse", async () => (await online(lost)) === 0);
    const lapsedMs = performance.now() - diedMs;
    await cluster.edges[0]?.start();
    await Bun.sleep(1000);
    await load.settle();
    await renewed(cluster);

    expect(back.map(({ response }) => response.status)).toEqual(back.map(() => 0));
    expect(lapsedMs).toBeLessThan(leaseMs + 1000);
    expect(await online(returning)).toBe(returning.length);
    const after = await aftermathOf({ cluster, load, recorder, overlapMs: 1000 });
    expect(after).toEqual({ broken: [], told: [] });
    for (const { wire } of back) wire.end();
    await leaveAll(cluster, load);
  }, 60_000);
});

describe("edge that stands still for longer than the lease", () => {
  test("only those who went elsewhere are told so when it goes on", async () => {
    const [seed, recorder] = [seedOf("an edge stands still"), createRecorder()];
    const load = startLoad({ cluster, recorder, seed, players: 40, accounts: 16, prefix: "stop" });
    const clients = await crowd("sleeper", 30);
    const [moved, relogged, quiet] = [
      clients.slice(0, 10),
      clients.slice(10, 20),
      clients.slice(20),
    ];
    await Promise.all(clients.map(({ wire }) => wire.request(Command.heartbeat, nothing)));
    await renewed(cluster);

    cluster.edges[0]?.child.signal("SIGSTOP");
    await Bun.sleep(stopMs);
    const newer = await Promise.all([
      ...moved.map(({ login }, index) => resume(elsewhere(index), login?.sessionId ?? "")),
      ...relogged.map(async ({ account }, index) =>
        present(elsewhere(index), await cluster.issue(account)),
      ),
    ]);
    for (const attempt of newer) void answerHeartbeats(attempt);
    cluster.edges[0]?.child.signal("SIGCONT");
    const mute = await present(cluster.urls[victim]!, await cluster.issue("mute"));
    const ended = await Promise.all(
      [...moved, ...relogged].map(({ wire }) => wire.waitClosed(heartbeatTimeoutMs)),
    );
    // It says nothing from now on; once it was told so, so was whoever else was found silent.
    expect((await mute.wire.waitClosed(4 * heartbeatTimeoutMs)).closePush?.code).toBe(0);
    const beats = [...quiet, ...newer].map(({ wire }) => wire.request(Command.heartbeat, nothing));

    expect(newer.map(({ response }) => response.status)).toEqual(newer.map(() => 0));
    expect(ended.map(({ closePush }) => closePush?.code)).toEqual(ended.map(() => 6));
    expect(ended.map(({ bytesAfterClose }) => bytesAfterClose)).toEqual(ended.map(() => 0));
    const statuses = (await Promise.all(beats)).map(({ status }) => status);
    expect(statuses).toEqual(statuses.map(() => 0));
    expect(await online(clients)).toBe(clients.length);
    expect(await metric(cluster, "holdfast_closes_total", "HeartbeatTimeout")).toBe(1);
    // Its connections served nobody while it stood still; from then on it has as long as ever.
    const overlapMs = stopMs + renewIntervalMs + 1000;
    await load.settle();
    await renewed(cluster);
    const after = await aftermathOf({ cluster, load, recorder, overlapMs });
    expect(after).toEqual({ broken: [], told: [] });
    for (const { wire } of [...quiet, ...newer]) wire.end();
    await leaveAll(cluster, load);
  }, 60_000);
});
