import { describe, expect, test } from "bun:test";
import { Command, compressBody, encodeRequest } from "@holdfast/protocol";
import { until } from "../support/arrivals.ts";
import { startEdge, transports } from "../support/edge.ts";
import { authBody, expectClose, openSession, request, settle } from "../support/packets.ts";
import { echo } from "../support/scripted-upstream.ts";

const kibibyte = 1024;
const settings = { EDGE_INFLATE_RATE: 1, EDGE_INFLATE_BURST: 100 * kibibyte };

function compressed(command: number, id: number, bytes: number): Uint8Array {
  const body = compressBody(new Uint8Array(bytes), 1)!; // zeros become fewer
  return encodeRequest(1, command, id, 0, body, { isCompressed: true });
}

for (const transport of transports) {
  describe(`packets that inflate on ${transport}`, () => {
    test("they are answered up to the burst, a byte more is Close 3 and harms nobody else", async () => {
      await using edge = await startEdge({ settings });
      const { wire } = await openSession(edge, transport, "inflates");
      const other = await openSession(edge, transport, "other");

      wire.sendBytes(compressed(Command.heartbeat, 1000, 40 * kibibyte));
      wire.sendBytes(compressed(echo, 1001, 60 * kibibyte));
      const answers = [await wire.next(), await wire.next()];
      wire.sendBytes(compressed(echo, 1002, kibibyte));

      expect(answers.map(({ body }) => body.length)).toEqual([40 * kibibyte, 60 * kibibyte]);
      await expectClose(wire, transport, 3, "too-large");
      expect(await edge.metric("holdfast_rate_limited_total", { scope: "inflate" })).toBe(1);
      await settle(other.wire);
    });

    test("those that waited behind a login count as well", async () => {
      await using edge = await startEdge({ settings });
      const wire = await edge.open(transport);
      const token = await edge.issueToken("waits");

      wire.sendBytes(request(Command.auth, 1, authBody(token)));
      for (const id of [1001, 1002, 1003]) wire.sendBytes(compressed(echo, id, 40 * kibibyte));

      expect((await wire.waitClosed()).closePush).toEqual({ code: 3, reason: "too-large" });
    });

    test("a large one is answered before what follows it, also behind a login", async () => {
      await using edge = await startEdge();
      const wire = await edge.open(transport);
      const bytes = 2 * 1024 * kibibyte;

      wire.sendBytes(request(Command.auth, 1, authBody(await edge.issueToken("large"))));
      for (const id of [10, 20]) {
        wire.sendBytes(compressed(echo, id, bytes));
        for (let more = 1; more < 10; more++) wire.sendBytes(request(echo, id + more));
      }

      const answers: { readonly id: number; readonly length: number }[] = [];
      while (answers.length < 21) {
        const packet = await wire.next();
        if (packet.type !== "response") continue;
        answers.push({ id: packet.requestId, length: packet.body.length });
      }
      expect(answers.slice(1).map(({ id }) => id)).toEqual(
        Array.from({ length: 20 }, (_, index) => 10 + index),
      );
      expect(answers.filter(({ length }) => length === bytes)).toHaveLength(2);
    });

    test("one that leaves while its packet is inflated leaves nothing behind", async () => {
      await using edge = await startEdge();
      for (let count = 0; count < 5; count++) {
        const { wire } = await openSession(edge, transport, `leaves-${count}`);
        for (let id = 1; id < 9; id++) wire.sendBytes(compressed(echo, id, 4096 * kibibyte));
        await until(async () => (await edge.metric("holdfast_inflating")) > 0, "it is at work");
        wire.reset();
      }

      await until(async () => (await edge.metric("holdfast_inflating")) === 0, "all is done");
      await until(() => edge.edge.connections === 0, "they are gone");
    });

    test("what is not compressed does not count", async () => {
      await using edge = await startEdge({ settings });
      const { wire } = await openSession(edge, transport);

      for (let count = 0; count < 10; count++) {
        const answer = await wire.request(echo, new Uint8Array(50 * kibibyte));
        expect(answer.status).toBe(0);
      }
    });
  });
}
