/** Pushes and topics between nodes of one process: as over NATS, without it. */
import { describe, expect, test } from "bun:test";
import { createMemoryHub } from "@holdfast/cluster";
import { createMemoryRegistry, RegistryUnavailable } from "@holdfast/session";
import { createMemoryPush, type MemoryPush } from "../../src/push/memory-push.ts";
import { noPushes } from "../../src/push/push-order.ts";
import { startEdge, type TestEdge } from "../support/edge.ts";
import { accepted, auth } from "../support/packets.ts";
import { openMember, outgoing, texts } from "../support/pushes.ts";

describe("createMemoryPush", () => {
  test("account is reached on both nodes, and nobody is an outcome", async () => {
    await using rig = await startPair();
    const { push, edges } = rig;
    const wires = [await login(edges[0], "anna"), await login(edges[1], "anna")];

    const counts = await push.toAccount("anna", outgoing("you"));

    expect(counts).toEqual({ ...noPushes, written: 2 });
    for (const wire of wires) expect(await texts(wire, 1)).toEqual(["you"]);
    expect(await push.toAccount("nobody", outgoing("?"))).toEqual(noPushes);
  });

  test("topic reaches its members on both nodes, until they leave", async () => {
    await using rig = await startPair();
    const { push, edges } = rig;
    const [a, b] = [await openMember(edges[0], "tcp"), await openMember(edges[1], "ws")];
    const seats = [
      { node: edges[0].edge.id, connection: a.id },
      { node: edges[1].edge.id, connection: b.id },
    ] as const;

    for (const seat of seats) expect(push.join(seat, "news")).toBe("joined");
    expect(push.toTopic("news", outgoing("both"))).toEqual({ ...noPushes, written: 2 });
    push.leave(seats[0], "news");
    expect(push.toTopic("news", outgoing("one"))).toEqual({ ...noPushes, written: 1 });
    push.toSeat(seats[0], outgoing("seat"));

    expect(await texts(a.wire, 2)).toEqual(["both", "seat"]);
    expect(await texts(b.wire, 2)).toEqual(["both", "one"]);
    expect(push.join(seats[0], "news.*")).toBe("bad-name");
  });

  test("node that has gone has no connections", async () => {
    await using rig = await startPair();
    const { push, edges, detach } = rig;
    const wire = await login(edges[0], "anna");
    const seat = { node: edges[0].edge.id, connection: "1" };

    detach();

    expect(push.toSeat(seat, outgoing("?"))).toBe("no-connection");
    expect(push.join(seat, "news")).toBe("no-connection");
    expect(push.toTopic("news", outgoing("?"))).toEqual(noPushes);
    const counts = await push.toAccount("anna", outgoing("?"));
    expect(counts).toEqual({ ...noPushes, "no-connection": 1 });
    wire.reset();
  });

  test("registry that is away refuses the push", async () => {
    const seats = () => Promise.reject(new RegistryUnavailable("timeout"));
    const push = createMemoryPush({ registry: { seats } });

    const refused = await push.toAccount("anna", outgoing("?")).catch((error: Error) => error);

    expect(refused).toMatchObject({ name: "PushRefused", flaw: "registry" });
  });
});

interface Pair extends AsyncDisposable {
  readonly push: MemoryPush;
  readonly edges: readonly [TestEdge, TestEdge];
  readonly detach: () => void;
}

async function startPair(): Promise<Pair> {
  const registry = createMemoryRegistry({ clock: Date });
  const shared = { registry, hub: createMemoryHub(), checksSeats: false };
  const edges = [await startEdge(shared), await startEdge(shared)] as const;
  const push = createMemoryPush({ registry });
  const ends = edges.map(({ edge }) => push.attach(edge));
  return {
    push,
    edges,
    detach: () => ends.forEach((end) => void end()),
    async [Symbol.asyncDispose]() {
      for (const edge of edges) await edge[Symbol.asyncDispose]();
    },
  };
}

async function login(edge: TestEdge, account: string) {
  const wire = await edge.open("tcp");
  accepted(await auth(wire, await edge.issueToken(account, { limit: 5 })));
  return wire;
}
