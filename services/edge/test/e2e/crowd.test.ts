/** Many strangers in the same moment: some wait for a later turn, and each is heard as if alone. */
import { describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { Command, encodeTcpHandshake } from "@holdfast/protocol";
import { within } from "../support/arrivals.ts";
import { startEdge, type TestEdge, type TransportName, transports } from "../support/edge.ts";
import { bytesOf, request } from "../support/packets.ts";

const crowd = 300; // several turns of them
const settings = { EDGE_CONNECTIONS_MAX: crowd, EDGE_UNAUTHENTICATED_MAX: crowd };
const upgrade =
  "GET /v2?version=1&codec=1&platform=9 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" +
  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const hello = {
  tcp: encodeTcpHandshake({ version: 1, codec: 1, platform: 9 }),
  ws: Buffer.from(upgrade),
};

/** Of a client, masked with zeros. */
function frame(packet: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(0x82, 0x80 | packet.length, 0, 0, 0, 0), packet]);
}

function heartbeat(transport: TransportName, text: string, id: number): Uint8Array {
  const packet = request(Command.heartbeat, id, bytesOf(text));
  return transport === "tcp" ? packet : frame(packet);
}

async function connected(edge: TestEdge, transport: TransportName): Promise<Socket> {
  const port = Number(new URL(edge.url(transport)).port);
  const socket = connect({ host: "127.0.0.1", port });
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

/** All that comes until it has this in it. */
function heard(socket: Socket, last: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let all = "";
  socket.on("data", (chunk: Uint8Array) => {
    all += Buffer.from(chunk).toString("latin1");
    if (all.includes(last)) resolve(all);
  });
  socket.on("close", () => reject(new Error(`It ended, and had said: ${all}`)));
  return promise;
}

for (const transport of transports) {
  describe(`a crowd of strangers on ${transport}`, () => {
    test("whatever each says in one piece with its greeting is answered, in order", async () => {
      await using edge = await startEdge({ settings });
      const sockets: Socket[] = [];
      for (let index = 0; index < crowd; index++) sockets.push(await connected(edge, transport));
      const answers = sockets.map((socket, index) => heard(socket, `second of ${index}.`));

      for (const [index, socket] of sockets.entries()) {
        const first = heartbeat(transport, `first of ${index}.`, 1);
        const second = heartbeat(transport, `second of ${index}.`, 2);
        socket.write(Buffer.concat([hello[transport], first, second]));
      }
      const told = await within(Promise.all(answers), "all to be answered", 10_000);

      const inOrder = told.filter((all, index) => {
        const at = [`first of ${index}.`, `second of ${index}.`].map((text) => all.indexOf(text));
        return at[0]! >= 0 && at[0]! < at[1]!;
      });
      expect(inOrder.length).toBe(crowd);
      for (const socket of sockets) socket.destroy();
    });

    test("those who leave before their turn leave nothing behind", async () => {
      await using edge = await startEdge({ settings });
      const sockets: Socket[] = [];
      for (let index = 0; index < crowd; index++) sockets.push(await connected(edge, transport));
      const last = sockets.pop()!; // there are many
      const answer = heard(last, "last.");

      for (const socket of sockets) {
        socket.write(Buffer.concat([hello[transport], heartbeat(transport, "gone.", 1)]));
        socket.resetAndDestroy();
      }
      last.write(Buffer.concat([hello[transport], heartbeat(transport, "last.", 1)]));

      await within(answer, "the last to be answered", 10_000);
      last.destroy();
    });
  });
}
