/** Pushes and topics over a real NATS: what docs/upstreams.md promises, from the outside. */
import { describe, expect, test } from "bun:test";
import { RegistryUnavailable } from "@holdfast/session";
import { until } from "../support/arrivals.ts";
import { type PushingEdge, startPushCluster } from "../support/nats-edges.ts";
import { accepted, auth, bytesOf, request, settle } from "../support/packets.ts";
import {
  ask,
  command,
  counts,
  fieldsOfCommand,
  headersOf,
  isHeard,
  join,
  leave,
  nodeOf,
  toAccount,
  toSeat,
} from "../support/push-orders.ts";
import { nextConnection, openMember, quote, texts } from "../support/pushes.ts";
import { held } from "../support/scripted-upstream.ts";

describe("push to a connection", () => {
  test("push reaches its connection, and the asker hears that it was written", async () => {
    await using cluster = await startPushCluster();
    const edge = await cluster.edge();
    const member = await openMember(edge, "tcp");

    const answer = await ask(cluster, nodeOf(edge), { ...toSeat(edge, member) }, "hello");

    expect(answer).toEqual({ said: "written", error: "", body: counts({ written: 1 }) });
    expect(await texts(member.wire, 1)).toEqual(["hello"]);
    expect(edge.faults).toEqual([]);
    const label = 'address="seat",outcome="written"';
    expect(await edge.pushMetric("holdfast_push_messages_total", label)).toBe(1);
  });

  test("metadata and command of a push arrive with it", async () => {
    await using cluster = await startPushCluster();
    const edge = await cluster.edge();
    const id = await nextConnection(edge);
    const wire = await edge.open("ws", { version: 2 });
    accepted(await auth(wire, await edge.issueToken("anna")));
    const metadata = "note=gr%C3%BC%C3%9Fe%3D%26&Trace=7";

    await ask(cluster, nodeOf(edge), {
      ...toSeat(edge, { id }),
      "Holdfast-Command": "255",
      "Holdfast-Metadata": metadata,
    });

    const told = { note: "grüße=&", trace: "7" };
    expect(await wire.next()).toMatchObject({ type: "push", command: 255, metadata: told });
  });

  test("connection that nobody knows is an outcome, and not an error", async () => {
    await using cluster = await startPushCluster();
    const edge = await cluster.edge();
    const waiting = await nextConnection(edge);
    await edge.open("tcp"); // never logs in

    for (const seat of [`${edge.edge.id}/zzz`, `${edge.edge.id}/${waiting}`, "other/1"]) {
      const answer = await ask(cluster, nodeOf(edge), {
        "Holdfast-Seat": seat,
        "Holdfast-Command": String(quote),
      });
      expect(answer).toEqual({
        said: "no-connection",
        error: "",
        body: counts({ "no-connection": 1 }),
      });
    }
  });

  test("connection of a node that drains, and has its turn, is draining", async () => {
    await using cluster = await startPushCluster();
    const edge = await cluster.edge({ settings: { EDGE_DRAIN_GRACE_MS: 3000 } });
    const member = await openMember(edge, "tcp");
    member.wire.sendBytes(request(held, 9));
    const call = await edge.upstream.nextCall();

    const drained = edge.edge.drain();
    const pushed = () => ask(cluster, nodeOf(edge), toSeat(edge, member));
    await until(async () => (await pushed()).said === "draining", "its turn has come");

    call.answer({ status: 0, body: bytesOf("done") });
    await drained;
  });

  test("connection that does not read is slow", async () => {
    await using cluster = await startPushCluster();
    const settings = { EDGE_OUTBOUND_BYTES_MAX: 16_384, EDGE_GZIP_MIN_BYTES: 16_777_216 };
    const edge = await cluster.edge({ settings });
    const member = await openMember(edge, "tcp");
    const big = "x".repeat(900_000);
    member.wire.pause();

    const said = new Set<string>();
    for (let sent = 0; sent < 50 && !said.has("slow"); sent++) {
      said.add((await ask(cluster, nodeOf(edge), toSeat(edge, member), big)).said);
    }

    expect(said.has("slow")).toBe(true);
  });

  test("10,000 pushes to each of two connections arrive in order", async () => {
    await using cluster = await startPushCluster();
    const edges = [await cluster.edge(), await cluster.edge()];
    const members = await Promise.all(edges.map((edge) => openMember(edge, "tcp")));
    const count = 10_000;

    for (let index = 0; index < count; index++) {
      for (const [at, edge] of edges.entries()) {
        const headers = headersOf(toSeat(edge, members[at]!));
        cluster.outside.client.publish(nodeOf(edge), bytesOf(String(index)), { headers });
      }
      if (index % 500 === 499) await cluster.outside.client.flush();
    }

    const sent = Array.from({ length: count }, (_, index) => String(index));
    for (const { wire } of members) expect(await texts(wire, count)).toEqual(sent);
  });

  test("one message reaches several connections of the node, and counts each", async () => {
    await using cluster = await startPushCluster();
    const edge = await cluster.edge();
    const members = [await openMember(edge, "tcp"), await openMember(edge, "ws")];
    const seats = [...members.map(({ id }) => id), "zzz"].map((id) => `${edge.edge.id}/${id}`);

    const fields = { ...fieldsOfCommand, "Holdfast-Seat": seats.join(",") };
    const answer = await ask(cluster, nodeOf(edge), fields, "both");

    const body = { ...counts({ written: 2, "no-connection": 1 }), outcome: "written" };
    expect(answer).toEqual({ said: "written", error: "", body });
    for (const { wire } of members) expect(await texts(wire, 1)).toEqual(["both"]);
  });

  test("push that is no request is carried out in silence", async () => {
    await using cluster = await startPushCluster();
    const edge = await cluster.edge();
    const member = await openMember(edge, "tcp");
    const { client } = cluster.outside;

    client.publish(nodeOf(edge), bytesOf("quiet"), { headers: headersOf(toSeat(edge, member)) });
    client.publish(nodeOf(edge), bytesOf("bad"), { headers: headersOf({ "Holdfast-Seat": "?" }) });

    expect(await texts(member.wire, 1)).toEqual(["quiet"]);
    await until(
      async () => (await edge.pushMetric("holdfast_push_refused_total", 'reason="seat"')) === 1,
      "the bad one is counted",
    );
    expect(edge.faults).toEqual([]);
  });
});

describe("push to an account", () => {
  test("push reaches the account on both nodes, whichever was asked", async () => {
    await using cluster = await startPushCluster();
    const shared = { checksSeats: false }; // they look while the other's are still open
    const edges = [await cluster.edge(shared), await cluster.edge(shared)];
    const wires = [
      await login(edges[0]!, "anna Ä/%"),
      await login(edges[1]!, "anna Ä/%"),
      await login(edges[1]!, "anna Ä/%"),
    ];
    const stranger = await login(edges[0]!, "bert");

    for (let round = 0; round < 8; round++) {
      const answer = await ask(cluster, "hf.push", toAccount("anna Ä/%"), String(round));
      expect(answer).toEqual({ said: "written", error: "", body: counts({ written: 3 }) });
    }

    const rounds = Array.from({ length: 8 }, (_, round) => String(round));
    for (const wire of wires) expect(await texts(wire, 8)).toEqual(rounds);
    await ask(cluster, "hf.push", toAccount("bert"), "marker");
    expect(await texts(stranger, 1)).toEqual(["marker"]);
    const asked = await Promise.all(
      edges.map((edge) => edge.pushMetric("holdfast_push_messages_total", 'address="account"')),
    );
    expect(asked[0]! + asked[1]!).toBe(9);
  });

  test("account that is not connected is an outcome without a count", async () => {
    await using cluster = await startPushCluster();
    await cluster.edge();

    const answer = await ask(cluster, "hf.push", toAccount("nobody"), "");

    expect(answer).toEqual({ said: "no-connection", error: "", body: counts({}) });
  });

  test("seats of a node that has gone count as no connection, and the others are served", async () => {
    await using cluster = await startPushCluster();
    const gone = { node: "gone-1", connection: "9", sid: "s", generation: 1 };
    const seats = async (account: string) => [...(await cluster.registry.seats(account)), gone];
    const edge = await cluster.edge({ seats });
    const wire = await login(edge, "anna");

    const answer = await ask(cluster, "hf.push", toAccount("anna"), "still");

    const body = { ...counts({ written: 1, "no-connection": 1 }) };
    expect(answer).toEqual({ said: "written", error: "", body });
    expect(await texts(wire, 1)).toEqual(["still"]);
  });

  test("node that hangs is given up after a second", async () => {
    await using cluster = await startPushCluster();
    const mute = { node: "mute-1", connection: "9", sid: "s", generation: 1 };
    await cluster.edge({ seats: async () => [mute] });
    cluster.outside.client.subscribe("hf.node.mute-1", { callback: () => {} });
    await cluster.outside.client.flush();
    const startedMs = performance.now();

    const answer = await ask(cluster, "hf.push", toAccount("anna"), "");

    expect(answer.body).toEqual(counts({ "no-connection": 1 }));
    expect(performance.now() - startedMs).toBeWithin(900, 2000);
  });

  test("registry that is away is an error, and never silence", async () => {
    await using cluster = await startPushCluster();
    const seats = () => Promise.reject(new RegistryUnavailable("timeout"));
    const edge = await cluster.edge({ seats });

    const answer = await ask(cluster, "hf.push", toAccount("anna"), "");

    expect(answer.said).toBe("error");
    expect(answer.error).toBe("The registry did not answer");
    expect(await edge.pushMetric("holdfast_push_refused_total", 'reason="registry"')).toBe(1);
  });
});

describe("topics", () => {
  test("push to a topic reaches the members on both nodes, and each node answers", async () => {
    await using cluster = await startPushCluster();
    const edges = [await cluster.edge(), await cluster.edge(), await cluster.edge()];
    const [a, b] = [await openMember(edges[0]!, "tcp"), await openMember(edges[1]!, "ws")];
    const other = await openMember(edges[2]!, "tcp");
    await join(cluster, edges[0]!, a, "rates.eur,rates.usd");
    await join(cluster, edges[1]!, b, "rates.eur");

    cluster.outside.client.publish("hf.topic.rates.eur", bytesOf("1.08"), { headers: command });
    const answer = await ask(cluster, "hf.topic.rates.usd", fieldsOfCommand, "1");

    expect(await texts(a.wire, 2)).toEqual(["1.08", "1"]);
    expect(await texts(b.wire, 1)).toEqual(["1.08"]);
    expect(answer.body).toEqual(counts({ written: 1 }));
    expect(edges[2]!.push.topicSubscriptions).toBe(0);
    await ask(cluster, nodeOf(edges[2]!), toSeat(edges[2]!, other), "marker");
    expect(await texts(other.wire, 1)).toEqual(["marker"]);
  });

  test("node listens to a topic from its first member to its last", async () => {
    await using cluster = await startPushCluster();
    const edge = await cluster.edge();
    const [a, b] = [await openMember(edge, "tcp"), await openMember(edge, "tcp")];
    expect(await isHeard(cluster, "news")).toBe(false);

    await join(cluster, edge, a, "news");
    await join(cluster, edge, b, "news");
    expect(await isHeard(cluster, "news")).toBe(true);
    expect(edge.push.topicSubscriptions).toBe(1);
    await leave(cluster, edge, a, "news");
    expect(await isHeard(cluster, "news")).toBe(true);
    b.wire.reset(); // membership ends with the connection

    await until(async () => !(await isHeard(cluster, "news")), "nobody hears the topic");
    expect(edge.push.topicSubscriptions).toBe(0);
  });

  test("topic that is left and joined again within the time is never let go", async () => {
    await using cluster = await startPushCluster();
    const edge = await cluster.edge({ keepTopicMs: 1000 });
    const member = await openMember(edge, "tcp");

    for (let round = 0; round < 20; round++) {
      await join(cluster, edge, member, "news");
      await leave(cluster, edge, member, "news");
      expect(edge.push.topicSubscriptions).toBe(1);
    }

    const answer = await ask(cluster, "hf.topic.news", fieldsOfCommand, "");
    expect(answer.body).toEqual(counts({}));
  });

  test("joining beyond the limit and for nobody are outcomes", async () => {
    await using cluster = await startPushCluster();
    const edge = await cluster.edge({ settings: { EDGE_TOPICS_PER_CONNECTION_MAX: 2 } });
    const member = await openMember(edge, "tcp");

    const many = await join(cluster, edge, member, "a,b,c");
    const nobody = await join(cluster, edge, { id: "zzz" }, "a,b");

    const none = { joined: 0, left: 0, limit: 0, "no-connection": 0 };
    expect(many.body).toEqual({ ...none, outcome: "limit", joined: 2, limit: 1 });
    expect(nobody.body).toEqual({ ...none, outcome: "no-connection", "no-connection": 2 });
  });

  test("node hears its topics and accounts again after NATS came back", async () => {
    await using cluster = await startPushCluster();
    const edge = await cluster.edge();
    const member = await openMember(edge, "tcp");
    await join(cluster, edge, member, "news");

    await cluster.nats.restart();
    const isBack = () => edge.link.isConnected() && cluster.outside.isConnected();
    await until(isBack, "both links are back");
    await edge.link.ping(2000);

    const answer = await ask(cluster, "hf.topic.news", fieldsOfCommand, "again");
    expect(answer.said).toBe("written");
    expect(await texts(member.wire, 1)).toEqual(["again"]);
    expect((await ask(cluster, nodeOf(edge), toSeat(edge, member), "too")).said).toBe("written");
  });
});

async function login(edge: PushingEdge, account: string) {
  const wire = await edge.open("tcp");
  accepted(await auth(wire, await edge.issueToken(account, { limit: 5 })));
  await settle(wire);
  return wire;
}
