/** What one connection may send: more waits unread, nothing of it is lost, others do not notice. */
import { describe, expect, test } from "bun:test";
import { Command, encodeRequest } from "@holdfast/protocol";
import { until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, transports } from "../support/edge.ts";
import {
  accepted,
  auth,
  authBody,
  expectClose,
  noise,
  nothing,
  openSession,
  request,
  sendAll,
  settle,
} from "../support/packets.ts";
import { echo, held } from "../support/scripted-upstream.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const none = { EDGE_REQUEST_RATE: 0, EDGE_ACCOUNT_REQUEST_RATE: 0, EDGE_IN_FLIGHT_MAX: 100_000 };
const fewPackets = {
  ...none,
  EDGE_INBOUND_PACKETS_PER_SECOND: 50,
  EDGE_INBOUND_PACKETS_BURST: 100,
};
/** As good as none: whoever is over its limit stays so for the length of a test. */
const forGood = { ...none, EDGE_INBOUND_PACKETS_PER_SECOND: 1, EDGE_INBOUND_PACKETS_BURST: 100 };

const paused = (edge: TestEdge) => edge.metric("holdfast_inbound_paused");
const pauses = (edge: TestEdge, limit: string) =>
  edge.metric("holdfast_inbound_paused_total", { limit });

function requests(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => request(echo, 1000 + index));
}

for (const transport of transports) {
  describe(`inbound limits on ${transport}`, () => {
    test.concurrent("burst of packets is handled unpaused, what is more waits, and all is answered", async () => {
      await using edge = await startEdge({ settings: fewPackets });
      const { wire: exact } = await openSession(edge, transport, "exact");
      const { wire: more } = await openSession(edge, transport, "more");

      sendAll(exact, transport, requests(100));
      for (let count = 0; count < 100; count++) await exact.next();
      expect(await pauses(edge, "packets")).toBe(0);
      sendAll(more, transport, requests(150));
      const ids: number[] = [];
      for (let count = 0; count < 150; count++) {
        const answer = await more.next(10_000);
        if (answer.type === "response") ids.push(answer.requestId);
      }

      expect(ids).toEqual(Array.from({ length: 150 }, (_, index) => 1000 + index));
      expect(await pauses(edge, "packets")).toBeGreaterThan(0);
    });

    test.concurrent("bytes over the burst wait, and a large body arrives whole", async () => {
      const settings = {
        EDGE_BODY_BYTES_MAX: 2 * mebibyte,
        EDGE_INBOUND_BYTES_PER_SECOND: mebibyte, // less than a busy machine reads
        EDGE_INBOUND_BYTES_BURST: mebibyte,
      };
      await using edge = await startEdge({ settings });
      const { wire } = await openSession(edge, transport);
      const body = noise(2 * mebibyte);

      const answer = await wire.request(echo, body, { deadlineMs: 10_000 });

      expect(Buffer.compare(answer.body, body)).toBe(0);
      expect(await pauses(edge, "bytes")).toBeGreaterThan(0);
    });

    test.concurrent("one that is over its limit costs its neighbour nothing", async () => {
      await using edge = await startEdge({ settings: forGood });
      const { wire: flooder } = await openSession(edge, transport, "flooder");
      const { wire: neighbour } = await openSession(edge, transport, "neighbour");

      sendAll(flooder, transport, requests(20_000));
      await until(async () => (await paused(edge)) === 1, "the flooder is paused");

      for (let count = 0; count < 20; count++) {
        expect(await neighbour.request(echo, nothing)).toMatchObject({ status: 0 });
      }
      expect(edge.upstream.calls.length).toBeLessThan(130);
      expect(await edge.metric("holdfast_body_memory_bytes")).toBeGreaterThan(0);
    });

    test.concurrent("heartbeats and pings count, too", async () => {
      await using edge = await startEdge({ settings: forGood });
      const { wire } = await openSession(edge, transport);

      if (transport === "ws") for (let count = 0; count < 110; count++) wire.ping(Uint8Array.of(1));
      else
        sendAll(
          wire,
          transport,
          requests(110).map(() => request(Command.heartbeat, 5)),
        );

      await until(async () => (await paused(edge)) === 1, "it is paused");
    });

    test.concurrent("stranger has an eighth, and with its login all of it", async () => {
      const settings = { ...fewPackets, EDGE_PRE_AUTH_REQUESTS_MAX: 100 };
      await using edge = await startEdge({ settings });
      const [exact, more] = [await edge.open(transport), await edge.open(transport)];
      const beats = (count: number) =>
        Array.from({ length: count }, (_, index) => request(Command.heartbeat, 5 + index));

      sendAll(exact, transport, beats(11));
      await settle(exact); // its twelfth
      expect(await pauses(edge, "packets")).toBe(0);
      sendAll(more, transport, [
        ...beats(20),
        request(Command.auth, 1, authBody(await edge.issueToken("late"))),
        ...requests(90),
      ]);
      const answers: number[] = [];
      while (answers.length < 111) {
        const packet = await more.next(10_000);
        if (packet.type === "response") answers.push(packet.command);
      }

      expect(await pauses(edge, "packets")).toBeGreaterThan(0);
      expect(answers.filter((command) => command === echo)).toHaveLength(90);
    });

    test.concurrent("one that is paused is gone when it is reset", async () => {
      await using edge = await startEdge({ settings: forGood });
      const { wire } = await openSession(edge, transport);
      sendAll(wire, transport, requests(200));
      await until(async () => (await paused(edge)) > 0, "it is paused");

      wire.reset();

      await until(() => edge.edge.connections === 0, "it is gone");
    });

    // The runtime tells a paused socket nothing of a reset that a write was told of: so the answer
    // is written in the very turn of the reset.
    test.concurrent("one that is paused, and is reset while it is answered, is gone", async () => {
      await using edge = await startEdge({ settings: forGood });
      const { wire } = await openSession(edge, transport);
      sendAll(wire, transport, [request(held, 999), ...requests(200)]);
      await until(async () => (await paused(edge)) > 0, "it is paused");
      const call = await edge.upstream.nextCall();

      wire.reset();
      call.answer({ status: 0, body: nothing });

      await until(() => edge.edge.connections === 0, "it is gone");
    });

    test.concurrent("one that is paused is gone when it has left, and all it said was heard", async () => {
      await using edge = await startEdge({ settings: fewPackets });
      const { wire } = await openSession(edge, transport);
      sendAll(wire, transport, requests(120));
      await until(async () => (await paused(edge)) > 0, "it is paused");

      wire.end();

      await until(() => edge.edge.connections === 0, "it is gone");
      expect(edge.upstream.calls.length).toBe(120);
    });

    test.concurrent("one that is paused is closed by a newer login and by the end of the node", async () => {
      await using edge = await startEdge({ settings: forGood });
      const open = async () => {
        const wire = await edge.open(transport);
        accepted(await auth(wire, await edge.issueToken("moves")));
        sendAll(wire, transport, requests(200));
        for (let count = 0; count < 100; count++) await wire.next();
        await until(async () => (await paused(edge)) > 0, "it is paused");
        return wire;
      };

      const older = await open();
      const newer = await open();
      await expectClose(older, transport, 6, "duplicate login");
      void edge.edge.drain();

      await expectClose(newer, transport, 2, "server shutdown");
    });

    test.concurrent("one that owes bytes for longer than the heartbeat timeout stays", async () => {
      const settings = {
        EDGE_HEARTBEAT_INTERVAL_MS: 100,
        EDGE_HEARTBEAT_TIMEOUT_MS: 400,
        EDGE_BODY_BYTES_MAX: 64 * kibibyte,
        EDGE_INBOUND_BYTES_PER_SECOND: 24 * kibibyte,
        EDGE_INBOUND_BYTES_BURST: 64 * kibibyte,
      };
      await using edge = await startEdge({ settings });
      const { wire } = await openSession(edge, transport);

      for (const id of [1001, 1002]) wire.sendBytes(request(echo, id, noise(50 * kibibyte)));
      await until(async () => (await paused(edge)) > 0, "it is paused");
      wire.sendBytes(request(echo, 1003));

      let last = await wire.next();
      while (last.type !== "response" || last.requestId !== 1003) last = await wire.next(10_000);
      expect(await pauses(edge, "bytes")).toBeGreaterThan(0);
    });

    test.concurrent("one that is behind lives by its answers, not by what it sent long ago", async () => {
      const settings = { EDGE_HEARTBEAT_INTERVAL_MS: 100, EDGE_HEARTBEAT_TIMEOUT_MS: 800 };
      const rate = { EDGE_INBOUND_PACKETS_PER_SECOND: 20 };
      await using edge = await startEdge({ settings: { ...forGood, ...settings, ...rate } });
      const { wire } = await openSession(edge, transport);

      sendAll(wire, transport, requests(1000)); // of 45 s

      expect((await wire.waitClosed(15_000)).closePush?.code).toBe(0);
    });

    test.concurrent("what came quickly, and is within the limits, is handled though its sender has gone", async () => {
      await using edge = await startEdge({ settings: none });
      const { wire } = await openSession(edge, transport);
      const packets = Array.from({ length: 1000 }, (_, index) =>
        encodeRequest(1, echo, 1000 + index, 0, nothing),
      );

      sendAll(wire, transport, packets);
      wire.end();

      await until(() => edge.edge.connections === 0, "it is gone");
      expect(edge.upstream.calls.length).toBe(1000);
    });
  });
}

describe("memory of those who are too quick", () => {
  test("it is half of the node's, and then they are closed", async () => {
    const settings = { ...forGood, EDGE_NODE_BODY_BYTES_MAX: mebibyte };
    await using edge = await startEdge({ settings });
    const { wire: neighbour } = await openSession(edge, "tcp", "neighbour");
    const limited = () => edge.metric("holdfast_rate_limited_total", { scope: "admission" });

    for (let index = 0; index < 40 && (await limited()) === 0; index++) {
      const { wire } = await openSession(edge, "tcp", `flooder-${index}`);
      sendAll(wire, "tcp", requests(20_000));
      await until(async () => (await paused(edge)) > index || (await limited()) > 0, "it shows");
    }

    expect(await limited()).toBeGreaterThan(0);
    const answer = await neighbour.request(echo, noise(300 * kibibyte));
    expect(answer.body.length).toBe(300 * kibibyte);
  });
});
