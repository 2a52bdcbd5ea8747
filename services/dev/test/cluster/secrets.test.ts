/**
 * Goal: who reads logs, Redis' MONITOR, NATS or /metrics cannot log in: no token and no session id
 * shows in any of them. How: three edges and the token service, with all that they log; somebody
 * who listens to everything; and clients that log in, are refused, displaced, robbed and ended.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Server } from "@holdfast/servers";
import { hashOf } from "@holdfast/session";
import { until } from "../../prove/ground.ts";
import {
  type Attempt,
  present,
  renewed,
  resume,
  startTestCluster,
  type TestCluster,
} from "../support.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-secrets-"));
const logFile = join(folder, "log");
const log = openSync(logFile, "a");

let cluster: TestCluster;
beforeAll(async () => {
  const settings = { EDGE_ECHO_COMMANDS: "4", EDGE_RENEW_INTERVAL_MS: "500" };
  cluster = await startTestCluster({ ...settings, EDGE_LOG_LEVEL: "debug" }, log);
}, 60_000);
afterAll(async () => {
  await cluster.stop();
  closeSync(log);
  rmSync(folder, { recursive: true });
});

/** All that a server says to somebody who asks to hear everything. */
async function overhear({ host, port }: Server, ask: string) {
  let text = "";
  const decoder = new TextDecoder();
  const socket = await Bun.connect({
    ...{ hostname: host, port },
    socket: {
      open: (own) => void own.write(ask),
      data(own, chunk) {
        text += decoder.decode(chunk, { stream: true });
        if (text.endsWith("PING\r\n")) own.write("PONG\r\n");
      },
    },
  });
  return { text: () => text, end: () => void socket.end() };
}

test("no token and no session id is to be seen by anybody but its client", async () => {
  const monitor = await overhear(cluster.redis, "MONITOR\r\n");
  const nats = await overhear(cluster.nats, "CONNECT {}\r\nSUB > 1\r\n");
  await until("MONITOR to have begun", () => monitor.text().startsWith("+OK"));

  const secrets = await lives();
  await renewed(cluster);
  const metrics = await Promise.all(
    cluster.admins.map(async (admin) => (await fetch(`${admin}/metrics`)).text()),
  );

  const said = {
    monitor: monitor.text(),
    nats: nats.text(),
    log: readFileSync(logFile, "utf8"),
    metrics: metrics.join("\n"),
  };
  // What is looked for would be there.
  expect(said.monitor).toContain(hashOf(secrets[0]!)); // there are many
  expect(said.nats).toContain("hf.event.opened.");
  expect(said.nats).toContain("hf.cmd.77");
  expect(said.log).toContain('"event":"configured"');
  expect(said.metrics).toContain('outcome="session_stolen"');
  for (const [where, text] of Object.entries(said)) {
    const found = secrets.filter((secret) => text.includes(secret));
    expect(found, `in ${where}`).toEqual([]);
  }
  monitor.end();
  nats.end();
}, 60_000);

/** Returns the secret part of every token and session id that anybody had. */
async function lives(): Promise<readonly string[]> {
  const [first = "", second = "", third = ""] = cluster.urls.filter((_, index) => index % 2 === 0);
  const ids: string[] = [];
  const had = (attempt: Attempt) => {
    if (attempt.login !== null) ids.push(attempt.login.sessionId);
    return attempt;
  };
  const issue = async () => {
    const token = await issued("secretive");
    ids.push(token);
    return token;
  };
  const token = await issue();
  const one = had(await present(first, token));
  await one.wire.request(77, new Uint8Array(0)); // to an upstream that is not there
  const wires = [one, await present(second, token), had(await present(second, await issue()))];
  const lost = had(await present(first, await issue()));
  let resumed = lost;
  for (const url of [third, second, first]) {
    resumed = had(await resume(url, resumed.login?.sessionId ?? ""));
    wires.push(resumed);
  }
  wires.push(await resume(third, lost.login?.sessionId ?? "")); // which was replaced long ago
  had(await present(third, await issue())).wire.reset();
  await ended("secretive");
  wires.push(await present(first, `${"t".repeat(22)}.${"s".repeat(43)}`));
  for (const { wire } of [...wires, lost]) wire.reset();
  return ids.map((id) => id.split(".").at(-1) ?? "");
}

async function issued(account: string): Promise<string> {
  const { url, apiKey } = cluster.description.token;
  const body = JSON.stringify({ account });
  const answer = await fetch(`${url}/v1/tokens`, {
    ...{ method: "POST", body },
    headers: { "X-Api-Key": apiKey },
  });
  return ((await answer.json()) as { data: { token: string } }).data.token; // as documented
}

async function ended(account: string): Promise<void> {
  const { url, apiKey } = cluster.description.token;
  const path = `${url}/v1/accounts/${account}/sessions`;
  const answer = await fetch(path, { method: "DELETE", headers: { "X-Api-Key": apiKey } });
  expect(answer.status).toBe(200);
}
