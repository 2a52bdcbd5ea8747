/**
 * What every bus promises, written as a suite: called by memory.test.ts and nats.test.ts. To show
 * that something does *not* arrive, a marker is sent behind it: order is kept, so whoever has the
 * marker would have had the other first.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { BusFault, ClusterBus, ClusterEvent, Notice } from "./bus.ts";
import { askContract } from "./contract-ask.ts";
import { createInbox, failure } from "./inbox.ts";

/** Buses that hear each other, and nobody else. */
export interface BusRig {
  bus(): Promise<ClusterBus>;
  /** What the buses have reported so far. */
  readonly faults: readonly BusFault[];
  /** Closes every bus; a publish afterwards must be refused. */
  close(): Promise<void>;
}

export const connectEvent: Extract<ClusterEvent, { type: "connect" }> = {
  type: "connect",
  account: "konto-Ä-账户-🦀",
  by: { node: "b", connection: "b.7.1" },
  displaced: [
    { connection: "a.3.1", generation: 1_790_000_000_000_001 },
    { connection: "a.3.2", generation: 7 },
  ],
  takenOver: [{ connection: "a.3.9", generation: 8 }],
  atMs: 1_790_000_000_123,
  ack: true,
};

export const openedNotice: Notice = {
  kind: "opened",
  tag: "4f1c",
  account: "konto-Ä-账户-🦀",
  sid: "s1",
  seat: { node: "b", connection: "b_7_1" },
  generation: 12,
  reason: "",
  atMs: 1_790_000_000_123,
};

export function busContract(name: string, make: () => Promise<BusRig>): void {
  describe(name, () => {
    let rig: BusRig;
    beforeEach(async () => {
      rig = await make();
    });
    afterEach(() => rig.close());

    describe("publish", () => publishContract(() => rig));
    describe("subscribe", () => subscribeContract(() => rig));
    describe("ask", () => askContract(() => rig));
    describe("notify", () => notifyContract(() => rig));
  });
}

function publishContract(rig: () => BusRig): void {
  test("event reaches the node it is for, and no other", async () => {
    const [a, b] = [createInbox<ClusterEvent>(), createInbox<ClusterEvent>()];
    const bus = await rig().bus();
    await (await rig().bus()).subscribe("a", a.deliver);
    await (await rig().bus()).subscribe("b", b.deliver);

    expect(bus.publish("a", ended("1"))).toBe(true);
    expect(bus.publish("all", ended("marker"))).toBe(true);

    expect(await a.take(2)).toEqual([ended("1"), ended("marker")]);
    expect(await b.take(1)).toEqual([ended("marker")]);
  });

  test("event for all reaches every node, the sender too", async () => {
    const [a, b] = [createInbox<ClusterEvent>(), createInbox<ClusterEvent>()];
    const sender = await rig().bus();
    await sender.subscribe("a", a.deliver);
    await (await rig().bus()).subscribe("b", b.deliver);

    sender.publish("all", { type: "drain", inTurn: true });

    expect(await a.take(1)).toEqual([{ type: "drain", inTurn: true }]);
    expect(await b.take(1)).toEqual([{ type: "drain", inTurn: true }]);
  });

  const events: readonly (readonly [string, ClusterEvent])[] = [
    ["connect", connectEvent],
    ["empty connect", { ...connectEvent, displaced: [], takenOver: [], atMs: 0, ack: false }],
    ["acked", { type: "acked", node: "a", by: "b.7.1", connections: ["a.3.1"] }],
    [
      "ended",
      { type: "ended", losers: [{ connection: "a.3.1", generation: 7 }], reason: "logout" },
    ],
    ["empty ended", { type: "ended", losers: [], reason: "" }],
    ["drain in turn", { type: "drain", inTurn: true }],
    ["drain at once", { type: "drain", inTurn: false }],
  ];
  test.each(events)("%s event arrives as it was sent", async (_name, event) => {
    const inbox = createInbox<ClusterEvent>();
    const bus = await rig().bus();
    await bus.subscribe("a", inbox.deliver);

    bus.publish("a", event);

    expect(await inbox.take(1)).toEqual([event]);
  });

  test("events of one sender keep their order, whether to one or to all", async () => {
    const inbox = createInbox<ClusterEvent>();
    await (await rig().bus()).subscribe("a", inbox.deliver);
    const bus = await rig().bus();
    const sent = Array.from({ length: 500 }, (_, index) => ended(String(index)));

    for (const [index, event] of sent.entries()) bus.publish(index % 3 ? "a" : "all", event);

    expect(await inbox.take(500)).toEqual(sent);
  });

  test("event is never delivered within the call that publishes it", async () => {
    const inbox = createInbox<ClusterEvent>();
    const bus = await rig().bus();
    await bus.subscribe("a", inbox.deliver);

    bus.publish("a", ended("1"));

    expect(inbox.received).toEqual([]);
    await inbox.take(1);
  });

  test("event about 2500 connections arrives in parts of at most 1000", async () => {
    const ids = Array.from({ length: 2500 }, (_, index) => `a.3.${index}`);
    const inbox = createInbox<ClusterEvent>();
    const bus = await rig().bus();
    await bus.subscribe("a", inbox.deliver);
    const losers = ids.map((connection, generation) => ({ connection, generation }));
    const [displaced, takenOver] = [losers.slice(0, 1700), losers.slice(1700)];

    bus.publish("a", { ...connectEvent, displaced, takenOver });
    bus.publish("a", { type: "ended", losers, reason: "revoke" });

    const parts = await inbox.take(6);
    const connects = parts.filter((part) => part.type === "connect");
    expect(connects.flatMap((part) => part.displaced)).toEqual(displaced);
    expect(connects.flatMap((part) => part.takenOver)).toEqual(takenOver);
    expect(Math.max(...parts.map(size))).toBe(1000);
    expect(parts.flatMap((part) => (part.type === "ended" ? part.losers : []))).toEqual(losers);
  });

  test.each(["", "a.b", "*", ">", "a b", "ä", "x".repeat(129)])(
    "event for node %p is refused, since that is no name",
    async (node) => {
      const bus = await rig().bus();

      expect(bus.publish(node, ended("1"))).toBe(false);
      expect(rig().faults).toEqual(["publish"]);
    },
  );

  test("closed bus refuses, and does not throw", async () => {
    const bus = await rig().bus();

    await rig().close();

    expect(bus.publish("a", ended("1"))).toBe(false);
    expect(bus.notify(openedNotice)).toBe(false);
    expect(bus.isConnected()).toBe(false);
    expect(rig().faults).toEqual(["publish", "publish"]);
  });
}

function subscribeContract(rig: () => BusRig): void {
  test("subscriber that throws disturbs neither the others nor itself", async () => {
    const [first, second] = [createInbox<ClusterEvent>(), createInbox<ClusterEvent>()];
    const bus = await rig().bus();
    await bus.subscribe("a", (event) => {
      first.deliver(event);
      throw new Error("a bug in the subscriber");
    });
    await bus.subscribe("a", second.deliver);

    bus.publish("a", ended("1"));
    bus.publish("a", ended("2"));

    expect(await first.take(2)).toEqual([ended("1"), ended("2")]);
    expect(await second.take(2)).toEqual([ended("1"), ended("2")]);
    expect(rig().faults).toEqual(["deliver", "deliver"]);
  });

  test("unsubscribing ends delivery, for that subscriber only", async () => {
    const [gone, stays] = [createInbox<ClusterEvent>(), createInbox<ClusterEvent>()];
    const bus = await rig().bus();
    const unsubscribe = await bus.subscribe("a", gone.deliver);
    await bus.subscribe("a", stays.deliver);

    await unsubscribe();
    await unsubscribe();
    bus.publish("a", ended("1"));

    expect(await stays.take(1)).toEqual([ended("1")]);
    expect(gone.received).toEqual([]);
  });

  test("subscription may be ended after its bus was closed", async () => {
    const bus = await rig().bus();
    const unsubscribe = await bus.subscribe("a", () => {});
    await rig().close();

    await unsubscribe();

    expect(rig().faults).toEqual([]);
  });

  test("subscription stands when its promise resolves", async () => {
    const sender = await rig().bus();
    const bus = await rig().bus();

    // Each round would lose its event if the subscription were only under way.
    for (const node of ["a", "b", "c", "d", "e"]) {
      const inbox = createInbox<ClusterEvent>();
      await bus.subscribe(node, inbox.deliver);
      sender.publish(node, ended(node));
      expect(await inbox.take(1)).toEqual([ended(node)]);
    }
  });

  test.each(["", "all", "a.b", "*", ">"])("node cannot be called %p", async (node) => {
    const bus = await rig().bus();

    expect(await failure(bus.subscribe(node, () => {}))).toMatch(/^Cannot address node /);
  });
}

function notifyContract(rig: () => BusRig): void {
  test("notice reaches those who listen to its kind or to all", async () => {
    const [opened, closed, all] = [
      createInbox<Notice>(),
      createInbox<Notice>(),
      createInbox<Notice>(),
    ];
    const bus = await rig().bus();
    await bus.listen("opened", opened.deliver);
    await bus.listen("closed", closed.deliver);
    await bus.listen("*", all.deliver);
    const closedNotice: Notice = { ...openedNotice, kind: "closed", reason: "KickedOut" };

    expect(bus.notify(openedNotice)).toBe(true);
    expect(bus.notify(closedNotice)).toBe(true);

    expect(await all.take(2)).toEqual([openedNotice, closedNotice]);
    expect(await opened.take(1)).toEqual([openedNotice]);
    expect(await closed.take(1)).toEqual([closedNotice]);
  });

  test.each(["opened", "resumed", "closed", "lapsed"] as const)(
    "notice of kind %s arrives as it was sent",
    async (kind) => {
      const inbox = createInbox<Notice>();
      const bus = await rig().bus();
      await bus.listen("*", inbox.deliver);

      bus.notify({ ...openedNotice, kind });

      expect(await inbox.take(1)).toEqual([{ ...openedNotice, kind }]);
    },
  );

  test("notice is no event: nodes do not hear it", async () => {
    const [events, notices] = [createInbox<ClusterEvent>(), createInbox<Notice>()];
    const bus = await rig().bus();
    await bus.subscribe("opened", events.deliver);
    await bus.listen("*", notices.deliver);

    bus.notify(openedNotice);
    bus.publish("all", ended("marker"));

    expect(await events.take(1)).toEqual([ended("marker")]);
    expect(await notices.take(1)).toEqual([openedNotice]);
  });

  test("listener that throws or leaves does not disturb the others", async () => {
    const [gone, stays] = [createInbox<Notice>(), createInbox<Notice>()];
    const bus = await rig().bus();
    const leave = await bus.listen("opened", gone.deliver);
    await bus.listen("opened", () => {
      throw new Error("a bug in the listener");
    });
    await bus.listen("opened", stays.deliver);

    await leave();
    bus.notify(openedNotice);

    expect(await stays.take(1)).toEqual([openedNotice]);
    expect(gone.received).toEqual([]);
    expect(rig().faults).toEqual(["deliver"]);
  });

  test.each(["", "a.b", "*", ">"])("notice with the tag %p is refused", async (tag) => {
    const bus = await rig().bus();

    expect(bus.notify({ ...openedNotice, tag })).toBe(false);
    expect(rig().faults).toEqual(["publish"]);
  });
}

function ended(connection: string): ClusterEvent {
  return { type: "ended", losers: [{ connection, generation: 1 }], reason: "logout" };
}

function size(event: ClusterEvent): number {
  if (event.type === "connect") return event.displaced.length + event.takenOver.length;
  if (event.type === "ended") return event.losers.length;
  return event.type === "drain" ? 0 : event.connections.length;
}
