import { describe, expect, test } from "bun:test";
import type { Wire } from "@holdfast/client/wire";
import { Command, decodeHeartbeat, encodeResponse } from "@holdfast/protocol";
import { startEdge, type TestEdge, type TransportName, transports } from "../support/edge.ts";
import {
  auth,
  bytesOf,
  expectClose,
  nothing,
  openSession,
  push,
  request,
  settle,
} from "../support/packets.ts";
import { echo } from "../support/scripted-upstream.ts";

const intervalMs = 300;
const timeoutMs = 700;
const sweepMs = 250;
const busyMs = 3000; // a machine that does much else may be so late
const beating = { EDGE_HEARTBEAT_INTERVAL_MS: intervalMs };
const impatient = { EDGE_HEARTBEAT_INTERVAL_MS: intervalMs, EDGE_HEARTBEAT_TIMEOUT_MS: timeoutMs };

/** What the node sends to see whether the client lives: a ping, or a heartbeat request. */
async function nextBeat(wire: Wire, transport: TransportName): Promise<Uint8Array> {
  if (transport === "ws") return wire.nextPing();
  const packet = await wire.next();
  expect(packet).toMatchObject({ type: "request", command: Command.heartbeat });
  return packet.body;
}

async function roundTrips(edge: TestEdge, transport: TransportName): Promise<number> {
  return edge.metric("holdfast_heartbeat_round_trip_seconds_count", { transport });
}

/** Says something in every so often until a Close comes; gives the Close up after a while. */
async function keepSaying(wire: Wire, say: () => void, forMs: number): Promise<"open" | "closed"> {
  const talk = setInterval(say, 100);
  const outcome = await wire.waitClosed(forMs).catch(() => null);
  clearInterval(talk);
  return outcome === null ? "open" : "closed";
}

for (const transport of transports) {
  describe(`heartbeats of the node on ${transport}`, () => {
    test.concurrent("they begin at the handshake, and carry time and a rising number", async () => {
      await using edge = await startEdge({ settings: beating }); // [D16] [D32] [§9]
      const startMs = Date.now();
      const wire = await edge.open(transport);

      const beats = [await nextBeat(wire, transport), await nextBeat(wire, transport)];

      const [first, second] = beats.map(decodeHeartbeat);
      expect([first?.id, second?.id]).toEqual([1, 2]);
      expect(first?.timestampMs).toBeWithin(startMs + intervalMs - 50, Date.now() + 1);
      for (const beat of beats) expect(beat.length).toBeLessThan(126);
    });

    test.concurrent("a busy connection gets them, too, at the fixed interval", async () => {
      await using edge = await startEdge({ settings: beating }); // [§11]
      const { wire } = await openSession(edge, transport);
      let requestId = 1000;
      const talk = setInterval(() => wire.sendBytes(request(echo, requestId++)), 10);
      const startMs = performance.now();

      let beats = 0;
      while (beats < 5) {
        if (transport === "ws") await wire.nextPing();
        else if ((await wire.next()).type === "response") continue;
        beats++;
      }

      clearInterval(talk);
      expect(performance.now() - startMs).toBeWithin(
        4 * intervalMs,
        5 * intervalMs + 2 * sweepMs + busyMs,
      );
    });

    test.concurrent("their answers are measured", async () => {
      await using edge = await startEdge({ settings: beating });
      const wire = await edge.open(transport);

      const body = await nextBeat(wire, transport); // the wire answers a ping by itself
      if (transport === "tcp") wire.sendBytes(encodeResponse(1, Command.heartbeat, 1, 0, body));
      await settle(wire);

      expect(await roundTrips(edge, transport)).toBe(1);
    });

    test.concurrent("answers to what was not asked, or asked before, are not measured", async () => {
      await using edge = await startEdge({ settings: beating });
      const wire = await edge.open(transport, { autoPong: false });
      const body = await nextBeat(wire, transport);
      const answer = (id: number, bytes: Uint8Array) => {
        if (transport === "ws") wire.pong(bytes);
        else wire.sendBytes(encodeResponse(1, Command.heartbeat, id, 0, bytes));
      };
      answer(77, bytesOf("unasked"));
      answer(0, nothing);
      await settle(wire);
      expect(await roundTrips(edge, transport)).toBe(0);

      for (let count = 0; count < 3; count++) answer(1, body);
      await settle(wire);

      expect(await roundTrips(edge, transport)).toBe(1);
    });
  });

  describe(`silence on ${transport}`, () => {
    test.concurrent("open connection that says nothing gets Close 0", async () => {
      await using edge = await startEdge({ settings: impatient }); // [D18]
      const wire = await edge.open(transport, { autoPong: false });
      const token = await edge.issueToken("silent");
      const startMs = performance.now(); // the last it says comes after this
      await auth(wire, token);

      await expectClose(wire, transport, 0, "heartbeat timeout");

      expect(performance.now() - startMs).toBeWithin(timeoutMs - 5, timeoutMs + sweepMs + busyMs);
    });

    test.concurrent("any complete packet is life", async () => {
      await using edge = await startEdge({ settings: impatient });
      const wire = await edge.open(transport, { autoPong: false });
      await auth(wire, await edge.issueToken("talking"));

      const outcome = await keepSaying(wire, () => wire.sendBytes(push(200)), 2 * timeoutMs);

      expect(outcome).toBe("open");
    });
  });
}

describe("WebSocket pings and pongs", () => {
  test.concurrent("pong is life", async () => {
    await using edge = await startEdge({ settings: impatient });
    const { wire } = await openSession(edge, "ws"); // answers pings, and says nothing else

    await expect(wire.waitClosed(2 * timeoutMs)).rejects.toThrow("Waited");
  });

  test.concurrent("ping is life, and is answered with the same payload", async () => {
    await using edge = await startEdge({ settings: impatient });
    const wire = await edge.open("ws", { autoPong: false });
    await auth(wire, await edge.issueToken("pinging"));

    expect(await keepSaying(wire, () => wire.ping(bytesOf("go")), 2 * timeoutMs)).toBe("open");

    expect(Buffer.from(await wire.nextPong()).toString()).toBe("go");
  });

  test.concurrent("node sends no heartbeat packet, no text and no pong of its own", async () => {
    await using edge = await startEdge({ settings: beating });
    const { wire } = await openSession(edge, "ws");
    await wire.nextPing();
    await wire.nextPing();
    await settle(wire);

    await expect(wire.next(1)).rejects.toThrow("Waited");
    await expect(wire.nextText(1)).rejects.toThrow("Waited");
    expect(wire.pongs).toEqual([]);
  });

  test.concurrent("unsolicited and repeated pongs are tolerated", async () => {
    await using edge = await startEdge();
    const { wire } = await openSession(edge, "ws");

    wire.pong(nothing);
    wire.pong(bytesOf("nobody asked"));
    wire.pong(bytesOf("nobody asked"));

    await settle(wire);
  });
});

describe("TCP heartbeats", () => {
  test.concurrent("bytes of an unfinished packet are no life", async () => {
    await using edge = await startEdge({ settings: impatient });
    const { wire } = await openSession(edge, "tcp");
    wire.sendBytes(request(echo, 9, new Uint8Array(1000)).subarray(0, 500));

    const outcome = await keepSaying(wire, () => wire.sendBytes(Uint8Array.of(0)), 3 * timeoutMs);

    expect(outcome).toBe("closed");
  });

  test.concurrent("client may use the id of a heartbeat for a request of its own", async () => {
    await using edge = await startEdge({ settings: beating });
    const { wire } = await openSession(edge, "tcp");
    expect(await wire.next()).toMatchObject({ type: "request", requestId: 1 }); // [§5.8]

    wire.sendBytes(request(echo, 1, bytesOf("mine")));

    expect(await wire.next()).toMatchObject({ type: "response", requestId: 1, command: echo });
  });
});
