import { describe, expect, test } from "bun:test";
import { type Assembly, type FrameTarget, readFrames } from "./ws-reader.ts";

const strangerBytes = 1000;
const mask = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);

interface Seen extends FrameTarget {
  isPaused: boolean;
  frames: number;
  readonly events: string[];
  maxBytes: number;
}

/** Writes down what it is told; a large message by its size and its sum. */
function createTarget(maxBytes = 1_000_000): Seen {
  const target = {
    events: [] as string[],
    maxBytes,
    assembly: null as Assembly | null,
    isEnding: false,
    isPaused: false,
    frames: 0,
    leastMessageBytes: strangerBytes,
    messageBytesMax: () => target.maxBytes,
    messageRead: (bytes: Uint8Array) => void target.events.push(`message ${shown(bytes)}`),
    textRead: () => end("text"),
    pingRead: (payload: Uint8Array) => void target.events.push(`ping ${payload.toHex()}`),
    pongRead: (payload: Uint8Array) => void target.events.push(`pong ${payload.toHex()}`),
    closeRead: (code: number | null) => end(`close ${code}`),
    violated: (fault: number) => end(`violated ${fault}`),
    frameRead: () => void target.frames++,
    released: () => {},
  };
  const end = (event: string) => {
    target.events.push(event);
    target.isEnding = true;
  };
  return target;
}

function shown(bytes: Uint8Array): string {
  if (bytes.length < 30) return bytes.toHex();
  return `${bytes.length}/${Bun.hash.crc32(bytes)}`;
}

/** Whose parts are copies, as those of a chunk are; those of a Buffer are not. */
function join(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function payloadOf(size: number, seed = 1): Uint8Array {
  return new Uint8Array(size).map((_, index) => seed * 31 + index * 7 + (index >> 8));
}

interface FrameShape {
  readonly lengthBytes?: 0 | 2 | 8;
  readonly says?: bigint;
  readonly isMasked?: boolean;
}

function frame(first: number, payload: Uint8Array, shape: FrameShape = {}): Uint8Array {
  const says = shape.says ?? BigInt(payload.length);
  const lengthBytes = shape.lengthBytes ?? (says < 126n ? 0 : says < 65_536n ? 2 : 8);
  const isMasked = shape.isMasked ?? true;
  const head = new Uint8Array(2 + lengthBytes);
  const view = new DataView(head.buffer);
  head[0] = first;
  head[1] =
    (isMasked ? 0x80 : 0) | (lengthBytes === 0 ? Number(says) : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) view.setUint16(2, Number(says));
  if (lengthBytes === 8) view.setBigUint64(2, says);
  if (!isMasked) return join([head, payload]);
  return join([head, mask, payload.map((byte, index) => byte ^ mask[index & 3]!)]);
}

function eventsOf(bytes: Uint8Array, cut: number, maxBytes?: number): readonly string[] {
  const target = createTarget(maxBytes);
  for (let at = 0; at < bytes.length && !target.isEnding; at += cut) {
    readFrames(target, bytes.slice(at, at + cut));
  }
  return target.events;
}

const bytes = (...values: readonly number[]) => Uint8Array.from(values);
const nothing = new Uint8Array(0);

describe("frames", () => {
  const stream = join([
    frame(0x82, bytes(1, 2, 3)),
    frame(0x82, nothing),
    frame(0x89, bytes(7)),
    frame(0x82, payloadOf(126)),
    frame(0x02, bytes(1)),
    frame(0x8a, nothing),
    frame(0x00, nothing),
    frame(0x89, payloadOf(125)),
    frame(0x80, payloadOf(700)),
    frame(0x82, payloadOf(5000)),
    frame(0x82, payloadOf(70_000)),
    frame(0x82, bytes(5), { lengthBytes: 8 }),
    frame(0x88, bytes(0x0f, 0xa0, 0x68, 0x69)),
    frame(0x82, bytes(9)),
  ]);
  const expected = [
    ...["message 010203", "message ", "ping 07", `message ${shown(payloadOf(126))}`, "pong "],
    `ping ${payloadOf(125).toHex()}`,
    `message ${shown(Buffer.concat([bytes(1), payloadOf(700)]))}`,
    ...[5000, 70_000].map((size) => `message ${shown(payloadOf(size))}`),
    ...["message 05", "close 4000"],
  ];

  test.each([1, 2, 3, 5, 7, 13, 64, 127, 1000, 4099, 80_000, 1_000_000])(
    "cut into %d bytes they mean the same, and nothing is read behind a close frame",
    (cut) => {
      expect(eventsOf(stream, cut)).toEqual(expected);
    },
  );

  test("it stops behind the frame in which its target was paused, and says where", () => {
    const stream = join([
      frame(0x82, payloadOf(5)),
      frame(0x89, payloadOf(3)),
      frame(0x82, payloadOf(7)),
    ]);
    const target = createTarget();
    const pausing = { ...target, frameRead: () => void Object.assign(pausing, { isPaused: true }) };

    const at = readFrames(pausing, stream);

    expect(at).toBe(6 + 5 + 6 + 3);
    expect(readFrames(pausing, stream.slice(at))).toBe(0);
    Object.assign(pausing, { isPaused: false });
    expect(readFrames(pausing, stream.slice(at))).toBe(6 + 7);
    expect(target.events).toHaveLength(3);
  });

  test("fragments, pings and pongs are frames, messages are not counted twice", () => {
    const target = createTarget();

    readFrames(target, frame(0x02, payloadOf(3)));
    readFrames(target, frame(0x89, payloadOf(3)));
    readFrames(target, frame(0x80, payloadOf(3)));
    readFrames(target, frame(0x8a, payloadOf(3)));
    readFrames(target, frame(0x82, payloadOf(3)));

    expect(target.frames).toBe(3);
  });

  test("a message is the receiver's own, and keeps no larger chunk alive", () => {
    const kept: Uint8Array[] = [];
    const target = {
      ...createTarget(),
      messageRead: (message: Uint8Array) => void kept.push(message),
    };

    readFrames(target, join([frame(0x82, payloadOf(600)), frame(0x82, payloadOf(9000))]));

    expect(kept.map(({ length }) => length)).toEqual([600, 9000]);
    for (const message of kept) {
      expect(message.buffer.byteLength).toBeLessThan(2 * message.length + 64);
    }
  });

  test("nothing is kept between two frames", () => {
    const target = createTarget();

    readFrames(target, frame(0x02, payloadOf(300)));
    expect(target.assembly?.heldBytes).toBe(300);
    readFrames(target, frame(0x80, payloadOf(300)));

    expect(target.assembly).toBeNull();
  });

  test("a length that is only announced costs nothing", () => {
    const target = createTarget();

    readFrames(target, frame(0x82, nothing, { says: 900_000n }));

    expect(target.assembly?.heldBytes).toBe(0);
    expect(target.events).toEqual([]);
  });
});

describe("breaches", () => {
  const half = frame(0x02, bytes(1));
  test.each<readonly [string, Uint8Array, string]>([
    ["a reserved bit", frame(0xc2, bytes(1)), "violated 1002"],
    ["no mask", frame(0x82, bytes(1), { isMasked: false }), "violated 1002"],
    ["opcode 3", frame(0x83, nothing), "violated 1002"],
    ["opcode 11", frame(0x8b, nothing), "violated 1002"],
    ["a ping in fragments", frame(0x09, bytes(1)), "violated 1002"],
    ["a ping of 126 bytes", frame(0x89, payloadOf(126)), "violated 1002"],
    ["nothing to continue", frame(0x80, bytes(1)), "violated 1002"],
    ["a message within another", join([half, frame(0x82, bytes(1))]), "violated 1002"],
    ["a text within a message", join([half, frame(0x81, nothing)]), "violated 1002"],
    ["the highest bit of a length", frame(0x82, nothing, { says: 1n << 63n }), "violated 1002"],
    ["a length of 2 ** 62", frame(0x82, nothing, { says: 1n << 62n }), "violated 1009"],
    ["half a close code", frame(0x88, bytes(3)), "violated 1002"],
    ["close 1005", frame(0x88, bytes(0x03, 0xed)), "violated 1002"],
    ["a reason that is no UTF-8", frame(0x88, bytes(0x03, 0xe8, 0xff)), "violated 1007"],
    ["a text", frame(0x81, bytes(0x61)), "text"],
    ["a text in fragments", frame(0x01, bytes(0x61)), "text"],
  ])("%s is told at once, in one chunk and octet by octet", (_, stream, event) => {
    expect(eventsOf(stream, 1)).toEqual([event]);
    expect(eventsOf(stream, 1_000_000)).toEqual([event]);
  });

  test("it is told before the rest of the frame has come", () => {
    const target = createTarget();

    readFrames(target, bytes(0x82, 0x05)); // no mask

    expect(target.events).toEqual(["violated 1002"]);
  });
});

describe("the bound of a message", () => {
  const fragmented = (size: number) =>
    join([frame(0x02, payloadOf(size - 10)), frame(0x80, payloadOf(10))]);

  test.each([1, 700, 1_000_000])("in chunks of %d it may be reached, and not passed", (cut) => {
    const most = 5000;

    for (const make of [(size: number) => frame(0x82, payloadOf(size)), fragmented]) {
      expect(eventsOf(make(most), cut, most)).toHaveLength(1);
      expect(eventsOf(make(most), cut, most)[0]).toStartWith("message 5000/");
      expect(eventsOf(make(most + 1), cut, most)).toEqual(["violated 1009"]);
    }
  });

  test("no more is kept for fragments than it allows", () => {
    const target = createTarget(5000);

    readFrames(target, frame(0x02, payloadOf(3000)));
    readFrames(target, frame(0x00, payloadOf(1000)));

    expect(target.assembly?.heldBytes).toBe(5000);
  });

  test.each([
    ["a frame", 0x82],
    ["a fragment", 0x02],
  ])("it is asked for anew: %s begun under a larger one ends under a smaller", (_, first) => {
    const target = createTarget(10_000);
    const stream = frame(first, payloadOf(9000));
    readFrames(target, stream.slice(0, 4000));
    target.maxBytes = strangerBytes;

    readFrames(target, stream.slice(4000, 5000));

    expect(target.events).toEqual(["violated 1009"]);
  });
});
