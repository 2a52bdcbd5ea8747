import { describe, expect, test } from "bun:test";
import type { Wire } from "@holdfast/client/wire";
import { type ClusterEvent, createMemoryHub, type MemoryHub, type Notice } from "@holdfast/cluster";
import { Command } from "@holdfast/protocol";
import {
  createMemoryRegistry,
  defaultRegistrySettings,
  type SessionRegistry,
} from "@holdfast/session";
import { createArrivals, until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, type TestEdgeOptions, transports } from "../support/edge.ts";
import {
  accepted,
  auth,
  authBody,
  expectClose,
  expectError,
  nothing,
  openSession,
  reconnect,
  request,
  settle,
} from "../support/packets.ts";
import { createGated } from "../support/registries.ts";
import { echo } from "../support/scripted-upstream.ts";

const renewMs = 400;

interface Cluster extends AsyncDisposable {
  readonly nodes: readonly TestEdge[];
  readonly registry: SessionRegistry;
  readonly hub: MemoryHub;
  /** Notices in the order of their arrival. */
  nextNotice(): Promise<Notice>;
}

interface ClusterOptions {
  readonly size?: number;
  readonly drop?: (message: ClusterEvent | Notice) => boolean;
  readonly node?: TestEdgeOptions;
}

/** Nodes that share a registry and a bus, as in one process of the embedded mode. */
async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const settings = { ...defaultRegistrySettings, flapDisplacementsMax: 0 };
  const registry = createMemoryRegistry({ clock: Date, settings });
  const hub = createMemoryHub(options.drop ? { drop: options.drop } : {});
  const nodes: TestEdge[] = [];
  for (let count = 0; count < (options.size ?? 2); count++) {
    const name = `node${count}`;
    const knobs = { EDGE_NODE_NAME: name, EDGE_RENEW_INTERVAL_MS: renewMs };
    const given = { ...options.node, settings: { ...knobs, ...options.node?.settings } };
    nodes.push(await startEdge({ ...given, registry, hub, checksSeats: false }));
  }
  const notices = createArrivals<Notice>("a notice");
  await hub.bus().listen("*", notices.put);
  return {
    ...{ nodes, registry, hub, nextNotice: notices.next },
    async [Symbol.asyncDispose]() {
      for (const node of nodes) await node[Symbol.asyncDispose]();
    },
  };
}

function isConnectEvent(message: ClusterEvent | Notice): boolean {
  return "type" in message && message.type === "connect";
}

for (const transport of transports) {
  const other = transport === "tcp" ? "ws" : "tcp";

  describe(`duplicate login across nodes, ${transport} to ${other}`, () => {
    test("older connection is closed with Close 6, at once", async () => {
      await using cluster = await startCluster();
      const [first, second] = cluster.nodes as [TestEdge, TestEdge];
      const older = await openSession(first, transport, "alice");

      const newer = await openSession(second, other, "alice");

      await expectClose(older.wire, transport, 6, "duplicate login", renewMs / 2);
      expect(newer.session.online).toBe(1);
      await settle(newer.wire);
      const found = { found_by: "event" };
      expect(await first.metric("holdfast_duplicate_closes_total", found)).toBe(1);
    });

    test("reconnect on another node gets a new id, and the older connection Close 6", async () => {
      await using cluster = await startCluster();
      const [first, second] = cluster.nodes as [TestEdge, TestEdge];
      const older = await openSession(first, transport, "alice");
      const wire = await second.open(other);

      const answer = accepted(await reconnect(wire, older.session.sessionId));

      expect(answer.sessionId).not.toBe(older.session.sessionId);
      expect(answer.online).toBe(1);
      await expectClose(older.wire, transport, 6, "session taken over", renewMs / 2);
      await settle(wire);
    });

    // Goal: I3 holds whatever the bus loses. How: every connect event is dropped.
    test("without any event the next renewal closes the older connection", async () => {
      await using cluster = await startCluster({ drop: isConnectEvent });
      const [first, second] = cluster.nodes as [TestEdge, TestEdge];
      const older = await openSession(first, transport, "alice");
      const startMs = performance.now();

      const newer = await openSession(second, other, "alice");

      await expectClose(older.wire, transport, 6, "duplicate login");
      expect(performance.now() - startMs).toBeLessThan(1.1 * renewMs + 100); // [I3]
      await settle(newer.wire);
      const found = { found_by: "reconcile" };
      expect(await first.metric("holdfast_duplicate_closes_total", found)).toBe(1);
    });

    test("without any event a renewal closes what was taken over, too", async () => {
      await using cluster = await startCluster({ drop: isConnectEvent });
      const [first, second] = cluster.nodes as [TestEdge, TestEdge];
      const older = await openSession(first, transport, "alice");

      const wire = await second.open(other);
      accepted(await reconnect(wire, older.session.sessionId));

      await expectClose(older.wire, transport, 6, "session taken over", 2 * renewMs);
      await settle(wire);
    });

    // Goal: one lost event costs a second, not a renewal. How: the first of each is dropped.
    test("event that was lost is repeated, and acknowledged", async () => {
      const lost = new Set<unknown>();
      const isFirst = (message: ClusterEvent | Notice) =>
        isConnectEvent(message) && lost.size < 1 && lost.add(message).size > 0;
      await using cluster = await startCluster({
        drop: isFirst,
        node: { settings: { EDGE_RENEW_INTERVAL_MS: 5000 } },
      });
      const [first, second] = cluster.nodes as [TestEdge, TestEdge];
      const older = await openSession(first, transport, "alice");

      const newer = await openSession(second, other, "alice");

      await expectClose(older.wire, transport, 6, "duplicate login", 4000);
      const found = { found_by: "event" };
      expect(await first.metric("holdfast_duplicate_closes_total", found)).toBe(1);
      expect(await second.metric("holdfast_kicks_repeated_total")).toBe(1);
      await until(async () => (await second.metric("holdfast_kicks_pending")) === 0, "its ack");
      await settle(newer.wire);
    });

    test("session that was ended is closed at a renewal, though nobody was told", async () => {
      await using cluster = await startCluster();
      const [first] = cluster.nodes as [TestEdge];
      const { wire } = await openSession(first, transport, "alice");

      await cluster.registry.end({ account: "alice" }, "revoked");

      await expectClose(wire, transport, 5, "session ended", 2 * renewMs);
    });

    test("event that overtakes the older login's own answer: no response, only Close 6", async () => {
      let next: ReturnType<typeof createGated>["next"] | null = null;
      await using cluster = await startCluster({ size: 1 });
      const { registry, hub } = cluster;
      await using slow = await startEdge({
        ...{ registry, hub, settings: { EDGE_NODE_NAME: "slow" }, checksSeats: false },
        wrapRegistry(whole) {
          const gated = createGated(whole);
          next = gated.next;
          return gated.registry;
        },
      });
      const older = await slow.open(transport);
      older.sendBytes(request(Command.auth, 1, authBody(await slow.issueToken("alice"))));
      const decision = await next!(); // set when the node was started
      await decision.decide();

      const newer = await openSession(cluster.nodes[0]!, other, "alice");
      await expectClose(older, transport, 6, "duplicate login");
      await decision.tell();

      expect((await older.next()).type).toBe("push");
      await expect(older.next()).rejects.toThrow("ended");
      await settle(newer.wire);
      expect(await slow.online("alice")).toBe(1);
    });

    test("event that comes late, about a connection that has gone, hits nobody", async () => {
      await using cluster = await startCluster();
      const [first] = cluster.nodes as [TestEdge];
      const gone = await openSession(first, transport, "alice");
      gone.wire.reset();
      await until(() => first.edge.connections === 0, "the older one has gone");
      const { wire } = await openSession(first, transport, "alice");

      cluster.hub.bus().publish(first.config.nodeId, {
        ...{ type: "connect", account: "alice", by: { node: "far", connection: "9" } },
        displaced: [{ connection: "1", generation: Number.MAX_SAFE_INTEGER }],
        takenOver: [{ connection: "2x", generation: Number.MAX_SAFE_INTEGER }],
        ...{ atMs: Date.now(), ack: false },
      });

      await settle(wire);
      await expect(wire.waitClosed(50)).rejects.toThrow("Waited");
    });

    test("many logins at once on three nodes leave exactly as many as the limit", async () => {
      await using cluster = await startCluster({ size: 3 }); // [I1]
      const { nodes } = cluster;
      const wires: Wire[] = [];
      for (let count = 0; count < 24; count++) {
        wires.push(await nodes[count % 3]!.open(count % 2 === 0 ? transport : other));
      }
      const tokens: string[] = [];
      for (const _ of wires) tokens.push(await nodes[0]!.issueToken("crowd", { limit: 3 }));

      const asked = wires.map((wire, index) => auth(wire, tokens[index]!).catch(() => null));
      await Promise.all(asked);
      const open = () => nodes.reduce((sum, node) => sum + node.edge.connections, 0);
      await until(() => open() === 3, "three are left");

      expect(await nodes[0]!.online("crowd")).toBe(3);
      const ends = await Promise.all(wires.map((wire) => wire.waitClosed(20).catch(() => null)));
      const codes = ends.filter((end) => end !== null).map((end) => end.closePush?.code);
      expect(codes).toEqual(new Array(21).fill(6));
    });

    test("kick war over two nodes: each newer login wins, one at a time", async () => {
      await using cluster = await startCluster();
      let last: Awaited<ReturnType<typeof openSession>> | null = null;
      for (let round = 0; round < 6; round++) {
        const node = cluster.nodes[round % 2]!;
        const newer = await openSession(node, round % 2 === 0 ? transport : other, "war");
        if (last) {
          await last.wire.waitClosed();
          const answer = await reconnect(await node.open(transport), last.session.sessionId);
          expectError(answer, "sessionExpired"); // [D35]
        }
        last = newer;
      }

      await settle(last!.wire); // there were six rounds
    });
  });

  describe(`drain of one node on ${transport}`, () => {
    test("its seats are given back, and its sessions go on at the other", async () => {
      await using cluster = await startCluster(); // [I7]
      const [first, second] = cluster.nodes as [TestEdge, TestEdge];
      const sessions = [];
      for (let count = 0; count < 5; count++) {
        sessions.push((await openSession(first, transport, `moving-${count}`)).session);
      }

      await first.edge.drain();
      for (const index of sessions.keys()) expect(await first.online(`moving-${index}`)).toBe(0);

      for (const { sessionId } of sessions) {
        const wire = await second.open(other);
        accepted(await reconnect(wire, sessionId));
        expect(await wire.request(echo, nothing)).toMatchObject({ status: 0 });
      }
    });
  });

  describe(`notices on ${transport}`, () => {
    test("they tell that a connection opened, was resumed elsewhere, and closed", async () => {
      await using cluster = await startCluster();
      const [first, second] = cluster.nodes as [TestEdge, TestEdge];
      const { session } = await openSession(first, transport, "alice");
      const opened = await cluster.nextNotice();
      expect(opened).toMatchObject({ kind: "opened", account: "alice", reason: "" });
      expect(opened.seat).toEqual({ node: first.config.nodeId, connection: "1" });

      const wire = await second.open(other);
      accepted(await reconnect(wire, session.sessionId));
      const both = [await cluster.nextNotice(), await cluster.nextNotice()];
      const resumed = both.find(({ kind }) => kind === "resumed");
      const closed = both.find(({ kind }) => kind === "closed");
      expect(resumed?.seat).toEqual({ node: second.config.nodeId, connection: "1" });
      expect(resumed?.generation).toBeGreaterThan(opened.generation);
      expect(resumed?.sid).toBe(opened.sid);
      expect(closed).toMatchObject({ reason: "ConnectDuplicate", seat: opened.seat });

      wire.reset();
      expect(await cluster.nextNotice()).toMatchObject({
        ...{ kind: "closed", reason: "", seat: { node: second.config.nodeId } },
      });
    });

    test("nobody is told of a login that was refused, or of its end", async () => {
      await using cluster = await startCluster();
      const [first] = cluster.nodes as [TestEdge];
      const refused = await first.open(transport);
      expectError(await auth(refused, "no.token"), "tokenInvalid");
      refused.reset();
      await until(() => first.edge.connections === 0, "it has gone");

      await openSession(first, transport, "alice");

      expect(await cluster.nextNotice()).toMatchObject({ kind: "opened", account: "alice" });
    });
  });
}
