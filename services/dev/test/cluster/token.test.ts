/** The token service as a process beside three edges: what it issues opens, what it ends closes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import { Status } from "@holdfast/protocol";
import { present, resume, startTestCluster, type TestCluster } from "../support.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({ EDGE_RENEW_INTERVAL_MS: "1000" });
}, 60_000);
afterAll(() => cluster.stop());

interface Answer<Data> {
  readonly code: number;
  readonly message: string;
  readonly data: Data;
}

async function backend<Data>(method: string, path: string, body?: object): Promise<Data> {
  const { url, apiKey } = cluster.description.token;
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { "X-Api-Key": apiKey },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const { code, message, data } = (await answer.json()) as Answer<Data>;
  if (code !== 0) throw new Error(`${method} ${path} was answered with ${code} ${message}`);
  return data;
}

/** [§8.2] */
function signed(path: string): Record<string, string> {
  const { appKey, appSecret, accessToken } = cluster.description.token;
  const timestamp = String(Math.floor(Date.now() / 1000));
  const names = "authorization;x-api-key;x-timestamp";
  const values = `authorization:${accessToken}\nx-api-key:${appKey}\nx-timestamp:${timestamp}\n`;
  const canonical = `GET|${path}||${values}|${names}|`;
  const hash = createHash("sha1").update(canonical).digest("hex");
  const signature = createHmac("sha256", appSecret).update(`HMAC-SHA256|${hash}`).digest("hex");
  return {
    Authorization: accessToken,
    "X-Api-Key": appKey,
    "X-Timestamp": timestamp,
    "X-Api-Signature": `HMAC-SHA256 SignedHeaders=${names}, Signature=${signature}`,
  };
}

describe("GET /v1/socket/token", () => {
  for (const path of ["/v1/socket/token", "/v2/socket/token"]) {
    test(`a signed ${path} gives a token that opens a connection, once`, async () => {
      const { url } = cluster.description.token;
      const answer = await fetch(`${url}${path}`, { headers: signed(path) });
      const { data } = (await answer.json()) as Answer<{ otp: string; limit: number }>;

      const first = await present(cluster.urls[0] ?? "", data.otp);
      const second = await present(cluster.urls[3] ?? "", data.otp);

      expect(first.login?.limit).toBe(data.limit);
      expect(second.response.status).toBe(Status.unauthenticated);
      for (const { wire } of [first, second]) wire.reset();
    }, 30_000);
  }
});

describe("POST /v1/tokens", () => {
  test("limit, policy and metadata of the token rule the account", async () => {
    const ask = { account: "team", limit: 2, policy: "reject", metadata: { plan: "gold" } };
    const tokens = [];
    for (let index = 0; index < 3; index++) {
      tokens.push(await backend<{ token: string; online: number }>("POST", "/v1/tokens", ask));
    }

    const attempts = [];
    for (const [index, { token }] of tokens.entries()) {
      attempts.push(await present(cluster.urls[2 * index] ?? "", token));
    }

    expect(attempts.map(({ response }) => response.status)).toEqual([
      Status.success,
      Status.success,
      Status.permissionDenied,
    ]);
    expect(attempts.map(({ login }) => login?.online)).toEqual([1, 2, undefined]);
    for (const { wire } of attempts) wire.reset();
  }, 30_000);
});

describe("DELETE /v1/accounts/{account}/sessions", () => {
  for (const how of ["at once over NATS", "by renewal while NATS is away"]) {
    test(`connections of the account are closed ${how}, and nothing can be resumed`, async () => {
      const isAway = how.includes("away");
      const account = `ended ${isAway}/ü`;
      const tokens = [];
      for (let index = 0; index < 3; index++) {
        const asked = { account, limit: 3 };
        tokens.push((await backend<{ token: string }>("POST", "/v1/tokens", asked)).token);
      }
      const [first, second] = [
        await present(cluster.urls[0] ?? "", tokens[0] ?? ""),
        await present(cluster.urls[3] ?? "", tokens[1] ?? ""),
      ];
      if (isAway) cluster.nats.signal("SIGKILL");

      const path = `/v1/accounts/${encodeURIComponent(account)}/sessions`;
      const ended = await backend<{ sessions: number; connections: number }>("DELETE", path);
      const closes = [await first.wire.waitClosed(5000), await second.wire.waitClosed(5000)];

      expect(ended).toEqual({ sessions: 2, connections: 2 });
      expect(closes.map(({ closePush }) => closePush)).toEqual([
        { code: 5, reason: "session ended" },
        { code: 5, reason: "session ended" },
      ]);
      const again = await resume(cluster.urls[0] ?? "", first.login?.sessionId ?? "");
      expect(again.response.status).toBe(Status.unauthenticated);
      const unused = await present(cluster.urls[0] ?? "", tokens[2] ?? "");
      expect(unused.response.status).toBe(Status.unauthenticated);
      for (const { wire } of [again, unused]) wire.reset();
      if (isAway) await cluster.nats.restart();
    }, 30_000);
  }
});
