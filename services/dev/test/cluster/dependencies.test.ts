/**
 * Redis goes away and comes back, under three edge processes. Goal: no open connection
 * notices, logins are answered in time, everything recovers by itself, nobody is told a lie.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { decodeErrorBody, Status } from "@holdfast/protocol";
import { metric as metricOf, until } from "../../prove/ground.ts";
import { present, renewed, resume, startTestCluster, type TestCluster } from "../support.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({
    EDGE_RENEW_INTERVAL_MS: "1000",
    EDGE_RECONNECT_HOLD_MS: "1500",
    EDGE_REFUSAL_GRACE_MS: "2500",
  });
}, 60_000);
afterAll(() => cluster.stop());

const [tcp, ws] = [0, 3]; // addresses on different nodes
const url = (index: number) => cluster.urls[index]!; // there are six
const nothing = new Uint8Array(0);

describe("Redis with fewer rights", () => {
  test("logins get 7 / 503 and are counted while the edge's user may not run a script", async () => {
    const [metric, label] = ["holdfast_dependency_errors_total", 'reason="other"'];
    const before = await present(url(tcp), await cluster.issue("rightless-a"));
    const [spare, later] = [await cluster.issue("rightless-b"), await cluster.issue("rightless-c")];
    const counted = await metricOf(cluster, metric, label);

    await cluster.askRedis("ACL SETUSER default -eval -evalsha");
    const refused = await present(url(ws), spare);
    const countedThen = await metricOf(cluster, metric, label);
    await cluster.askRedis("ACL SETUSER default +eval +evalsha");

    expect(refused.response.status).toBe(Status.internalError);
    expect(countedThen).toBeGreaterThan(counted);
    const { login, wire } = await present(url(ws), later);
    expect(login).not.toBeNull();
    expect((await before.wire.request(1, nothing)).status).toBe(0);
    for (const one of [wire, refused.wire, before.wire]) one.reset();
  }, 30_000);
});

describe("Redis away", () => {
  for (const how of ["killed", "frozen"] as const) {
    test(`connections stay and logins get 7 / 503 while Redis is ${how}`, async () => {
      const account = `redis-${how}`;
      const before = await Promise.all([
        present(url(tcp), await cluster.issue(`${account}-a`)),
        present(url(ws), await cluster.issue(`${account}-b`)),
      ]);
      const [spare, later] = [
        await cluster.issue(`${account}-c`),
        await cluster.issue(`${account}-d`),
      ];

      cluster.redis.signal(how === "killed" ? "SIGKILL" : "SIGSTOP");
      const askedMs = performance.now();
      const refused = await present(url(tcp), spare);
      const tookMs = performance.now() - askedMs;

      expect(refused.response.status).toBe(Status.internalError);
      expect(decodeErrorBody(refused.response.body)).toEqual({
        ...{ code: 503, message: "service unavailable" },
        retryAfterMs: expect.any(Number),
      });
      expect(tookMs).toBeLessThan(1500);
      const beats = before.map(({ wire }) => wire.request(1, nothing));
      expect((await Promise.all(beats)).map(({ status }) => status)).toEqual([0, 0]);
      const echo = await before[0]?.wire.request(16, new Uint8Array([1]));
      expect(echo?.status).toBe(0);

      if (how === "killed") await cluster.redis.restart();
      else cluster.redis.signal("SIGCONT");
      // A Redis that was killed has lost its tokens; a new one is asked for.
      const fresh = async () => (how === "killed" ? cluster.issue(`${account}-d`) : later);
      await until("logins to work again", async () => {
        const token = await fresh().catch(() => null);
        if (token === null) return false;
        const { login, wire } = await present(url(ws), token);
        wire.reset();
        return login !== null;
      });
      await renewed(cluster); // nobody may be told that it lost its seat
      const again = before.map(({ wire }) => wire.request(1, nothing));
      expect((await Promise.all(again)).map(({ status }) => status)).toEqual([0, 0]);
      for (const { wire } of before) wire.reset();
    }, 60_000);
  }

  test("live seats are seated again in an empty Redis, and can be resumed", async () => {
    const token = await cluster.issue("phoenix");
    const { wire, login } = await present(url(tcp), token);
    await wire.request(1, nothing); // shows that the session id has arrived
    cluster.redis.signal("SIGKILL");
    await cluster.redis.restart();

    await until("the seat to be back", async () => {
      const identity = {
        account: "phoenix",
        seatsMax: 1,
        policy: "displace",
        metadata: {},
      } as const;
      const issued = await cluster.registry.issue(identity, 1000).catch(() => null);
      return issued?.online === 1;
    });
    const resumed = await resume(url(ws), login?.sessionId ?? "");

    expect(resumed.login?.online).toBe(1);
    expect((await wire.waitClosed()).closePush?.code).toBe(6);
    resumed.wire.reset();
  }, 60_000);
});
