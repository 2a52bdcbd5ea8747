/** What is mended in the client's sockets and shows without a server that hangs. */
import { describe, expect, test } from "bun:test";
import { startNats } from "@holdfast/servers";
import type { NatsConnection } from "nats";
import { openLink } from "./nats-rig.ts";

interface Inside {
  readonly protocol: { readonly transport: { readonly socket: { write: WriteSocket } } };
}
type WriteSocket = (frame: Uint8Array, ...rest: unknown[]) => boolean;

/** Counts what the client hands to its socket; a test borrows what the library hides. */
function countWrites(client: NatsConnection): { count: number; bytes: number } {
  const { socket } = (client as unknown as Inside).protocol.transport;
  const seen = { count: 0, bytes: 0 };
  const write = socket.write.bind(socket);
  socket.write = (frame, ...rest) => {
    seen.count++;
    seen.bytes += frame.length;
    return write(frame, ...rest);
  };
  return seen;
}

describe("mendTransport", () => {
  test("what one turn of the event loop publishes leaves in one write, in order", async () => {
    await using server = await startNats();
    await using rig = await openLink(server.url);
    const { client } = rig.link;
    const bodies: number[] = [];
    client.subscribe("turn", { callback: (_, message) => void bodies.push(message.data[0] ?? -1) });
    await client.flush();
    const writes = countWrites(client);

    for (let index = 0; index < 100; index++) {
      await Promise.resolve(); // the library alone would write here
      rig.link.publish("turn", Uint8Array.of(index));
    }
    await client.flush();

    expect(bodies).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(writes.count).toBe(1);
  });

  test("what is still held when the connection is closed has been sent", async () => {
    await using server = await startNats();
    await using rig = await openLink(server.url);
    const other = await openLink(server.url);
    let count = 0;
    rig.link.client.subscribe("last", { callback: () => void count++ });
    await rig.link.client.flush();

    for (let index = 0; index < 10; index++) other.link.publish("last", new Uint8Array(1));
    await other.link.close();
    await rig.link.client.flush();

    expect(count).toBe(10);
  });
});
