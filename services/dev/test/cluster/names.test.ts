/**
 * Names that clients and backends choose, on their way through Redis, NATS and upstreams: whatever
 * is in them, they become no part of a subject, no second header and no key of their own.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openWire } from "@holdfast/client/wire";
import { Command, decodeAuthResponse, encodeAuthRequest, Status } from "@holdfast/protocol";
import { createUpstream, type Upstream, type UpstreamRequest } from "@holdfast/upstream";
import { until } from "../../prove/ground.ts";
import { startTestCluster, type TestCluster } from "../support.ts";

const names = [
  "*",
  ">",
  "a.b.c",
  "hf.node.all",
  "$SYS.>",
  "{}",
  "{other}",
  "}:seats{",
  "a b\tc",
  "line\r\nPUB hf.node.all 0\r\n",
  "Holdfast-Account: root\r\nHoldfast-Seat: x/1",
  "%0d%0aHoldfast-Account: root",
  "\u0000\u0001\u007f",
  "\u{1f600} \u202e \ufeff",
  "' OR 1=1 --",
  "__proto__",
  "constructor",
  "x".repeat(256),
];
/** docs/architecture.md, section 9, and inboxes, where answers go. */
const grammar =
  /^(_INBOX\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|hf\.(cmd\.\d+|node\.(all|[A-Za-z0-9_-]+)|event\.[a-z]+\.[A-Za-z0-9_-]+))$/;
const keys = /^hf:(\{[A-Za-z0-9_-]+\}:)?[A-Za-z0-9:._-]+$/;

let cluster: TestCluster;
let upstream: Upstream;
const requests: UpstreamRequest[] = [];

beforeAll(async () => {
  cluster = await startTestCluster({ EDGE_ECHO_COMMANDS: "200" });
  upstream = await createUpstream({
    nats: { servers: cluster.nats.url },
    commands: {
      11: async (request) => {
        requests.push(request);
        return request.body;
      },
    },
  });
  await upstream.client.flush();
}, 60_000);
afterAll(async () => {
  await upstream.stop();
  await cluster.stop();
});

describe("names from outside", () => {
  test("arrive at upstreams as they were chosen, and no subject or key is made of them", async () => {
    const subjects = new Set<string>();
    upstream.client.subscribe(">", { callback: (_, { subject }) => void subjects.add(subject) });
    await upstream.client.flush();

    for (const [index, name] of names.entries()) {
      const metadata = { "accept-language": name, [name.toLowerCase()]: name };
      const identity = { account: name, seatsMax: 1, policy: "displace", metadata } as const;
      for (const url of [cluster.urls[index % 6]!, cluster.urls[(index + 1) % 6]!]) {
        const { token } = await cluster.registry.issue(identity, 60_000);
        const wire = await openWire({ url });
        const login = encodeAuthRequest({ token, metadata });
        const answer = await wire.request(Command.auth, login);
        expect(answer.status).toBe(Status.success);
        expect(decodeAuthResponse(answer.body).limit).toBe(1);
        const told = await wire.request(11, new Uint8Array([index]));
        expect(told.body).toEqual(new Uint8Array([index]));
        wire.reset();
      }
    }
    await until("the last to be gone", async () => {
      const seats = await cluster.registry.seats(names.at(-1)!);
      return seats.length === 0;
    });
    await upstream.client.flush();

    expect(requests.map(({ account }) => account)).toEqual(names.flatMap((name) => [name, name]));
    expect(requests.map(({ language }) => language)).toEqual(names.flatMap((name) => [name, name]));
    expect(requests.map(({ identity }) => Object.values(identity))).toEqual(
      names.flatMap((name) => [
        [name, name],
        [name, name],
      ]),
    );
    expect([...subjects].filter((subject) => !grammar.test(subject))).toEqual([]);
    expect([...subjects].filter((subject) => subject.startsWith("hf.event."))).not.toEqual([]);
    const listed = await cluster.askRedis(
      `EVAL "return table.concat(redis.call('KEYS','*'),' ')" 0`,
    );
    const found = listed.split("\r\n").slice(1).join("").trim().split(" ");
    expect(found.filter((key) => !keys.test(key))).toEqual([]);
    expect(found.length).toBeGreaterThan(names.length);
  }, 60_000);
});
