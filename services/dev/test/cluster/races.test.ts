/**
 * Races over three edge processes on real Redis and NATS. Goal: in every race one wins, and all
 * others are told. [I1] [I2]
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { WireClosed } from "@holdfast/client/wire";
import { metric, onlineOf, until } from "../../prove/ground.ts";
import { present, resume, startTestCluster, type TestCluster } from "../support.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({ EDGE_FLAP_DISPLACEMENTS_MAX: "0" });
}, 60_000);
afterAll(() => cluster.stop());

/** Cyclic over all edges and both transports. */
function urlOf(index: number): string {
  return cluster.urls[index % cluster.urls.length]!; // the remainder is in bounds
}

/** Seats are given back, and each connection is counted closed once. [I5] [I7] */
async function allGone(): Promise<void> {
  const total = (name: string) => metric(cluster, name);
  await until("all connections to end", async () => (await total("holdfast_connections")) === 0);
  await until("all seats to be left", async () => (await total("holdfast_logins_owned")) === 0);
  const opened = await total("holdfast_connections_opened_total");
  expect(await total("holdfast_closes_total")).toBe(opened);
  expect(await total("holdfast_exceptions_total")).toBe(0);
}

describe("one login", () => {
  test("1,000 concurrent logins of an account with limit 1 leave one open connection", async () => {
    const account = "everybody";
    const tokens = await Promise.all(Array.from({ length: 1000 }, () => cluster.issue(account)));

    const attempts = await Promise.all(
      tokens.map(async (token, index) => {
        const endings: WireClosed[] = [];
        // One that is displaced while it is being decided gets Close 6 and no response.
        const attempt = await present(urlOf(index), token).catch(() => null);
        attempt?.wire.closed.then((closed) => endings.push(closed));
        return { attempt, endings };
      }),
    );
    const isOpen = ({ attempt, endings }: (typeof attempts)[number]) =>
      attempt?.login != null && endings.length === 0;
    await until("one connection to be left", () => attempts.filter(isOpen).length <= 1, 20_000);

    const open = attempts.filter(isOpen);
    expect(open).toHaveLength(1);
    await open[0]?.attempt?.wire.request(1, new Uint8Array(0)); // and it is alive
    // A login that a busy machine could not see to in time was refused, and ended otherwise.
    const accepted = attempts.filter(({ attempt }) => attempt?.login != null);
    const told = accepted.flatMap(({ endings }) => endings.map((ended) => ended.closePush?.code));
    expect(new Set(told)).toEqual(new Set([6]));
    const after = attempts.flatMap(({ endings }) => endings.map((ended) => ended.bytesAfterClose));
    expect(new Set(after)).toEqual(new Set([0]));
    await until("one seat", async () => (await metric(cluster, "holdfast_logins_owned")) === 1);
    const { online } = await cluster.registry.issue(
      { account, seatsMax: 1, policy: "displace", metadata: {} },
      1000,
    );
    expect(online).toBe(1);
    open[0]?.attempt?.wire.reset();
    await allGone();
  }, 120_000);
});

describe("one session", () => {
  test("resumed by 120 connections at once it is open on one of them, 3 times over", async () => {
    for (let round = 0; round < 3; round++) {
      const account = `twins-${round}`;
      const first = await present(cluster.urls[0]!, await cluster.issue(account)); // there are six
      const sessionId = first.login?.sessionId ?? "";

      const attempts = await Promise.all(
        Array.from({ length: 120 }, (_, index) =>
          resume(cluster.urls[index % 6]!, sessionId).catch(() => null),
        ),
      );
      let open = 121;
      for (const attempt of [first, ...attempts]) {
        if (attempt?.login == null) open--;
        else void attempt.wire.closed.then(() => open--);
      }

      await until("all but one to be told", () => open === 1);
      await Bun.sleep(100);
      expect(open).toBe(1);
      expect(await onlineOf(cluster, [{ account, limit: 1 }])).toBe(1);
      expect(await metric(cluster, "holdfast_logins_owned")).toBe(1);
      for (const attempt of attempts) attempt?.wire.reset();
      await allGone();
    }
  }, 60_000);
});
