/** The members of the topic, in a process of their own: they log in, and count what they read. */
import { type Crowd, countBytes, disperse, gather, type TransportName } from "./crowd.ts";

interface Order {
  readonly act: "gather" | "expect";
  readonly transport: TransportName;
  readonly port: number;
  readonly members: number;
  readonly tokens: readonly string[] | null;
  readonly bytes: number;
}

const atOnce = 500;
const crowd: Crowd[number][] = [];

process.on("message", (order: Order) => void follow(order));
process.on("disconnect", () => disperse(crowd));

async function follow(order: Order): Promise<void> {
  switch (order.act) {
    case "gather": {
      const { transport, port, members, tokens } = order;
      while (crowd.length < members) {
        const count = Math.min(atOnce, members - crowd.length);
        const part = tokens === null ? null : tokens.slice(crowd.length, crowd.length + count);
        crowd.push(...(await gather({ transport, port, count, tokens: part })));
      }
      process.send?.({});
      return;
    }
    case "expect":
      await countBytes(order.bytes);
      process.send?.({ atMs: performance.timeOrigin + performance.now() });
      return;
    default:
      order.act satisfies never;
  }
}
