/** What a Close says about coming back, and that older clients may be left without it. [§7.1] */
import { describe, expect, test } from "bun:test";
import type { Wire } from "@holdfast/client/wire";
import { type CloseHints, Command, decodeClose } from "@holdfast/protocol";
import { startEdge, transports } from "../support/edge.ts";
import { expectClose, openSession } from "../support/packets.ts";

/** The hints of the Close that comes next. */
async function nextHints(wire: Wire): Promise<CloseHints | undefined> {
  const packet = await wire.next();
  expect(packet).toMatchObject({ type: "push", command: Command.close });
  return decodeClose(packet.body).hints;
}

for (const transport of transports) {
  describe(`hints of a Close on ${transport}`, () => {
    test("newer login tells the older connection to stay away", async () => {
      await using edge = await startEdge();
      const older = await openSession(edge, transport, "alice");

      await openSession(edge, transport, "alice");

      await expectClose(older.wire, transport, 6, "duplicate login");
      expect(await nextHints(older.wire)).toEqual({ reconnect: false });
    });

    test("node that stops tells each client when to come back", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport, "alice");

      await edge.edge.stop();

      await expectClose(wire, transport, 2, "server shutdown");
      const hints = await nextHints(wire);
      expect(hints?.reconnect).toBeUndefined();
      expect(hints?.retryAfterMs).toBeWithin(0, 2001);
    });

    test("node that is told not to says nothing of the kind", async () => {
      await using edge = await startEdge({ settings: { EDGE_CLOSE_HINTS: "false" } });
      const older = await openSession(edge, transport, "alice");

      await openSession(edge, transport, "alice");

      await expectClose(older.wire, transport, 6, "duplicate login");
      expect(await nextHints(older.wire)).toBeUndefined();
    });
  });
}
