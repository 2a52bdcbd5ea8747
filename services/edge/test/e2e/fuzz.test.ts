import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Command, encodeRequest } from "@holdfast/protocol";
import { startEdge, type TestEdge, transports } from "../support/edge.ts";
import { auth, authBody, noise, settle } from "../support/packets.ts";
import { broken, echo, silent, unrouted } from "../support/scripted-upstream.ts";

const seed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 1_000_000);
const runs = Number(process.env["FUZZ_RUNS"] ?? 150);
let edge: TestEdge;

beforeAll(async () => {
  const settings = { EDGE_REQUEST_TIMEOUT_MS: 50, EDGE_REFUSAL_GRACE_MS: 50 };
  // A turned bit must not ask for a bug of the node, or for megabytes.
  edge = await startEdge({ settings, commands: [echo, silent, broken] });
});
afterAll(() => edge[Symbol.asyncDispose]());

/** Good packets, with some of their bits turned, cut off, or followed by noise. */
function spoil(round: number): Uint8Array {
  const commands = [...Object.values(Command), echo, unrouted, silent, broken];
  const body = round % 3 === 0 ? authBody(`bad.${round}`) : noise(round % 200, round + 1);
  const good = encodeRequest(1, commands[round % commands.length]!, round, 20, body); // in bounds
  const bytes = Buffer.concat([good, good, noise(round % 7, round + 2)]);
  const draws = noise(16, seed + round);
  for (let index = 0; index < draws[0]! % 4; index++) {
    const at = draws[index + 1]! % bytes.length;
    bytes[at] = bytes[at]! ^ (1 << (draws[index + 5]! & 7)); // at is below the length
  }
  return bytes.subarray(0, 1 + (draws[10]! % bytes.length));
}

// Goal: whatever bytes come, before login or after it, a connection is told Close 3 or nothing, and
// the node has no fault of its own. How: seeded mutations of good packets, many on one node.
describe(`bytes of any kind, seed ${seed}`, () => {
  for (const transport of transports) {
    test(`they leave no exception behind on ${transport}`, async () => {
      for (let round = 0; round < runs; round++) {
        const wire = await edge.open(transport, { autoPong: false });
        if (round % 2 === 0) await auth(wire, await edge.issueToken(`fuzz-${transport}-${round}`));
        wire.sendBytes(spoil(round));
        if (transport === "ws") wire.sendClose(1000);
        wire.end();

        const { closePush, bytesAfterClose } = await wire.waitClosed();
        expect([3, null]).toContain(closePush?.code ?? null);
        expect(bytesAfterClose).toBe(0);
      }

      expect(await edge.metric("holdfast_exceptions_total", { where: "timer" })).toBe(0);
      const faults = await edge.metric("holdfast_exceptions_total", { where: "packet" });
      const asked = edge.upstream.calls.filter(({ command }) => command === broken).length;
      expect(faults).toBeLessThanOrEqual(asked); // the upstream that throws, and nothing else
      await settle(await edge.open(transport));
    });
  }
});
