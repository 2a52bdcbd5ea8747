import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Command, compressBody, encodeRequest } from "@holdfast/protocol";
import { startEdge, type TestEdge, type TransportName, transports } from "../support/edge.ts";
import {
  auth,
  expectClose,
  fromHex,
  noise,
  openSession,
  request,
  settle,
} from "../support/packets.ts";
import { echo } from "../support/scripted-upstream.ts";
import { type MalformedVectors, readVectors } from "../support/vectors.ts";

const { cases } = await readVectors<MalformedVectors>("malformed");
const kibibyte = 1024;
let edge: TestEdge;

beforeAll(async () => {
  edge = await startEdge({ settings: { EDGE_INFLATED_BYTES_MAX: 1024 * kibibyte } });
});
afterAll(() => edge[Symbol.asyncDispose]());

/** A header that announces a body which never comes. */
function header(command: number, bodyBytes: number): Uint8Array {
  const bytes = request(command, 9);
  new DataView(bytes.buffer).setUint32(7, bodyBytes); // three bytes, and the low one of the timeout
  return bytes;
}

/** A body of zeros of this size, compressed. */
function bomb(command: number, bodyBytes: number): Uint8Array {
  const body = compressBody(new Uint8Array(bodyBytes), 1)!; // zeros always become fewer
  return encodeRequest(1, command, 9, 0, body, { isCompressed: true });
}

async function opened(transport: TransportName, version: 1 | 2) {
  const wire = await edge.open(transport, { version });
  await auth(wire, await edge.issueToken("mallory", { limit: 1000 }));
  return wire;
}

describe("malformed vectors", () => {
  test.each(cases)("message that is no packet is told Close 3: $name", async (row) => {
    const wire = await opened("ws", row.version);

    wire.sendBytes(fromHex(row.hex));

    await expectClose(wire, "ws", 3, row.message_error);
  });

  test.each(cases.filter((row) => row.stream_error !== null))(
    "stream that is spoiled is told Close 3: $name",
    async (row) => {
      const wire = await opened("tcp", row.version);

      wire.sendBytes(fromHex(row.hex));

      await expectClose(wire, "tcp", 3, row.stream_error!); // filtered above
    },
  );

  test.each(cases.filter((row) => row.stream_error === null && row.hex !== ""))(
    "stream that ends within a packet is ended without a word: $name",
    async (row) => {
      const wire = await opened("tcp", row.version);
      await settle(wire);
      const before = wire.receivedBytes;

      wire.sendBytes(fromHex(row.hex));
      wire.end();

      const { closePush, how } = await wire.waitClosed();
      expect({ closePush, how, bytes: wire.receivedBytes - before }).toEqual({
        ...{ closePush: null, how: "fin", bytes: 0 },
      });
    },
  );
});

for (const transport of transports) {
  describe(`size limits on ${transport}`, () => {
    test("body as large as the limit before login is looked at", async () => {
      const wire = await edge.open(transport);

      const answer = await wire.request(echo, noise(64 * kibibyte));

      expect(answer.status).toBe(5);
    });

    test("body above the limit before login is refused at its header", async () => {
      const wire = await edge.open(transport);

      wire.sendBytes(header(echo, 64 * kibibyte + 1));

      await expectClose(wire, transport, 3, "too-large");
    });

    test("body as large as the limit after login is echoed", async () => {
      const { wire } = await openSession(edge, transport);
      const body = noise(1024 * kibibyte);

      const answer = await wire.request(echo, body);

      expect(Buffer.compare(answer.body, body)).toBe(0);
    });

    test("header that announces one byte above the limit is refused", async () => {
      const { wire } = await openSession(edge, transport);

      wire.sendBytes(header(echo, 1024 * kibibyte + 1));

      await expectClose(wire, transport, 3, "too-large");
    });

    test("header that announces 16 MiB costs no memory", async () => {
      const { wire } = await openSession(edge, transport);

      wire.sendBytes(header(echo, 0xffffff));

      await expectClose(wire, transport, 3, "too-large");
      expect(await edge.metric("holdfast_body_memory_bytes")).toBe(0);
    });

    test("body that inflates to the limit is echoed", async () => {
      const { wire } = await openSession(edge, transport);

      wire.sendBytes(bomb(echo, 1024 * kibibyte));

      expect((await wire.next()).body.length).toBe(1024 * kibibyte);
    });

    test.each([1024 * kibibyte + 1, 64 * 1024 * kibibyte])(
      "body that inflates to %d bytes is refused",
      async (bytes) => {
        const { wire } = await openSession(edge, transport);

        wire.sendBytes(bomb(echo, bytes));

        await expectClose(wire, transport, 3, "too-large");
      },
    );

    test("body that inflates above the limit before login is refused", async () => {
      const wire = await edge.open(transport);

      wire.sendBytes(bomb(echo, 64 * kibibyte + 1));

      await expectClose(wire, transport, 3, "too-large");
    });

    test("heartbeat of 64 KiB is echoed in every state", async () => {
      const body = noise(64 * kibibyte);
      const stranger = await edge.open(transport);
      const { wire } = await openSession(edge, transport);

      for (const each of [stranger, wire]) {
        const answer = await each.request(Command.heartbeat, body);
        expect(Buffer.compare(answer.body, body)).toBe(0);
      }
    });

    test("heartbeat above 64 KiB is refused after login, too", async () => {
      const { wire } = await openSession(edge, transport); // [§9]

      wire.sendBytes(header(Command.heartbeat, 64 * kibibyte + 1));

      await expectClose(wire, transport, 3, "too-large");
    });

    test("heartbeat that inflates above 64 KiB is refused after login, too", async () => {
      const { wire } = await openSession(edge, transport);

      wire.sendBytes(bomb(Command.heartbeat, 64 * kibibyte + 1));

      await expectClose(wire, transport, 3, "too-large");
    });
  });
}

describe("messages", () => {
  test("fragmented message is one packet", async () => {
    const { wire } = await openSession(edge, "ws");
    const packet = request(echo, 5, noise(3000));

    wire.sendFragments([packet.subarray(0, 1), packet.subarray(1, 1500), packet.subarray(1500)]);

    expect((await wire.next()).body.length).toBe(3000);
  });

  test("text message is told Close 3", async () => {
    const { wire } = await openSession(edge, "ws");

    wire.sendText("hello");

    await expectClose(wire, "ws", 3, "text message");
  });

  test("empty text message is told Close 3 before login, too", async () => {
    const wire = await edge.open("ws");

    wire.sendText("");

    await expectClose(wire, "ws", 3, "text message");
  });

  test("breach of the WebSocket protocol is ended without a Close push", async () => {
    const { wire } = await openSession(edge, "ws");

    wire.sendFrame({ opcode: 2, payload: request(echo, 1), isMasked: false });

    expect((await wire.waitClosed()).closePush).toBeNull();
  });
});
