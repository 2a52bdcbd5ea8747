/**
 * Messages, pings, reserved bits, opcodes and fragments: sections 1 to 5 of Autobahn's test suite.
 * Its echo server has text messages; ours are packets, so a message here is a heartbeat request.
 */
import { type FrameCase, protocolError, tooLong, unpackError } from "./frame-case.ts";
import { fragments, frame, heartbeat, message, Opcode, ping, pong } from "./frames.ts";

const small = 13;
const first = message(heartbeat(1));
const [start, rest] = fragments(heartbeat(1), 12) as [Uint8Array, Uint8Array]; // of 24 bytes
const nothingToContinue = (isFinal: boolean) => frame(Opcode.continuation, "lonely", { isFinal });
const longest = "x".repeat(125);
const protocolErrors = [protocolError];

/** Sent together, frame by frame, and octet by octet. */
function threefold(
  ids: readonly [string, string, string],
  one: Pick<FrameCase, "what" | "steps" | "expects">,
): FrameCase[] {
  const apart = one.steps.flatMap((step) => [step, 2]);
  return [
    { ...one, id: ids[0], what: `${one.what}, together` },
    { ...one, id: ids[1], what: `${one.what}, frame by frame`, steps: apart },
    { ...one, id: ids[2], what: `${one.what}, octet by octet`, cut: 1 },
  ];
}

/** The size is that of the whole message, of which 11 bytes are a header of ours. */
function sized(id: string, messageBytes: number, cut?: number): FrameCase {
  const bodyBytes = messageBytes - 11;
  const steps = [message(heartbeat(1, bodyBytes))];
  const expects = { echoes: [[1, bodyBytes]], end: "open" } as const;
  const what = `a message of ${messageBytes} bytes`;
  return cut === undefined
    ? { id, what, steps, expects }
    : { id, what: `${what}, in writes of ${cut}`, steps, cut, expects };
}

const messages: readonly FrameCase[] = [
  {
    id: "1.2.1",
    what: "an empty message, which is no packet",
    steps: [message(new Uint8Array(0))],
    expects: { end: [unpackError] },
  },
  ...[125, 126, 127, 128, 65_535, 65_536].map((bytes, index) => sized(`1.2.${index + 2}`, bytes)),
  sized("1.2.8", 65_536, 997),
];

const pings: readonly FrameCase[] = [
  { id: "2.1", what: "a ping without payload", steps: [ping()], expects: pongs("") },
  { id: "2.2", what: "a ping with text", steps: [ping("Hello!")], expects: pongs("Hello!") },
  {
    id: "2.3",
    what: "a ping with bytes that are no text",
    steps: [ping(Uint8Array.of(0x00, 0x7f))],
    expects: pongs("\x00\x7f"),
  },
  { id: "2.4", what: "a ping of 125 bytes", steps: [ping(longest)], expects: pongs(longest) },
  {
    id: "2.5",
    what: "a ping of 126 bytes",
    steps: [ping(`${longest}x`)],
    expects: { end: protocolErrors },
  },
  {
    id: "2.6",
    what: "a ping of 125 bytes, octet by octet",
    steps: [ping(longest)],
    cut: 1,
    expects: pongs(longest),
  },
  { id: "2.7", what: "a pong nobody asked for", steps: [pong()], expects: pongs() },
  { id: "2.8", what: "the same with payload", steps: [pong("unasked")], expects: pongs() },
  {
    id: "2.9",
    what: "a pong nobody asked for, then a ping",
    steps: [pong("unasked"), ping("asked")],
    expects: pongs("asked"),
  },
  ...[undefined, 1].map((cut, index): FrameCase => {
    const texts = Array.from({ length: 10 }, (_, count) => `ping ${count}`);
    const octets = cut === undefined ? {} : { cut };
    const what = `ten pings${cut === undefined ? "" : ", octet by octet"}`;
    const steps = texts.map((text) => ping(text));
    return { id: `2.${10 + index}`, what, steps, ...octets, expects: pongs(...texts) };
  }),
];

function pongs(...texts: readonly string[]): FrameCase["expects"] {
  return { pongs: texts, end: "open" };
}

/** A good message, the bad frame, and a ping that nobody answers any more. */
function spoiled(id: string, what: string, bad: Uint8Array, cut?: number): FrameCase {
  const octets = cut === undefined ? {} : { cut };
  const expects = { echoes: [[1, small]], end: protocolErrors } as const;
  return { id, what, steps: [first, bad, ping()], ...octets, expects };
}

const reserved = (opcode: number, bits: number) =>
  frame(opcode, opcode === Opcode.binary ? heartbeat(2) : "", { reserved: bits });

const reservedBits: readonly FrameCase[] = [
  alone("3.1", "a message with reserved bits 1", reserved(Opcode.binary, 1)),
  spoiled("3.2", "a message, then one with reserved bits 2", reserved(Opcode.binary, 2)),
  spoiled("3.3", "the same with 3, in small writes", reserved(Opcode.binary, 3), 30),
  spoiled("3.4", "the same with 4, octet by octet", reserved(Opcode.binary, 4), 1),
  alone("3.5", "a message with reserved bits 5", reserved(Opcode.binary, 5)),
  alone("3.6", "a ping with reserved bits 6", reserved(Opcode.ping, 6)),
  alone("3.7", "a close frame with reserved bits 7", reserved(Opcode.close, 7)),
];

function alone(id: string, what: string, bad: Uint8Array): FrameCase {
  return { id, what, steps: [bad], expects: { end: protocolErrors } };
}

/** Of each section: alone, with payload, behind a message, that with payload, octet by octet. */
const opcodes: readonly FrameCase[] = [3, 11].flatMap((lowest, section) => {
  const id = (index: number) => `4.${section + 1}.${index + 1}`;
  const what = (index: number) => `a frame of opcode ${lowest + index}`;
  const bad = (index: number, text = "") => frame(lowest + index, text);
  return [
    alone(id(0), what(0), bad(0)),
    alone(id(1), `${what(1)} with payload`, bad(1, "reserved")),
    spoiled(id(2), `a message, then ${what(2)}`, bad(2)),
    spoiled(id(3), `a message, then ${what(3)} with payload`, bad(3, "reserved")),
    spoiled(id(4), `a message, then ${what(4)}, octet by octet`, bad(4, "reserved"), 1),
  ];
});

const whole = { echoes: [[1, small]], end: "open" } as const;
const five = fragments(heartbeat(1), 5); // five of them

const fragmented: readonly FrameCase[] = [
  alone("5.1", "a ping in two fragments", frame(Opcode.ping, "half", { isFinal: false })),
  alone("5.2", "a pong in two fragments", frame(Opcode.pong, "half", { isFinal: false })),
  ...threefold(["5.3", "5.4", "5.5"], {
    what: "a message in two fragments",
    steps: [start, rest],
    expects: whole,
  }),
  ...threefold(["5.6", "5.7", "5.8"], {
    what: "two fragments with a ping between them",
    steps: [start, ping("ping"), rest],
    expects: { ...whole, pongs: ["ping"] },
  }),
  ...threefold(["5.9", "5.10", "5.11"], {
    what: "a last fragment of nothing, then a message",
    steps: [nothingToContinue(true), first],
    expects: { end: protocolErrors },
  }),
  ...threefold(["5.12", "5.13", "5.14"], {
    what: "a fragment of nothing, then a message",
    steps: [nothingToContinue(false), first],
    expects: { end: protocolErrors },
  }),
  {
    id: "5.15",
    what: "a message in two fragments, a fragment of nothing, a message",
    steps: [start, rest, nothingToContinue(false), message(heartbeat(2))],
    expects: { echoes: [[1, small]], end: protocolErrors },
  },
  ...[false, true].map((isFinal, index): FrameCase => {
    const round = [nothingToContinue(isFinal), start, rest];
    const what = `twice: a ${isFinal ? "last " : ""}fragment of nothing, a message in two`;
    const expects = { end: protocolErrors };
    return { id: `5.${16 + index}`, what, steps: [...round, ...round], expects };
  }),
  {
    id: "5.18",
    what: "a message begins within a message",
    steps: [start, first],
    expects: { end: protocolErrors },
  },
  ...["together", 1].map((cut, index): FrameCase => {
    const [one, two, three, four, last] = five as [Uint8Array, ...Uint8Array[]];
    const later = [three!, four!, ping("ping 2"), last!]; // there are five
    const what = `five fragments with two pings and a pause${cut === 1 ? ", by octets" : ""}`;
    const expects = { ...whole, pongs: ["ping 1", "ping 2"] };
    const steps = [one, two!, ping("ping 1"), 20, ...later]; // there are five
    return { id: `5.${19 + index}`, what, steps, cut: cut === 1 ? 1 : "together", expects };
  }),
];

const long = "a".repeat(200);

/** Beyond Autobahn: what a client that means harm would try. */
const harmful: readonly FrameCase[] = [
  alone("F1", "a frame without a mask", message(heartbeat(1), { isMasked: false })),
  ...([2, 8] as const).map((lengthBytes, index): FrameCase => {
    const what = `a length of 24 in ${lengthBytes} bytes`;
    const expects = { end: protocolErrors, tolerated: ["open"], echoes: [[1, small]] } as const;
    return {
      ...{ id: `F${2 + index}`, what, expects },
      steps: [message(heartbeat(1), { lengthBytes })],
    };
  }),
  ...[0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn, 0x1_0000_0000n].map(
    (saysBytes, index): FrameCase => ({
      id: `F${4 + index}`,
      what: `a frame that says 0x${saysBytes.toString(16)} bytes, of which three come`,
      steps: [message(Uint8Array.of(1, 1, 0), { saysBytes })],
      expects: { end: [protocolError, tooLong] },
    }),
  ),
  alone("F7", "a ping whose length takes 8 bytes", frame(Opcode.ping, "a", { lengthBytes: 8 })),
  alone("F8", "a close frame of 200 bytes", frame(Opcode.close, long)),
  {
    id: "F9",
    what: "fragments that are too long together, and no end",
    steps: Array.from({ length: 40 }, (_, index) =>
      frame(index === 0 ? 2 : 0, new Uint8Array(65_536), { isFinal: false }),
    ),
    expects: { end: [tooLong] },
  },
  {
    id: "F10",
    what: "10,000 empty fragments within a message",
    steps: [
      start,
      ...Array.from({ length: 10_000 }, () => frame(Opcode.continuation, "", { isFinal: false })),
      rest,
    ],
    expects: { ...whole, tolerated: [1008, tooLong] },
  },
  {
    id: "F11",
    what: "1,000 pings within a message",
    steps: [start, ...Array.from({ length: 1000 }, () => ping(longest)), rest],
    expects: { ...whole, pongs: Array.from({ length: 1000 }, () => longest) },
  },
  {
    id: "F12",
    what: "1,000 pongs nobody asked for",
    steps: [...Array.from({ length: 1000 }, () => pong(longest)), first],
    expects: whole,
  },
  {
    id: "F13",
    what: "two packets in one message",
    steps: [message(Buffer.concat([heartbeat(1), heartbeat(2)]))],
    expects: { end: [unpackError] },
  },
  {
    id: "F14",
    what: "a packet over two messages",
    steps: [message(heartbeat(1).subarray(0, 12)), message(heartbeat(1).subarray(12))],
    expects: { end: [unpackError] },
  },
];

export const framingCases: readonly FrameCase[] = [
  ...messages,
  ...pings,
  ...reservedBits,
  ...opcodes,
  ...fragmented,
  ...harmful,
];
