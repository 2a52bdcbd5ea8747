import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import type { Wire } from "@holdfast/client/wire";
import { Command } from "@holdfast/protocol";
import { until, within } from "../support/arrivals.ts";
import { startEdge, type TestEdge, type TransportName, transports } from "../support/edge.ts";
import {
  auth,
  expectClose,
  expectSilentEnd,
  noise,
  openSession,
  push,
  request,
  settle,
} from "../support/packets.ts";
import { held, sized } from "../support/scripted-upstream.ts";

const kibibyte = 1024;
const spoiled = Uint8Array.of(0x0f);
const goAgent = { "User-Agent": "Go-http-client/1.1" };

/** Sends on and on, whatever comes back, until the returned function is called. */
function upload(wire: Wire): () => void {
  const chunk = push(200, noise(60 * kibibyte));
  const timer = setInterval(() => {
    for (let count = 0; count < 8 && wire.bufferedBytes < 4_000_000; count++) wire.sendBytes(chunk);
  }, 1);
  return () => clearInterval(timer);
}

for (const transport of transports) {
  describe(`ending on ${transport}`, () => {
    test("Close is in the connection's version", async () => {
      await using edge = await startEdge();
      const wire = await edge.open(transport, { version: 2 });

      wire.sendBytes(spoiled);

      await expectClose(wire, transport, 3, "bad-type");
    });

    test("nothing that comes after the Close is looked at or answered", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);

      wire.sendBytes(spoiled);
      for (let id = 50; id < 60; id++) wire.sendBytes(request(Command.heartbeat, id));

      await expectClose(wire, transport, 3, "bad-type");
      expect(await wire.next()).toMatchObject({ type: "push", command: Command.close });
      await expect(wire.next()).rejects.toThrow("ended");
    });

    test("answers given before the Close arrive before it", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);
      for (let id = 50; id < 55; id++) wire.sendBytes(request(Command.heartbeat, id, noise(5000)));

      wire.sendBytes(spoiled);

      for (let id = 50; id < 55; id++) expect(await wire.next()).toMatchObject({ requestId: id });
      await expectClose(wire, transport, 3, "bad-type");
    });

    test("late answer of the upstream is dropped", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);
      wire.sendBytes(request(held, 50));
      const { call, answer } = await edge.upstream.nextCall();
      const { signal } = call;

      wire.sendBytes(spoiled);
      await expectClose(wire, transport, 3, "bad-type");
      answer({ status: 0, body: noise(10) });

      expect(signal.aborted).toBe(true);
      expect(await edge.metric("holdfast_requests_total", { outcome: "cancelled" })).toBe(1);
    });

    test("closing connection is out of online at once", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport, "leaving");

      wire.sendBytes(spoiled);
      await wire.waitClosed();

      expect(await edge.online("leaving")).toBe(0);
    });

    // Goal: the Close is not lost to a reset, though the peer's bytes are not read by anybody. How:
    // ten clients upload as fast as they can while the node ends them.
    test("clients that are uploading still read their Close", async () => {
      await using edge = await startEdge({ settings: { EDGE_CLOSE_LINGER_MS: 1000 } });
      const opened = [];
      for (let count = 0; count < 10; count++) opened.push(await openSession(edge, transport));
      const uploads = opened.map(({ wire }) => upload(wire));
      const losers = opened.map((_, index) => {
        return { connection: (index + 1).toString(36), generation: 0 }; // the node's own ids
      });

      await settle(opened[0]!.wire); // there are ten
      const ended = { type: "ended", losers, reason: "test" } as const;
      edge.bus.publish(edge.config.nodeId, ended);

      const ends = opened.map(({ wire }) => expectClose(wire, transport, 5, "session ended"));
      await Promise.all(ends).finally(() => uploads.forEach((stop) => void stop()));
    });

    test("clients that are uploading read their Close when the node stops", async () => {
      await using edge = await startEdge({ settings: { EDGE_CLOSE_LINGER_MS: 1000 } });
      const opened = [];
      for (let count = 0; count < 10; count++) opened.push(await openSession(edge, transport));
      const uploads = opened.map(({ wire }) => upload(wire));
      await settle(opened[0]!.wire); // there are ten

      const stopped = edge.edge.stop();

      const ends = opened.map(({ wire }) => expectClose(wire, transport, 2, "server shutdown"));
      await Promise.all(ends).finally(() => uploads.forEach((stop) => void stop()));
      await stopped;
    });
  });

  describe(`closeNotify on ${transport}`, () => {
    const setting = transport === "tcp" ? "EDGE_TCP_CLOSE_NOTIFY" : "EDGE_WS_CLOSE_NOTIFY";
    const ofOther = transport === "tcp" ? "EDGE_WS_CLOSE_NOTIFY" : "EDGE_TCP_CLOSE_NOTIFY";

    test("none: the connection is ended without a word", async () => {
      await using edge = await startEdge({ settings: { [setting]: "none" } }); // [D31]
      const { wire } = await openSession(edge, transport, "quiet");

      await openSession(edge, transport, "quiet");

      await expectSilentEnd(wire);
    });

    test("none: what was answered before is written first", async () => {
      await using edge = await startEdge({ settings: { [setting]: "none" } });
      const { wire } = await openSession(edge, transport);
      const size = Uint8Array.of(0, 0x0f, 0, 0); // 983,040

      wire.sendBytes(request(sized, 50, size));
      expect(await wire.next()).toMatchObject({ requestId: 50 });
      wire.sendBytes(request(Command.heartbeat, 51, noise(60_000)));
      wire.sendBytes(spoiled);

      expect(await wire.next()).toMatchObject({ requestId: 51 });
      await expectSilentEnd(wire);
    });

    test("none: the last answer before a drain's end is written whole", async () => {
      const settings = { [setting]: "none", EDGE_CLOSE_LINGER_MS: 2000 };
      await using edge = await startEdge({ settings });
      const { wire } = await openSession(edge, transport);
      wire.sendBytes(request(held, 50));
      const { answer } = await edge.upstream.nextCall();
      wire.pause();
      const drained = edge.edge.drain();
      await until(async () => (await edge.metric("holdfast_draining")) === 1, "it drains");

      answer({ status: 0, body: noise(6 * 1024 * kibibyte) });
      wire.resume();

      expect((await wire.next()).body.length).toBe(6 * 1024 * kibibyte);
      await expectSilentEnd(wire);
      await drained;
    });

    test("it is set for each listener", async () => {
      await using edge = await startEdge({ settings: { [ofOther]: "none" } });
      const wire = await edge.open(transport);

      wire.sendBytes(spoiled);

      await expectClose(wire, transport, 3, "bad-type");
    });

    test("auto: the public Go client is told nothing", async () => {
      await using edge = await startEdge({ settings: { [setting]: "auto" } });
      const wire = await edge.open(transport, { platform: 9, headers: goAgent });

      wire.sendBytes(spoiled);

      await expectSilentEnd(wire);
    });

    test("auto: everybody else is told", async () => {
      await using edge = await startEdge({ settings: { [setting]: "auto" } });
      const platform = transport === "tcp" ? 3 : 9;
      const wire = await edge.open(transport, { platform, headers: { "User-Agent": "other/1" } });

      wire.sendBytes(spoiled);

      await expectClose(wire, transport, 3, "bad-type");
    });

    test("none: a bad handshake is ended without a word, too", async () => {
      await using edge = await startEdge({ settings: { EDGE_TCP_CLOSE_NOTIFY: "none" } });
      const wire = await edge.open("tcp", { handshake: Uint8Array.of(0x13, 0x09) });

      await expectSilentEnd(wire);
    });
  });
}

describe("linger", () => {
  test("TCP socket whose peer stays is destroyed after it", async () => {
    await using edge = await startEdge({ settings: { EDGE_CLOSE_LINGER_MS: 300 } });

    const { finMs, goneMs } = await outstay(edge, "tcp");

    expect(goneMs - finMs).toBeWithin(200, 1500);
    expect(edge.edge.connections).toBe(0);
  });
});

/** Hears the FIN, and goes on sending until that fails. */
async function outstay(edge: TestEdge, transport: TransportName) {
  const port = Number(new URL(edge.url(transport)).port);
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  const gone = Promise.withResolvers<number>();
  const fin = Promise.withResolvers<number>();
  socket.on("data", () => {});
  socket.on("end", () => fin.resolve(performance.now()));
  socket.on("error", () => gone.resolve(performance.now()));
  socket.write(Uint8Array.of(0x11, 0x09, 0x0f));
  const finMs = await within(fin.promise, "the FIN");
  const talk = setInterval(() => socket.write("more"), 20);
  const goneMs = await within(gone.promise, "the end").finally(() => clearInterval(talk));
  socket.destroy();
  return { finMs, goneMs };
}

describe("resets", () => {
  test.each([...transports])(
    "reset by a client on %s is its leaving, and no fault",
    async (transport) => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport, "reset");

      wire.reset();

      await until(() => edge.edge.connections === 0, "the connection is gone");
      expect(await edge.metric("holdfast_exceptions_total")).toBe(0);
    },
  );

  test.each([...transports])(
    "FIN of a client on %s ends the connection, its session is kept",
    async (transport) => {
      await using edge = await startEdge();
      const wire = await edge.open(transport);
      await auth(wire, await edge.issueToken("fin"));

      wire.end();
      await wire.waitClosed();

      expect(await edge.online("fin")).toBe(0);
    },
  );
});
