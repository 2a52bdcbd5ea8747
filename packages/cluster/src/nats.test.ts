import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Server, startNats } from "@holdfast/servers";
import { headers } from "nats";
import type { BusFault, ClusterEvent, Notice } from "./bus.ts";
import { busContract, connectEvent, openedNotice } from "./contract.ts";
import { encodeEvent } from "./envelope.ts";
import { createInbox, failure } from "./inbox.ts";
import { connectNats, createNatsBus, type NatsLink } from "./nats.ts";

let server: Server;
let prefixes = 0; // tests share a server and not a word

beforeAll(async () => {
  server = await startNats({ config: PERMISSIONS });
});
afterAll(() => server.stop());

/** One user may do everything, the other may neither hear nor speak where nodes do. */
const PERMISSIONS = `
  authorization: {
    users: [
      { user: edge, password: tide }
      { user: stranger, password: ebb,
        permissions: { publish: { deny: ["*.node.>"] }, subscribe: { deny: ["*.node.>"] } } }
    ]
  }`;

busContract("createNatsBus", async () => {
  const rig = createRig();
  return {
    faults: rig.faults,
    bus: async () => (await rig.node()).bus,
    close: rig.close,
  };
});

describe("createNatsBus", () => {
  test("subjects are those that others rely on", async () => {
    await using rig = createRig();
    const { bus, link } = await rig.node();
    const subjects = createInbox<string>();
    link.client.subscribe(`${rig.prefix}.>`, {
      callback: (_error, message) => subjects.deliver(message.subject),
    });
    await link.ping(1000);

    bus.publish("a", connectEvent);
    bus.publish("all", connectEvent);
    bus.notify({ ...openedNotice, kind: "lapsed", tag: "4f1c" });

    expect(await subjects.take(3)).toEqual([
      `${rig.prefix}.node.a`,
      `${rig.prefix}.nodes`,
      `${rig.prefix}.event.lapsed.4f1c`,
    ]);
  });

  test.each([
    ["nothing", new Uint8Array()],
    ["text", new TextEncoder().encode("hello?")],
    ["random bytes", Uint8Array.from({ length: 500 }, (_, index) => (index * 151) & 255)],
    ["half an event", encodeEvent(connectEvent).subarray(0, 20)],
  ])("message that is %s is counted, and the next one is delivered", async (_name, garbage) => {
    await using rig = createRig();
    const { bus, link } = await rig.node();
    const events = createInbox<ClusterEvent>();
    const notices = createInbox<Notice>();
    await bus.subscribe("a", events.deliver);
    await bus.listen("*", notices.deliver);

    link.client.publish(`${rig.prefix}.node.a`, garbage);
    link.client.publish(`${rig.prefix}.event.opened.4f1c`, garbage);
    bus.publish("a", connectEvent);
    bus.notify(openedNotice);

    expect(await events.take(1)).toEqual([connectEvent]);
    expect(await notices.take(1)).toEqual([openedNotice]);
    expect(rig.faults).toEqual(["decode", "decode"]);
  });

  test.each(["Holdfast-Seat", "Holdfast-Command"])(
    "message to a node with the header %s is a push, and handed on",
    async (header) => {
      await using rig = createRig();
      const { link } = await rig.node();
      const pushes = createInbox<string>();
      const bus = createNatsBus({
        connection: link,
        prefix: rig.prefix,
        onFault: rig.onFault,
        onPush: (message) => pushes.deliver(message.headers?.get(header) ?? ""),
      });
      const events = createInbox<ClusterEvent>();
      await bus.subscribe("a", events.deliver);
      const push = headers();
      push.set(header, "a/1");

      link.client.publish(`${rig.prefix}.node.a`, encodeEvent(connectEvent), { headers: push });
      bus.publish("a", { type: "drain", inTurn: false });

      expect(await events.take(1)).toEqual([{ type: "drain", inTurn: false }]);
      expect(pushes.received).toEqual(["a/1"]);
      expect(rig.faults).toEqual([]);
    },
  );

  test("clusters with different prefixes do not hear each other", async () => {
    await using ours = createRig();
    await using theirs = createRig();
    const inbox = createInbox<ClusterEvent>();
    const { bus, link } = await ours.node();
    await bus.subscribe("a", inbox.deliver);
    const other = await theirs.node();

    other.bus.publish("a", connectEvent);
    other.bus.publish("all", connectEvent);
    await other.link.ping(1000);
    bus.publish("a", { type: "drain", inTurn: false });
    await link.ping(1000);

    expect(await inbox.take(1)).toEqual([{ type: "drain", inTurn: false }]);
  });

  test("event larger than the server takes is refused and counted", async () => {
    await using rig = createRig();
    const { bus, link } = await rig.node();

    const account = "x".repeat(link.payloadBytesMax);

    expect(bus.publish("a", { ...connectEvent, account })).toBe(false);
    expect(rig.faults).toEqual(["publish"]);
    expect(link.isConnected()).toBe(true);
  });

  test("subscription that NATS does not permit fails with its reason", async () => {
    await using rig = createRig();
    const { bus } = await rig.node({ user: "stranger", password: "ebb" });

    expect(await failure(bus.subscribe("a", () => {}))).toMatch(
      /^Cannot subscribe to \S+\.node\.a and \S+\.nodes: .*Permissions Violation/,
    );
  });

  test("publishing that NATS does not permit is counted when NATS says so", async () => {
    await using rig = createRig();
    const { bus, link } = await rig.node({ user: "stranger", password: "ebb" });

    expect(bus.publish("a", connectEvent)).toBe(true);
    const [fault] = await rig.told.take(1);

    expect(fault).toEqual(["publish", `NATS permits no publish of ${rig.prefix}.node.a`]);
    expect(link.isConnected()).toBe(true);
  });

  test("NATS that stands still gives no answers, in time, and none when it is gone", async () => {
    const own = await startNats();
    const link = await connectNats({
      ...{ urls: own.url, name: "test", startTimeoutMs: 5000, onFault: () => {} },
    });
    const bus = createNatsBus({ connection: link, onFault: () => {} });
    await bus.subscribe(
      "a",
      () => {},
      () => ({ reachingMs: 1 }),
    );
    const ask = () => bus.ask("all", { type: "reach" }, { timeoutMs: 300 });
    expect(await ask()).toEqual([{ node: "a", reachingMs: 1 }]);

    own.signal("SIGSTOP");
    expect(await ask()).toEqual([]);
    own.signal("SIGKILL");
    while (link.isConnected()) await link.ping(100);
    expect(await ask()).toEqual([]);

    await link.close();
    await own.stop();
  });

  test.each(["", "a.", "a b", "*", "hf.>"])("prefix %p is refused", async (prefix) => {
    await using rig = createRig();
    const { link } = await rig.node();

    expect(() => createNatsBus({ connection: link, prefix, onFault: () => {} })).toThrow(
      /^Cannot use subject prefix /,
    );
  });
});

function createRig() {
  const faults: BusFault[] = [];
  const told = createInbox<[BusFault, string]>();
  const links: NatsLink[] = [];
  const prefix = `test${prefixes++}`;
  const onFault = (fault: BusFault, error: unknown) => {
    faults.push(fault);
    told.deliver([fault, error instanceof Error ? error.message : String(error)]);
  };

  return { prefix, faults, told, onFault, node, close, [Symbol.asyncDispose]: close };

  async function node(login = { user: "edge", password: "tide" }) {
    const urls = server.url;
    const link = await connectNats({ urls, ...login, name: "test", startTimeoutMs: 5000, onFault });
    links.push(link);
    return { link, bus: createNatsBus({ connection: link, prefix, onFault }) };
  }

  async function close(): Promise<void> {
    await Promise.all(links.map((link) => link.close()));
  }
}
