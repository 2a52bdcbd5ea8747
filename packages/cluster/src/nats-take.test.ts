/** What is taken out of the bytes of a real server, however they were cut. */
import { describe, expect, test } from "bun:test";
import { startNats } from "@holdfast/servers";
import { connect, headers as createHeaders, type Msg, type NatsConnection } from "nats";
import { createInbox } from "./inbox.ts";
import { openLink } from "./nats-rig.ts";

interface Taken {
  readonly number: number;
  readonly headers: string;
  readonly body: Uint8Array;
}

/** Chunks of so many bytes in the place of those that the server's socket gives. */
function cutInto(client: NatsConnection, size: () => number): void {
  const { protocol } = client as unknown as {
    protocol: { transport: { socket: NodeJS.EventEmitter } };
  }; // a test borrows what the library hides
  const { socket } = protocol.transport;
  const readers = socket.listeners("data");
  socket.removeAllListeners("data");
  socket.on("data", (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      const end = Math.min(chunk.length, at + size());
      for (const read of readers) read(chunk.subarray(at, end));
      at = end;
    }
  });
}

/** What takes this one throws. */
const badNumber = 666;

async function open(url: string) {
  const rig = await openLink(url);
  const taken = createInbox<Taken>();
  const faults: unknown[] = [];
  const end = rig.link.take({
    subject: "in.box.*",
    refused: (error) => {
      throw error;
    },
    failed: (error) => void faults.push(error),
    take: (number, bytes, headersAt, bodyAt, end) => {
      if (number === badNumber) throw new Error("a bug");
      taken.deliver({
        number,
        headers: Buffer.from(bytes.subarray(headersAt, bodyAt)).toString(),
        body: bytes.slice(bodyAt, end),
      });
    },
  });
  const others = createInbox<Msg>();
  rig.link.client.subscribe("other.*", { callback: (_, message) => others.deliver(message) });
  await rig.link.client.flush();
  return { ...rig, taken, faults, others, end };
}

const sizes = [0, 1, 2, 20, 100, 1000, 5000];
const whole = () => 1e9;
let draws = 1;
const anyOf = (most: number) => () => {
  draws = (draws * 48_271) % 0x7fffffff;
  return 1 + (draws % most);
};

describe("take", () => {
  test.each([
    ["as they come", whole],
    ["byte by byte", () => 1],
    ["two by two", () => 2],
    ["into pieces of 1 to 9 bytes", anyOf(9)],
    ["into pieces of 1 to 100 bytes", anyOf(100)],
    ["into pieces of 1 to 3000 bytes", anyOf(3000)],
  ])("messages cut %s arrive once, in order, beside those of others", async (_, size) => {
    await using server = await startNats();
    await using rig = await open(server.url);
    cutInto(rig.link.client, size);
    const sender = await connect({ servers: server.url });
    const fields = createHeaders();
    fields.append("Name", "value");

    const count = 210;
    for (let index = 0; index < count; index++) {
      const body = new Uint8Array(sizes[index % sizes.length]!).fill(index); // within
      const options = index % 3 === 0 ? { headers: fields } : {};
      sender.publish(`in.box.${index}`, body, { ...options, reply: index % 5 ? "" : "re.ply.9" });
      if (index % 4 === 0) sender.publish(`other.${index}`, body, options);
      if (index % 50 === 0) await Promise.all([sender.flush(), rig.link.client.flush()]);
    }

    const taken = await rig.taken.take(count, 20_000);
    const others = await rig.others.take(Math.ceil(count / 4), 20_000);
    expect(taken.map(({ number }) => number)).toEqual(Array.from({ length: count }, (_, i) => i));
    for (const { number, headers, body } of taken) {
      expect(headers).toBe(number % 3 ? "" : "NATS/1.0\r\nName: value\r\n\r\n");
      expect(body).toEqual(new Uint8Array(sizes[number % sizes.length]!).fill(number));
    }
    expect(others.map(({ subject }) => subject)).toEqual(
      Array.from(others, (_, index) => `other.${4 * index}`),
    );
    expect(others.every(({ data }, i) => data.length === sizes[(4 * i) % sizes.length])).toBe(true);
    expect(rig.faults).toEqual([]);
    await sender.close();
  });

  test.each([["x"], ["1e0"], ["-1"], ["1x"], ["99999999999999999"]])(
    "subject that ends in %s has no number",
    async (token) => {
      await using server = await startNats();
      await using rig = await open(server.url);

      rig.link.publish(`in.box.${token}`, new Uint8Array(0));

      expect((await rig.taken.take(1))[0]?.number).toBeNaN();
    },
  );

  test("server's own answer says that nobody is there", async () => {
    await using server = await startNats();
    await using rig = await open(server.url);

    rig.link.publish("no.body", new Uint8Array(0), { reply: "in.box.5" });

    const [answer] = await rig.taken.take(1);
    expect([answer?.number, answer?.headers, answer?.body.length]).toEqual([
      5,
      "NATS/1.0 503\r\n\r\n",
      0,
    ]);
  });

  test("one that makes the taker throw is told, and the next ones are taken", async () => {
    await using server = await startNats();
    await using rig = await open(server.url);

    for (const number of [1, badNumber, 2]) rig.link.publish(`in.box.${number}`, new Uint8Array(3));

    const taken = await rig.taken.take(2);
    expect(taken.map(({ number }) => number)).toEqual([1, 2]);
    expect(rig.faults).toEqual([new Error("a bug")]);
  });

  test("what comes after a reconnect is taken, and nothing after the end", async () => {
    await using server = await startNats();
    await using rig = await open(server.url);
    await rig.link.client.reconnect();
    await rig.until("reconnected");

    rig.link.publish("in.box.6", new Uint8Array(3));
    expect((await rig.taken.take(1))[0]?.number).toBe(6);
    rig.end();
    rig.link.publish("in.box.7", new Uint8Array(3));
    rig.link.publish("other.7", new Uint8Array(3));
    await rig.others.take(1);

    expect(rig.taken.received.length).toBe(1);
  });
});
