import { describe, expect, test } from "bun:test";
import { Command } from "@holdfast/protocol";
import { createMemoryRegistry, defaultRegistrySettings } from "@holdfast/session";
import { until } from "../support/arrivals.ts";
import { startEdge, transports } from "../support/edge.ts";
import { auth, authBody, bytesOf, expectClose, request, settle } from "../support/packets.ts";
import { nextConnection, openMember, outgoing, quote, texts } from "../support/pushes.ts";
import { createGated } from "../support/registries.ts";

for (const transport of transports) {
  describe(`pushes on ${transport}`, () => {
    test("pushes to a connection arrive whole and in order", async () => {
      await using edge = await startEdge();
      const { wire, id } = await openMember(edge, transport);
      const sent = Array.from({ length: 100 }, (_, index) => `push ${index}`);

      const outcomes = sent.map((text) => edge.pushes.toConnection(id, outgoing(text)));

      expect(new Set(outcomes)).toEqual(new Set(["written"]));
      expect(await texts(wire, 100)).toEqual(sent);
      expect(await edge.metric("holdfast_pushes_total", { outcome: "sent" })).toBe(100);
    });

    test("push to a topic goes to its members, and to nobody else", async () => {
      await using edge = await startEdge();
      const members = [
        await openMember(edge, transport, "rates.eur"),
        await openMember(edge, transport, "rates.eur", "rates.usd"),
      ];
      const other = await openMember(edge, transport, "rates.usd");

      const counts = edge.pushes.toTopic("rates.eur", outgoing("1.08"));

      expect(counts).toEqual({ written: 2, "no-connection": 0, slow: 0, draining: 0 });
      for (const { wire } of members) expect(await texts(wire, 1)).toEqual(["1.08"]);
      edge.pushes.toTopic("rates.usd", outgoing("1"));
      expect(await texts(other.wire, 1)).toEqual(["1"]);
    });

    test("version 2 gets the metadata, version 1 the same push without it", async () => {
      await using edge = await startEdge();
      const first = await openMember(edge, transport, "news");
      const id = await nextConnection(edge);
      const wire = await edge.open(transport, { version: 2 });
      await auth(wire, await edge.issueToken("two"));
      edge.pushes.join(id, "news");

      edge.pushes.toTopic("news", outgoing("hello", { metadata: { topic: "news" } }));

      const body = bytesOf("hello");
      const metadata = { topic: "news" };
      expect(await first.wire.next()).toMatchObject({ command: quote, metadata: {}, body });
      expect(await wire.next()).toMatchObject({ command: quote, metadata, body });
    });

    test("large body is compressed, once for all, and a small one is not", async () => {
      await using edge = await startEdge({ settings: { EDGE_GZIP_MIN_BYTES: 1024 } });
      const members = [
        await openMember(edge, transport, "news"),
        await openMember(edge, transport, "news"),
      ];

      edge.pushes.toTopic("news", outgoing("x".repeat(1023)));
      edge.pushes.toTopic("news", outgoing("x".repeat(1024)));

      for (const { wire } of members) {
        expect(await wire.next()).toMatchObject({ gzip: false, body: bytesOf("x".repeat(1023)) });
        expect(await wire.next()).toMatchObject({ gzip: true, body: bytesOf("x".repeat(1024)) });
      }
    });

    test("no push comes before the answer of a login, however it races", async () => {
      // Goal: the client learns that it is open before it is pushed to. How: every microtask and
      // timer while the login is decided pushes to the connection, and asks to join a topic.
      const registry = createMemoryRegistry({ clock: Date, settings: defaultRegistrySettings });
      const gated = createGated(registry);
      await using edge = await startEdge({ registry, wrapRegistry: () => gated.registry });
      const id = await nextConnection(edge);
      const wire = await edge.open(transport);
      const outcomes: string[] = [];
      const pour = () => {
        edge.pushes.join(id, "race");
        edge.pushes.toTopic("race", outgoing("early"));
        outcomes.push(edge.pushes.toConnection(id, outgoing("early")));
      };

      wire.sendBytes(request(Command.auth, 1, authBody(await edge.issueToken("racer"))));
      const decision = await gated.next();
      await decision.decide();
      pour();
      void decision.tell();
      for (let turn = 0; turn < 100; turn++) await Promise.resolve().then(pour);
      await until(() => {
        pour();
        return outcomes.includes("written");
      }, "the login is over");

      expect(outcomes[0]).toBe("no-connection");
      expect(await wire.next()).toMatchObject({ type: "response", requestId: 1, status: 0 });
      expect(await wire.next()).toMatchObject({ type: "push", command: quote });
    });

    test("connection that is not open, or not there, is no connection", async () => {
      await using edge = await startEdge();
      const id = await nextConnection(edge);
      const wire = await edge.open(transport);
      await settle(wire);

      expect(edge.pushes.toConnection(id, outgoing("early"))).toBe("no-connection");
      expect(edge.pushes.join(id, "news")).toBe("no-connection");
      expect(edge.pushes.toConnection("zzzz", outgoing("lost"))).toBe("no-connection");
      expect(edge.pushes.join("zzzz", "news")).toBe("no-connection");
      expect(edge.pushes.toTopic("news", outgoing("to nobody")).written).toBe(0);
      expect(await edge.metric("holdfast_pushes_total", { outcome: "no_connection" })).toBe(2);
    });

    test("membership ends with the connection", async () => {
      await using edge = await startEdge();
      const { wire } = await openMember(edge, transport, "news", "rates");
      expect(await edge.metric("holdfast_topic_memberships")).toBe(2);

      wire.reset();
      await until(() => edge.edge.connections === 0, "it has gone");

      expect(edge.pushes.topics.size).toBe(0);
      expect(await edge.metric("holdfast_topic_memberships")).toBe(0);
    });

    test("nothing follows a Close", async () => {
      await using edge = await startEdge();
      const { wire, id } = await openMember(edge, transport, "news");
      edge.pushes.toConnection(id, outgoing("before"));

      const stopped = edge.edge.stop();
      const late = edge.pushes.toConnection(id, outgoing("after"));
      const counts = edge.pushes.toTopic("news", outgoing("after"));
      await stopped;

      expect(late).toBe("draining");
      expect(counts.written).toBe(0);
      expect(await texts(wire, 1)).toEqual(["before"]);
      await expectClose(wire, transport, 2, "server shutdown");
    });
  });
}
