import { describe, expect, test } from "bun:test";
import { startEdge, transports } from "../support/edge.ts";
import { expectClose, openSession, settle } from "../support/packets.ts";

describe("listeners", () => {
  for (const transport of transports) {
    test(`several acceptors share one port on ${transport}`, async () => {
      await using edge = await startEdge({ settings: { EDGE_ACCEPTORS: 8 } });
      const wires = await Promise.all(Array.from({ length: 40 }, () => edge.open(transport)));
      for (const wire of wires) await settle(wire);

      await edge.edge.drain();

      for (const wire of wires) await expectClose(wire, transport, 2, "server shutdown");
      for (let count = 0; count < 20; count++) {
        await expect(edge.open(transport)).rejects.toThrow();
      }
    });

    test(`${transport} port that is taken is told at the start`, async () => {
      await using edge = await startEdge();
      const port = transport === "tcp" ? edge.edge.tcpPort : edge.edge.wsPort;
      const name = transport === "tcp" ? "EDGE_TCP_PORT" : "EDGE_WS_PORT";

      await expect(startEdge({ settings: { [name]: port } })).rejects.toThrow();

      await settle((await openSession(edge, transport)).wire);
    });
  }

  test("connection id and remote address do not depend on the acceptor", async () => {
    await using edge = await startEdge({ settings: { EDGE_ACCEPTORS: 4 } });
    const seats = [];
    for (let count = 0; count < 12; count++) {
      const { wire } = await openSession(edge, count % 2 === 0 ? "tcp" : "ws");
      await wire.request(16, new Uint8Array(0));
      seats.push(edge.upstream.calls.at(-1)!.seat.connection); // asked just now
    }

    expect(new Set(seats).size).toBe(12);
  });
});
