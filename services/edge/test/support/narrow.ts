/** A connection for tests of what waits: its socket takes what the test lets it take. */
import { decodeMessage } from "@holdfast/protocol";
import type { Connection } from "../../src/transport/transport.ts";

const limits = {
  bodyBytesMax: 16_777_215,
  inflatedBytesMax: 32_000_000,
  heartbeatBytesMax: 1000,
};
/** A socket that takes as many bytes as there is room, whole packets at a time. */
export interface Narrow extends Connection {
  room: number;
  readonly taken: string[];
}

export function createNarrow(budget: { nodeBytes: number }, room: number): Narrow {
  let queue: Uint8Array[] = [];
  const pending = () => queue.reduce((sum, packet) => sum + packet.length, 0);
  const narrow: Narrow = {
    ...{ transport: "ws", remoteAddress: "127.0.0.1", userAgent: "", room, taken: [] },
    get pendingBytes() {
      return pending();
    },
    heldBytes: 0,
    isBlocked: false,
    send(packet) {
      queue.push(packet);
      budget.nodeBytes += packet.length;
      return true;
    },
    flush() {
      for (; (queue[0]?.length ?? Number.POSITIVE_INFINITY) <= narrow.room; queue.shift()) {
        const [packet] = queue;
        if (packet === undefined) break;
        narrow.room -= packet.length;
        budget.nodeBytes -= packet.length;
        const { type, body } = decodeMessage(packet, 1, limits);
        narrow.taken.push(`${type === "response" ? "=" : ""}${Buffer.from(body).toString()}`);
      }
      Object.assign(narrow, { isBlocked: queue.length > 0 });
    },
    end() {
      budget.nodeBytes -= pending();
      queue = [];
    },
    ...{ ping() {}, pause() {}, resume() {}, abort() {} },
  };
  return narrow;
}
