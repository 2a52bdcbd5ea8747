import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { HttpUpgradeError } from "@holdfast/client/wire";
import { Command } from "@holdfast/protocol";
import { exchange } from "@holdfast/servers";
import { startEdge, type TestEdge } from "../support/edge.ts";
import {
  bytesOf,
  expectClose,
  expectSilentEnd,
  fromHex,
  request,
  settle,
} from "../support/packets.ts";
import { type HandshakeVectors, readVectors } from "../support/vectors.ts";

const vectors = await readVectors<HandshakeVectors>("handshake");
let edge: TestEdge;

beforeAll(async () => {
  edge = await startEdge({ settings: { EDGE_HANDSHAKE_TIMEOUT_MS: 300 } });
});
afterAll(() => edge[Symbol.asyncDispose]());

async function upgradeError(path: string, query?: string): Promise<HttpUpgradeError> {
  const url = edge.url("ws").replace("/v2", path);
  const asked = query === undefined ? {} : { query };
  const error = await edge.open("ws", { url, ...asked }).catch((caught) => caught);
  expect(error).toBeInstanceOf(HttpUpgradeError);
  return error;
}

describe("handshake on TCP", () => {
  const whole = vectors.tcp.filter(({ hex }) => hex.length === 4);

  test.each(whole.filter(({ ok }) => ok))(
    "good handshake is accepted in silence: $name",
    async (row) => {
      const { version } = row.fields!; // rows that are accepted have fields
      const wire = await edge.open("tcp", { version, handshake: fromHex(row.hex) });

      await settle(wire);

      expect(wire.receivedBytes).toBe((version === 1 ? 10 : 12) + "settle".length);
    },
  );

  test.each(whole.filter(({ ok }) => !ok))(
    "bad handshake is told Close 3 in the layout of version 1: $name",
    async (row) => {
      const wire = await edge.open("tcp", { handshake: fromHex(row.hex) }); // [D05]

      await expectClose(wire, "tcp", 3, row.error!); // rows that are refused have an error
    },
  );

  test("handshake and first packet may come in one segment", async () => {
    const bytes = Buffer.concat([fromHex("1109"), request(Command.heartbeat, 7, bytesOf("x"))]);
    const wire = await edge.open("tcp", { handshake: bytes });

    expect(await wire.next()).toMatchObject({ type: "response", requestId: 7 });
  });

  test("handshake may come byte by byte", async () => {
    const wire = await edge.open("tcp", { handshake: fromHex("11") });
    await settle(await edge.open("tcp")); // by now the first byte has been read

    wire.sendBytes(fromHex("09"));

    await settle(wire);
  });

  test.each(vectors.tcp.filter(({ hex }) => hex.length < 4))(
    "unfinished handshake is ended in silence at its deadline: $name",
    async (row) => {
      const startedMs = performance.now();
      const wire = await edge.open("tcp", { handshake: fromHex(row.hex) }); // [D03]

      await expectSilentEnd(wire);

      expect(performance.now() - startedMs).toBeWithin(290, 1500);
      expect(wire.receivedBytes).toBe(0);
    },
  );

  test("stream that ends within the handshake is ended in silence", async () => {
    const wire = await edge.open("tcp", { handshake: fromHex("11"), allowHalfOpen: true });

    wire.end();

    await expectSilentEnd(wire, 250); // sooner than the deadline of the handshake
    expect(wire.receivedBytes).toBe(0);
  });
});

describe("handshake on WebSocket", () => {
  test.each(vectors.ws.filter(({ ok }) => ok))("good query is upgraded: $name", async (row) => {
    const wire = await edge.open("ws", { version: row.fields!.version, query: row.query });

    await settle(wire);
  });

  test.each(vectors.ws.filter(({ ok }) => !ok))(
    "bad query is answered 400 with the word: $name",
    async (row) => {
      const { status, body, headers } = await upgradeError("/", row.query);

      expect({ status, body }).toEqual({ status: 400, body: row.error! });
      expect(headers["content-type"]).toStartWith("text/plain");
    },
  );

  test.each(["/", "/v2"])("path %s is upgraded", async (path) => {
    const wire = await edge.open("ws", { url: edge.url("ws").replace("/v2", path) }); // [D01]

    await settle(wire);
  });

  test.each(["/v1", "/v2/", "/metrics"])("path %s is answered 404", async (path) => {
    expect((await upgradeError(path)).status).toBe(404);
  });

  // They make the address of the request one that cannot be parsed.
  test.each(["[:::", "a b c", "%%%", "x:99999"])(
    "Host header %s is the client's fault, and no exception",
    async (host) => {
      const { hostname, port } = new URL(edge.url("ws"));
      const answer = await exchange({
        host: hostname,
        port: Number(port),
        send: `GET /v2?version=1&codec=1&platform=9 HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
        isComplete: (text) => text.endsWith("bad request"),
      });

      expect(answer).toStartWith("HTTP/1.1 400");
      expect(await edge.metric("holdfast_exceptions_total")).toBe(0);
    },
  );

  test("what is no upgrade is answered 426", async () => {
    const http = edge.url("ws").replace("ws:", "http:");

    const answer = await fetch(`${http}?version=1&codec=1&platform=9`);

    expect(answer.status).toBe(426);
  });

  test("where origins are listed, a page of another one is told 403, and is counted", async () => {
    const settings = { EDGE_WS_ORIGINS: "https://app.example" };
    await using choosy = await startEdge({ settings });
    const url = choosy.url("ws").replace("ws:", "http:");
    const upgrade = { connection: "upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
    const key = { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
    const ask = async (origin: string) => {
      const headers = { ...upgrade, ...key, origin };
      return (await fetch(`${url}?version=1&codec=1&platform=9`, { headers })).status;
    };

    expect(await ask("https://evil.example")).toBe(403);
    expect(await ask("https://app.example")).toBe(101);
    const labels = { transport: "ws", reason: "origin" };
    expect(await choosy.metric("holdfast_connections_rejected_total", labels)).toBe(1);
    await choosy.open("ws"); // no browser
  });

  // Kept alive it would hold a descriptor that no limit counts, for as long as it likes.
  test.each(["/v1", "/v2", "/v2?version=1&codec=1&platform=9"])(
    "connection that asked for %s without an upgrade is not kept",
    async (path) => {
      const { hostname, port } = new URL(edge.url("ws"));
      const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
      const ended = new Promise((resolve) => socket.once("end", () => resolve("ended")));
      socket.resume();

      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);

      expect(await Promise.race([ended, Bun.sleep(2000)])).toBe("ended");
      socket.destroy();
    },
  );

  test("extensions and subprotocols are not negotiated", async () => {
    const { promise, resolve } = Promise.withResolvers<{ extensions: string; protocol: string }>();
    const socket = new WebSocket(`${edge.url("ws")}?version=1&codec=1&platform=9`, {
      headers: { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" },
    });
    socket.onopen = () => resolve({ extensions: socket.extensions, protocol: socket.protocol });

    expect(await promise).toEqual({ extensions: "", protocol: "" });

    socket.close();
  });
});
