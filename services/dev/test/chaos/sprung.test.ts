/**
 * What throws where nobody thought of it. Goal: no input ends the process, whoever had nothing to
 * do with it goes on, and each throw is counted. How: an edge with a throw at each of many places,
 * which happens three times amid traffic that comes by.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openWire, type Wire } from "@holdfast/client/wire";
import { Command, encodeAuthRequest } from "@holdfast/protocol";
import { createUpstream, type Upstream } from "@holdfast/upstream";
import { until } from "../../prove/ground.ts";
import { attend } from "../../prove/visit.ts";
import { edgeEnvironment } from "../../src/cluster.ts";
import { type EdgeProcess, startEdgeProcess } from "../../src/edge-process.ts";
import { read } from "../neighbour.ts";
import { fileOf, places, sprungSettings, throwsMax } from "../sprung/places.ts";
import { present, startTestCluster, type TestCluster } from "../support.ts";

const nothing = new Uint8Array(0);
const boundMs = 20_000;
const answerIn = { deadlineMs: 500 };

let cluster: TestCluster;
let upstream: Upstream;
let folder: string;
let edge: EdgeProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdfast-sprung-"));
  cluster = await startTestCluster({ EDGE_FLAP_DISPLACEMENTS_MAX: "0" });
  upstream = await createUpstream({
    nats: { servers: cluster.nats.url },
    commands: { 11: async ({ body }) => body },
  });
  edge = await startEdge();
}, 60_000);
afterAll(async () => {
  await edge.child.stop(true);
  await upstream.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

describe("whatever throws", () => {
  test.each(places.map(({ name }) => [name]))(
    "%s: the node lives, serves others, and has counted it",
    async (name) => {
      const { tcp, ws, admin } = edge.description;
      const bystanders = await Promise.all([
        enter(tcp, `by ${name}, tcp`),
        enter(ws, `by ${name}`),
      ]);
      const before = await counted();
      const file = fileOf(folder, name);

      await Bun.write(file, "");
      await until(
        "it to throw",
        async () => {
          await Promise.all([tcp, ws].map((url) => comeBy(url, `passer ${name} ${url}`)));
          return Bun.file(file).size >= throwsMax;
        },
        boundMs,
      );

      expect(edge.child.hasExited()).toBe(false);
      for (const wire of bystanders) expect((await wire.request(11, nothing)).status).toBe(0);
      for (const url of [tcp, ws]) {
        const wire = await enter(url, `after ${name} ${url}`);
        expect((await wire.request(11, nothing)).status).toBe(0);
        wire.reset();
      }
      expect((await counted()) - before).toBe(throwsMax);
      for (const wire of bystanders) wire.reset();
      await until("all to be gone", async () => (await read(admin, "holdfast_connections")) === 0);
    },
    60_000,
  );

  test("in the end no seat is left", async () => {
    const { admin } = edge.description;
    await until(
      "all seats to be left",
      async () => (await read(admin, "holdfast_logins_owned")) === 0,
    );
  });
});

async function counted(): Promise<number> {
  const { admin } = edge.description;
  const exceptions = await read(admin, "holdfast_exceptions_total");
  return exceptions + (await read(admin, "holdfast_dependency_errors_total", "deliver"));
}

/** Somebody who does what clients do, and takes what comes of it. */
async function comeBy(url: string, account: string): Promise<void> {
  const wires: Wire[] = [];
  const arrive = async (at: string) => {
    const wire = await openWire({ url: at, timeoutMs: 1000 });
    wires.push(wire);
    const login = encodeAuthRequest({ token: await cluster.issue(account), metadata: {} });
    await wire.request(Command.auth, login, answerIn);
    return wire;
  };
  try {
    const first = await arrive(url);
    await first.request(Command.heartbeat, nothing, answerIn);
    await first.request(11, nothing, answerIn);
    await upstream.push.toAccount(account, { command: 77, body: nothing });
    await arrive(cluster.urls[0]!); // of another node: the first is displaced by an event
    await arrive(url);
  } catch {
    // It was told to go, or heard nothing.
  } finally {
    for (const wire of wires) wire.reset();
  }
}

async function enter(url: string, account: string): Promise<Wire> {
  const { wire, login } = await present(url, await cluster.issue(account), 1000);
  if (login === null) {
    wire.reset();
    throw new Error(`${account} was not let in`);
  }
  const view = { surplus: 0 } as Parameters<typeof attend>[0]["view"];
  void attend({ view, wire });
  return wire;
}

function startEdge(): Promise<EdgeProcess> {
  return startEdgeProcess({
    name: "sprung",
    log: process.env["PROVE_LOG"] === undefined ? "ignore" : "inherit",
    settings: {
      ...edgeEnvironment("sprung", { edges: 0, settings: { EDGE_LOG_LEVEL: "error" } }),
      ...{ EDGE_ALLOW_SHORT_TIMERS: "true", EDGE_RENEW_INTERVAL_MS: "500" },
      ...{ EDGE_REDIS_URL: cluster.redis.url, EDGE_NATS_URL: cluster.nats.url },
      ...sprungSettings(folder),
    },
    onEnd: () => {},
  });
}
