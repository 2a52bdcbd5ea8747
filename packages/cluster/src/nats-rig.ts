/** For tests: a link to a NATS server that remembers everything it was told. */
import type { BusFault } from "./bus.ts";
import { createInbox } from "./inbox.ts";
import { connectNats, type NatsLink, type NatsLinkOptions, type NatsStatus } from "./nats.ts";

export async function openLink(urls: string, options: Partial<NatsLinkOptions> = {}) {
  const faulted = createInbox<BusFault>();
  const statuses = createInbox<NatsStatus>();
  let reconnects = 0;
  const link = await connectNats({
    urls,
    name: "test",
    startTimeoutMs: 5000,
    onFault: faulted.deliver,
    onStatus: statuses.deliver,
    onReconnect: () => {
      reconnects++;
    },
    ...options,
  });
  return {
    link,
    faulted,
    get faults() {
      return faulted.received;
    },
    get statuses() {
      return statuses.received;
    },
    get reconnects() {
      return reconnects;
    },
    /** Resolves once the status has been told, be it before this call. */
    async until(type: NatsStatus["type"]) {
      while (!statuses.received.some((status) => status.type === type)) {
        await statuses.take(statuses.received.length + 1, 10_000);
      }
    },
    dials: (count: number) => counted(link, "reconnecting", count),
    pings: (count: number) => counted(link, "pingTimer", count),
    [Symbol.asyncDispose]: () => link.close(),
  };
}

async function counted(link: NatsLink, type: string, count: number): Promise<void> {
  let seen = 0;
  for await (const status of link.client.status()) {
    if (status.type === type && ++seen === count) return;
  }
}
