/** Requests that are written straight into what leaves, on a real server that says what it got. */
import { describe, expect, test } from "bun:test";
import { startNats } from "@holdfast/servers";
import { connect, type Msg } from "nats";
import { draftBytesMax, draftHead } from "./draft.ts";
import { createInbox } from "./inbox.ts";
import type { NatsLink } from "./nats.ts";
import { openLink } from "./nats-rig.ts";

const block = Buffer.from("NATS/1.0\r\nName: value\r\n\r\n");

/** False: it was not taken. */
function ask(link: NatsLink, number: number, body: Uint8Array, subject = "asked"): boolean {
  const head = draftHead(subject, "_INBOX.replies.");
  const draft = link.draft(head, number, block.length + body.length);
  if (draft === null) return false;
  draft.bytes.set(block, draft.at);
  draft.bytes.set(body, draft.at + block.length);
  link.send(draft.at + block.length, draft.at + block.length + body.length);
  return true;
}

describe("draft", () => {
  test("message arrives with its headers, its body and where to answer", async () => {
    await using server = await startNats();
    await using rig = await openLink(server.url);
    const inbox = createInbox<Msg>();
    rig.link.client.subscribe("asked", { callback: (_, message) => inbox.deliver(message) });
    await rig.link.client.flush();
    const sizes = [0, 1, 9, 100, draftBytesMax - block.length];

    for (const size of sizes) ask(rig.link, 7 * size + 1, new Uint8Array(size).fill(7));

    const messages = await inbox.take(sizes.length);
    expect(messages.map(({ data }) => data.length)).toEqual(sizes);
    expect(messages.map(({ reply }) => reply)).toEqual(
      sizes.map((size) => `_INBOX.replies.${7 * size + 1}`),
    );
    expect(messages.every(({ headers }) => headers?.get("Name") === "value")).toBe(true);
    expect(rig.faults).toEqual([]);
  });

  test("drafts and what the library sends in the same turn all arrive, in their order", async () => {
    await using server = await startNats();
    await using rig = await openLink(server.url);
    const inbox = createInbox<number>();
    const callback = (_: unknown, message: Msg) => inbox.deliver(message.data[0] ?? -1);
    rig.link.client.subscribe("asked", { callback });
    await rig.link.client.flush();

    for (let index = 0; index < 200; index += 2) {
      ask(rig.link, index + 1, new Uint8Array(900).fill(index));
      rig.link.publish("asked", new Uint8Array(index === 100 ? 40_000 : 9).fill(index + 1));
      await Promise.resolve(); // the library writes here
    }

    const got = await inbox.take(200);
    expect(got).toEqual(Array.from({ length: 200 }, (_, index) => index));
  });

  test("one that is begun and not sent leaves nothing behind", async () => {
    await using server = await startNats();
    await using rig = await openLink(server.url);
    const inbox = createInbox<Msg>();
    rig.link.client.subscribe("asked", { callback: (_, message) => inbox.deliver(message) });
    await rig.link.client.flush();

    rig.link.draft(draftHead("asked", "_INBOX.other."), 1, 1000)?.bytes.fill(1, 0, 100);
    ask(rig.link, 2, Uint8Array.of(3));

    const [message] = await inbox.take(1);
    await rig.link.client.flush();
    expect([message?.reply, message?.data[0]]).toEqual(["_INBOX.replies.2", 3]);
    expect(inbox.received.length).toBe(1);
  });

  test("what a server that stands still has not taken arrives later as it was written", async () => {
    await using server = await startNats({ config: "max_pending: 64MB\n" });
    await using rig = await openLink(server.url, { unconfirmedBytesMax: 64 * 1024 * 1024 });
    const other = await connect({ servers: server.url });
    const inbox = createInbox<Msg>();
    other.subscribe("asked", { callback: (_, message) => inbox.deliver(message) });
    await other.flush();
    const count = 1200; // of 12 KB each: far more than sockets hold

    server.signal("SIGSTOP");
    for (let index = 0; index < count; index++) {
      expect(ask(rig.link, index + 1, new Uint8Array(12_000).fill(index))).toBe(true);
      if (index % 10 === 9) await new Promise((resolve) => setImmediate(resolve));
    }
    server.signal("SIGCONT");

    const messages = await inbox.take(count, 20_000);
    for (const [index, { data, reply }] of messages.entries()) {
      expect(reply).toBe(`_INBOX.replies.${index + 1}`);
      expect(data.every((byte) => byte === (index & 0xff))).toBe(true);
    }
    expect(messages.length).toBe(count);
    await other.close();
  });

  test("nothing is begun while NATS is away, and its loss is told", async () => {
    await using server = await startNats();
    await using rig = await openLink(server.url);
    server.signal("SIGKILL");
    await rig.until("disconnected");

    expect(ask(rig.link, 1, new Uint8Array(1))).toBe(false);
    expect(rig.faults).toEqual(["publish"]);
  });

  test("no more is begun than may be unconfirmed", async () => {
    await using server = await startNats();
    await using rig = await openLink(server.url, { unconfirmedBytesMax: 10_000 });

    const taken = [1, 2, 3].map((number) => ask(rig.link, number, new Uint8Array(4000)));

    expect(taken).toEqual([true, true, false]);
  });
});
