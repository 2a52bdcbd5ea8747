/**
 * A rolling restart of three edge processes under 100 clients. Goal: nobody needs a new token, and
 * nobody fails to come back. [I7]
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Client, createClient } from "@holdfast/client";
import { metric, until } from "../../prove/ground.ts";
import { startTestCluster, type TestCluster } from "../support.ts";

const clientsCount = 100;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({
    EDGE_DRAIN_DELAY_MS: "300",
    EDGE_DRAIN_WINDOW_MS: "1500",
    EDGE_DRAIN_GRACE_MS: "1000",
  });
}, 60_000);
afterAll(() => cluster.stop());

interface Member {
  readonly client: Client;
  readonly closes: string[];
  readonly resumes: boolean[];
  tokens: number;
  answers: number;
  failures: number;
}

async function join(index: number): Promise<Member> {
  const urls = [...cluster.urls.slice(index % 6), ...cluster.urls.slice(0, index % 6)];
  const member = { closes: [], resumes: [], tokens: 0, answers: 0, failures: 0 } as Omit<
    Member,
    "client"
  > & { tokens: number; answers: number; failures: number };
  const client = createClient({
    urls,
    firstUrl: 0,
    backoff: { firstMs: 50, maxMs: 1000 },
    token: () => {
      member.tokens++;
      return cluster.issue(`member-${index}`);
    },
  });
  client.on("close", (close) => member.closes.push(close?.name ?? "none"));
  client.on("open", (login) => member.resumes.push(login.resumed));
  await client.connect();
  return Object.assign(member, { client });
}

describe("a rolling restart", () => {
  test("every client resumes with its session and no new token", async () => {
    const members = await Promise.all(Array.from({ length: clientsCount }, (_, i) => join(i)));
    const body = new TextEncoder().encode("still there?");
    let isAsking = true;
    const asking = members.map(async (member) => {
      while (isAsking) {
        await member.client.request(16, body, { timeoutMs: 5000 }).then(
          () => member.answers++,
          () => member.failures++,
        );
        await Bun.sleep(100);
      }
    });

    const codes: number[] = [];
    for (const edge of cluster.edges) {
      codes.push(await edge.drain());
      await edge.start();
    }
    await until("everyone to be back", () =>
      members.every(({ client }) => client.state === "open"),
    );
    isAsking = false;
    await Promise.all(asking);

    expect(codes).toEqual([0, 0, 0]);
    expect(members.map(({ tokens }) => tokens)).toEqual(members.map(() => 1));
    const told = new Set(members.flatMap(({ closes }) => closes));
    expect(told).toEqual(new Set(["ServerShutdown"]));
    for (const { resumes } of members) expect(resumes.slice(1)).not.toContain(false);
    expect(members.every(({ answers }) => answers > 5)).toBe(true);
    expect(await metric(cluster, "holdfast_logins_owned")).toBe(clientsCount);
    await Promise.all(members.map(({ client }) => client.close()));
    await until("all seats to be given back", async () => {
      return (await metric(cluster, "holdfast_logins_owned")) === 0;
    });
  }, 120_000);
});
