/** What the stream decoder lets in, what it holds, and that it holds no more. [§5.5] [I6] */

import { describe, expect, test } from "bun:test";
import { cutEach, cutInto, drain, faultIn, feed, join } from "../test/feed.ts";
import { defaultLimits } from "../test/vectors.ts";
import { Decoder } from "./decoder.ts";
import { encode, encodePush, encodeRequest, encodeResponse } from "./encode.ts";
import { gzipBody } from "./gzip.ts";
import { Command, type Push, type Version } from "./packet.ts";
import type { DecoderLimits } from "./parse.ts";

const limits: DecoderLimits = {
  bodyBytesMax: 1000,
  inflatedBytesMax: 2000,
  heartbeatBytesMax: 100,
};

const both: readonly Version[] = [1, 2];

function gzipPush(command: number, inflatedBytes: number): Uint8Array {
  const body = gzipBody(new Uint8Array(inflatedBytes));
  return encodePush(1, command, body, { isCompressed: true });
}

describe("limits of Decoder", () => {
  for (const version of both) {
    const packetsWith = (body: Uint8Array) => [
      encodeRequest(version, 9, 1, 0, body),
      encodeResponse(version, 9, 1, 0, body),
      encodePush(version, 9, body),
    ];

    test(`body of the limit is accepted, one byte more is not, in version ${version}`, () => {
      const inside = packetsWith(new Uint8Array(1000));
      const outside = packetsWith(new Uint8Array(1001));

      expect(feed(inside, version, limits)).toMatchObject({ fault: null, pendingBytes: 0 });
      for (const bytes of outside) expect(feed([bytes], version, limits).fault).toBe("too-large");
    });

    test(`body over the limit is refused with the last byte of its header, in version ${version}`, () => {
      for (const bytes of packetsWith(new Uint8Array(1001))) {
        const headerBytes = bytes.length - 1001;

        expect(feed([bytes.subarray(0, headerBytes - 1)], version, limits).fault).toBeNull();
        expect(feed([bytes.subarray(0, headerBytes)], version, limits).fault).toBe("too-large");
        expect(feed(cutEach(bytes.subarray(0, headerBytes)), version, limits).fault).toBe(
          "too-large",
        );
      }
    });
  }

  test("body that inflates to the limit is accepted, to a byte more is not", () => {
    expect(feed([gzipPush(9, 2000)], 1, limits).packets[0]?.body.length).toBe(2000);
    expect(feed([gzipPush(9, 2001)], 1, limits).fault).toBe("too-large");
    expect(feed(cutEach(gzipPush(9, 2001)), 1, limits).fault).toBe("too-large");
  });

  test("heartbeat has a limit of its own, on the wire and inflated [§9]", () => {
    const push = (bytes: number) => encodePush(1, Command.heartbeat, new Uint8Array(bytes));

    expect(feed([push(100)], 1, limits).fault).toBeNull();
    expect(feed([push(101).subarray(0, 5)], 1, limits).fault).toBe("too-large");
    expect(feed([gzipPush(Command.heartbeat, 100)], 1, limits).fault).toBeNull();
    expect(feed([gzipPush(Command.heartbeat, 101)], 1, limits).fault).toBe("too-large");
  });

  test("heartbeat is not let in by its own limit if no other packet would be", () => {
    const wide = { ...limits, heartbeatBytesMax: 5000 };

    const bytes = encodePush(1, Command.heartbeat, new Uint8Array(1001));

    expect(feed([bytes], 1, wide).fault).toBe("too-large");
    expect(feed([gzipPush(Command.heartbeat, 2001)], 1, wide).fault).toBe("too-large");
  });

  test("limits that are set later hold for the next packet", () => {
    const decoder = new Decoder(1, limits);
    decoder.push(encodePush(1, 9, new Uint8Array(1000)));
    expect(decoder.next()?.body.length).toBe(1000);

    decoder.setLimits(defaultLimits);
    decoder.push(encodePush(1, 9, new Uint8Array(1001)));
    expect(decoder.next()?.body.length).toBe(1001);

    decoder.setLimits(limits);
    decoder.push(encodePush(1, 9, new Uint8Array(1001)));
    expect(faultIn(() => decoder.next())).toBe("too-large");
  });
});

describe("Decoder that holds [§5.5]", () => {
  const holding: DecoderLimits = { ...limits, hold: true };
  const large = encodeRequest(1, 9, 2, 0, new Uint8Array(1001).fill(7));
  const stream = join([
    encodePush(1, 8, Uint8Array.of(1)),
    large,
    encodePush(1, 7, new Uint8Array(0)),
  ]);
  const commands = [8, 9, 7];

  test("packet over the limit waits for other limits, whatever the chunks", () => {
    for (const chunks of [[stream], cutEach(stream), cutInto(stream, [3, 40, 7])]) {
      const decoder = new Decoder(1, holding);
      const before = chunks.flatMap((chunk) => {
        decoder.push(chunk);
        return [...drain(decoder)];
      });

      expect(before.map((packet) => packet.command)).toEqual([8]);
      expect(decoder.isHeldByLimit).toBe(true);

      decoder.setLimits(defaultLimits);
      expect(decoder.isHeldByLimit).toBe(false);
      expect([...before, ...drain(decoder)].map((packet) => packet.command)).toEqual(commands);
      expect(decoder.pendingBytes).toBe(0);
    }
  });

  test("packet is held at its header, and not before", () => {
    const decoder = new Decoder(1, holding);

    decoder.push(large.slice(0, 10));
    expect(decoder.next()).toBeNull();
    expect(decoder.isHeldByLimit).toBe(false);

    decoder.push(large.slice(10, 11));
    expect(decoder.next()).toBeNull();
    expect(decoder.isHeldByLimit).toBe(true);
  });

  test("packet that inflates too far waits as well", () => {
    const bytes = gzipPush(9, 2001);
    for (const chunks of [[bytes], cutEach(bytes)]) {
      const decoder = new Decoder(1, holding);
      for (const chunk of chunks) {
        decoder.push(chunk);
        expect(decoder.next()).toBeNull();
      }
      expect(decoder.isHeldByLimit).toBe(true);

      decoder.setLimits(defaultLimits);

      expect(decoder.next()?.body.length).toBe(2001);
      expect(decoder.pendingBytes).toBe(0);
    }
  });

  test("packet is held again if the other limits are not enough", () => {
    const decoder = new Decoder(1, holding);
    decoder.push(large);
    decoder.next();

    decoder.setLimits({ ...holding, bodyBytesMax: 1000 });
    expect(decoder.next()).toBeNull();
    expect(decoder.isHeldByLimit).toBe(true);

    decoder.setLimits(limits);
    expect(faultIn(() => decoder.next())).toBe("too-large");
  });

  test("heartbeat is never held, nor is a fault of another kind", () => {
    const heartbeat = encodePush(1, Command.heartbeat, new Uint8Array(101));

    expect(feed([heartbeat], 1, holding).fault).toBe("too-large");
    expect(feed(cutEach(heartbeat), 1, holding).fault).toBe("too-large");
    expect(feed([gzipPush(Command.heartbeat, 101)], 1, holding).fault).toBe("too-large");
    expect(feed([Uint8Array.of(0)], 1, holding).fault).toBe("bad-type");
  });

  test("decoder that holds a little does not keep a large chunk alive", () => {
    const chunk = join([encodePush(1, 8, new Uint8Array(1000)), large.subarray(0, 20)]);
    const decoder = new Decoder(1, holding);
    decoder.push(chunk);

    expect([...drain(decoder)].length).toBe(1);

    expect(decoder.isHeldByLimit).toBe(true);
    expect(decoder.pendingBytes).toBe(20);

    // What is held is a copy: what becomes of the chunk changes nothing.
    chunk.fill(0xff);
    decoder.setLimits(defaultLimits);
    decoder.push(large.subarray(20));
    expect(decoder.next()?.body).toEqual(new Uint8Array(1001).fill(7));
  });
});

describe("memory of Decoder", () => {
  test("announced body of 16 MiB that does not come costs 64 bytes", () => {
    const decoder = new Decoder(1, { ...defaultLimits, bodyBytesMax: 0xffffff });
    decoder.push(Uint8Array.fromHex("0109000000010000ffffff"));

    expect(decoder.next()).toBeNull();

    expect(decoder.pendingBytes).toBe(64);
  });

  test("unfinished packet costs at most twice what has come, and never more than it has", () => {
    const bytes = encodePush(1, 9, new Uint8Array(50_000));
    const decoder = new Decoder(1, defaultLimits);
    let came = 0;
    for (const chunk of cutInto(bytes, [1, 700, 3])) {
      decoder.push(chunk);
      came += chunk.length;
      if (decoder.next() !== null) break;
      expect(decoder.pendingBytes).toBeGreaterThanOrEqual(came);
      expect(decoder.pendingBytes).toBeLessThanOrEqual(Math.max(64, 2 * came));
      expect(decoder.pendingBytes).toBeLessThanOrEqual(bytes.length);
    }
    expect(came).toBe(bytes.length);
    expect(decoder.pendingBytes).toBe(0);
  });

  test("few bytes at the end of a large chunk are copied, so that the chunk can go", () => {
    const chunk = join([encodePush(1, 9, new Uint8Array(60_000)), Uint8Array.of(3, 9, 0)]);
    const decoder = new Decoder(1, defaultLimits);
    decoder.push(chunk);

    const packet = decoder.next();
    expect(decoder.next()).toBeNull();
    expect(decoder.pendingBytes).toBe(64);

    // The copy is the decoder's: what becomes of the chunk changes nothing.
    chunk.fill(0xff);
    decoder.push(Uint8Array.of(0, 1, 0x41));
    expect(decoder.next()?.body).toEqual(Uint8Array.of(0x41));
    expect(packet?.body.buffer).toBe(chunk.buffer);
  });

  test("packet that is a whole chunk is read where it lies, if it is large", () => {
    const chunk = encodePush(1, 9, new Uint8Array(1025));
    const decoder = new Decoder(1, defaultLimits);
    decoder.push(chunk);

    expect(decoder.next()?.body.buffer).toBe(chunk.buffer);
    expect(decoder.pendingBytes).toBe(0);
  });

  test("small body has memory of its own, and keeps no chunk alive", () => {
    const chunk = encodePush(1, 9, new Uint8Array(1024).fill(7));
    const decoder = new Decoder(1, defaultLimits);
    decoder.push(chunk);

    const body = decoder.next()?.body;
    chunk.fill(0);

    expect(body?.buffer.byteLength).toBe(1024);
    expect(body?.every((byte) => byte === 7)).toBe(true);
  });

  test("packets in one chunk are read where they lie, and leave nothing behind", () => {
    const chunk = Buffer.from("03090000014103090000014203090000000309000000", "hex");
    const decoder = new Decoder(1, defaultLimits);
    decoder.push(chunk);

    const packets = [...drain(decoder)];

    expect(packets.map(({ body }) => body.length)).toEqual([1, 1, 0, 0]);
    expect(packets[0]?.body.buffer).toBe(chunk.buffer);
    expect(Buffer.isBuffer(packets[0]?.body)).toBe(false);
    expect(packets[3]?.body).toBe(packets[2]?.body);
    expect(packets[3]?.metadata).toBe(packets[2]?.metadata);
    expect(decoder.pendingBytes).toBe(0);
  });
});

describe("Decoder that drops what it holds", () => {
  test("holds nothing, and reads the next packet", () => {
    const decoder = new Decoder(1, defaultLimits);
    const bytes = encodePush(1, 9, new Uint8Array(50_000));
    for (const chunk of cutInto(bytes.subarray(0, 40_000), [20_000, 3])) {
      decoder.push(chunk);
      expect(decoder.next()).toBeNull();
    }

    decoder.drop();

    expect(decoder.pendingBytes).toBe(0);
    decoder.push(bytes);
    expect(decoder.next()?.body.length).toBe(50_000);
  });
});

describe("Decoder that is dead", () => {
  test("decoder throws the same error again, and holds nothing", () => {
    const decoder = new Decoder(1, defaultLimits);
    decoder.push(Uint8Array.of(3, 9, 0));
    decoder.next();
    decoder.push(Uint8Array.of(0, 0, 0xee, 1, 2, 3));
    expect(decoder.next()?.command).toBe(9);
    const first = thrown(() => decoder.next());

    decoder.push(encodePush(1, 9, new Uint8Array(0)));
    decoder.setLimits(defaultLimits);

    expect(faultIn(() => decoder.next())).toBe("bad-type");
    expect(thrown(() => decoder.next())).toBe(first);
    expect(thrown(() => decoder.finishMessage())).toBe(first);
    expect(decoder.pendingBytes).toBe(0);
  });

  test("decoder returns the packets before the fault first", () => {
    const good = encodePush(1, 9, Uint8Array.of(1));

    const { packets, fault } = feed([join([good, good, Uint8Array.of(0x0f)])], 1);

    expect(packets.length).toBe(2);
    expect(fault).toBe("bad-type");
  });

  test("message that ends within a packet is truncated, after a whole packet it is not", () => {
    const decoder = new Decoder(2, defaultLimits);
    decoder.push(encodePush(2, 9, Uint8Array.of(1)));
    decoder.next();
    decoder.finishMessage();

    decoder.push(Uint8Array.of(3));
    decoder.next();

    expect(faultIn(() => decoder.finishMessage())).toBe("truncated");
    expect(faultIn(() => decoder.next())).toBe("truncated");
  });
});

describe("verification of Decoder [§5.7]", () => {
  test("nonce and signature follow the body as it was on the wire", () => {
    const packet: Push = {
      type: "push",
      command: 9,
      metadata: {},
      body: new Uint8Array(500),
      gzip: true,
      verification: { nonce: new Uint8Array(8).fill(1), signature: new Uint8Array(16).fill(2) },
    };
    const bytes = encode(packet, 1);

    expect(bytes.subarray(-24)).toEqual(
      join([new Uint8Array(8).fill(1), new Uint8Array(16).fill(2)]),
    );
    expect(feed(cutEach(bytes), 1).packets).toEqual([packet]);
  });
});

function thrown(act: () => unknown): unknown {
  try {
    act();
    return null;
  } catch (error) {
    return error;
  }
}
