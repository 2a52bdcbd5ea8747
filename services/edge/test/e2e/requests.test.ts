import { describe, expect, test } from "bun:test";
import type { Wire } from "@holdfast/client/wire";
import {
  Command,
  compressBody,
  decompressBody,
  encode,
  encodeRequest,
  type Packet,
} from "@holdfast/protocol";
import { until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, type TransportName, transports } from "../support/edge.ts";
import {
  accepted,
  auth,
  bytesOf,
  expectClose,
  expectError,
  noise,
  nothing,
  openSession,
  request,
  settle,
} from "../support/packets.ts";
import {
  absurd,
  broken,
  echo,
  faulty,
  held,
  huge,
  silent,
  status,
  unrouted,
} from "../support/scripted-upstream.ts";

const slotMs = 25; // deadlines of requests are looked at this often

async function openVersion2(edge: TestEdge, transport: TransportName): Promise<Wire> {
  const wire = await edge.open(transport, { version: 2 });
  accepted(await auth(wire, await edge.issueToken(`two-${transport}`)));
  return wire;
}

for (const transport of transports) {
  describe(`requests on ${transport}`, () => {
    test("request is answered with its own command and id, whatever that is", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport); // [§5.8]

      for (const id of [0, 4_294_967_295, 7, 7]) {
        wire.sendBytes(request(echo, id, bytesOf(`body ${id}`)));
        const answer = await wire.next();
        expect(answer).toMatchObject({ ...{ type: "response", command: echo }, requestId: id });
        expect(Buffer.from(answer.body).toString()).toBe(`body ${id}`);
      }
    });

    test("answers come in the order in which they are ready", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);
      wire.sendBytes(request(held, 50, bytesOf("slow")));
      const slow = await edge.upstream.nextCall();

      wire.sendBytes(request(echo, 51));
      expect(await wire.next()).toMatchObject({ requestId: 51 });
      slow.answer({ status: 0, body: slow.call.body });

      expect(await wire.next()).toMatchObject({ requestId: 50, status: 0 });
    });

    test("command without a handler is answered 3 / 404", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);

      for (const command of [4, unrouted, 255]) {
        expectError(await wire.request(command, nothing), "unknownCommand");
      }
    });

    test("upstream that throws is answered 7 / 500, and the connection stays", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);

      expectError(await wire.request(broken, nothing), "internalError");
      expect(await wire.request(echo, nothing)).toMatchObject({ status: 0 });
    });

    test("reply that no packet can carry is answered 7 / 500", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport); // [§5.5]

      expectError(await wire.request(huge, nothing), "internalError");
    });

    test("reply with a status that no byte can say is answered 7 / 500", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport); // [I4]

      expectError(await wire.request(absurd, nothing), "internalError");
    });

    test("fault of the node itself ends this connection with Close 1, and no other", async () => {
      await using edge = await startEdge(); // [§9]
      const { wire } = await openSession(edge, transport);
      const other = await openSession(edge, transport);

      wire.sendBytes(request(faulty, 50));

      await expectClose(wire, transport, 1, "internal error");
      expect(await edge.metric("holdfast_exceptions_total", { where: "packet" })).toBe(1);
      await settle(other.wire);
    });

    test.each([0, 3, 7, 200, 255])("status %d of the upstream is passed on", async (number) => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);

      const answer = await wire.request(status, Uint8Array.of(number));

      expect({ status: answer.status, body: [...answer.body] }).toEqual({
        ...{ status: number, body: [number] },
      });
    });

    test("metadata goes to the upstream and back in version 2, and is dropped in version 1", async () => {
      await using edge = await startEdge();
      const second = await openVersion2(edge, transport);
      const packet: Packet = {
        ...{ type: "request", command: status, requestId: 90, timeoutMs: 0, gzip: false },
        ...{ metadata: { Language: "en" }, body: nothing, verification: null },
      };

      second.sendBytes(encode(packet, 2));
      const answer = await second.next();
      const { wire: first } = await openSession(edge, transport);

      expect(answer.metadata).toEqual({ answer: "yes" });
      expect(edge.upstream.calls[0]?.metadata).toEqual({ language: "en" });
      expect((await first.request(status, nothing)).metadata).toEqual({});
    });

    test("upstream is told who asks, from where, and how long it may take", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport, "who");

      await wire.request(echo, nothing, { timeoutMs: 1234 });

      const [call] = edge.upstream.calls;
      expect(call).toMatchObject({ command: echo, timeoutMs: 1234, platform: 9, version: 1 });
      expect(call?.session.account).toBe("who");
      expect(call?.seat).toEqual({ node: edge.config.nodeId, connection: "1" });
    });
  });

  describe(`deadlines on ${transport}`, () => {
    test("request that is not answered in its time gets 1 / 408, and the signal is raised", async () => {
      await using edge = await startEdge(); // [D11]
      const { wire } = await openSession(edge, transport);
      const startMs = performance.now();
      const answer = wire.request(silent, nothing, { timeoutMs: 200 });
      const { call } = await edge.upstream.nextCall();
      const { signal } = call;

      expectError(await answer, "serverTimeout");

      expect(performance.now() - startMs).toBeWithin(199, 200 + slotMs + 3000);
      expect(signal.aborted).toBe(true);
      expect(signal).toBe(call.signal);
    });

    test("late result is dropped", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);
      const answer = wire.request(held, nothing, { timeoutMs: 50 });
      const late = await edge.upstream.nextCall();
      expectError(await answer, "serverTimeout");

      late.answer({ status: 0, body: bytesOf("late") });
      await settle(wire);

      await expect(wire.next(1)).rejects.toThrow("Waited");
    });

    test("request that states no time has the default", async () => {
      await using edge = await startEdge({ settings: { EDGE_REQUEST_TIMEOUT_MS: 100 } });
      const { wire } = await openSession(edge, transport);

      expectError(await wire.request(silent, nothing), "serverTimeout");

      expect(edge.upstream.calls[0]?.timeoutMs).toBe(100);
    });

    test.each([
      [60_000, 60_000],
      [60_001, 60_000],
      [65_535, 60_000],
    ])("stated time of %d ms is taken as %d ms", async (stated, taken) => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);

      await wire.request(echo, nothing, { timeoutMs: stated });

      expect(edge.upstream.calls[0]?.timeoutMs).toBe(taken);
    });

    test("answer in time leaves the signal alone", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);
      const answer = wire.request(held, nothing);
      const prompt = await edge.upstream.nextCall();
      const { signal } = prompt.call;

      prompt.answer({ status: 0, body: nothing });
      await answer;

      expect(signal.aborted).toBe(false);
    });
  });

  describe(`requests in flight on ${transport}`, () => {
    test("as many as the limit wait, one more is answered 3 / 429, one less may follow", async () => {
      await using edge = await startEdge({ settings: { EDGE_IN_FLIGHT_MAX: 3 } });
      const { wire } = await openSession(edge, transport);
      for (let id = 50; id < 53; id++) wire.sendBytes(request(held, id));
      const first = await edge.upstream.nextCall();

      wire.sendBytes(request(echo, 53));
      const refused = await wire.next();
      expectError(refused, "rateLimit");
      expect(refused).toMatchObject({ requestId: 53 });

      first.answer({ status: 0, body: nothing });
      expect(await wire.next()).toMatchObject({ requestId: 50, status: 0 });
      wire.sendBytes(request(echo, 54));
      expect(await wire.next()).toMatchObject({ requestId: 54, status: 0 });
    });

    test("every request gets exactly one response", async () => {
      await using edge = await startEdge(); // [I4]
      const { wire } = await openSession(edge, transport);
      const commands = [echo, broken, unrouted, silent, Command.close, Command.heartbeat, absurd];
      const total = 350; // the silent ones are fewer than the limit of 256
      for (let id = 0; id < total; id++) {
        const command = commands[id % commands.length]!; // the remainder is an index
        wire.sendBytes(encodeRequest(1, command, id + 1000, 50 + (id % 100), noise(id)));
      }

      const ids: number[] = [];
      while (ids.length < total) {
        const answer = await wire.next();
        if (answer.type === "response") ids.push(answer.requestId);
      }
      await settle(wire);

      await expect(wire.next(1)).rejects.toThrow("Waited");
      expect(new Set(ids).size).toBe(total);
      await until(async () => (await edge.metric("holdfast_requests_in_flight")) === 0, "all done");
    });
  });

  describe(`compression on ${transport}`, () => {
    test("reply of 1024 bytes is compressed, one of 1023 is not", async () => {
      await using edge = await startEdge(); // [D08]
      const { wire } = await openSession(edge, transport);

      expect((await wire.request(echo, new Uint8Array(1023))).gzip).toBe(false);
      const large = await wire.request(echo, new Uint8Array(1024));

      expect(large.gzip).toBe(true);
      expect(large.body).toEqual(new Uint8Array(1024));
    });

    test("reply that would not become smaller is sent as it is", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);

      expect((await wire.request(echo, noise(5000))).gzip).toBe(false);
    });

    test("response that there is no time to compress leaves as it is, and is counted", async () => {
      await using edge = await startEdge({ settings: { EDGE_GZIP_CPU_PERCENT: 0 } });
      const { wire } = await openSession(edge, transport);

      const answer = await wire.request(echo, new Uint8Array(2000));

      expect({ gzip: answer.gzip, bytes: answer.body.length }).toEqual({
        gzip: false,
        bytes: 2000,
      });
      expect(await edge.metric("holdfast_compressions_skipped_total")).toBe(1);
    });

    test("control commands are never compressed, and an inflated heartbeat comes back inflated", async () => {
      await using edge = await startEdge(); // [§7.2]
      const { wire } = await openSession(edge, transport);
      const body = compressBody(new Uint8Array(5000), 1)!; // zeros always become fewer

      wire.sendBytes(encodeRequest(1, Command.heartbeat, 50, 0, body, { isCompressed: true }));

      const answer = await wire.next();
      expect(answer).toMatchObject({ gzip: false, requestId: 50 });
      expect(answer.body).toEqual(new Uint8Array(5000));
      expect(decompressBody(body, 5000).length).toBe(5000);
    });

    test("upstream is given the inflated body", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);
      const body = compressBody(bytesOf("x".repeat(3000)), 1)!; // as above

      wire.sendBytes(encodeRequest(1, echo, 50, 0, body, { isCompressed: true }));
      await wire.next();

      expect(await edge.metric("holdfast_packet_size_bytes_sum", { direction: "in" })).toBeWithin(
        ...([3000, 3200] as const),
      );
    });
  });
}
