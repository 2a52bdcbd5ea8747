import { describe, expect, test } from "bun:test";
import type { Wire } from "@holdfast/client/wire";
import { defaultRule, type TopicRule } from "../../src/push/topic-rules.ts";
import { staysFor, until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, transports } from "../support/edge.ts";
import { expectClose, noise, request } from "../support/packets.ts";
import { type Member, openMember, outgoing, texts } from "../support/pushes.ts";
import { echo, held } from "../support/scripted-upstream.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const filler = 40; // the command of pushes that only fill a socket
// Bodies stay as large as they are, so that their bytes can be counted.
const plain = { EDGE_GZIP_MIN_BYTES: 16 * mebibyte };
const rules: readonly TopicRule[] = [
  { ...defaultRule, match: "latest.*", policy: "conflate", queueMax: 10 },
  { ...defaultRule, match: "recent", policy: "drop-oldest", queueMax: 5 },
  { ...defaultRule, match: "paced", paceMs: 200, burstMax: 3 },
];

/** Stops the client from reading, and pushes until its socket has been blocked for a while. */
async function stall(edge: TestEdge, { wire, id }: Member): Promise<void> {
  wire.pause();
  const body = noise(64 * kibibyte);
  let isSteady = false;
  for (let count = 0; count < 500 && !isSteady; count++) {
    edge.pushes.toConnection(id, outgoing("", { command: filler, body }));
    await Promise.resolve();
    // The kernel's buffers grow by themselves: see whether they still do.
    if ((await edge.metric("holdfast_pushes_waiting")) === 0) continue;
    isSteady = await staysFor(30, () => edge.metric("holdfast_pushes_waiting"));
  }
  expect(isSteady).toBe(true);
}

/** What comes until the mark, without what filled the socket. */
async function seenUntil(wire: Wire, mark: string): Promise<string[]> {
  const seen: string[] = [];
  while (seen.at(-1) !== mark) {
    const packet = await wire.next();
    if (packet.type === "push" && packet.command === filler) continue;
    const text = Buffer.from(packet.body).toString();
    seen.push(packet.type === "response" ? `=${text}` : text);
  }
  return seen;
}

for (const transport of transports) {
  describe(`pushes to a client that does not read on ${transport}`, () => {
    test("responses go ahead of the pushes that wait, which keep their order", async () => {
      await using edge = await startEdge({ settings: plain, topicRules: rules });
      const member = await openMember(edge, transport, "news");
      const { wire, id } = member;
      await stall(edge, member);
      for (const text of ["1", "2", "3"]) edge.pushes.toTopic("news", outgoing(text));
      edge.pushes.toConnection(id, outgoing("4"));
      wire.sendBytes(request(echo, 77, Buffer.from("answer")));
      await until(() => edge.upstream.calls.length === 1, "the request has come");
      await edge.metric("holdfast_pushes_waiting");

      wire.resume();

      const seen = await seenUntil(wire, "4");
      expect(seen).toEqual(["=answer", "1", "2", "3", "4"]);
      await until(async () => (await edge.metric("holdfast_pushes_waiting")) === 0, "all is out");
    });

    test("topics that conflate or drop the oldest say the newest, and close nobody", async () => {
      await using edge = await startEdge({ settings: plain, topicRules: rules });
      const member = await openMember(edge, transport, "latest.us", "recent");
      await stall(edge, member);
      for (let count = 1; count <= 100; count++) {
        const key = count % 2 === 0 ? "even" : "odd";
        edge.pushes.toTopic("latest.us", outgoing(`quote ${count}`, { key }));
        expect(edge.pushes.toTopic("recent", outgoing(`recent ${count}`)).written).toBe(1);
      }
      edge.pushes.toConnection(member.id, outgoing("end"));

      member.wire.resume();

      const seen = await seenUntil(member.wire, "end");
      const recent = [96, 97, 98, 99, 100].map((count) => `recent ${count}`);
      expect(seen).toEqual(["quote 99", "quote 100", ...recent, "end"]);
      const dropped = (policy: string) => edge.metric("holdfast_pushes_dropped_total", { policy });
      expect([await dropped("conflate"), await dropped("drop_oldest")]).toEqual([98, 95]);
    });

    test("topic that closes does so at the bound, and other members go on", async () => {
      const settings = { ...plain, EDGE_OUTBOUND_BYTES_MAX: mebibyte, EDGE_CLOSE_LINGER_MS: 1500 };
      await using edge = await startEdge({ settings });
      const slow = await openMember(edge, transport, "news");
      const quick = await openMember(edge, transport, "news");
      slow.wire.pause();
      const body = noise(16 * kibibyte);
      let most = 0;
      let received = 0;
      let outcome = "written";
      while (outcome === "written" && received < 2000) {
        const counts = edge.pushes.toTopic("news", outgoing("", { body }));
        if (counts.slow > 0) outcome = "slow";
        await quick.wire.next();
        received++;
        most = Math.max(most, await edge.metric("holdfast_outbound_queue_bytes"));
      }

      expect(outcome).toBe("slow");
      expect(most).toBeWithin(mebibyte / 2, mebibyte + 1);
      expect(await edge.metric("holdfast_slow_consumers_closed_total", { transport })).toBe(1);
      expect(await edge.metric("holdfast_topic_memberships")).toBe(1);
      slow.wire.resume();
      await expectClose(slow.wire, transport, 1, "slow consumer");
    });

    test("paced topic sends a burst, and the rest in order as its time comes", async () => {
      await using edge = await startEdge({ topicRules: rules });
      const { wire, id } = await openMember(edge, transport, "paced");
      const startedMs = performance.now();
      for (let count = 1; count <= 8; count++) edge.pushes.toTopic("paced", outgoing(`${count}`));
      edge.pushes.toConnection(id, outgoing("not paced"));

      const seen = await texts(wire, 9);

      expect(seen).toEqual(["1", "2", "3", "not paced", "4", "5", "6", "7", "8"]);
      expect(performance.now() - startedMs).toBeGreaterThanOrEqual(400);
    });
  });

  describe(`topics on ${transport}`, () => {
    test("reply joins and leaves topics before its response is there", async () => {
      await using edge = await startEdge();
      const { wire } = await openMember(edge, transport, "old");
      const heard: string[] = [];
      edge.pushes.onInterest((topic, isWanted) => heard.push(`${isWanted ? "+" : "-"}${topic}`));
      wire.sendBytes(request(held, 9));
      const call = await edge.upstream.nextCall();

      const join = ["new.one", "new.two", "bad.*"];
      call.answer({ status: 0, body: new Uint8Array(0), join, leave: ["old"] });

      expect(await wire.next()).toMatchObject({ type: "response", requestId: 9 });
      expect([...edge.pushes.topics]).toEqual(["new.one", "new.two"]);
      expect(heard).toEqual(["-old", "+new.one", "+new.two"]);
      expect(edge.pushes.toTopic("new.one", outgoing("hello")).written).toBe(1);
      expect(await texts(wire, 1)).toEqual(["hello"]);
      expect(await edge.metric("holdfast_topic_joins_total", { outcome: "bad_name" })).toBe(1);
    });

    test("joins beyond a limit are refused and counted", async () => {
      const settings = {
        EDGE_TOPICS_PER_CONNECTION_MAX: 2,
        EDGE_TOPICS_MAX: 3,
        EDGE_TOPIC_MEMBERSHIPS_MAX: 4,
      };
      await using edge = await startEdge({ settings });
      const { pushes } = edge;
      const ids: string[] = [];
      for (let count = 0; count < 3; count++) ids.push((await openMember(edge, transport)).id);
      const [a = "", b = "", c = ""] = ids;

      expect(["1", "2", "3"].map((topic) => pushes.join(a, topic))).toEqual([
        "joined",
        "joined",
        "limit", // of the connection
      ]);
      expect(["3", "4"].map((topic) => pushes.join(b, topic))).toEqual(["joined", "limit"]);
      expect(["1", "2"].map((topic) => pushes.join(c, topic))).toEqual(["joined", "limit"]);
      expect(await edge.metric("holdfast_topics")).toBe(3);
      expect(await edge.metric("holdfast_topic_memberships")).toBe(4);
      expect(await edge.metric("holdfast_topic_joins_total", { outcome: "limit" })).toBe(3);
    });

    test("names that are no topics are refused", async () => {
      await using edge = await startEdge();
      const { id } = await openMember(edge, transport);
      const join = (topic: string) => edge.pushes.join(id, topic);

      for (const bad of ["", ".", "a..b", "a.", ".a", "a.*", ">", "a b", "ä", "x".repeat(201)]) {
        expect(join(bad)).toBe("bad-name");
      }
      for (const good of ["a", "a.b-c_D.9", "x".repeat(200)]) expect(join(good)).toBe("joined");
    });
  });
}
