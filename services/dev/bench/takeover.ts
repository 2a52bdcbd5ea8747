/**
 * How long an older connection outlives the login that displaced it, across two edge processes on
 * real Redis and NATS. Method: in each round, in turn, (1) one bare script of a login's size on
 * Redis, (2) one bare NATS message between two connections, (3) a login on one edge that displaces
 * a connection on the other. All three are timed in this process, so they share its clock and its
 * noise; figures are medians over all rounds. TAKEOVER_ROUNDS sets their number (default 1,000).
 */

import { openWire, type Wire } from "@holdfast/client/wire";
import { Command, encodeAuthRequest, Status } from "@holdfast/protocol";
import { connectRedis, createRedisRegistry } from "@holdfast/session/redis";
import { quantile } from "../prove/figures.ts";
import { openYardstick } from "../prove/yardstick.ts";
import { startProcesses } from "../src/processes.ts";

const rounds = Number(process.env["TAKEOVER_ROUNDS"] ?? 1000);
const warmUp = 50;

const cluster = await startProcesses({
  edges: 2,
  log: "ignore",
  settings: { EDGE_FLAP_DISPLACEMENTS_MAX: "0", EDGE_LOG_LEVEL: "error" },
});
const redis = await connectRedis({ url: cluster.redis.url });
const registry = createRedisRegistry({ redis });
const yardstick = await openYardstick({ redis: cluster.redis.url, nats: cluster.nats.url });

const figures = {
  script: [] as number[],
  hop: [] as number[],
  login: [] as number[],
  afterAnswer: [] as number[],
  afterRequest: [] as number[],
};

try {
  for (let round = -warmUp; round < rounds; round++) {
    const { scriptMs, hopMs } = await yardstick.measure();
    const takeover = await displace(round);
    if (round < 0) continue;
    figures.script.push(scriptMs);
    figures.hop.push(hopMs);
    figures.login.push(takeover.loginMs);
    figures.afterAnswer.push(takeover.afterAnswerMs);
    figures.afterRequest.push(takeover.loginMs + takeover.afterAnswerMs);
  }
  print();
} finally {
  await Promise.all([yardstick.close(), redis.close()]);
  await cluster.stop();
}

async function displace(round: number): Promise<{ loginMs: number; afterAnswerMs: number }> {
  const account = `bench-${round}`;
  const [one, two] = cluster.description.edges;
  if (one === undefined || two === undefined) throw new Error("Cannot measure without two edges");
  const older = await logIn(one.tcp, account);
  const token = await issue(account);
  const newer = await openWire({ url: two.tcp });
  let closedMs = 0;
  const closed = older.next().then((packet) => {
    if (packet.command !== Command.close) throw new Error("The older one was told something else");
    closedMs = performance.now();
  });

  const startedMs = performance.now();
  const response = await newer.request(Command.auth, encodeAuthRequest({ token, metadata: {} }));
  const answeredMs = performance.now();
  if (response.status !== Status.success) throw new Error(`Login got status ${response.status}`);
  await closed;

  older.reset();
  newer.reset();
  return { loginMs: answeredMs - startedMs, afterAnswerMs: closedMs - answeredMs };
}

async function logIn(url: string, account: string): Promise<Wire> {
  const wire = await openWire({ url });
  const body = encodeAuthRequest({ token: await issue(account), metadata: {} });
  const response = await wire.request(Command.auth, body);
  if (response.status !== Status.success) throw new Error(`Login got status ${response.status}`);
  return wire;
}

async function issue(account: string): Promise<string> {
  const identity = { account, seatsMax: 1, policy: "displace", metadata: {} } as const;
  return (await registry.issue(identity, 60_000)).token;
}

function print(): void {
  const row = (what: string, values: readonly number[]) =>
    `${what.padEnd(46)} p50 ${quantile(values, 0.5).toFixed(3)}  p99 ${quantile(values, 0.99).toFixed(3)}  max ${Math.max(...values).toFixed(3)}`;
  const bare = quantile(figures.script, 0.5) + quantile(figures.hop, 0.5);
  const ratio = (values: readonly number[]) => (quantile(values, 0.5) / bare).toFixed(2);
  process.stdout.write(
    `${[
      `takeover, ${rounds} rounds, 2 edges, Redis and NATS on loopback, milliseconds`,
      row("bare script on Redis", figures.script),
      row("bare NATS message, one way", figures.hop),
      row("login, asked -> answered", figures.login),
      row("older socket: newer answered -> its Close", figures.afterAnswer),
      row("older socket: newer asked -> its Close", figures.afterRequest),
      `ratio of "answered -> Close" to script + hop: ${ratio(figures.afterAnswer)} (aim: at most 2)`,
      `ratio of "asked -> Close" to script + hop: ${ratio(figures.afterRequest)}`,
      "Below zero: the older one's Close came before the newer one's answer.",
    ].join("\n")}\n`,
  );
}
