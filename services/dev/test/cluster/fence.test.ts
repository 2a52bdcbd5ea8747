/**
 * Nodes that are cut off from Redis, from NATS, from both, killed or stopped, each over links of
 * its own. Goal: seats that somebody else may hold are closed or not served, what is only cut off
 * from NATS is left alone, and a sure death is told without waiting for leases. [I1] [I3]
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openWire, type Wire } from "@holdfast/client/wire";
import type { Notice } from "@holdfast/cluster";
import { connectNats, createNatsBus, type NatsLink } from "@holdfast/cluster/nats";
import { encodeRequest, type Packet } from "@holdfast/protocol";
import { metric, onlineOf, until } from "../../prove/ground.ts";
import { type Lab, openLab } from "../../prove/lab.ts";
import { present, renewed, resume } from "../support.ts";

const leaseMs = 12_000;
const [noRedis, noNats, alone, healthy] = [0, 1, 2, 3]; // edges, by what they are cut off from
let lab: Lab;
let link: NatsLink;
const lapsed: Notice[] = [];

beforeAll(async () => {
  lab = await openLab(
    {
      ...{ edges: 4, isLinked: true },
      settings: {
        EDGE_ALLOW_SHORT_TIMERS: "true",
        EDGE_LEASE_MS: String(leaseMs),
        EDGE_FIRST_LEASE_MS: "2000",
        EDGE_RENEW_INTERVAL_MS: "1000",
      },
    },
    {},
  );
  const [nats] = lab.servers.nats;
  link = await connectNats({
    ...{ urls: nats?.url ?? "", name: "test", startTimeoutMs: 5000, onFault: () => {} },
  });
  const bus = createNatsBus({ connection: link, onFault: () => {} });
  await bus.listen("lapsed", (notice) => void lapsed.push(notice));
}, 60_000);
afterAll(async () => {
  await link.close();
  await lab.stop();
});

const edgeOf = (index: number) => lab.edges[index]!; // there are four
const isReady = async (index: number) =>
  (await fetch(`${edgeOf(index).description.admin}/readyz`)).status === 200;
const online = (account: string) => onlineOf(lab, [{ account, limit: 1 }]);

/** On TCP and WebSocket in turn. */
async function crowd(name: string, index: number, count: number) {
  return Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const account = `${name}-${at}`;
      const url = edgeOf(index).urls[at % 2 === 0 ? 0 : 1];
      const { wire, login } = await present(url, await lab.issue(account));
      return { account, wire, sessionId: login?.sessionId ?? "" };
    }),
  );
}

describe("EDGE_FENCE=auto, nodes cut off at once from Redis, from NATS and from both", () => {
  test("each does what others can rely on, and all heal", async () => {
    const crowds = await Promise.all(
      [noRedis, noNats, alone, healthy].map((index) => crowd(`cut-${index}`, index, 4)),
    );
    await renewed(lab, 2);

    const cutMs = performance.now();
    edgeOf(noRedis).redisLink?.silence();
    edgeOf(noNats).natsLink?.cut();
    edgeOf(alone).redisLink?.cut();
    edgeOf(alone).natsLink?.silence();
    const ends = [noRedis, alone].flatMap((index) => {
      return crowds[index]!.map(async ({ wire }) => {
        const { closePush } = await wire.waitClosed(20_000);
        return { code: closePush?.code, tookMs: performance.now() - cutMs };
      });
    });
    await until(
      "the one cut off from Redis to be not ready",
      async () => !(await isReady(noRedis)),
    );
    const told = await Promise.all(ends);

    expect(told.map(({ code }) => code)).toEqual(new Array(8).fill(2));
    // A lease after the last renewal at the latest, and the margin of a busy machine.
    expect(Math.max(...told.map(({ tookMs }) => tookMs))).toBeLessThan(leaseMs + 3000);
    expect(await isReady(alone)).toBe(false);
    for (const index of [noNats, healthy]) {
      expect(await isReady(index)).toBe(true);
      for (const { wire, account } of crowds[index]!) {
        expect((await wire.request(1, new Uint8Array(0))).status).toBe(0);
        expect(await online(account)).toBe(1);
      }
    }
    expect(lapsed.filter(({ account }) => /^cut-[13]/.test(account))).toEqual([]);
    const moved = crowds[alone]![0]!;
    const back = await resume(edgeOf(healthy).urls[0], moved.sessionId);
    expect(back.login?.online).toBe(1); // its session was not harmed

    for (const { redisLink, natsLink } of lab.edges) {
      redisLink?.heal();
      natsLink?.heal();
    }
    for (const index of [noRedis, alone]) await until("it to be ready", () => isReady(index));
    await until("upgrades to be taken there", async () => {
      const wire = await openWire({ url: edgeOf(noRedis).urls[1] }).catch(() => null);
      wire?.reset();
      return wire !== null;
    });
    const again = await crowd("again", noRedis, 2);
    expect(await online("again-0")).toBe(1);
    for (const { wire } of [...crowds.flat(), ...again, back]) wire.reset();
  }, 60_000);
});

describe("node that is killed", () => {
  test("its seats are told and gone from `online` long before their leases end", async () => {
    const clients = await crowd("mortal", noNats, 30);
    await renewed(lab, 2); // all of them are in the ledger, and have full leases

    edgeOf(noNats).child.signal("SIGKILL");
    const diedMs = performance.now();
    await until("all its seats to be told", () => tellings().length >= 30, 12_000);
    const tookMs = performance.now() - diedMs;

    expect(tookMs).toBeLessThan(12_000);
    expect(new Set(tellings().map(({ reason }) => reason))).toEqual(new Set(["dead"]));
    const accounts = clients.map(({ account }) => account);
    expect(
      tellings()
        .map(({ account }) => account)
        .toSorted(),
    ).toEqual(accounts.toSorted());
    expect(await online("mortal-0")).toBe(0);
    expect(await metric(lab, "holdfast_seats_lapsed_total", "dead")).toBeGreaterThanOrEqual(30);
    const back = await resume(edgeOf(healthy).urls[1], clients[0]!.sessionId);
    expect(back.login?.online).toBe(1);
    back.wire.reset();
  }, 60_000);

  function tellings(): Notice[] {
    return lapsed.filter(({ account }) => account.startsWith("mortal"));
  }
});

// Goal: nothing of a superseded connection is answered after its process has stood still, though
// no event tells of it. How: the stopped node is cut off from NATS, its clients keep sending, and
// their accounts log in elsewhere meanwhile.
describe("node that is stopped and goes on", () => {
  test("answers nothing to connections whose seats have moved", async () => {
    const clients = await crowd("stopped", noRedis, 10);
    await Promise.all(clients.map(({ wire }) => wire.request(16, Uint8Array.of(1))));
    edgeOf(noRedis).natsLink?.silence();

    edgeOf(noRedis).child.signal("SIGSTOP");
    await Bun.sleep(2600);
    const stay = clients.slice(5);
    const newer = await Promise.all(
      clients.slice(0, 5).map(async ({ account }) => {
        return (await present(edgeOf(healthy).urls[0], await lab.issue(account))).wire;
      }),
    );
    const isWs = (at: number) => at % 2 === 1;
    for (const [at, { wire }] of clients.entries()) {
      const packets = [101, 102, 103].map((id) => encodeRequest(1, 16, id, 0, Uint8Array.of(id)));
      if (isWs(at)) for (const packet of packets) wire.sendBytes(packet);
      else wire.sendBytes(Buffer.concat(packets));
    }
    edgeOf(noRedis).child.signal("SIGCONT");
    const answers = await Promise.all(clients.slice(0, 5).map(({ wire }) => responsesOf(wire)));

    expect(answers.flat()).toEqual([]);
    for (const { wire } of stay) expect(await takeThree(wire)).toEqual([101, 102, 103]);
    edgeOf(noRedis).natsLink?.heal();
    for (const wire of [...newer, ...stay.map((client) => client.wire)]) wire.reset();
  }, 60_000);
});

/** All that is answered until it ends, which it must do with Close 6. */
async function responsesOf(wire: Wire): Promise<Packet[]> {
  const { closePush } = await wire.waitClosed(15_000);
  expect(closePush?.code).toBe(6);
  const left: Packet[] = [];
  for (;;) {
    const packet = await wire.next(100).catch(() => null);
    if (packet === null) return left;
    if (packet.type === "response") left.push(packet);
  }
}

async function takeThree(wire: Wire): Promise<number[]> {
  const ids: number[] = [];
  while (ids.length < 3) {
    const packet = await wire.next(15_000);
    if (packet.type === "response") ids.push(packet.requestId);
  }
  return ids;
}
